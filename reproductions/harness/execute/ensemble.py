"""Metrics of an average of several networks (§6, Table 2): its errors and its members'."""

import statistics
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from alexnet.config import AlexNetRecipe
from alexnet.data.batches import batches_of
from alexnet.data.imageset import ImageSet
from alexnet.evaluation import mean_probabilities, predict, top_errors, topk_correct
from alexnet.models import AlexNet
from reproductions.harness.records.schema import Metric


def average(
    nets: Iterable[tuple[AlexNet, AlexNetRecipe, str]], train: ImageSet, test: ImageSet
) -> tuple[dict[str, Metric], NDArray[np.float64]]:
    """Errors of the equally weighted average of ten-crop probabilities, and each image's credit.

    A network comes with its recipe and the precision that it was trained in, on the device that it
    is to run on. top1_ten and top5_ten are errors of the average on the test split, top1_ten_member
    and top5_ten_member the means of its networks' own.
    """
    found: list[Tensor] = []
    for net, recipe, precision in nets:
        batches = batches_of(test, net, recipe, next(net.parameters()).device, mean_of=train)
        probabilities, labels = predict(net, batches, crops=10, precision=precision)
        found.append(probabilities)
    whole, single = mean_probabilities(found), [top_errors(each, labels) for each in found]
    values = {f"{name}_ten": value for name, value in top_errors(whole, labels).items()}
    values |= {
        f"{name}_ten_member": statistics.fmean(each[name] for each in single) for name in single[0]
    }
    metrics = {
        name: Metric(value=value, unit="percent", split="test", examples=len(test))
        for name, value in values.items()
    }
    return metrics, topk_correct(whole, labels, 1).numpy()
