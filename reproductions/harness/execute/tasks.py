"""What each kind of run does: train a network and measure it, average several, or count."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alexnet.checkpoint import Checkpoint
from alexnet.config import AlexNetConfig, AlexNetRecipe
from alexnet.data.imageset import ImageSet
from alexnet.data.loader import batches_of
from alexnet.evaluation import predict, top_errors, topk_correct
from alexnet.models import AlexNet
from alexnet.training import Row, Training, train
from alexnet.weights import load_matching
from reproductions.harness.claims.claim import Claim
from reproductions.harness.claims.imagenet import ALEXNET_2012
from reproductions.harness.claims.metrics import OF_AVERAGES
from reproductions.harness.claims.questions import Count
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.execute.context import RunContext
from reproductions.harness.execute.examples import examples_of
from reproductions.harness.execute.measure import measure
from reproductions.harness.execute.parents import load_network
from reproductions.harness.execute.trained import Trained
from reproductions.harness.records.schema import COMPILED, Metric
from reproductions.harness.records.store import Stored

# Variant and seed whose examples make Figure 4's picture: other records stay small.
EXAMPLES_RUN = (ALEXNET_2012.name, 0)
OnRow = Callable[[Row], None]


@dataclass
class Outcome:
    """What a run found out, before it is a record."""

    status: str
    metrics: dict[str, Metric]
    precision: str = "exact"
    history: Sequence[Row] = ()
    correct: NDArray[Any] | None = None  # per image; see array_files
    kernels: NDArray[np.float32] | None = None
    images: int = 0
    wall_seconds: float | None = None
    attempts: int = 1
    failure: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    net: AlexNet | None = None  # whose weights are stored


def carry_out(
    run: PlannedRun,
    claim: Claim,
    context: RunContext,
    parents: Sequence[Stored],
    checkpoint: Checkpoint,
    on_row: OnRow,
) -> Outcome:
    """Do what a run plans. A run with a parent that diverged has diverged as well."""
    if run.kind == "count":
        exact = [question for question in claim.questions if isinstance(question, Count)]
        found = {q.name: Metric(value=float(q.measure()), unit=q.unit or "count") for q in exact}
        return Outcome("ok", found)
    if any(item.record.status == "diverged" for item in parents):
        return Outcome("diverged", {}, _precision(parents))
    if run.kind == "ensemble":
        return _average(run, context, parents)
    return _train(run, claim, context, parents, checkpoint, on_row)


def _train(
    run: PlannedRun,
    claim: Claim,
    context: RunContext,
    parents: Sequence[Stored],
    checkpoint: Checkpoint,
    on_row: OnRow,
) -> Outcome:
    config, recipe = run.network_config, run.training_recipe
    training, test = _splits(context, run)
    net: nn.Module = config.build(run.seed)
    for need, item in zip(run.needs, parents, strict=True):
        load_matching(net, load_network(need, item).state_dict())
    done = train(
        net,
        recipe,
        training,
        test if isinstance(config, AlexNetConfig) else None,  # others have no validation error
        seed=run.seed,
        device=context.device,
        precision=context.precision or "fp32",
        compiled=context.compiled,
        checkpoint=checkpoint,
        on_row=on_row,
    )
    trained, outcome = Trained(done, training, test, recipe, run), _outcome(done)
    outcome.metrics = measure(trained, claim)
    if trained.diverged:
        outcome.status = "diverged"
        return outcome
    outcome.correct = trained.correct
    if any(metric.value is None for metric in outcome.metrics.values()):
        outcome.status = "censored"
    elif isinstance(done.net, AlexNet):
        outcome.kernels, outcome.net = trained.kernels, done.net
        if (run.variant, run.seed) == EXAMPLES_RUN and "retrieval_features" in outcome.metrics:
            outcome.files = examples_of(trained)
    return outcome


def _outcome(done: Training) -> Outcome:
    """A training's history, the finite part of it, and cost."""
    finite = [row for row in done.history if np.isfinite(row.train_loss)]
    return Outcome(
        "ok",
        {},
        done.precision,
        finite,
        images=sum(row.images for row in done.history),
        wall_seconds=done.history[-1].seconds,
        attempts=done.attempts,
    )


def _average(run: PlannedRun, context: RunContext, parents: Sequence[Stored]) -> Outcome:
    def networks() -> Iterator[tuple[AlexNet, AlexNetRecipe, str]]:
        for need, item in zip(run.needs, parents, strict=True):  # in memory one after the other
            net = load_network(need, item).to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            yield net, need.training_recipe, item.record.machine.precision.removesuffix(COMPILED)

    metrics, correct = average(networks(), *_splits(context, run))
    return Outcome("ok", metrics, _precision(parents), correct=correct)


def _precision(parents: Sequence[Stored]) -> str:
    """The networks' precision; of several, all joined: a precision of its own."""
    return " and ".join(sorted({item.record.machine.precision for item in parents}))


def _splits(context: RunContext, run: PlannedRun) -> tuple[ImageSet, ImageSet]:
    """Training and test images of a run."""
    assert run.dataset is not None
    return context.images[run.dataset]["train"], context.images[run.dataset]["test"]


@dataclass(frozen=True)
class Average:
    """What the metrics of an average read: errors of ten crops on the test images, percent."""

    ten_crop_errors: dict[str, float]
    member_errors: list[dict[str, float]]


def average(
    nets: Iterable[tuple[AlexNet, AlexNetRecipe, str]], train: ImageSet, test: ImageSet
) -> tuple[dict[str, Metric], NDArray[np.float64]]:
    """Errors of the equally weighted average of ten-crop probabilities, and each image's credit.

    A network comes with its recipe and the precision that it was trained in, on the device that it
    is to run on.
    """
    found: list[Tensor] = []
    for net, recipe, precision in nets:
        batches = batches_of(test, net, recipe, next(net.parameters()).device, mean_of=train)
        probabilities, labels = predict(net, batches, crops=10, precision=precision)
        found.append(probabilities)
    whole = torch.stack(found).mean(0)
    asked = Average(top_errors(whole, labels), [top_errors(each, labels) for each in found])
    metrics = {
        name: Metric(
            value=spec.measure(asked), unit=spec.unit, split=spec.split, examples=len(test)
        )
        for name, spec in OF_AVERAGES.items()
    }
    return metrics, topk_correct(whole, labels, 1).numpy()
