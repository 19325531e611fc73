"""The only code in the repository that trains: fit a network to images by a recipe, resumable to the bit."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from alexnet.checkpoint import Checkpoint
from alexnet.compiling import compile_net
from alexnet.config import AlexNetConfig, AlexNetRecipe, CifarNetConfig, Recipe
from alexnet.data.augment import Views
from alexnet.data.batches import Batches
from alexnet.data.imageset import ImageSet
from alexnet.evaluate import errors, probabilities
from alexnet.model import AlexNet, CifarNet, init_alexnet, init_weights
from alexnet.optim import PaperSGD, layer_groups, paper_groups
from alexnet.parallel import Sharded, place, total
from alexnet.precision import TOLERANCE, Choice, Probe, batch_loss, choose_precision, image_type
from alexnet.schedule import is_over, layer_factor, rate_of

Batch = tuple[Tensor, Tensor]  # images, labels
ROWS_PER_EPOCH = 5  # of AlexNet's history
# precision.TOLERANCE for eight layers: 1 % (paper profile) and 4.5 % (original) were measured at the mini network's first step.
DEEP_TOLERANCE = 0.1


@dataclass(frozen=True)
class Row:
    """One row of a run's history: running means over the images since the row before, as the 2012 code printed them."""

    step: int  # updates so far
    epoch: float  # passes over the training images so far
    images: int  # images in this row
    train_loss: float  # mean log-loss in nats, each batch before its update
    train_error: float  # percent
    seconds: float  # of training so far, without checkpoints
    checkpoint_seconds: float  # that writing checkpoints took so far


@dataclass
class Run:
    """A training in progress: what a checkpoint holds."""

    row_type: ClassVar[type[Row]] = Row
    net: CifarNet
    optimizer: PaperSGD
    history: list[Row] = field(default_factory=list)
    precision: str = "fp32"
    attempts: int = 1
    checkpoint_seconds: float = 0.0
    called: torch.nn.Module | None = field(default=None, repr=False)  # in a training step, in place of `net`: see `training_net`

    @property
    def training_net(self) -> torch.nn.Module:
        """What a training step calls: the network, or the same weights compiled or in several processes."""
        return self.net if self.called is None else self.called

    @property
    def step(self) -> int:
        """Updates so far."""
        return self.history[-1].step if self.history else 0

    @property
    def diverged(self) -> bool:
        """Whether the loss is no longer a number."""
        return bool(self.history) and not math.isfinite(self.history[-1].train_loss)


def fit(
    config: CifarNetConfig,
    recipe: Recipe,
    train: ImageSet,
    *,
    seed: int,
    device: torch.device,
    precision: str | None = None,
    compiled: bool = False,
    checkpoint: Checkpoint | None = None,
    on_row: Callable[[Row], None] = lambda _: None,
) -> Run:
    """Train until the budget is spent, `recipe.stop_below` is reached or the loss diverges.

    The result depends on (config, recipe, train, seed) and on the arithmetic of (device, precision, thread count) alone: a run
    killed and started again with its `checkpoint` ends with the same bits, in the precision that it began in; `precision` None
    is what `choose_precision` finds. With `compiled` its steps go through `torch.compile`; raises ValueError if they cannot.
    """
    batches = training_batches(config, train, train, device)
    run = start(config, recipe, batches, seed, precision)
    if checkpoint:
        checkpoint.resume(run, config=config, recipe=recipe, seed=seed, images=train.meta.fingerprint)
    batches.dtype = image_type(run.precision)
    steps_per_epoch = math.ceil(batches.count / recipe.batch_size)
    row_ends = [round(steps_per_epoch * (k + 1) / recipe.rows_per_epoch) for k in range(recipe.rows_per_epoch)]
    while not finished(run, recipe, steps_per_epoch):
        if compiled and run.called is None:
            run.called = compile_net(run.net, *next(batches.epoch(seed, 0, recipe.batch_size)), run.precision)
        epoch, done = divmod(run.step, steps_per_epoch)
        left = batches.epoch(seed, epoch, recipe.batch_size, skip=done)
        for end in row_ends:
            if end > done and not finished(run, recipe, steps_per_epoch):
                row = train_row(run, left, end - done, steps_per_epoch)
                done = end
                run.history.append(row)
                if checkpoint:
                    checkpoint.row_done(run)
                on_row(row)
    if checkpoint:
        checkpoint.finish(run)
    return run


def training_batches(config: CifarNetConfig, split: ImageSet, train: ImageSet, device: torch.device) -> Batches:
    """`split` as the network of `config` sees it: the training images' mean subtracted, in grey levels or standardised."""
    scale = 1.0 if config.inputs == "raw" else 1.0 / train.meta.pixel_std
    return Batches(split, train.mean_image, scale, device)


def start(config: CifarNetConfig, recipe: Recipe, batches: Batches, seed: int, precision: str | None) -> Run:
    """The network and optimiser before the first update."""
    net = CifarNet(config)
    init_weights(net, config, seed)
    net = net.to(batches.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    groups = paper_groups(net, recipe.learning_rate, recipe.bias_rate_factor, recipe.weight_decay)
    optimizer = PaperSGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    if precision is None:
        precision = cifar_precision(config, recipe, batches.device, lambda: batches).precision
    return Run(net, optimizer, precision=precision)


def cifar_precision(config: CifarNetConfig, recipe: Recipe, device: torch.device, batches: Callable[[], Batches]) -> Choice:
    """What such a network computes in here: asked of it at the start of seed 0 and, in stored order, of its first batch."""

    def probe() -> Probe:
        shown = batches()
        first = torch.arange(min(recipe.batch_size, shown.count), device=device)
        return (start(config, recipe, shown, 0, "fp32").net, *shown.take(first))

    return choose_precision(config, recipe.batch_size, device, TOLERANCE, probe)


def finished(run: Run, recipe: Recipe, steps_per_epoch: int) -> bool:
    """Whether the budget is spent, the target is reached or the loss is lost."""
    reached = bool(run.history) and recipe.stop_below is not None and run.history[-1].train_error < recipe.stop_below
    return run.step >= recipe.epochs * steps_per_epoch or reached or run.diverged


def train_row(run: Run, batches: Iterator[Batch], steps: int, steps_per_epoch: int) -> Row:
    """Make `steps` updates and sum what the network said of each batch before it learned from it."""
    began, count = time.perf_counter(), 0
    loss_sum, wrong = torch.zeros(2, dtype=torch.float64)
    for images, labels in islice(batches, steps):
        loss, scores = train_step(run, images, labels)
        loss_sum = loss_sum + loss.double() * len(labels)
        wrong = wrong + (scores.argmax(1) != labels).sum()
        count += len(labels)
    error = 100 * wrong.item() / count  # the first that comes back from a GPU
    seconds = (run.history[-1].seconds if run.history else 0.0) + time.perf_counter() - began
    done = run.step + steps
    return Row(done, done / steps_per_epoch, count, loss_sum.item() / count, error, seconds, run.checkpoint_seconds)


def train_step(run: Run, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """One update by the rule of §5. Returns the batch's loss and scores from before it."""
    loss, scores = batch_loss(run.training_net, images, labels, run.precision)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    run.optimizer.step()
    return loss.detach(), scores.detach()


@torch.no_grad()
def evaluate(run: Run, batches: Batches, batch_size: int = 500) -> Tensor:
    """For every image of a split, in stored order, whether its best class is its label: bool [N] on the CPU."""
    correct = []
    for images, labels in batches.in_order(batch_size):
        correct.append(batch_loss(run.net, images, labels, run.precision)[1].argmax(1) == labels)
    return torch.cat(correct).cpu()


@dataclass(frozen=True)
class AlexNetRow(Row):
    """A row of AlexNet's history; the validation error stands in the last row of each epoch."""

    learning_rate: float  # of the weights
    validation_error: float | None  # top-1 of the central view, percent


@dataclass
class AlexNetRun(Run):
    """A training of AlexNet in progress."""

    row_type: ClassVar[type[Row]] = AlexNetRow
    net: AlexNet  # type: ignore[assignment]

    @property
    def validation_errors(self) -> list[float]:
        """Top-1 validation error of every finished epoch, percent."""
        found = (row.validation_error for row in self.history if isinstance(row, AlexNetRow))
        return [error for error in found if error is not None]


def fit_alexnet(
    config: AlexNetConfig,
    recipe: AlexNetRecipe,
    train: ImageSet,
    validation: ImageSet,
    *,
    seed: int,
    device: torch.device,
    precision: str | None = None,
    compiled: bool = False,
    initial: Mapping[str, Tensor] | None = None,
    checkpoint: Checkpoint | None = None,
    on_row: Callable[[Row], None] = lambda _: None,
) -> AlexNetRun:
    """Train AlexNet by the recipe's schedule, or until the validation error stops improving, or the loss diverges.

    As with `fit`, a run that was killed goes on from `checkpoint` to the same bits. `initial` are weights to start from
    (fine-tuning, §6): layers that fit are taken, others drawn. Under `torch.distributed` each process trains its share of every
    batch. Raises ValueError if the images are smaller than the network's, have another number of classes or leave a last batch with
    fewer images than processes, or if the network is to be `compiled` and cannot be.
    """
    if len(train.meta.classes) != config.classes:
        raise ValueError(f"the network has {config.classes} classes, the images {len(train.meta.classes)}")
    views, held_out = (Views(split, train, config.image_size, recipe, device) for split in (train, validation))
    run = start_alexnet(config, recipe, views, seed, precision, initial)
    if checkpoint:
        images = [train.meta.fingerprint, validation.meta.fingerprint]
        checkpoint.resume(run, config=config, recipe=recipe, seed=seed, images=images, processes=place()[1])
    views.dtype = image_type(run.precision)
    steps = math.ceil(views.count / recipe.batch_size)
    smallest = min(views.count, recipe.batch_size, views.count % recipe.batch_size or recipe.batch_size)
    if smallest < place()[1]:
        raise ValueError(f"a batch of {smallest} images is too small for {place()[1]} processes")
    while not run.diverged and not is_over(recipe, run.step // steps, run.validation_errors):
        if compiled and run.called is None:
            run.called = compile_net(run.net, *next(views.epoch(seed, 0, recipe.batch_size, 0, *place())), run.precision)
        for row in alexnet_epoch(run, recipe, views, held_out, seed, steps):
            run.history.append(row)
            if checkpoint:
                checkpoint.row_done(run)
            on_row(row)
            if run.diverged:
                break
    if checkpoint:
        checkpoint.finish(run)
    return run


def start_alexnet(
    config: AlexNetConfig,
    recipe: AlexNetRecipe,
    views: Views,
    seed: int,
    precision: str | None,
    initial: Mapping[str, Tensor] | None,
) -> AlexNetRun:
    """The network and optimiser before the first update."""
    net = AlexNet(config)
    init_alexnet(net, seed)
    if initial is not None:
        own = net.state_dict()
        net.load_state_dict({k: initial[k] if k in initial and initial[k].shape == v.shape else v for k, v in own.items()})
    net = net.to(views.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = PaperSGD(layer_groups(net, recipe.momentum), lr=recipe.learning_rate)
    if precision is None:
        precision = alexnet_precision(config, recipe, views.device, lambda: views).precision
    return AlexNetRun(net, optimizer, precision=precision)


def alexnet_precision(config: AlexNetConfig, recipe: AlexNetRecipe, device: torch.device, views: Callable[[], Views]) -> Choice:
    """What such a network computes in here: asked of it and of its first batch at the start of seed 0."""

    def probe() -> Probe:
        shown = views()
        run = start_alexnet(config, recipe, shown, 0, "fp32", None)
        return (run.net, *next(shown.epoch(0, 0, recipe.batch_size)))

    return choose_precision(config, recipe.batch_size, device, DEEP_TOLERANCE, probe)


def alexnet_epoch(
    run: AlexNetRun, recipe: AlexNetRecipe, views: Views, held_out: Views, seed: int, steps: int
) -> Iterator[AlexNetRow]:
    """What is left of the current epoch, row by row; the caller adds each row to the history before asking for the next."""
    epoch, done = divmod(run.step, steps)
    rate = rate_of(recipe, epoch, run.validation_errors)
    set_rates(run, recipe, epoch, rate)
    trainee = replace(run, called=Sharded(run.training_net)) if place()[1] > 1 else run
    left = presented(run.net, trainee.training_net, views, seed, epoch, steps, done)
    for end in (round(steps * (k + 1) / ROWS_PER_EPOCH) for k in range(ROWS_PER_EPOCH)):
        if end > done:
            run.net.train()
            row = total(train_row(trainee, left, end - done, steps), views.device)
            done = end
            error = top1_error(run, held_out) if end == steps and math.isfinite(row.train_loss) else None
            yield AlexNetRow(**asdict(row), learning_rate=rate, validation_error=error)


def set_rates(run: AlexNetRun, recipe: AlexNetRecipe, epoch: int, rate: float) -> None:
    """Give every layer its rate of this epoch; a layer whose rate is zero is left out, as `layer.cu` leaves it out."""
    for group in run.optimizer.param_groups:
        layer, kind = group["named"]
        group["lr"] = rate * layer_factor(recipe, layer, epoch) * (recipe.bias_rate_factor if kind == "bias" else 1.0)
        group["weight_decay"] = recipe.weight_decay if kind == "weight" else 0.0
        for parameter in group["params"]:
            parameter.requires_grad_(group["lr"] > 0)


def presented(
    net: AlexNet, trained: torch.nn.Module, views: Views, seed: int, epoch: int, steps: int, skip: int
) -> Iterator[Batch]:
    """The batches of an epoch from number `skip` on; before each, `net` is told which dropout masks to draw."""
    rank, world = place()
    size = views.recipe.batch_size
    for number, (images, labels) in enumerate(views.epoch(seed, epoch, size, skip, rank, world), start=skip):
        net.dropout_key = int(np.random.SeedSequence((seed, epoch * steps + number, rank)).generate_state(1)[0])
        if isinstance(trained, Sharded):
            trained.share = world * len(labels) / min(size, views.count - number * size)
        yield images, labels


def top1_error(run: AlexNetRun, split: Views) -> float:
    """Top-1 error of the central view, percent."""
    return errors(probabilities(run.net, split, views=1, precision=run.precision), split.labels.cpu())["top1"]
