"""One training loop for every network of the paper, and for others: resumable to the bit."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from alexnet.checkpoint import Checkpoint
from alexnet.compile import compile_net
from alexnet.config import TrainingRecipe
from alexnet.data.loader import Batches, Images, LoaderBatches, batches_of, fingerprint_of
from alexnet.distributed import all_reduce_row, rank_and_world_size
from alexnet.evaluation import predict, top_errors
from alexnet.optim import PaperSGD, layer_groups
from alexnet.precision import (
    batch_loss,
    check_precision,
    image_type,
    own_generators,
    seed_generators,
)

Step = tuple[Tensor, Tensor, float]  # images, labels, and how much their loss counts


@dataclass(frozen=True)
class Row:
    """One row of history: means over the images since the row before, as the 2012 code printed."""

    step: int  # updates so far
    epoch: float  # passes over the training images so far
    images: int  # images in this row
    train_loss: float  # mean log-loss in nats, each batch before its update
    train_error: float  # percent
    seconds: float  # of training so far, without checkpoints
    checkpoint_seconds: float  # that writing checkpoints took so far
    learning_rate: float  # of the weights
    validation_error: float | None = None  # top-1, percent; in the last row of each epoch


@dataclass
class Training:
    """A training in progress, or finished: what a checkpoint holds."""

    net: nn.Module
    optimizer: PaperSGD
    precision: str
    history: list[Row] = field(default_factory=list)
    attempts: int = 1
    checkpoint_seconds: float = 0.0

    @property
    def step(self) -> int:
        """Updates so far."""
        return self.history[-1].step if self.history else 0

    @property
    def diverged(self) -> bool:
        """Whether the loss is no longer a finite number."""
        return bool(self.history) and not math.isfinite(self.history[-1].train_loss)

    @property
    def validation_errors(self) -> list[float]:
        """Top-1 validation error of every finished epoch, percent."""
        errors = (row.validation_error for row in self.history)
        return [error for error in errors if error is not None]

    def is_over(self, recipe: TrainingRecipe, steps: int) -> bool:
        """Whether the recipe is at its end or the loss diverged; an epoch has so many steps."""
        epoch, errors = self.step // steps, self.validation_errors
        return self.diverged or recipe.is_over(epoch, errors, self.history)


def train(
    net: nn.Module,
    recipe: TrainingRecipe,
    train_images: Images,
    test_images: Images | None = None,
    *,
    seed: int = 0,
    device: torch.device | str | None = None,
    precision: str = "fp32",
    compiled: bool = False,
    checkpoint: Checkpoint | None = None,
    on_row: Callable[[Row], None] = lambda _: None,
) -> Training:
    """Train a network in place by a recipe, until that is at its end or the loss diverges.

    With `test_images` every epoch ends with their top-1 error. `device` is by default CUDA where it
    is there. The result depends on the network's weights, the recipe, the images and the seed, and
    on the arithmetic of device, precision ("fp32" or "bf16") and thread count: a training that was
    killed goes on from `checkpoint` to the same bits. Order, augmentation and dropout follow from
    the seed; torch's generators are afterwards what they were. With a `DataLoader` order and
    augmentation are its own, equal bits are not promised, and a checkpoint knows its images by the
    length and the `repr` of the data set alone.

    Under `torch.distributed` each process trains its share of every batch of an ImageSet. With
    `compiled` steps go through `torch.compile`. A layer whose parameters need no gradient stays as
    it is. Raises ValueError for images that do not fit the network or each other, a batch smaller
    than the number of processes, a DataLoader in several processes, a recipe that waits for a
    plateau without `test_images`, or a network that cannot be compiled.
    """
    check_precision(precision)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    net = net.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = batches_of(train_images, net, recipe, where, mean_of=train_images)
    held_out = None
    if test_images is not None:
        held_out = batches_of(test_images, net, recipe, where, mean_of=train_images)
    _check(batches, recipe, validated=held_out is not None)
    trained = [weight for weight in net.parameters() if weight.requires_grad]
    optimizer = PaperSGD(layer_groups(net), lr=recipe.learning_rate, momentum=recipe.momentum)
    training = Training(net, optimizer, precision)
    if checkpoint:
        checkpoint.resume(training, **_identity(net, recipe, seed, train_images, test_images))
    batches.dtype = image_type(training.precision)
    with own_generators(where), _unfrozen_afterwards(trained):
        for row in _rows(training, recipe, batches, held_out, seed, compiled=compiled):
            if checkpoint:
                checkpoint.row_done(training)
            on_row(row)
    if checkpoint:
        checkpoint.finish(training)
    return training


def _rows(
    training: Training,
    recipe: TrainingRecipe,
    batches: Batches,
    held_out: Batches | None,
    seed: int,
    *,
    compiled: bool,
) -> Iterator[Row]:
    """Train until the end, row by row, each of them already in the history."""
    steps, model = batches.steps(recipe.batch_size), training.net
    if compiled and not training.is_over(recipe, steps):
        images, labels, _ = next(seeded_steps(batches, recipe, seed, epoch=0))
        model = compile_net(training.net, images, labels, training.precision)
    while not training.is_over(recipe, steps):
        for row in train_epoch(training, model, recipe, batches, seed):
            ends_epoch = row.step % steps == 0
            training.history.append(_validated(row, training, held_out if ends_epoch else None))
            yield training.history[-1]
            if training.is_over(recipe, steps):
                break


def train_epoch(
    training: Training, model: nn.Module, recipe: TrainingRecipe, batches: Batches, seed: int
) -> Iterator[Row]:
    """What is left of the current epoch, row by row; each is to be appended to the history.

    `model` is what a step calls: the network, or the same weights compiled.
    """
    steps = batches.steps(recipe.batch_size)
    epoch, done = divmod(training.step, steps)
    set_layer_rates(training, recipe, epoch)
    if rank_and_world_size()[1] > 1:  # anew in every epoch, since layers may have been frozen
        model = DistributedDataParallel(model)
    left = seeded_steps(batches, recipe, seed, epoch, done)
    for k in range(recipe.rows_per_epoch):
        end = round(steps * (k + 1) / recipe.rows_per_epoch)
        if end > done:
            training.net.train()
            row = train_row(training, model, islice(left, end - done))
            step = epoch * steps + end
            lr = recipe.lr(epoch, training.validation_errors)
            row = replace(row, step=step, epoch=step / steps, learning_rate=lr)
            yield all_reduce_row(row, batches.device)
            done = end


def seeded_steps(
    batches: Batches, recipe: TrainingRecipe, seed: int, epoch: int, skip: int = 0
) -> Iterator[Step]:
    """An epoch's batches for this process; before each, torch's generators are seeded.

    So dropout is a function of (seed, step, process). DistributedDataParallel averages over
    processes, of which some have fewer images: a loss counts so that each image counts once.
    """
    rank, world_size = rank_and_world_size()
    size, steps = recipe.batch_size, batches.steps(recipe.batch_size)
    own = batches.epoch(seed, epoch, size, skip, rank, world_size)
    for number, (images, labels) in enumerate(own, start=skip):
        sequence = np.random.SeedSequence((seed, epoch * steps + number, rank))
        seed_generators(batches.device, int(sequence.generate_state(1)[0]))
        whole = min(size, batches.count - number * size)
        yield images, labels, 1.0 if world_size == 1 else world_size * len(labels) / whole


def set_layer_rates(training: Training, recipe: TrainingRecipe, epoch: int) -> None:
    """Give every layer its rate and decay of an epoch; with rate 0 it needs no gradients."""
    for group in training.optimizer.param_groups:
        layer, kind = group["layer"]
        rates = recipe.layer_lr(layer, kind, epoch, training.validation_errors)
        group["lr"], group["weight_decay"] = rates
        for parameter in group["params"]:
            parameter.requires_grad_(group["lr"] > 0)


def train_row(training: Training, model: nn.Module, steps: Iterable[Step]) -> Row:
    """Make the updates of some steps and average their losses and errors."""
    began, count = time.perf_counter(), 0
    loss_sum, wrong = torch.zeros(2, dtype=torch.float64)
    for images, labels, share in steps:
        loss, scores = train_step(training, model, images, labels, share)
        loss_sum = loss_sum + loss.double() * len(labels)
        wrong = wrong + (scores.argmax(1) != labels).sum()
        count += len(labels)
    error = 100 * wrong.item() / count  # the first number that comes back from a GPU
    before = training.history[-1].seconds if training.history else 0.0
    seconds = before + time.perf_counter() - began
    written = training.checkpoint_seconds
    return Row(0, 0.0, count, loss_sum.item() / count, error, seconds, written, 0.0)


def train_step(
    training: Training, model: nn.Module, images: Tensor, labels: Tensor, share: float = 1.0
) -> tuple[Tensor, Tensor]:
    """One update by the rule of §5; the batch's loss and scores [N, classes] from before it."""
    loss, scores = batch_loss(model, images, labels, training.precision)
    training.optimizer.zero_grad(set_to_none=True)
    (loss * share).backward()  # type: ignore[no-untyped-call]
    training.optimizer.step()
    return loss.detach(), scores.detach()


def _identity(
    net: nn.Module, recipe: TrainingRecipe, seed: int, *images: Images | None
) -> dict[str, Any]:
    return {
        "config": getattr(net, "config", type(net).__name__),
        "recipe": recipe,
        "seed": seed,
        "images": [fingerprint_of(each) for each in images if each is not None],
        "processes": rank_and_world_size()[1],
    }


def _validated(row: Row, training: Training, held_out: Batches | None) -> Row:
    if held_out is None or not math.isfinite(row.train_loss):
        return row
    errors = top_errors(*predict(training.net, held_out, precision=training.precision))
    return replace(row, validation_error=errors["top1"])


def _check(batches: Batches, recipe: TrainingRecipe, *, validated: bool) -> None:
    size, (_, world_size) = recipe.batch_size, rank_and_world_size()
    if batches.count == 0:
        raise ValueError("there are no images to train on")
    if isinstance(batches, LoaderBatches) and world_size > 1:
        raise ValueError("a DataLoader trains in one process; give an ImageSet to several")
    smallest = min(batches.count, size, batches.count % size or size)
    if smallest < world_size:
        raise ValueError(f"a batch of {smallest} images is too small for {world_size} processes")
    if getattr(recipe, "plateau_patience", None) and not validated:
        raise ValueError("a recipe that waits for a plateau of the test error needs test images")


@contextmanager
def _unfrozen_afterwards(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Whatever the recipe freezes, the parameters that needed gradients need them afterwards."""
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
