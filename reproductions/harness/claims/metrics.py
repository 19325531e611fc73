"""The metrics that a question may name: one function each, listed in METRICS. Imports no torch.

A function takes a trained network, `Trained` of execute/trained.py, or `Average` of
execute/tasks.py. These compute once what several metrics read.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reproductions.harness.rule.curves import epochs_to


@dataclass(frozen=True)
class MetricSpec:
    """A metric: the function that gives its number, and what the number is of.

    The function's name is the metric's name, its docstring the description.
    """

    measure: Callable[[Any], float | None]
    unit: str = "percent"
    split: str = "test"
    over: str = "test"  # what it is counted over; see `Trained.count`
    group: str = "errors"  # of alexnet.version.METRICS
    may_lack: bool = False  # None is a result

    @property
    def name(self) -> str:
        """What questions call it."""
        return self.measure.__name__

    @property
    def description(self) -> str:
        """What it is, in one line."""
        return (self.measure.__doc__ or "").partition("\n")[0]


def top1(net: Any) -> float:
    """Top-1 error on the test images, central crop."""
    return float(net.errors["top1"])


def top5(net: Any) -> float:
    """Top-5 error on the test images, central crop."""
    return float(net.errors["top5"])


def top1_ten(net: Any) -> float:
    """Top-1 error on the test images, ten crops averaged."""
    return float(net.ten_crop_errors["top1"])


def top5_ten(net: Any) -> float:
    """Top-5 error on the test images, ten crops averaged."""
    return float(net.ten_crop_errors["top5"])


def top1_ten_member(average: Any) -> float:
    """Mean top-1 error of the networks that an average is made of, ten crops."""
    return statistics.fmean(errors["top1"] for errors in average.member_errors)


def top5_ten_member(average: Any) -> float:
    """Mean top-5 error of the networks that an average is made of, ten crops."""
    return statistics.fmean(errors["top5"] for errors in average.member_errors)


def top1_train(net: Any) -> float:
    """Top-1 error on training images, central crop, without dropout."""
    return float(net.known_errors["top1"])


def gap(net: Any) -> float:
    """Top-1 error on the test images minus that on training images, central crop."""
    return top1(net) - top1_train(net)


def train_error(net: Any) -> float:
    """Running training error of the last epoch, or of the last row where a target ends the run."""
    return float(net.last_row.train_error if net.alone else net.error_of_epoch(net.last_epoch))


def first_epoch_error(net: Any) -> float:
    """Running training error of the first epoch."""
    return float(net.error_of_epoch(1))


def epochs_to_target(net: Any) -> float | None:
    """Epochs at which the running training error first falls to the recipe's target."""
    return epochs_to(net.target_curve, net.recipe.target_train_error)


def test_error(net: Any) -> float:
    """Error on the test images at the end."""
    return 100 * float(1 - net.best_is_label.mean())


def colour_gap(net: Any) -> float:
    """Difference of the colour fraction between the two halves of conv1's kernels."""
    first, second = net.colour_fractions
    return 100 * abs(float(first - second))


def colour_gap_by_chance(net: Any) -> float:
    """The same difference between two random halves of the kernels, on average."""
    return 100 * float(net.colour_gaps_by_chance.mean())


def colour_gap_p(net: Any) -> float:
    """Share of random halves whose colours are at least as far apart as those of the columns."""
    gaps = net.colour_gaps_by_chance
    return 100 * float((gaps >= colour_gap(net) / 100 - 1e-12).mean())


def orientation(net: Any) -> float:
    """How far the energy of conv1's kernels lies in one orientation each, on average."""
    return 100 * float(net.orientations.mean())


def orientation_at_start(net: Any) -> float:
    """The same of the initial kernels."""
    return 100 * float(net.orientations_at_start.mean())


def pixel_rank_features(net: Any) -> float:
    """Rank in pixel distance of the six nearest training images by fc7: 50 % is the middle."""
    return float(net.pixel_rank(net.features))


def pixel_rank_pixels(net: Any) -> float:
    """The same of the six nearest by pixels."""
    return float(net.pixel_rank(net.pixels))


def retrieval_pixels(net: Any) -> float:
    """Share of the six nearest training images of the same class, by pixels."""
    return float(net.same_class(net.pixels))


def retrieval_features(net: Any) -> float:
    """Share of the six nearest training images of the same class, by fc7."""
    return float(net.same_class(net.features))


def retrieval_pixel_codes(net: Any) -> float:
    """Share of the six nearest training images of the same class, by binary codes of pixels."""
    return float(net.same_class(net.pixel_codes))


def retrieval_codes(net: Any) -> float:
    """Share of the six nearest training images of the same class, by binary codes of fc7."""
    return float(net.same_class(net.codes))


OF_AVERAGES = {
    spec.name: spec
    for spec in map(MetricSpec, (top1_ten, top5_ten, top1_ten_member, top5_ten_member))
}
OF_NETWORKS = {
    spec.name: spec
    for spec in (
        *map(MetricSpec, (top1, top5, top1_ten, top5_ten, test_error)),
        MetricSpec(top1_train, split="train", over="known"),
        MetricSpec(gap, "points", "both", over="known"),
        MetricSpec(train_error, split="train", over="train"),
        MetricSpec(first_epoch_error, split="train", over="train"),
        MetricSpec(epochs_to_target, "epochs", "train", over="train", may_lack=True),
        MetricSpec(colour_gap, "points", "none", over="kernels", group="colour"),
        MetricSpec(colour_gap_by_chance, "points", "none", over="kernels", group="colour"),
        MetricSpec(colour_gap_p, "percent", "none", over="kernels", group="colour"),
        MetricSpec(orientation, "percent", "none", over="kernels", group="orientation"),
        MetricSpec(orientation_at_start, "percent", "none", over="kernels", group="orientation"),
        MetricSpec(pixel_rank_features, over="queries", group="retrieval"),
        MetricSpec(pixel_rank_pixels, over="queries", group="retrieval"),
        MetricSpec(retrieval_pixels, over="queries", group="retrieval"),
        MetricSpec(retrieval_features, over="queries", group="retrieval"),
        MetricSpec(retrieval_codes, over="queries", group="codes"),
        MetricSpec(retrieval_pixel_codes, over="queries", group="codes"),
    )
}
METRICS = OF_AVERAGES | OF_NETWORKS
