"""What is measured of a trained network, the same for every variant: one run serves all claims."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet.autoencoder import binary_codes, train_autoencoder
from alexnet.config import (
    AlexNetConfig,
    AlexNetRecipe,
    CifarNetConfig,
    LocallyConnectedConfig,
    LocallyConnectedRecipe,
    Recipe,
)
from alexnet.data.batches import batches_of
from alexnet.data.imageset import ImageSet
from alexnet.data.loader import Loader
from alexnet.evaluation import (
    argmax_correct,
    column_color,
    features,
    predict,
    retrieval_precision,
    top_errors,
    topk_correct,
)
from alexnet.models import AlexNet
from alexnet.precision import image_type
from alexnet.training import Training
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.records.examples import (
    BEST,
    NEAREST,
    SHOWN,
    Example,
    Examples,
    Guess,
    class_names,
    example_files,
    thumbnails,
)
from reproductions.harness.records.history import error_of_epoch
from reproductions.harness.records.schema import Metric
from reproductions.harness.rule.curves import epochs_to

KNOWN = 10_000  # training images that are evaluated after training, and searched for neighbours
QUERIES = 2_000  # test images whose neighbours are sought


@dataclass
class Measured:
    """The metrics of a run and, per test image, how far its label was right."""

    metrics: dict[str, Metric]
    correct: NDArray[Any] | None = None
    status: str | None = None  # where it is not what the training's end says


def measure_cifar(
    done: Training, train: ImageSet, test: ImageSet, recipe: Recipe, run: PlannedRun
) -> Measured:
    """train_error of the last row, epochs_to_target and, of a verdict's run, test_error."""
    last, target = done.history[-1], recipe.target_train_error
    metrics = {"train_error": _metric(last.train_error, "percent", "train", last.images)}
    epochs = None
    if target is not None:
        curve = [(row.epoch, row.train_error) for row in done.history]
        epochs = epochs_to(curve, target)
        metrics["epochs_to_target"] = _metric(epochs, "epochs", "train", last.images)
    correct = None
    if run.purpose == "verdict" and not done.diverged:
        batches = _batches(done, test, train, recipe)
        batches.dtype = image_type(done.precision)
        correct = argmax_correct(done.net, batches, done.precision).numpy()
        error = 100 * float(1 - correct.mean())
        metrics["test_error"] = _metric(error, "percent", "test", len(correct))
    censored = target is not None and epochs is None and not done.diverged
    return Measured(metrics, correct, "censored" if censored else None)


def measure_locally_connected(
    done: Training, train: ImageSet, test: ImageSet, recipe: LocallyConnectedRecipe, _: PlannedRun
) -> Measured:
    """top1 and top1_ten on the test split; train_error is the last epoch's running error."""
    if not _is_finite(done):
        return Measured({}, status="diverged")
    batches = _batches(done, test, train, recipe)
    centre, labels = predict(done.net, batches, precision=done.precision)
    ten, _labels = predict(done.net, batches, crops=10, precision=done.precision)
    errors = {
        "top1": top_errors(centre, labels)["top1"],
        "top1_ten": top_errors(ten, labels)["top1"],
    }
    metrics = {name: _metric(value, "percent", "test", len(test)) for name, value in errors.items()}
    metrics["train_error"] = _metric(_last_epoch(done), "percent", "train", len(train))
    return Measured(metrics, topk_correct(ten, labels, 1).numpy())


def measure_alexnet(
    done: Training, train: ImageSet, test: ImageSet, recipe: AlexNetRecipe, run: PlannedRun
) -> Measured:
    """All metrics of an AlexNet, and for every test image its credit in ten crops.

    top1, top5 and their ten-crop forms are errors on the test split. top1_train is the central
    crop's error on training images, and gap what top1 exceeds it by. train_error and
    first_epoch_error are running errors of the last and first epoch. colour_gap is how far
    conv1's two halves differ in their colour fraction. retrieval_* is the share of the six
    nearest training images with the label of a test image, by pixels, by fc7 and by its codes.
    """
    if not _is_finite(done):
        return Measured({}, status="diverged")
    net = _alexnet(done)
    asked = _batches(done, test, train, recipe)
    known = _batches(done, sample(train, KNOWN), train, recipe)
    ten, labels = predict(net, asked, crops=10, precision=done.precision)
    metrics = _errors(done, train, asked, known) | {
        f"{name}_ten": _metric(value, "percent", "test", len(test))
        for name, value in top_errors(ten, labels).items()
    }
    queries = min(QUERIES, asked.count)
    for name, value in _retrieval(done, asked, known, run.seed).items():
        metrics[name] = _metric(value, "percent", "test", queries)
    first, second = column_color(net)
    colour = 100 * abs(float(first - second))
    metrics["colour_gap"] = _metric(colour, "points", "none", net.specs["conv1"].outputs)
    return Measured(metrics, topk_correct(ten, labels, 1).numpy())


def measure_network(
    done: Training, train: ImageSet, test: ImageSet, recipe: Any, _: PlannedRun
) -> Measured:
    """The errors of a network of one's own, as of an AlexNet; credits are of the central crop."""
    if not _is_finite(done):
        return Measured({}, status="diverged")
    asked = _batches(done, test, train, recipe)
    known = _batches(done, sample(train, KNOWN), train, recipe)
    correct = topk_correct(*predict(done.net, asked, precision=done.precision), 1)
    return Measured(_errors(done, train, asked, known), correct.numpy())


def _errors(done: Training, train: ImageSet, asked: Loader, known: Loader) -> dict[str, Metric]:
    """Running training errors, errors of the central crop, and the gap between the two splits."""
    running = {"train_error": _last_epoch(done), "first_epoch_error": _error_of_epoch(done, 1)}
    errors = top_errors(*predict(done.net, asked, precision=done.precision))
    again = top_errors(*predict(done.net, known, precision=done.precision))["top1"]
    return {
        **{name: _metric(value, "percent", "train", len(train)) for name, value in running.items()},
        **{name: _metric(value, "percent", "test", asked.count) for name, value in errors.items()},
        "top1_train": _metric(again, "percent", "train", known.count),
        "gap": _metric(errors["top1"] - again, "points", "both", known.count),
    }


MEASURES: dict[type, Callable[..., Measured]] = {
    CifarNetConfig: measure_cifar,
    LocallyConnectedConfig: measure_locally_connected,
    AlexNetConfig: measure_alexnet,
}


def _metric(value: float | None, unit: str, split: str, examples: int) -> Metric:
    return Metric(value=value, unit=unit, split=split, examples=examples)


def _batches(done: Training, split: ImageSet, train: ImageSet, recipe: Any) -> Loader:
    device = next(done.net.parameters()).device
    batches = batches_of(split, done.net, recipe, device, mean_of=train)
    assert isinstance(batches, Loader)
    return batches


def _is_finite(done: Training) -> bool:
    """Whether loss and weights are numbers after the last update."""
    weights = done.net.state_dict().values()
    return not done.diverged and all(bool(weight.isfinite().all()) for weight in weights)


def _last_epoch(done: Training) -> float:
    return _error_of_epoch(done, math.ceil(done.history[-1].epoch))


def _error_of_epoch(done: Training, epoch: int) -> float:
    return error_of_epoch(list(map(asdict, done.history)), epoch)


def _alexnet(done: Training) -> AlexNet:
    assert isinstance(done.net, AlexNet)
    return done.net


def sample(data: ImageSet, count: int) -> ImageSet:
    """At most `count` images of a split, evenly spread over it."""
    if len(data) <= count:
        return data
    index = np.linspace(0, len(data) - 1, count).round().astype(np.int64)
    return replace(
        data,
        meta=replace(data.meta, count=count),
        images=data.images[index],
        labels=data.labels[index],
    )


def _retrieval(done: Training, asked: Loader, known: Loader, seed: int) -> dict[str, float]:
    queries = sample_index(asked.count, QUERIES)
    labels = asked.labels.cpu()[queries], known.labels.cpu()
    net = _alexnet(done)
    of_asked, of_known = (
        features(net, split, precision=done.precision) for split in (asked, known)
    )
    seen = of_asked[queries], of_known
    codes = train_autoencoder(seen[1], seed)
    pairs = {
        "features": seen,
        "codes": (binary_codes(codes, seen[0]), binary_codes(codes, seen[1])),
        "pixels": (_pixels(asked, queries), _pixels(known, torch.arange(known.count))),
    }
    return {
        f"retrieval_{name}": retrieval_precision(sought, there, *labels)
        for name, (sought, there) in pairs.items()
    }


def sample_index(count: int, wanted: int) -> torch.Tensor:
    """At most `wanted` numbers below `count`, evenly spread."""
    return torch.linspace(0, count - 1, min(wanted, count)).round().long()


def _pixels(split: Loader, index: torch.Tensor) -> torch.Tensor:
    """Images' central squares as float32 rows [N, P]; sides above 64 pixels are reduced by four."""
    parts = []
    for part in torch.split(index, 250):  # ten thousand images of 256 pixels are 8 GB
        squares = split.crop(part.numpy()).permute(0, 3, 1, 2)
        if squares.shape[-1] > 64:
            squares = torch.nn.functional.avg_pool2d(squares, 4)
        parts.append(squares.flatten(1).cpu())
    return torch.cat(parts)


def kernels(net: AlexNet) -> NDArray[np.float32]:
    """conv1's kernels, float32 [maps, 3, S, S]: what Figure 3 shows."""
    weight: torch.Tensor = net.layers["conv1"].weight  # type: ignore[assignment]
    return weight.detach().cpu().float().numpy()


def examples_of(
    done: Training, train: ImageSet, test: ImageSet, recipe: AlexNetRecipe
) -> dict[str, bytes]:
    """A record's files for Figure 4; none if the network's last update left it without numbers.

    Test images are evenly spread over the split; their neighbours are sought where `measure` seeks
    them, in central crops.
    """
    net = _alexnet(done)
    shown, stored = sample(test, SHOWN), sample(train, KNOWN)
    asked, known = (_batches(done, split, train, recipe) for split in (shown, stored))
    best = predict(net, asked, crops=10, precision=done.precision)[0].topk(BEST)
    if not best.values.isfinite().all():
        return {}
    seen = [features(net, split, precision=done.precision) for split in (asked, known)]
    pixels = [_pixels(split, torch.arange(split.count)) for split in (asked, known)]
    near = [
        torch.cdist(one, other).topk(NEAREST, largest=False).indices.numpy()
        for one, other in (seen, pixels)
    ]
    names, found, pictures = class_names(test.meta), [], []
    for k, label in enumerate(shown.labels):
        guesses = zip(best.indices[k].tolist(), best.values[k].tolist(), strict=True)
        alike = [tuple(names[own] for own in stored.labels[index[k]]) for index in near]
        likely = tuple(
            Guess(name=names[own], probability=round(share, 4)) for own, share in guesses
        )
        found.append(
            Example(label=names[label], best=likely, by_features=alike[0], by_pixels=alike[1])
        )
        pictures.append(
            thumbnails(
                np.concatenate(
                    [shown.images[k : k + 1], *(stored.images[index[k]] for index in near)]
                )
            )
        )
    return example_files(
        Examples(views=10, among=len(stored), images=tuple(found)), np.stack(pictures)
    )
