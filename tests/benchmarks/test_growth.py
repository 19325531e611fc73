"""How cost grows: with the batch, with the data set, and with runs side by side.

The peer is ours at another size.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import torch
from interleaved import Body, ClaimPlan, Race
from loops import BATCH, epoch, started, synthetic
from table import Row

from alexnet.config import AlexNetRecipe, Recipe
from alexnet.data import imageset
from alexnet.data.imageset import ImageSet
from alexnet.data.loader import Loader
from alexnet.models import CifarNet
from reproductions.harness.execute.context import set_up

BATCHES = (32, 64, 256, 512)
SMALL, LARGE = 2_560, 81_920  # images of a set
STEPS = 10  # of an epoch


def training(device: torch.device, count: int, batch_size: int = BATCH) -> Body:
    """An epoch of Figure 1's network over `count` images."""
    data = synthetic(count, 32)
    recipe = Recipe(learning_rate=1e-6, batch_size=batch_size)
    run, batches = started(CifarNet(seed=0), recipe, data, device)
    return epoch(run, recipe, batches)


@pytest.mark.parametrize("batch_size", BATCHES)
def test_batch_size(race: Race, batch_size: int) -> None:
    row = Row(
        f"images/s of Figure 1's network, batch {batch_size:3}",
        "growth",
        "`train_row`",
        "batch 128",
    )
    device, count = race.prepare(row), 2 * max(BATCHES)
    race(training(device, count, batch_size), {row: training(device, count)}, images=count)


def stored(path: Path, count: int) -> ImageSet:
    """A set of `count` images in a file."""
    like = synthetic(SMALL, 32)
    if not path.exists():
        images = np.lib.format.open_memmap(path, "w+", np.uint8, (count, 32, 32, 3))
        for start in range(0, count, SMALL):
            images[start : start + SMALL] = like.images
        images.flush()
    labels = np.resize(like.labels, count)
    return replace(
        like, meta=replace(like.meta, count=count), images=imageset._mapped(path), labels=labels
    )


def batches_of(data: ImageSet) -> Iterator[object]:
    """Crops, mirror images and colour noise for as many epochs as asked."""
    views = Loader(data, data, 28, AlexNetRecipe().augment, torch.device("cpu"))
    while True:
        yield from views.epoch(0, 0, BATCH)


def test_data_set_size(race: Race, tmp_path: Path) -> None:
    row = Row(
        f"images/s of reading views, a set of {LARGE:,} images",
        "growth",
        "`Loader`",
        f"a set of {SMALL:,}",
    )
    race.prepare(row)
    large, small = (
        batches_of(stored(tmp_path / f"{count}.npy", count)) for count in (LARGE, SMALL)
    )

    def some(batches: Iterator[object]) -> Body:
        return lambda: [None for _ in islice(batches, LARGE // BATCH)]

    race(some(large), {row: some(small)}, images=LARGE)


def peak(path: Path, count: int, pipe: Connection) -> None:
    """Print a process's peak own memory, in kB, while it reads every image; not mapped pages."""
    torch.set_num_threads(1)
    most = 0
    for _ in islice(batches_of(stored(path, count)), count // BATCH):
        status = Path("/proc/self/status").read_text()
        most = max(most, int(status.split("RssAnon:")[1].split()[0]))
    pipe.send(most)


def test_memory(race: Race, tmp_path: Path) -> None:
    row = Row(
        f"memory of reading views, a set of {LARGE:,} images",
        "growth",
        "`Loader`",
        f"a set of {SMALL:,}",
        0.95,
    )
    race.prepare(row)

    def memory(count: int) -> int:
        with child(peak, tmp_path / f"{count}.npy", count) as pipe:
            return pipe.recv()

    small, large = memory(SMALL), race.benchmark.pedantic(memory, [LARGE])
    race.enter(row, [small / large])


def run_on(core: int, pipe: Connection) -> None:
    """Train on one core whenever told to."""
    os.sched_setaffinity(0, {core})
    epoch = training(set_up("cpu", 1), STEPS * BATCH)
    while pipe.recv():
        epoch()
        pipe.send("done")


def test_side_by_side(race: Race) -> None:
    row = Row(
        "images/s of two runs side by side, a core each",
        "growth",
        "`train_row`",
        "one run alone on its core",
    )
    cores = sorted(os.sched_getaffinity(0))
    race.needs(len(cores) > 1, "one core here", row)
    race.prepare(row)
    torch.set_num_threads(1)
    with child(run_on, cores[0]) as first, child(run_on, cores[1]) as second:

        def train_on(*pipes: Connection) -> None:
            for pipe in pipes:
                pipe.send("go")
            for pipe in pipes:
                pipe.recv()

        alone = lambda: train_on(first)  # noqa: E731
        limit = ClaimPlan("twice one run", ((alone, 1.0),))
        race(
            lambda: train_on(first, second),
            {row: ClaimPlan("", ((alone, 2.0),))},
            limit,
            images=2 * STEPS * BATCH,
        )
        for pipe in (first, second):
            pipe.send("")


@contextmanager
def child(task: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """A process of its own that does a task, and the pipe to it."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=task, args=(*arguments, there), daemon=True)
    process.start()
    there.close()
    yield here
    process.join()
