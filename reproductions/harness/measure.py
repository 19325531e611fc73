"""What is measured of a trained network, the same for every variant, so that one run serves all claims."""

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet.codes import binary_codes, learn_codes
from alexnet.config import AlexNetRecipe
from alexnet.data.augment import Views
from alexnet.data.imageset import ImageSet
from alexnet.evaluate import column_colour, errors, features, probabilities, retrieval_precision, topk_credit
from alexnet.train import AlexNetRun
from alexnet.train_local import LocalRun, local_probabilities, views_of
from reproductions.harness.evidence import error_of_epoch
from reproductions.harness.examples import BEST, NEAREST, SHOWN, Example, Examples, Guess, class_names, example_files, thumbnails
from reproductions.harness.record import Metric

KNOWN = 10_000  # training images that are asked again after training, and among which neighbours are sought
QUERIES = 2_000  # test images whose neighbours are sought


def measure(run: AlexNetRun, train: ImageSet, test: ImageSet, recipe: AlexNetRecipe, seed: int) -> tuple[dict[str, Metric], Any]:
    """All metrics of a run that did not diverge, and for every test image its credit (`topk_credit`) in ten views.

    top1, top5 and their ten-view forms are errors on the test split; top1_train is the central view of training images, and gap
    what top1 exceeds it by; train_error and first_epoch_error are running errors of the last and first epoch; colour_gap is how far
    conv1's two halves differ in their share of colour; retrieval_* is the share of the six nearest training images that have the
    label of a test image, by pixels, by fc7 and by binary codes of fc7.
    """
    device = next(run.net.parameters()).device
    size = run.net.config.image_size
    asked, known = (Views(split, train, size, recipe, device) for split in (test, sample(train, KNOWN)))
    rows = list(map(asdict, run.history))
    found = {"train_error": error_of_epoch(rows, math.ceil(rows[-1]["epoch"])), "first_epoch_error": error_of_epoch(rows, 1)}
    metrics = {name: Metric(value=value, unit="percent", split="train", examples=len(train)) for name, value in found.items()}

    def add(split: str, examples: int, values: dict[str, float], unit: str = "percent") -> None:
        metrics.update({k: Metric(value=v, unit=unit, split=split, examples=examples) for k, v in values.items()})

    labels = asked.labels.cpu()
    centre = errors(probabilities(run.net, asked, views=1, precision=run.precision), labels)
    ten = probabilities(run.net, asked, views=10, precision=run.precision)
    add("test", len(test), {**centre, **{f"{name}_ten": value for name, value in errors(ten, labels).items()}})
    again = errors(probabilities(run.net, known, views=1, precision=run.precision), known.labels.cpu())["top1"]
    add("train", known.count, {"top1_train": again})
    add("both", known.count, {"gap": centre["top1"] - again}, "points")
    add("test", min(QUERIES, asked.count), _retrieval(run, asked, known, seed))
    halves = column_colour(run.net)
    add("none", run.net.specs["conv1"].outputs, {"colour_gap": 100 * abs(float(halves[0] - halves[1]))}, "points")
    return metrics, topk_credit(ten, labels, 1).numpy()


def sample(data: ImageSet, count: int) -> ImageSet:
    """At most `count` images of a split, evenly spread over it."""
    if len(data) <= count:
        return data
    index = np.linspace(0, len(data) - 1, count).round().astype(np.int64)
    return replace(data, meta=replace(data.meta, count=count), images=data.images[index], labels=data.labels[index])


def _retrieval(run: AlexNetRun, asked: Views, known: Views, seed: int) -> dict[str, float]:
    queries = sample_index(asked.count, QUERIES)
    labels = asked.labels.cpu()[queries], known.labels.cpu()
    seen = features(run.net, asked, precision=run.precision)[queries], features(run.net, known, precision=run.precision)
    codes = learn_codes(seen[1], seed)
    pairs = {
        "features": seen,
        "codes": (binary_codes(codes, seen[0]), binary_codes(codes, seen[1])),
        "pixels": (_pixels(asked, queries), _pixels(known, torch.arange(known.count))),
    }
    return {f"retrieval_{name}": retrieval_precision(sought, there, *labels) for name, (sought, there) in pairs.items()}


def sample_index(count: int, wanted: int) -> torch.Tensor:
    """At most `wanted` numbers below `count`, evenly spread."""
    return torch.linspace(0, count - 1, min(wanted, count)).round().long()


def _pixels(split: Views, index: torch.Tensor) -> torch.Tensor:
    """The central squares of images, one row each, at a quarter of the side where that is above 64 pixels: float32 [N, P]."""
    parts = []
    for part in torch.split(index, 250):  # ten thousand images of 256 pixels are 8 GB
        squares = split.crop(part.numpy(), None, None).permute(0, 3, 1, 2)
        if squares.shape[-1] > 64:
            squares = torch.nn.functional.avg_pool2d(squares, 4)
        parts.append(squares.flatten(1).cpu())
    return torch.cat(parts)


def kernels(run: AlexNetRun) -> NDArray[np.float32]:
    """conv1's kernels, float32 [maps, 3, S, S]: what Figure 3 shows."""
    weight: torch.Tensor = run.net.layers["conv1"].weight  # type: ignore[assignment]
    return weight.detach().cpu().float().numpy()


def examples_of(run: AlexNetRun, train: ImageSet, test: ImageSet, recipe: AlexNetRecipe) -> dict[str, bytes]:
    """The files of a record that Figure 4's picture is drawn from; none of a network whose last update left it without numbers.

    Test images are evenly spread over the split; their neighbours are sought where `measure` seeks them, in central views.
    """
    device = next(run.net.parameters()).device
    shown, stored = sample(test, SHOWN), sample(train, KNOWN)
    asked, known = (Views(split, train, run.net.config.image_size, recipe, device) for split in (shown, stored))
    best = probabilities(run.net, asked, views=10, precision=run.precision).topk(BEST)
    if not best.values.isfinite().all():
        return {}
    seen = [features(run.net, split, precision=run.precision) for split in (asked, known)]
    pixels = [_pixels(split, torch.arange(split.count)) for split in (asked, known)]
    near = [torch.cdist(one, other).topk(NEAREST, largest=False).indices.numpy() for one, other in (seen, pixels)]
    names, found, pictures = class_names(test.meta), [], []
    for k, label in enumerate(shown.labels):
        guesses = zip(best.indices[k].tolist(), best.values[k].tolist(), strict=True)
        alike = [tuple(names[own] for own in stored.labels[index[k]]) for index in near]
        likely = tuple(Guess(name=names[own], probability=round(share, 4)) for own, share in guesses)
        found.append(Example(label=names[label], best=likely, by_features=alike[0], by_pixels=alike[1]))
        pictures.append(thumbnails(np.concatenate([shown.images[k : k + 1], *(stored.images[index[k]] for index in near)])))
    return example_files(Examples(views=10, among=len(stored), images=tuple(found)), np.stack(pictures))


def measure_local(run: LocalRun, train: ImageSet, test: ImageSet) -> tuple[dict[str, Metric], NDArray[np.float64]]:
    """Metrics of a net of locally connected layers, and for every test image its credit in ten views.

    top1 and top1_ten are errors on the test split, of the central view and of ten views; train_error is the running error of the
    last epoch.
    """
    asked = views_of(run.net.config, test, train, next(run.net.parameters()).device)
    labels = asked.labels.cpu()
    centre, ten = (local_probabilities(run, asked, views) for views in (1, 10))
    found = {"top1": errors(centre, labels)["top1"], "top1_ten": errors(ten, labels)["top1"]}
    metrics = {name: Metric(value=value, unit="percent", split="test", examples=len(test)) for name, value in found.items()}
    rows = list(map(asdict, run.history))
    last = error_of_epoch(rows, math.ceil(rows[-1]["epoch"]))
    metrics["train_error"] = Metric(value=last, unit="percent", split="train", examples=len(train))
    return metrics, topk_credit(ten, labels, 1).numpy()
