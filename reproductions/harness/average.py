"""What is measured of the average of several networks (§6, Table 2): its errors, and those of its networks on their own."""

import statistics
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from alexnet.config import AlexNetRecipe
from alexnet.data.augment import Views
from alexnet.data.imageset import ImageSet
from alexnet.evaluate import ensemble, errors, probabilities, topk_credit
from alexnet.model import AlexNet
from reproductions.harness.record import Metric


def average(
    nets: Iterable[tuple[AlexNet, AlexNetRecipe, str]], train: ImageSet, test: ImageSet
) -> tuple[dict[str, Metric], NDArray[np.float64]]:
    """Errors of the average of networks' probabilities in ten views, all of the same weight, and each image's credit in them.

    A network comes with its recipe and the precision that it was trained in, on the device that it is to run on. top1_ten and
    top5_ten are errors of the average on the test split, top1_ten_member and top5_ten_member the means of its networks' own.
    """
    found: list[Tensor] = []
    for net, recipe, precision in nets:
        views = Views(test, train, net.config.image_size, recipe, next(net.parameters()).device)
        found.append(probabilities(net, views, views=10, precision=precision))
        labels = views.labels.cpu()
    whole, single = ensemble(found), [errors(each, labels) for each in found]
    values = {f"{name}_ten": value for name, value in errors(whole, labels).items()}
    values |= {f"{name}_ten_member": statistics.fmean(each[name] for each in single) for name in single[0]}
    metrics = {name: Metric(value=value, unit="percent", split="test", examples=len(test)) for name, value in values.items()}
    return metrics, topk_credit(whole, labels, 1).numpy()
