"""Metrics of an average of several networks (§6, Table 2): its errors and its members'."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from alexnet.config import AlexNetRecipe
from alexnet.data.batches import batches_of
from alexnet.data.imageset import ImageSet
from alexnet.evaluation import mean_probabilities, predict, top_errors, topk_correct
from alexnet.models import AlexNet
from reproductions.harness.claims.metrics import OF_AVERAGES
from reproductions.harness.records.schema import Metric


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
    whole = mean_probabilities(found)
    asked = Average(top_errors(whole, labels), [top_errors(each, labels) for each in found])
    metrics = {
        name: Metric(
            value=spec.measure(asked), unit=spec.unit, split=spec.split, examples=len(test)
        )
        for name, spec in OF_AVERAGES.items()
    }
    return metrics, topk_correct(whole, labels, 1).numpy()
