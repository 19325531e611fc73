"""What is missing, and why."""

from pathlib import Path

import pytest
from records import full_set, make_record, planned, store

from reproductions.harness.claim import discover, planned_runs
from reproductions.harness.plan import code_of, differences, expected_seconds, plan
from reproductions.harness.record import read_records

RUNS = [run for run in planned_runs(discover()["fig1_relu"], "paper") if run.question == "speedup"]
COPY = "0123456789ab"


def test_everything_is_missing_at_first() -> None:
    planned_now = plan(RUNS, [], None)
    assert len(planned_now) == len(RUNS)
    assert {(item.current, item.reason) for item in planned_now} == {(None, "no record")}


def test_nothing_is_missing_when_all_is_there(tmp_path: Path) -> None:
    full_set(tmp_path)
    planned_now = plan(RUNS, read_records(tmp_path)[0], COPY)
    assert all(item.current for item in planned_now)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rate": 0.5}, "recipe.learning_rate was 0.5, is"),
        ({"code": {**code_of(planned("relu", 0)), "alexnet.train:fit": "x"}}, "code changed: alexnet.train.fit"),
        ({"code": {}}, "and more"),
        ({"declaration": "old"}, "made under another declaration"),
        ({"fingerprint": "other"}, "made from another copy of the data (the tests)"),
    ],
)
def test_the_reason_names_what_differs(changes: dict[str, object], reason: str, tmp_path: Path) -> None:
    record = make_record(**changes)  # type: ignore[arg-type]
    assert any(reason in line for line in differences(record, planned("relu", 0), COPY))
    store(tmp_path, record)
    item = next(item for item in plan(RUNS, read_records(tmp_path)[0], COPY) if item.run == planned("relu", 0))
    assert item.current is None
    assert reason in item.reason


def test_other_hardware_is_an_answer_too(tmp_path: Path) -> None:
    store(tmp_path, make_record(hardware="somebody else's", precision="fp32"))
    item = next(item for item in plan(RUNS, read_records(tmp_path)[0], COPY) if item.run == planned("relu", 0))
    assert item.current is not None


def test_two_halves_made_on_different_machines_are_no_whole(tmp_path: Path) -> None:
    """The judge pools nothing across hardware, so the plan asks for what would make one machine's set whole."""
    for seed in range(5):
        for arm in ("relu", "tanh"):
            store(tmp_path, make_record(arm, seed, hardware="CPU" if seed < 3 else "GPU"))
    stored = read_records(tmp_path)[0]
    evaluate = [run for run in RUNS if run.role == "evaluate"]

    def missing(hardware: str | None) -> set[int]:
        return {item.run.seed for item in plan(evaluate, stored, COPY, hardware) if item.current is None}

    assert missing("CPU") == {3, 4}
    assert missing("GPU") == {0, 1, 2}
    assert missing("another") == {0, 1, 2, 3, 4}
    assert missing(None) == {3, 4}
    reason = next(item.reason for item in plan(evaluate, stored, COPY, "GPU") if item.run.seed == 0)
    assert reason == "there only by CPU, bf16"


def test_one_of_two_copies_is_enough(tmp_path: Path) -> None:
    store(tmp_path, make_record(fingerprint="other"), make_record())
    item = next(item for item in plan(RUNS, read_records(tmp_path)[0], COPY) if item.run == planned("relu", 0))
    assert item.current is not None
    assert item.current.record.data is not None
    assert item.current.record.data.fingerprint == COPY


def test_a_failed_run_is_made_again(tmp_path: Path) -> None:
    record = make_record(epochs=None, status="failed").model_copy(update={"failure": "out of memory"})
    store(tmp_path, record)
    item = next(item for item in plan(RUNS, read_records(tmp_path)[0], COPY) if item.run == planned("relu", 0))
    assert item.reason == "it failed: out of memory"


def test_the_time_comes_from_records_of_this_hardware(tmp_path: Path) -> None:
    full_set(tmp_path)
    stored, _ = read_records(tmp_path)
    run = planned("relu", 0)
    assert expected_seconds(run, stored, 50_000, "a processor", 2) == pytest.approx(320_000 / 3_000)
    assert expected_seconds(run, stored, 50_000, "a processor", 1) == pytest.approx(2 * 320_000 / 3_000)
    assert expected_seconds(run, stored, 50_000, "another", 2) is None
    assert expected_seconds(planned("count", 0, claim="fig2_architecture"), stored, 50_000, "another", 2) == 0
