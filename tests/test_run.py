"""From a planned run to its record."""

import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from records import git_tree

from alexnet.data.imageset import ImageSet
from alexnet.ops import lrn
from alexnet.training import Row
from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.cli import session
from reproductions.harness.errors import RecordError
from reproductions.harness.execute import run as running
from reproductions.harness.execute import tasks
from reproductions.harness.execute.context import RunContext, set_up, versions_of
from reproductions.harness.execute.run import make
from reproductions.harness.launch.request import JobRequest
from reproductions.harness.plan.claim_plan import prepare
from reproductions.harness.records.load import read_records, records_of
from reproductions.harness.records.store import folder_of
from reproductions.harness.rule.curves import epochs_to


@pytest.mark.parametrize(
    ("curve", "epochs"),
    [
        ([(1.0, 40.0), (2.0, 30.0), (3.0, 20.0)], 2.5),
        ([(1.0, 40.0), (2.0, 25.0)], 2.0),
        ([(0.2, 20.0)], 0.2),
        ([(1.0, 40.0), (2.0, 24.0), (3.0, 26.0), (4.0, 20.0)], 1.9375),
        ([(1.0, 40.0), (2.0, 25.1)], None),
        ([], None),
    ],
)
def test_epochs_to_25_percent(curve: list[tuple[float, float]], epochs: float | None) -> None:
    """Between (1, 40) and (2, 24) the line meets 25 at 1 + 15/16; the first time counts."""
    assert epochs_to(curve, 25.0) == epochs


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.floats(1, 99))
def test_the_crossing_lies_in_its_row_and_none_before(errors: list[float], target: float) -> None:
    curve = [(k + 1.0, error) for k, error in enumerate(errors)]
    epochs = epochs_to(curve, target)
    if epochs is None:
        assert min(errors) > target
    else:
        first = next(k for k, error in enumerate(errors) if error <= target)
        assert max(first, 1) <= epochs <= first + 1
        assert all(error > target for error in errors[:first])


def test_the_device_must_be_there() -> None:
    with pytest.raises(ValueError, match="no device is called 'mps'"):
        set_up("mps", 1)
    assert set_up("cpu", 1).type == "cpu"


@pytest.mark.parametrize(("claim", "body"), [("ten_view_gain", "torch"), ("fig1_relu", None)])
def test_on_a_gpu_torch_normalises(
    claim: str, body: str | None, splits: dict[str, ImageSet], tmp_path: Path
) -> None:
    run, bench = (
        planned_runs(discover()[claim], "smoke")[0],
        RunContext(tmp_path, {"synthetic": splits}, torch.device("cuda"), 1),
    )
    assert versions_of(run, bench).get("norm") == body


@pytest.mark.parametrize("name", ["ten_view_gain", "fig1_relu"])
def test_another_machines_record_does_not_save_the_work(
    name: str, splits: dict[str, ImageSet], tmp_path: Path
) -> None:
    """Otherwise one arm would stay the other machine's, and the two would never be compared."""
    claim = discover()[name]
    run = next(run for run in planned_runs(claim, "smoke") if run.purpose != "sweep")
    bench = RunContext(tmp_path, {"synthetic": splits}, set_up("cpu", 1), 1)
    first = make(run, claim, bench)
    assert first is not None
    (here,), _ = read_records(tmp_path)
    assert here.record.machine.versions.get("norm", lrn.backend(bench.device)) == lrn.backend(
        bench.device
    )
    machine = here.record.machine.model_copy(update={"hardware": "another"})
    theirs = here.record.model_copy(update={"machine": machine, "started": "2020-01-01T00:00:00Z"})
    folder = shutil.copytree(first, folder_of(tmp_path / "theirs", theirs))
    (folder / "record.json").write_text(theirs.model_dump_json())
    there = RunContext(tmp_path / "theirs", bench.images, bench.device, 1)
    assert make(run, claim, bench) == first
    made = make(run, claim, there)
    assert made is not None
    hardware = [item.record.machine.hardware for item in read_records(tmp_path / "theirs")[0]]
    assert sorted(hardware) == sorted(["another", bench.hardware])
    assert make(run, claim, there) == made, "though the other machine's is the earlier one"


def test_a_copy_of_another_runs_record_does_not_save_the_work(
    splits: dict[str, ImageSet], tmp_path: Path
) -> None:
    """The plan skips both, so both are made again; once the copy was returned, missing for ever."""
    claim = discover()["ten_view_gain"]
    first, second = (run for run in planned_runs(claim, "smoke") if run.seed in (0, 1))
    bench = RunContext(tmp_path, {"synthetic": splits}, set_up("cpu", 1), 1)
    folder = make(first, claim, bench)
    assert folder is not None
    copy = Path(shutil.copytree(folder, folder.with_name(folder.name.replace("seed0", "seed1"))))
    path = copy / "record.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    for run in (first, second):
        assert read_records(tmp_path, run)[0] == records_of(tmp_path, run) == []
        assert [
            fault.why.endswith("one is a copy") for fault in read_records(tmp_path, run)[1]
        ] == [True]
    made = make(second, claim, bench)
    assert made == copy.with_name(f"{copy.name}-r2")
    assert [item.folder for item in read_records(tmp_path)[0]] == [made]


@pytest.mark.parametrize("name", ["ten_view_gain", "fig1_relu"])
def test_a_record_of_other_code_does_not_save_the_work(
    name: str, splits: dict[str, ImageSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A committed run makes no pair with uncommitted code's, and the plan lacks it."""
    claim = discover()[name]
    run = next(run for run in planned_runs(claim, "smoke") if run.purpose != "sweep")
    bench = RunContext(tmp_path, {"synthetic": splits}, set_up("cpu", 1), 1)
    folders = []
    for dirty in (False, True, True):
        monkeypatch.setattr(running, "git_state", lambda _, dirty=dirty: git_tree(dirty))
        folders.append(make(run, claim, bench))
    assert folders[0] != folders[1] == folders[2]


@pytest.mark.parametrize(("setting", "attempts"), [("AVX2", 2), ("COMPATIBLE", 1)])
def test_a_checkpoint_goes_on_with_the_arithmetic_that_it_began_with(
    setting: str,
    attempts: int,
    splits: dict[str, ImageSet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claim = discover()["ten_view_gain"]
    run, bench = (
        planned_runs(claim, "smoke")[0],
        RunContext(tmp_path, {"synthetic": splits}, set_up("cpu", 1), 1),
    )

    def stop(_: Row) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("MKL_CBWR", "AVX2")
    with pytest.raises(KeyboardInterrupt):
        make(run, claim, bench, stop)
    monkeypatch.setenv("MKL_CBWR", setting)
    assert make(run, claim, bench) is not None
    (made,), _ = read_records(tmp_path)
    assert made.record.cost.attempts == attempts


def test_a_run_that_torch_cannot_carry_out_has_a_record_and_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here and as a job: more memory is asked for than a machine can address."""
    monkeypatch.setattr(tasks, "_train", lambda *_: torch.empty(1 << 60))
    work = prepare(discover()["ten_view_gain"], tmp_path, scale="smoke", dataset=None, data=None)
    assert not session._make_missing(work, "cpu", 1)
    stored, _ = read_records(work.root)
    assert [item.record.status for item in stored] == ["failed"] * len(work.planned)
    assert all("memory" in str(item.record.failure) for item in stored)
    assert capsys.readouterr().out.count(": failed, see ") == len(stored)
    order = JobRequest(work.planned[0].run, work.claim.name, work.root, None)
    with pytest.raises(RecordError, match=r"the run failed, see .*record\.json"):
        order.job("cpu", 1)._make(work.claim)
