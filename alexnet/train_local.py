"""Training of the nets with locally connected layers (§3.3), by the parts of train.py; resumable to the bit like the others."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet.checkpoint import Checkpoint
from alexnet.compiling import compile_net
from alexnet.config import AlexNetRecipe
from alexnet.config_local import LocalNetConfig, LocalRecipe
from alexnet.data.augment import Views
from alexnet.data.imageset import ImageSet
from alexnet.evaluate import probabilities
from alexnet.model import LocalNet, init_local
from alexnet.optim import PaperSGD, layer_groups
from alexnet.precision import Choice, Probe, choose_precision, image_type
from alexnet.train import ROWS_PER_EPOCH, Row, Run, train_row

SHOWN = AlexNetRecipe(noise="none")  # of what this says to `Views`: a crop for every image, half of them mirrored, no other light
# Like precision.TOLERANCE. At the first step 10 to 12 % were measured (n = 3): while scores are all but equal, rounding decides
# which values pass a ReLU and which a pool. Later in the first epoch it was 2 to 6 %.
LOCAL_TOLERANCE = 0.2


@dataclass
class LocalRun(Run):
    """A training of such a net in progress."""

    net: LocalNet  # type: ignore[assignment]


def fit_local(
    config: LocalNetConfig,
    recipe: LocalRecipe,
    train: ImageSet,
    *,
    seed: int,
    device: torch.device,
    precision: str | None = None,
    compiled: bool = False,
    checkpoint: Checkpoint | None = None,
    on_row: Callable[[Row], None] = lambda _: None,
) -> LocalRun:
    """Train until the course is over or the loss diverges; a run that was killed goes on from `checkpoint` to the same bits.

    `precision` None is what `choose_precision` finds. Raises ValueError if the images are smaller than the net's or have another
    number of classes, or if the net is to be `compiled` and cannot be.
    """
    if len(train.meta.classes) != config.classes:
        raise ValueError(f"the network has {config.classes} classes, the images {len(train.meta.classes)}")
    views = views_of(config, train, train, device)
    run = start_local(config, recipe, views, seed, precision)
    if checkpoint:
        checkpoint.resume(run, config=config, recipe=recipe, seed=seed, images=train.meta.fingerprint)
    views.dtype = image_type(run.precision)
    steps = math.ceil(views.count / recipe.batch_size)
    while not run.diverged and run.step < recipe.epochs * steps:
        if compiled and run.called is None:
            run.called = compile_net(run.net, *next(views.epoch(seed, 0, recipe.batch_size)), run.precision)
        for row in local_epoch(run, recipe, views, seed, steps):
            run.history.append(row)
            if checkpoint:
                checkpoint.row_done(run)
            on_row(row)
            if run.diverged:
                break
    if checkpoint:
        checkpoint.finish(run)
    return run


def views_of(config: LocalNetConfig, split: ImageSet, train: ImageSet, device: torch.device) -> Views:
    """A split as the net sees it, the training images' mean subtracted."""
    return Views(split, train, config.image_size, SHOWN, device)


def start_local(config: LocalNetConfig, recipe: LocalRecipe, views: Views, seed: int, precision: str | None) -> LocalRun:
    """The network and optimiser before the first update."""
    net = LocalNet(config)
    init_local(net, seed)
    net = net.to(views.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = PaperSGD(layer_groups(net, recipe.momentum), lr=recipe.learning_rate)
    if precision is None:
        precision = local_precision(config, recipe, views.device, lambda: views).precision
    return LocalRun(net, optimizer, precision=precision)


def local_precision(config: LocalNetConfig, recipe: LocalRecipe, device: torch.device, views: Callable[[], Views]) -> Choice:
    """What such a net computes in here: asked of it and of its first batch at the start of seed 0."""

    def probe() -> Probe:
        shown = views()
        run = start_local(config, recipe, shown, 0, "fp32")
        return (run.net, *next(shown.epoch(0, 0, recipe.batch_size)))

    return choose_precision(config, recipe.batch_size, device, LOCAL_TOLERANCE, probe)


def local_epoch(run: LocalRun, recipe: LocalRecipe, views: Views, seed: int, steps: int) -> Iterator[Row]:
    """What is left of the current epoch, row by row; the caller adds each row to the history before asking for the next."""
    epoch, done = divmod(run.step, steps)
    set_local_rates(run, recipe, epoch)
    left = views.epoch(seed, epoch, recipe.batch_size, done)
    for end in (round(steps * (k + 1) / ROWS_PER_EPOCH) for k in range(ROWS_PER_EPOCH)):
        if end > done:
            yield train_row(run, left, end - done, steps)
            done = end


def set_local_rates(run: LocalRun, recipe: LocalRecipe, epoch: int) -> None:
    """Give every layer its rate and weight decay of an epoch, counted from 0; biases keep their rate and have no decay."""
    rate = recipe.learning_rate * 10.0 ** -sum(epoch >= drop for drop in recipe.drops)
    decay = dict(zip(run.net.specs, recipe.weight_decay, strict=True))
    for group in run.optimizer.param_groups:
        layer, kind = group["named"]
        group["lr"], group["weight_decay"] = (rate, decay[layer]) if kind == "weight" else (recipe.bias_rate, 0.0)


def local_probabilities(run: LocalRun, split: Views, views: int) -> Tensor:
    """Class probabilities of every image in stored order, averaged over 1 or 10 views: float32 [N, classes] on the CPU."""
    return probabilities(run.net, split, views=views, precision=run.precision)  # type: ignore[arg-type]  # asks for no layer by name
