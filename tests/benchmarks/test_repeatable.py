"""What repeatable bits cost, and whether a killed training resumes with the same bits."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from interleaved import Body, Race, repeatable
from loops import BATCH, epoch, started, synthetic
from table import Row

from alexnet import training
from alexnet.checkpoint import Checkpoint
from alexnet.config import AlexNetConfig, AlexNetRecipe, CifarNetConfig, Recipe
from alexnet.data.imageset import ImageSet, pack
from alexnet.data.synthetic import synthetic_arrays
from alexnet.models import CifarNet

KILLS = (2, 5, 8)  # steps of ten after which a run is killed
KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from alexnet.data.imageset import open_imageset
from reproductions.harness.execute.context import set_up
from test_repeatable import trained
device = set_up(sys.argv[4], int(sys.argv[5]))
def kill(row):
    if row.step == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
trained(open_imageset(Path(sys.argv[1])), device, Path(sys.argv[2]), kill)
"""


@pytest.mark.parametrize("where", ["CPU", "GPU"])
@pytest.mark.parametrize("name", ["Figure 1's network", "AlexNet"])
def test_deterministic(race: Race, where: str, name: str) -> None:
    large = where == "GPU"
    size = "" if large or name != "AlexNet" else " of a quarter of its width"
    row = Row(
        f"training {name}{size}, deterministic", where, "`train_row`", "the same without", 0.95
    )
    device = race.prepare(row)
    ours, theirs = (epoch_of(name, large, device) for _ in range(2))
    race(ours, {row: theirs}, images=(5 if name == "AlexNet" else 10) * BATCH)


def epoch_of(name: str, large: bool, device: torch.device) -> Body:
    """An epoch of a run of its own."""
    if name == "AlexNet":
        config = AlexNetConfig.paper() if large else AlexNetConfig.paper().mini()
        data, recipe = synthetic(5 * BATCH, 256 if large else 64), AlexNetRecipe(learning_rate=1e-6)
        net = replace(config, classes=10).build(0)
    else:
        data, recipe, net = synthetic(10 * BATCH, 32), Recipe(learning_rate=1e-6), CifarNet(seed=0)
    run, batches = started(net, recipe, data, device)
    return epoch(run, recipe, batches)


def trained(
    data: ImageSet,
    device: torch.device,
    checkpoint: Path | None,
    on_row: Callable[[training.Row], None],
) -> list[object]:
    """Everything that a training of ten steps leaves but the seconds."""
    recipe = Recipe(learning_rate=0.01, batch_size=64, epochs=2, inputs="standardised")
    net = CifarNet(CifarNetConfig(init="modern"), seed=0)
    kept = Checkpoint(checkpoint, interval=0) if checkpoint else None
    run = training.train(net, recipe, data, seed=0, device=device, checkpoint=kept, on_row=on_row)
    velocities = [state["velocity"] for state in run.optimizer.state.values()]
    bits = [
        tensor.detach().cpu().numpy().tobytes() for tensor in (*run.net.parameters(), *velocities)
    ]
    return [*(replace(row, seconds=0.0, checkpoint_seconds=0.0) for row in run.history), *bits]


@pytest.mark.parametrize("where", ["CPU", "GPU"])
def test_resume(race: Race, where: str, tmp_path: Path, clean_env: dict[str, str]) -> None:
    what = "trainings killed and continued, share with equal bits"
    row = Row(what, where, "`train` from its checkpoint", "the same uninterrupted", 1)
    device = race.prepare(row)
    repeatable(True)
    images, labels = synthetic_arrays("train")
    data = pack(
        tmp_path / "set",
        images[:320],
        labels[:320],
        name="synthetic",
        split="train",
        classes=tuple("abcdefghij"),
        canonical=False,
        source="procedural",
    )
    whole, threads = trained(data, device, None, lambda row: None), str(torch.get_num_threads())

    def killed_and_continued(step: int) -> bool:
        arguments = [
            tmp_path / "set",
            checkpoint := tmp_path / f"{step}.pt",
            step,
            device.type,
            threads,
        ]
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, *map(str, arguments)],
            env=env,
            check=False,
            capture_output=True,
        )
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
        return trained(data, device, checkpoint, lambda row: None) == whole

    env = clean_env | {"PYTHONPATH": f"{clean_env['PYTHONPATH']}:{Path(__file__).parent}"}
    equal = race.benchmark.pedantic(lambda: [float(killed_and_continued(step)) for step in KILLS])
    race.enter(row, [sum(equal) / len(equal)])
