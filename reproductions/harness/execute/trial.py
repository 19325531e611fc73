"""A few training steps, so that the time of a plan is known before the first run on a machine."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import torch

from alexnet.data.imageset import ImageSet
from alexnet.data.loader import batches_of
from alexnet.optim import PaperSGD, layer_groups
from alexnet.precision import image_type, own_generators
from alexnet.training import Training, train_step
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.execute import precision
from reproductions.harness.execute.context import RunContext, set_up
from reproductions.harness.plan.claim_plan import ClaimPlan
from reproductions.harness.plan.cost import Speed, keep_speed, operations

BUDGET = 1.0  # seconds after which no further step of a network begins
WHOLE = 4.0  # seconds after which no further network is tried
SMALL = 16  # the steps that warm up have so small a share of a batch


def measure_speeds(
    runs: dict[str, tuple[ClaimPlan, PlannedRun]],
    device: str,
    threads: int,
    precision_name: str | None,
) -> None:
    """Time steps of each run on the images that are open, and keep the speeds under their kinds.

    A network that cannot be trained here has no speed: its run will say why.
    """
    began = time.perf_counter()
    for kind, (work, run) in runs.items():
        if time.perf_counter() - began < WHOLE:
            where = set_up(device, threads)
            context = RunContext(work.root, work.images, where, threads, precision_name)
            with suppress(RuntimeError, ValueError):  # torch's own: no memory, no kernel
                keep_speed(kind, _speed(run, work, context))


def _speed(run: PlannedRun, work: ClaimPlan, context: RunContext) -> Speed:
    choice = precision.measured(run, work.claim, context) if not context.precision else None
    name = choice.precision if choice else context.precision or "fp32"
    taken, size = _steps(run, context.images[str(run.dataset)]["train"], context.device, name)
    timed = taken[1:] or taken  # the first of a size warms up
    speed = size * len(timed) / sum(timed)
    return Speed(speed, sum(taken), operations(run))


def _steps(
    run: PlannedRun, images: ImageSet, device: torch.device, name: str
) -> tuple[Sequence[float], int]:
    """Seconds of each step, and its images: a whole batch unless that takes too long."""
    config, recipe = run.network_config, run.training_recipe
    first = slice(min(recipe.batch_size, len(images)))
    meta = replace(images.meta, count=first.stop)
    few = replace(images, meta=meta, images=images.images[first], labels=images.labels[first])
    net = config.build(0).to(device, memory_format=torch.channels_last)
    batches = batches_of(few, net, recipe, device, mean_of=images)
    batches.dtype = image_type(name)
    optimizer = PaperSGD(layer_groups(net), lr=recipe.learning_rate, momentum=recipe.momentum)
    training = Training(net.train(), optimizer, name)

    def seconds(size: int) -> float:
        began = time.perf_counter()
        loss, _ = train_step(training, net, *next(batches.epoch(0, 0, size)))
        loss.item()  # waits for a GPU
        return time.perf_counter() - began

    with own_generators(device):
        small = max(1, first.stop // SMALL)
        slow = seconds(small) > BUDGET or seconds(small) * first.stop / small > BUDGET
        size = small if slow else first.stop
        taken = [seconds(size)]
        while sum(taken) < BUDGET:
            taken.append(seconds(size))
    return taken, size
