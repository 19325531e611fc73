"""Training the nets with locally connected layers: they learn, repeat to the bit and survive a kill."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexnet.checkpoint import Checkpoint
from alexnet.config_local import LocalNetConfig, LocalRecipe
from alexnet.data.imageset import ImageSet
from alexnet.evaluate import errors
from alexnet.train import Row, train_step
from alexnet.train_local import LocalRun, fit_local, local_probabilities, set_local_rates, start_local, views_of
from reproductions.harness.bench import Bench, set_up
from reproductions.harness.claim import discover, planned_runs
from reproductions.harness.measure import measure_local
from reproductions.harness.record import read_records
from reproductions.harness.run import _outcome, make

pytestmark = pytest.mark.numerical

CPU = torch.device("cpu")
CONFIG = LocalNetConfig.eleven().smoke()
RECIPE = LocalRecipe(batch_size=48, epochs=3, drops=(1, 2))  # seven batches an epoch, the last of 32 images


def run(splits: dict[str, ImageSet], recipe: LocalRecipe = RECIPE, seed: int = 0, **options: object) -> LocalRun:
    options = {"precision": "fp32", **options}
    if "checkpoint" in options:
        options["checkpoint"] = Checkpoint(options["checkpoint"], interval=0)  # type: ignore[arg-type]
    return fit_local(CONFIG, recipe, splits["train"], seed=seed, device=CPU, **options)  # type: ignore[arg-type]


def bits(done: LocalRun) -> list[object]:
    """Everything but the seconds."""
    rows = [replace(row, seconds=0.0, checkpoint_seconds=0.0) for row in done.history]
    velocities = [state["velocity"] for state in done.optimizer.state.values()]
    return [*rows, *[t.detach().numpy().tobytes() for t in [*done.net.parameters(), *velocities]]]


@pytest.fixture(scope="module")
def uninterrupted(splits: dict[str, ImageSet]) -> LocalRun:
    return run(splits)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_one_batch_overfits(splits: dict[str, ImageSet], precision: str) -> None:
    views = views_of(CONFIG, splits["train"], splits["train"], CPU)
    state = start_local(CONFIG, RECIPE, views, 0, precision)
    set_local_rates(state, RECIPE, 0)
    images, labels = next(views.epoch(0, 0, 16))
    losses = [train_step(state, images, labels)[0].item() for _ in range(80)]
    assert losses[0] > 2
    assert losses[-1] < 0.05


def test_learns_the_standin(splits: dict[str, ImageSet]) -> None:
    done = run(splits, replace(RECIPE, batch_size=32, epochs=8, drops=(6, 7)))
    metrics, correct = measure_local(done, splits["train"], splits["test"])
    assert done.history[-1].train_error < 40
    assert metrics["top1"].value < 60, "chance is 90"
    assert metrics["top1_ten"].value == pytest.approx(100 * (1 - correct.mean()))
    last = done.history[-5:]
    assert metrics["train_error"].value == pytest.approx(sum(row.train_error * row.images for row in last) / 320)
    asked = views_of(CONFIG, splits["test"], splits["train"], CPU)
    assert metrics["top1"].value == errors(local_probabilities(done, asked, 1), asked.labels)["top1"]
    assert {(name, m.split, m.examples) for name, m in metrics.items()} == {
        ("top1", "test", 100), ("top1_ten", "test", 100), ("train_error", "train", 320)
    }  # fmt: skip


def test_history_counts_every_image_once_per_epoch(uninterrupted: LocalRun) -> None:
    rows = uninterrupted.history
    assert [row.step for row in rows] == [7 * epoch + step for epoch in range(3) for step in (1, 3, 4, 6, 7)]
    assert [sum(row.images for row in rows[k : k + 5]) for k in (0, 5, 10)] == [320] * 3


def test_rates_and_decays_of_every_epoch(splits: dict[str, ImageSet]) -> None:
    """Weights' rates drop, biases' do not; each layer has its own decay, biases none."""
    recipe = LocalRecipe.eleven()
    state = start_local(CONFIG, recipe, views_of(CONFIG, splits["train"], splits["train"], CPU), 0, "fp32")
    for epoch, rate in ((0, 1e-3), (429, 1e-3), (430, 1e-4), (439, 1e-4), (440, 1e-5), (449, 1e-5)):
        set_local_rates(state, recipe, epoch)
        found = {group["named"]: (group["lr"], group["weight_decay"]) for group in state.optimizer.param_groups}
        decays = {"conv1": 0.0, "conv2": 0.0, "local3": 0.004, "local4": 0.004, "fc10": 0.01}
        assert found == {(layer, "weight"): (pytest.approx(rate), decay) for layer, decay in decays.items()} | {
            (layer, "bias"): (0.002, 0.0) for layer in decays
        }


def test_weights_stop_where_rates_are_nothing_and_biases_do_not(splits: dict[str, ImageSet]) -> None:
    still = run(splits, replace(RECIPE, epochs=1, learning_rate=0.0))
    fresh = start_local(CONFIG, RECIPE, views_of(CONFIG, splits["train"], splits["train"], CPU), 0, "fp32")
    for (name, before), after in zip(fresh.net.named_parameters(), still.net.parameters(), strict=True):
        assert torch.equal(before, after) == name.endswith("weight")


def test_same_seed_same_bits(uninterrupted: LocalRun, splits: dict[str, ImageSet]) -> None:
    torch.manual_seed(999)  # the global state must not matter
    assert bits(run(splits)) == bits(uninterrupted)
    assert bits(run(splits, replace(RECIPE, epochs=1), seed=1)) != bits(run(splits, replace(RECIPE, epochs=1)))


class Stop(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize("step", [4, 7, 10, 20])  # in an epoch, at its end, after one drop and after both
def test_an_interrupted_run_ends_with_the_bits_of_an_uninterrupted_one(
    uninterrupted: LocalRun, splits: dict[str, ImageSet], tmp_path: Path, step: int
) -> None:
    def stop(row: Row) -> None:
        if row.step == step:
            raise Stop

    with pytest.raises(Stop):
        run(splits, checkpoint=tmp_path / "c.pt", on_row=stop)
    resumed = run(splits, checkpoint=tmp_path / "c.pt")
    assert resumed.attempts == 2
    assert bits(resumed) == bits(uninterrupted)


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from alexnet.checkpoint import Checkpoint
from alexnet.data.imageset import open_imageset
from alexnet.train_local import fit_local
sys.path.insert(0, sys.argv[3])
from test_train_local import CONFIG, RECIPE
torch.set_num_threads(1)
def kill(row):
    if row.step == 10:
        os.kill(os.getpid(), signal.SIGKILL)
fit_local(CONFIG, RECIPE, open_imageset(Path(sys.argv[1])), seed=0, device=torch.device("cpu"), precision="fp32",
          checkpoint=Checkpoint(Path(sys.argv[2]), interval=0), on_row=kill)
"""


@pytest.mark.usefixtures("other_process_rounds_alike")
def test_kill_9_in_mid_epoch(
    uninterrupted: LocalRun, splits: dict[str, ImageSet], imagesets: Path, tmp_path: Path, clean_env: dict[str, str]
) -> None:
    checkpoint, data = tmp_path / "c.pt", imagesets / "train"
    arguments = [sys.executable, "-c", KILLED, str(data), str(checkpoint), str(Path(__file__).parent)]
    killed = subprocess.run(arguments, env=clean_env, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    seen: list[int] = []
    resumed = run(splits, checkpoint=checkpoint, on_row=lambda row: seen.append(row.step))
    assert seen[0] == 11  # it went on where the other stopped
    assert bits(resumed) == bits(uninterrupted)


def test_a_diverged_run_stops_and_says_so(splits: dict[str, ImageSet]) -> None:
    done = run(splits, replace(RECIPE, learning_rate=1e30))
    assert done.diverged
    assert done.step < 21


def test_another_number_of_classes_is_refused(splits: dict[str, ImageSet]) -> None:
    with pytest.raises(ValueError, match="the network has 7 classes, the images 10"):
        fit_local(replace(CONFIG, classes=7), RECIPE, splits["train"], seed=0, device=CPU)


def test_a_planned_run_becomes_a_record(splits: dict[str, ImageSet], tmp_path: Path) -> None:
    claim = discover()["cifar_lrn_gain"]
    run = next(run for run in planned_runs(claim, "smoke") if run.variant == "11pct")
    bench = Bench(tmp_path, {"stand-in": splits}, set_up("cpu", 1), 1)
    folder = make(run, claim, bench)
    assert folder is not None
    (stored,), broken = read_records(tmp_path)
    assert broken == []
    record = stored.record
    assert (record.claim, record.role, record.status) == ("unshared-stand-in", "unshared", "ok")
    assert record.metrics.keys() == {"top1", "top1_ten", "train_error"}
    assert record.cost.images == 2 * 320
    assert "norm" in record.machine.versions
    assert record.weights is None
    assert make(run, claim, bench) == folder, "it is there already"


def test_a_run_that_diverged_has_no_metrics(splits: dict[str, ImageSet], tmp_path: Path) -> None:
    claim = discover()["cifar_lrn_gain"]
    planned = planned_runs(claim, "smoke")[0]
    hasty = replace(planned, recipe={**planned.recipe, "learning_rate": 1e30})
    make(hasty, claim, Bench(tmp_path, {"stand-in": splits}, set_up("cpu", 1), 1))
    (stored,), _ = read_records(tmp_path)
    assert (stored.record.status, stored.record.metrics) == ("diverged", {})


def test_a_run_whose_last_update_lost_its_weights_diverged(splits: dict[str, ImageSet]) -> None:
    """Losses are from before the update, so all of them are finite."""
    done = run(splits, replace(RECIPE, epochs=1))
    assert _outcome(done).status == "ok"
    done.net.fc10.weight.data[0, 0] = torch.inf
    assert not done.diverged
    assert _outcome(done).status == "diverged"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_same_seed_same_bits_on_a_gpu(splits: dict[str, ImageSet]) -> None:
    device = set_up("cuda", 1)
    first, second = (fit_local(CONFIG, RECIPE, splits["train"], seed=0, device=device) for _ in range(2))
    for a, b in zip(first.net.parameters(), second.net.parameters(), strict=True):
        assert torch.equal(a, b)
