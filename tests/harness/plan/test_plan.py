"""What is missing, and why."""

import statistics
from pathlib import Path

import pytest
from records import full_set, keep, make_alexnet, make_record, planned, store, write_record

from reproductions.harness.claims.claim import blocks, discover, planned_runs
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.judge.rows import judge
from reproductions.harness.plan.cost import expected_seconds
from reproductions.harness.plan.counted import ANY, Way, differences
from reproductions.harness.plan.missing import WEIGHTS_ABSENT, PlanEntry, plan
from reproductions.harness.records.load import read_records
from reproductions.harness.records.schema import ParentRun, Record

RUNS = [run for run in planned_runs(discover()["fig1_relu"], "paper") if run.question == "speedup"]
COPY = {"cifar10": "0123456789ab"}


def relu(root: Path) -> PlanEntry:
    """What is planned of relu, seed 0."""
    planned_now = plan(RUNS, read_records(root)[0], COPY)
    assert len(planned_now) == len(RUNS)
    return next(item for item in planned_now if item.run == planned("relu", 0))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (None, "no record"),
        ({"rate": 0.5}, "recipe.learning_rate was 0.5, is"),
        ({"training": 7}, "made by version 7 of training, which is 1 now"),
        ({"fingerprint": "other"}, "made from another copy of the data (the tests)"),
        ({"status": "failed", "epochs": None}, "it failed"),
        ({"hardware": "somebody else's", "precision": "fp32"}, ""),
    ],
)
def test_the_reason_names_what_differs(
    changes: dict[str, object] | None, reason: str, tmp_path: Path
) -> None:
    if changes is not None:
        store(tmp_path, make_record(**changes))  # type: ignore[arg-type]
    assert reason in relu(tmp_path).reason
    assert (relu(tmp_path).current is None) == bool(reason)
    store(tmp_path, make_record())  # one of two copies is enough
    assert relu(tmp_path).current is not None


def test_what_a_machine_lacks_of_a_seed_that_no_machine_has_whole(tmp_path: Path) -> None:
    """Seeds 0 to 2 are whole on A, 3 half on A, 4 half on both: each completed on one machine."""
    for seed in range(4):
        store(tmp_path, make_record("relu", seed, hardware="A"))
    for seed in range(3):
        store(tmp_path, make_record("tanh", seed, epochs=36.0, hardware="A"))
    store(
        tmp_path,
        make_record("relu", 4, hardware="A"),
        make_record("tanh", 4, epochs=36.0, hardware="B"),
    )
    stored = read_records(tmp_path)[0]
    evaluate = [run for run in RUNS if run.purpose == "verdict"]
    together = blocks(discover()["fig1_relu"], "paper")

    def missing(hardware: str | None) -> set[tuple[str, int]]:
        items = plan(evaluate, stored, COPY, hardware, blocks=together)
        return {(item.run.variant, item.run.seed) for item in items if item.current is None}

    assert missing("A") == {("tanh", 3), ("tanh", 4)}
    assert missing("B") == {("relu", 3), ("tanh", 3), ("relu", 4)}
    assert missing("C") == {("relu", 3), ("tanh", 3), ("relu", 4), ("tanh", 4)}
    assert missing(None) == {("tanh", 3), ("relu", 4)}
    item = next(
        item
        for item in plan(evaluate, stored, COPY, "C", blocks=together)
        if item.run.key == planned("relu", 3).key
    )
    assert item.reason.startswith("done only on A, bf16, where the other arm is missing")


def test_uncommitted_code_answers_itself_alone(tmp_path: Path) -> None:
    full_set(tmp_path, dirty=True)
    stored = read_records(tmp_path)[0]
    why = "made with uncommitted changes, so it is never counted"
    assert {item.reason for item in plan(RUNS, stored, COPY)} == {why}
    assert all(item.current for item in plan(RUNS, stored, COPY, dirty=True))


@pytest.mark.parametrize(
    ("way", "there", "both"),
    [
        (Way(precision="bf16"), {"precision": "fp32"}, True),
        (Way(precision="bf16"), {"precision": "bf16"}, False),
        (Way(precision="bf16", compiled=False), {"precision": "bf16 compiled"}, True),
        (Way(compiled=True), {"precision": "bf16 compiled"}, False),
        (Way(device="cuda"), {"device": "cpu"}, True),
        (Way(device="cuda"), {"device": "cuda"}, False),
        (ANY, {"precision": "bf16 compiled", "device": "cuda"}, False),
    ],
)
def test_a_pair_is_completed_as_runs_will_be_made(
    tmp_path: Path, way: Way, there: dict[str, str], both: bool
) -> None:
    record = make_record("relu", 0)
    store(tmp_path, record.model_copy(update={"machine": record.machine.model_copy(update=there)}))
    block = next(
        block for block in blocks(discover()["fig1_relu"], "paper") if planned("relu", 0) in block
    )
    items = plan(block, read_records(tmp_path)[0], COPY, blocks=[block], way=way)
    assert [item.current is None for item in items] == [both, True]


def test_the_time_comes_from_records_of_this_hardware(tmp_path: Path) -> None:
    full_set(tmp_path)
    stored, _ = read_records(tmp_path)
    run = planned("relu", 0)
    made = [item.record.cost.images for item in stored if item.record.variant == "relu"]
    speeds = [item.record.cost.images_per_second or 0 for item in stored]
    seconds = statistics.median(made) / statistics.median(speeds)
    assert expected_seconds(run, stored, 50_000, "a processor", 2) == pytest.approx(seconds)
    assert expected_seconds(run, stored, 50_000, "a processor", 1) == pytest.approx(2 * seconds)
    assert expected_seconds(run, stored, 50_000, "another", 2) is None
    counting = planned("count", 0, claim="fig2_architecture")
    assert expected_seconds(counting, stored, 50_000, "another", 2) == 0


AVERAGES = planned_runs(discover()["ensembles"], "mini")
MACHINE = "a processor"


def original(seed: int, hardware: str = MACHINE) -> Record:
    return make_alexnet("original", seed, "ensembles", hardware=hardware, top1=80.0)


def averaged(number: int) -> Record:
    metrics = {"top1_ten": 75.0, "top5_ten": 50.0, "top1_ten_member": 78.0, "top5_ten_member": 53.0}
    return make_alexnet("five-cnns", number, "ensembles", hardware=MACHINE, **metrics)


def missing(
    root: Path, hardware: str | None = MACHINE, runs: list[PlannedRun] = AVERAGES
) -> dict[str, str]:
    items = plan(runs, read_records(root)[0], {}, hardware)
    return {
        f"{item.run.variant} {item.run.seed}": item.reason for item in items if item.current is None
    }


@pytest.mark.parametrize("scale", ["paper", "reduced", "mini", "smoke"])
@pytest.mark.parametrize("name", ["ensembles", "pretraining"])
def test_every_run_stands_behind_what_it_needs(name: str, scale: str) -> None:
    seen: set[object] = set()
    for run in planned_runs(discover()[name], scale):
        assert {need.key for need in run.needs} <= seen
        seen.add(run.key)


def test_weights_that_a_missing_run_needs_are_made_again(tmp_path: Path) -> None:
    """A checkout has records but no weights; it retrains only if the average is missing."""
    for seed in range(15):
        folder = (write_record if seed == 7 else keep)(tmp_path, original(seed))
        if seed == 1:
            (folder / "weights.safetensors").unlink()
    for number in (1, 2):
        write_record(tmp_path, averaged(number))
    assert missing(tmp_path) == {"original 1": WEIGHTS_ABSENT, "five-cnns 0": "no record"}
    write_record(tmp_path, averaged(0))
    assert missing(tmp_path) == {}


def test_weights_of_another_machine_are_none_of_this_one(tmp_path: Path) -> None:
    """Or an average would mix two kinds of machine, and the judge could not see it."""
    for seed in range(15):
        keep(tmp_path, original(seed, hardware="another"))
    assert [name for name, why in missing(tmp_path).items() if why == WEIGHTS_ABSENT] == [
        f"original {seed}" for seed in range(15)
    ]
    for seed in range(5):
        keep(tmp_path, original(seed))
    assert [name for name, why in missing(tmp_path).items() if why == WEIGHTS_ABSENT] == [
        f"original {seed}" for seed in range(5, 15)
    ]


def test_a_network_that_diverged_has_no_weights_to_make_again(tmp_path: Path) -> None:
    for seed in range(15):
        lost = make_alexnet("original", seed, "ensembles", hardware=MACHINE)
        (write_record if seed == 3 else keep)(tmp_path, lost if seed == 3 else original(seed))
    assert not any(why == WEIGHTS_ABSENT for why in missing(tmp_path).values())


def test_what_a_missing_network_needs_is_planned_too(tmp_path: Path) -> None:
    """From the average to the fine-tuned network, and from that to the one that it starts from."""
    runs = planned_runs(discover()["pretraining"], "mini")
    for run in runs:
        if run.variant != "six-convolutions-pretrained" or run.seed != 2:
            write_record(
                tmp_path,
                make_alexnet(
                    run.variant,
                    run.seed,
                    "pretraining",
                    hardware=MACHINE,
                    run=run,
                    top1_ten=80.0,
                    top5_ten=60.0,
                ),
            )
    assert missing(tmp_path, runs=runs) == {
        "six-convolutions-pretrained 2": "no record",
        "six-convolutions 2": WEIGHTS_ABSENT,
    }


def test_an_average_of_changed_networks_is_outdated(tmp_path: Path) -> None:
    record = averaged(0)
    (run,) = (run for run in AVERAGES if run.key == record.key)
    assert differences(record, run, {}) == []
    member = record.config["members"][0]
    changed = {"members": [{**member, "recipe": {**member["recipe"], "epochs": 5}}]}
    assert differences(record.model_copy(update={"config": changed}), run, {}) == [
        "config.members.0.recipe.epochs was 5, is 6"
    ]
    old = record.version.model_copy(update={"training": 0})
    assert differences(record.model_copy(update={"version": old}), run, {}) == [
        "made by version 0 of training, which is 1 now"
    ]


def test_networks_of_another_copy_of_what_they_start_from_are_outdated() -> None:
    runs = planned_runs(discover()["pretraining"], "mini")
    run = next(run for run in runs if run.variant == "six-convolutions-pretrained")
    record = make_alexnet(
        run.variant, run.seed, "pretraining", hardware=MACHINE, top1=80.0, run=run
    )
    (before,) = run.needs
    assert before.dataset is not None
    source = ParentRun(record="there", dataset=before.dataset, fingerprint="old", weights="0" * 64)
    record = record.model_copy(update={"made_from": (source,)})
    own = {"tiny-imagenet-half": record.data.fingerprint} if record.data else {}
    assert differences(record, run, own | {"tiny-imagenet": "old"}) == []
    assert differences(record, run, own | {"tiny-imagenet": "new"}) == [
        "made from networks of another copy of tiny-imagenet"
    ]


def test_a_record_without_a_metric_that_is_asked_for_now_is_made_again(tmp_path: Path) -> None:
    """And counts then for the question that reads the metric."""
    claim = discover()["ten_view_gain"]
    runs = planned_runs(claim, "mini")
    numbers = {"top1_ten": 40.0, "top5_ten": 20.0, "top1": 42.0, "top5": 21.0}
    for run in runs:
        given = {"top1_ten": 40.0, "top5_ten": 20.0} if run.seed == 0 else numbers
        write_record(
            tmp_path, make_alexnet(run.variant, run.seed, claim.name, hardware=MACHINE, **given)
        )
    assert missing(tmp_path, runs=runs) == {"original 0": "its record has no top1, top5"}
    again = make_alexnet("original", 0, hardware=MACHINE, run=runs[0], **numbers)
    write_record(tmp_path, again.model_copy(update={"started": "2099-01-01T00:00:00Z"}))
    assert missing(tmp_path, runs=runs) == {}
    (row, _) = judge(claim, read_records(tmp_path)[0])
    assert row.n == 3
    assert all("top1" in item.record.metrics for item in row.members)
