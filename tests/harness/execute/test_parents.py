"""Weights passed from one run to the next: stored, used, lost, broken, and made again."""

import hashlib
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from records import write_record
from typer.testing import CliRunner

from alexnet.data.halves import pack_half
from alexnet.data.imageset import ImageSet
from alexnet.data.sources import open_dataset
from alexnet.models import AlexNet
from alexnet.training import train
from alexnet.weights import export_weights, import_weights, load_matching, network
from reproductions.__main__ import app
from reproductions.harness.claims.claim import asked_runs, discover
from reproductions.harness.claims.runs import PlannedRun, with_needs
from reproductions.harness.execute.context import RunContext, set_up
from reproductions.harness.execute.parents import MissingParentError
from reproductions.harness.execute.run import make
from reproductions.harness.execute.tasks import average
from reproductions.harness.plan.missing import WEIGHTS_ABSENT, plan
from reproductions.harness.records import provenance
from reproductions.harness.records.load import read_records
from reproductions.harness.records.store import Stored

CLAIM = discover()["pretraining"]
# three at this scale
SEVEN = next(
    run for run in asked_runs(CLAIM, "smoke") if (run.variant, run.seed) == ("seven-cnns", 0)
)
RUNS = with_needs([SEVEN])
FIRST, SECOND, BEFORE, TUNED = RUNS[:4]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images(
    splits: dict[str, ImageSet], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, ImageSet]]:
    folder = tmp_path_factory.mktemp("half")
    half = {
        split: pack_half(folder / split, whole, "synthetic-half") for split, whole in splits.items()
    }
    return {"synthetic": splits, "synthetic-half": half}


@pytest.fixture(scope="module")
def done(images: dict[str, dict[str, ImageSet]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All runs that an average of three networks needs, one of them fine-tuned, and the average."""
    root = tmp_path_factory.mktemp("done")
    context = RunContext(root, images, set_up("cpu", 1), 1)
    for run in RUNS:
        assert make(run, CLAIM, context) is not None
    return root


@pytest.fixture
def context(done: Path, images: dict[str, dict[str, ImageSet]], tmp_path: Path) -> RunContext:
    """A copy of it to spoil."""
    shutil.copytree(done, tmp_path / "copy")
    return RunContext(tmp_path / "copy", images, set_up("cpu", 1), 1)


def only(root: Path, run: PlannedRun) -> Stored:
    (item,) = read_records(root, run)[0]
    return item


def missing(context: RunContext) -> dict[str, str]:
    items = plan(
        RUNS,
        read_records(context.root)[0],
        context.fingerprints,
        context.hardware,
        dirty=provenance.uncommitted(),
    )
    return {str(item.run): item.reason for item in items if item.current is None}


def test_parents_come_before_children() -> None:
    assert [(run.dataset, run.variant, run.seed, run.kind) for run in RUNS] == [
        ("synthetic-half", "original", 0, "train"),
        ("synthetic-half", "original", 1, "train"),
        ("synthetic", "six-convolutions", 0, "train"),
        ("synthetic-half", "six-convolutions-pretrained", 0, "train"),
        ("synthetic-half", "seven-cnns", 0, "ensemble"),
    ]


def test_a_record_names_its_weights_and_its_parents(done: Path) -> None:
    for run in (FIRST, SECOND, BEFORE, TUNED):
        item = only(done, run)
        assert item.weights is not None
        assert hashlib.sha256(item.weights.read_bytes()).hexdigest() == item.record.weights
        assert import_weights(item.weights)[0] == run.network_config
    for run in (TUNED, SEVEN):
        for part, need in zip(only(done, run).record.made_from, run.needs, strict=True):
            before = only(done, need)
            assert done / "records" / part.record == before.folder
            assert part.weights == before.record.weights
            assert part.dataset == need.dataset
    assert only(done, SEVEN).weights is None
    assert only(done, FIRST).record.made_from == ()
    assert not list((done / ".work").glob("*.safetensors"))


def test_an_average_is_that_of_the_stored_networks(
    done: Path, images: dict[str, dict[str, ImageSet]]
) -> None:
    parents, record = [only(done, need) for need in SEVEN.needs], only(done, SEVEN).record
    precisions = [item.record.machine.precision for item in parents]
    nets = [network(*import_weights(item.folder / "weights.safetensors")) for item in parents]
    members = zip(nets, [need.training_recipe for need in SEVEN.needs], precisions, strict=True)
    half = images["synthetic-half"]
    assert record.metrics == average(members, half["train"], half["test"])[0]
    errors = [item.record.metrics["top1_ten"].value for item in parents]
    assert record.metrics["top1_ten_member"].value == pytest.approx(statistics.fmean(errors))
    assert (record.kind, record.status, record.cost.images) == ("ensemble", "ok", 0)
    assert record.machine.precision == " and ".join(sorted(set(precisions)))


def test_bit_identical_weights_go_to_the_existing_record(context: RunContext) -> None:
    """As in a checkout, whose records came without weights: nothing that git sees changes."""
    before, tuned = only(context.root, BEFORE), only(context.root, TUNED)
    assert before.weights is not None
    content = before.weights.read_bytes()
    before.weights.unlink()
    assert missing(context) == {}, "nothing needs them"
    shutil.rmtree(tuned.folder)
    assert missing(context) == {str(BEFORE): WEIGHTS_ABSENT, str(TUNED): "no record"}
    with pytest.raises(
        MissingParentError,
        match=r"needs the weights of alexnet-synthetic/six-convolutions/smoke-seed0, trained "
        r"on .*first",
    ):
        make(TUNED, CLAIM, context)
    assert make(BEFORE, CLAIM, context) == before.folder
    assert before.weights.read_bytes() == content
    assert only(context.root, BEFORE).record == before.record
    assert make(TUNED, CLAIM, context) == tuned.folder
    assert only(context.root, TUNED).record.weights == tuned.record.weights


def test_other_bits_make_a_record_of_their_own(context: RunContext) -> None:
    """As of a record that was made before weights were kept, or by another version of torch."""
    item = only(context.root, BEFORE)
    shutil.rmtree(item.folder)
    folder = write_record(context.root, item.record.model_copy(update={"weights": None}))
    again = make(BEFORE, CLAIM, context)
    assert again == folder.with_name(f"{folder.name}-r2")
    assert (again / "weights.safetensors").is_file()
    assert make(BEFORE, CLAIM, context) == again
    forced = make(BEFORE, CLAIM, context, force=True)
    assert forced == folder.with_name(f"{folder.name}-r3")
    assert (forced / "weights.safetensors").is_file()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def anothers(path: Path) -> None:
    """The file of another seed."""
    config, _ = import_weights(path)
    net = AlexNet(config, seed=99)
    export_weights(path, config, net.state_dict())


def a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "history.csv")


@pytest.mark.parametrize("harm", [cut, anothers, a_link])
def test_a_broken_file_is_moved_aside_and_its_run_made_again(
    context: RunContext, harm: Callable[[Path], None]
) -> None:
    shutil.rmtree(only(context.root, SEVEN).folder)
    file = only(context.root, SECOND).weights
    assert file is not None
    harm(file)
    assert missing(context) == {str(SEVEN): "no record"}
    with pytest.raises(MissingParentError) as caught:
        make(SEVEN, CLAIM, context)
    said, aside = str(caught.value), "weights.safetensors.broken-1"
    moved = f"renamed to {aside}; run the same command again to retrain {SECOND}"
    assert said == f"{file} is not the file that was stored with its record; {moved}"
    assert (file.parent / aside).is_symlink() or (file.parent / aside).is_file()
    assert missing(context) == {str(SECOND): WEIGHTS_ABSENT, str(SEVEN): "no record"}
    assert make(SECOND, CLAIM, context) == file.parent
    assert make(SEVEN, CLAIM, context) is not None
    assert missing(context) == {}


def test_weights_of_another_network_are_refused(context: RunContext) -> None:
    """Its digits fit the file, and the file is of another network than the plan's."""
    shutil.rmtree(only(context.root, SEVEN).folder)
    item = only(context.root, SECOND)
    file = item.folder / "weights.safetensors"
    config = replace(import_weights(file)[0], classes=7)
    export_weights(file, config, AlexNet(config).state_dict())
    digits = hashlib.sha256(file.read_bytes()).hexdigest()
    (item.folder / "record.json").write_text(
        item.record.model_copy(update={"weights": digits}).model_dump_json(indent=1)
    )
    with pytest.raises(MissingParentError, match="has another network than its record; renamed to"):
        make(SEVEN, CLAIM, context)


def test_children_of_a_diverged_network_diverged(context: RunContext) -> None:
    for run in (TUNED, SEVEN):
        shutil.rmtree(only(context.root, run).folder)
    item = only(context.root, BEFORE)
    shutil.rmtree(item.folder)
    write_record(
        context.root,
        item.record.model_copy(update={"status": "diverged", "metrics": {}, "weights": None}),
    )
    for run in (TUNED, SEVEN):
        assert make(run, CLAIM, context) is not None
        record = only(context.root, run).record
        assert (record.status, record.metrics, record.weights) == ("diverged", {}, None)
    assert missing(context) == {}


def fine_tuned(initial: Path, precision: str) -> AlexNet:
    """The network of `TUNED` trained without the harness and without interruption."""
    half = open_dataset("synthetic-half", Path())
    net = TUNED.network_config.build(TUNED.seed)
    load_matching(net, import_weights(initial)[1])
    set_up("cpu", 1)
    options = {"seed": TUNED.seed, "device": torch.device("cpu"), "precision": precision}
    return train(net, TUNED.training_recipe, half["train"], half["test"], **options).net


def same_weights(file: Path, net: AlexNet) -> bool:
    found = import_weights(file)[1]
    return all(torch.equal(found[name], weight) for name, weight in net.state_dict().items())


def test_from_the_command_line_killed_resumed_and_mended(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    """Killed while fine-tuning, finished; then weights are broken and an average is lost."""
    words = "run pretraining --scale smoke --seeds 0 --threads 1 --results"
    arguments = [*words.split(), str(tmp_path)]
    command = [sys.executable, "-m", "reproductions", *arguments]
    first = subprocess.Popen(command, env=clean_env, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    for line in first.stdout:
        if "six-convolutions-pretrained/smoke-seed0: epoch 1.0" in line:
            first.send_signal(signal.SIGKILL)
            break
    first.communicate(timeout=60)
    assert first.returncode == -signal.SIGKILL
    again = subprocess.run(command, env=clean_env, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    root = tmp_path / "smoke"
    tuned, before = only(root, TUNED), only(root, BEFORE)
    assert tuned.record.cost.attempts == 2
    assert before.weights is not None
    assert tuned.weights is not None
    assert same_weights(tuned.weights, fine_tuned(before.weights, tuned.record.machine.precision))

    shutil.rmtree(only(root, SEVEN).folder)
    cut(only(root, FIRST).folder / "weights.safetensors")
    broken = CliRunner().invoke(app, arguments)
    assert broken.exit_code == 3
    assert (
        f"{SEVEN}: {only(root, FIRST).folder}/weights.safetensors is not the file that was stored"
        in broken.stdout
    )
    assert broken.stderr.count("\n") == 1
    mended = CliRunner().invoke(app, arguments)
    assert mended.exit_code == 0, mended.output
    assert f"1 runs: {WEIGHTS_ABSENT} (first: {FIRST})" in mended.stdout
    assert {item.repeat for item in read_records(root)[0]} == {0}
    assert "pretraining.seven_top1" in (root / "report.md").read_text()
