"""Training: it learns, it repeats to the bit, and it survives a kill."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexnet import train
from alexnet.checkpoint import Checkpoint
from alexnet.config import CifarNetConfig, Recipe
from alexnet.data.imageset import ImageSet
from alexnet.train import Row, Run, fit
from reproductions.harness.bench import set_up

pytestmark = pytest.mark.numerical

CPU = torch.device("cpu")
CONFIG = CifarNetConfig(init="modern", inputs="standardised")
RECIPE = Recipe(learning_rate=0.01, batch_size=32, epochs=2)


def run(
    splits: dict[str, ImageSet], recipe: Recipe = RECIPE, seed: int = 0, checkpoint: Path | None = None, **options: object
) -> Run:
    kept = Checkpoint(checkpoint, interval=0) if checkpoint else None
    return fit(CONFIG, recipe, splits["train"], seed=seed, device=CPU, checkpoint=kept, **options)  # type: ignore[arg-type]


def bits(done: Run) -> list[object]:
    """Everything but the seconds."""
    rows = [replace(row, seconds=0.0, checkpoint_seconds=0.0) for row in done.history]
    velocities = [state["velocity"] for state in done.optimizer.state.values()]
    return [*rows, *[t.detach().numpy().tobytes() for t in [*done.net.parameters(), *velocities]]]


def test_learns_the_standin(splits: dict[str, ImageSet]) -> None:
    done = run(splits, replace(RECIPE, epochs=15))
    assert done.history[-1].train_error < 30
    test = train.training_batches(CONFIG, splits["test"], splits["train"], CPU)
    correct = train.evaluate(done, test, batch_size=33)
    assert correct.shape == (100,)
    assert correct.float().mean() > 0.4  # chance is 0.1


def test_one_batch_overfits(splits: dict[str, ImageSet]) -> None:
    batches = train.training_batches(CONFIG, splits["train"], splits["train"], CPU)
    state = train.start(CONFIG, replace(RECIPE, learning_rate=0.02), batches, 0, "fp32")
    images, labels = batches.take(torch.arange(16))
    losses = [train.train_step(state, images, labels)[0].item() for _ in range(60)]
    assert losses[0] > 2
    assert losses[-1] < 0.05


def test_history_counts_every_image_once_per_epoch(splits: dict[str, ImageSet]) -> None:
    done = run(splits)
    assert [row.step for row in done.history] == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]
    assert [row.images for row in done.history] == [64] * 10
    assert [row.epoch for row in done.history[4::5]] == [1.0, 2.0]
    uneven = run(splits, replace(RECIPE, batch_size=48, epochs=1))
    assert sum(row.images for row in uneven.history) == 320
    assert uneven.history[-1].step == 7


def test_the_first_row_is_the_untrained_network(splits: dict[str, ImageSet]) -> None:
    """The running error counts each batch before its update: one row of one batch is the initial network's error on it."""
    done = run(splits, replace(RECIPE, batch_size=320, rows_per_epoch=1, epochs=1), precision="fp32")
    batches = train.training_batches(CONFIG, splits["train"], splits["train"], CPU)
    fresh = train.start(CONFIG, RECIPE, batches, 0, "fp32")
    wrong = 100 * float((~train.evaluate(fresh, batches)).float().mean())
    assert done.history[0].train_error == pytest.approx(wrong, abs=100 / 320)  # another order, another rounding: one image may tie


def test_same_seed_same_bits_and_seed_0_is_a_seed(splits: dict[str, ImageSet]) -> None:
    first = bits(run(splits, seed=0))
    torch.manual_seed(999)  # the global state must not matter
    assert bits(run(splits, seed=0)) == first
    assert bits(run(splits, seed=1)) != first


def test_stops_below_the_target_and_at_the_budget(splits: dict[str, ImageSet]) -> None:
    stopped = run(splits, replace(RECIPE, epochs=15, stop_below=60.0))
    errors = [row.train_error for row in stopped.history]
    assert errors[-1] < 60
    assert all(error >= 60 for error in errors[:-1])
    assert run(splits, replace(RECIPE, epochs=1, stop_below=0.0)).step == 10


def test_a_diverged_run_stops_and_says_so(splits: dict[str, ImageSet]) -> None:
    done = run(splits, replace(RECIPE, learning_rate=1e30, epochs=5))
    assert done.diverged
    assert done.step < 50


def test_an_interrupted_run_ends_with_the_bits_of_an_uninterrupted_one(splits: dict[str, ImageSet], tmp_path: Path) -> None:
    class Stop(Exception):  # noqa: N818
        pass

    def stop_in_the_second_epoch(row: Row) -> None:
        if row.step == 14:
            raise Stop

    checkpoint = tmp_path / "c.pt"
    with pytest.raises(Stop):
        run(splits, checkpoint=checkpoint, on_row=stop_in_the_second_epoch)
    resumed = run(splits, checkpoint=checkpoint)
    assert resumed.attempts == 2
    assert bits(resumed) == bits(run(splits))


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from alexnet.checkpoint import Checkpoint
from alexnet.data.imageset import open_imageset
from alexnet.train import fit
sys.path.insert(0, sys.argv[3])
from test_train import CONFIG, RECIPE
torch.set_num_threads(1)
def kill(row):
    if row.step == 6:
        os.kill(os.getpid(), signal.SIGKILL)
kept = Checkpoint(Path(sys.argv[2]), interval=0)
fit(CONFIG, RECIPE, open_imageset(Path(sys.argv[1])), seed=0, device=torch.device("cpu"), checkpoint=kept, on_row=kill)
"""


@pytest.mark.usefixtures("other_process_rounds_alike")
def test_kill_9_in_mid_epoch(splits: dict[str, ImageSet], imagesets: Path, tmp_path: Path, clean_env: dict[str, str]) -> None:
    """Another process trains and is killed by the kernel; this one finishes with the bits of a run that was left alone."""
    checkpoint, data = tmp_path / "c.pt", imagesets / "train"
    arguments = [sys.executable, "-c", KILLED, str(data), str(checkpoint), str(Path(__file__).parent)]
    killed = subprocess.run(arguments, env=clean_env, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    seen: list[int] = []
    resumed = run(splits, checkpoint=checkpoint, on_row=lambda row: seen.append(row.step))
    assert seen[0] == 8  # it went on where the other stopped
    assert bits(resumed) == bits(run(splits))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_same_seed_same_bits_on_a_gpu(splits: dict[str, ImageSet]) -> None:
    device = set_up("cuda", 1)
    first, second = (fit(CONFIG, RECIPE, splits["train"], seed=0, device=device) for _ in range(2))
    for a, b in zip(first.net.parameters(), second.net.parameters(), strict=True):
        assert torch.equal(a, b)
