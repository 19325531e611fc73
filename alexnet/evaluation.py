"""What a trained network is asked: errors of one crop and of ten, features, conv1's colours."""

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from alexnet.config import Recipe, TrainingRecipe
from alexnet.data.loader import Batches, Images, Loader, LoaderBatches, batches_of
from alexnet.distributed import rank_and_world_size
from alexnet.models import AlexNet
from alexnet.precision import batch_loss, check_outputs, check_precision, image_type

BATCH = 250  # images that are asked at once


def evaluate(
    net: nn.Module,
    images: Images,
    *,
    mean_of: Images,
    recipe: TrainingRecipe | None = None,
    crops: int = 1,
    precision: str = "fp32",
) -> dict[str, float]:
    """Top-1 and top-5 error in percent, of the central crop or of ten averaged (§4.1).

    `mean_of` are the training images, whose mean is subtracted; `recipe` says how stored images
    are resized or standardised, if they are. The network computes where it is, and is left in the
    modes that its modules were in. Raises ValueError as `train` does, and for ten crops of a
    DataLoader.
    """
    device = next(net.parameters()).device
    recipe = recipe or Recipe(learning_rate=0.0)
    batches = batches_of(images, net, recipe, device, mean_of=mean_of)
    modes = [(module, module.training) for module in net.modules()]
    try:
        return top_errors(*predict(net, batches, crops=crops, precision=precision))
    finally:
        for module, training in modes:
            module.training = training


@torch.no_grad()
def predict(
    net: nn.Module, batches: Batches, *, crops: int = 1, precision: str = "fp32"
) -> tuple[Tensor, Tensor]:
    """Class probabilities float32 [N, classes], averaged over 1 or 10 crops, and labels; CPU.

    Images are in stored order. Where several processes evaluate together, each computes its own
    images and all get the whole: every image counts once. The network is in evaluation mode
    afterwards.
    """
    check_precision(precision)
    if crops not in (1, 10):
        raise ValueError(f"one crop of an image is evaluated or ten, not {crops}")
    net.eval()
    if isinstance(batches, LoaderBatches):
        return _predict_loader(net, batches, crops, precision)
    rank, world_size = rank_and_world_size()
    found: Tensor | None = None
    dtype = image_type(precision)
    for index, squares in batches.in_order(BATCH, crops, rank, world_size, dtype):
        probabilities = [_probabilities(net, square, precision) for square in squares]
        average: Tensor = sum(probabilities) / len(probabilities)  # type: ignore[assignment]
        if found is None:
            found = torch.zeros(batches.count, average.shape[1], device=batches.device)
        found[torch.from_numpy(index).to(batches.device)] = average
    assert found is not None
    if world_size > 1:
        dist.all_reduce(found)  # a row is zero everywhere but in the process that computed it
    return found.cpu(), batches.labels.cpu()


def _predict_loader(
    net: nn.Module, batches: LoaderBatches, crops: int, precision: str
) -> tuple[Tensor, Tensor]:
    if crops != 1:
        raise ValueError("ten crops of an image need an ImageSet, not a DataLoader")
    pairs = [(_probabilities(net, images, precision), own) for images, own in batches.epoch()]
    probabilities, labels = zip(*pairs, strict=True)
    return torch.cat(probabilities).cpu(), torch.cat(labels).cpu()


def _probabilities(net: nn.Module, images: Tensor, precision: str) -> Tensor:
    with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16"):
        scores: Tensor = net(images)
    return scores.float().softmax(1)


def topk_correct(scores: Tensor, labels: Tensor, k: int) -> Tensor:
    """For every image, whether its label is among the k best classes: float64 [N], 1, 0 or between.

    Where classes tie, they share what is left, as in the 2012 code: of e equal classes for s free
    places, each has min(1, s / e).
    """
    own = scores.gather(1, labels[:, None])
    better = (~(scores <= own)).sum(1)  # NaN counts as better: a diverged network is right nowhere
    equal = (scores == own).sum(1).clamp(min=1)
    return ((k - better).double() / equal).clamp(0, 1)


def top_errors(scores: Tensor, labels: Tensor) -> dict[str, float]:
    """Top-1 and top-5 error in percent. Raises ValueError if there are too few scores."""
    check_outputs(scores, labels)
    return {f"top{k}": 100 * (1 - topk_correct(scores, labels, k).mean().item()) for k in (1, 5)}


@torch.no_grad()
def argmax_correct(net: nn.Module, batches: Loader, precision: str) -> Tensor:
    """For every image in stored order, whether its best class is its label: bool [N] on the CPU."""
    correct = []
    for index, (images,) in batches.in_order(500, dtype=batches.dtype):
        labels = batches.labels[torch.from_numpy(index).to(batches.device)]
        correct.append(batch_loss(net, images, labels, precision)[1].argmax(1) == labels)
    return torch.cat(correct).cpu()


@torch.no_grad()
def features(net: AlexNet, batches: Loader, *, precision: str, count: int | None = None) -> Tensor:
    """fc7's output for the central crop of `count` images: float32 [count, 4096], CPU (§6.1)."""
    net.eval()
    rows, wanted = [], batches.count if count is None else min(count, batches.count)
    for start in range(0, wanted, BATCH):
        images = batches.crop(np.arange(start, min(start + BATCH, wanted))).permute(0, 3, 1, 2)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16"):
            rows.append(net.features(images).float().cpu())
    return torch.cat(rows)


def retrieval_precision(
    queries: Tensor, stored: Tensor, query_labels: Tensor, stored_labels: Tensor, k: int = 6
) -> float:
    """Percent of the k nearest stored rows (Euclidean) with the query's label (Figure 4)."""
    right = 0
    for start in range(0, len(queries), 500):
        nearest = _squared(queries[start : start + 500], stored).topk(k, largest=False).indices
        labels = query_labels[start : start + 500, None]
        right += int((stored_labels[nearest] == labels).sum())
    return 100 * right / (k * len(queries))


def distance_rank(
    queries: Tensor, stored: Tensor, queries_there: Tensor, stored_there: Tensor, k: int = 6
) -> float:
    """Where the k nearest stored rows of one space rank by their distance in another, percent.

    Distances are Euclidean; rows are the same in both spaces. 0 is the nearest of all, 50 the
    middle (§6.1: images that fc7 finds alike "are generally not close in L2").
    """
    total = 0.0
    for start in range(0, len(queries), 500):
        part = slice(start, start + 500)
        nearest = _squared(queries[part], stored).topk(k, largest=False).indices
        there = _squared(queries_there[part], stored_there)
        total += float(there.argsort(1).argsort(1).gather(1, nearest).double().sum())
    return 100 * total / (k * len(queries) * (len(stored) - 1))


def _squared(queries: Tensor, stored: Tensor) -> Tensor:
    """Squared distances up to the query's own square, the same for all stored rows."""
    return stored.square().sum(1) - 2 * queries @ stored.T


def color_energy_fraction(kernels: Tensor) -> Tensor:
    """How much of each kernel's energy is colour: [maps] in 0–1, of [maps, 3, S, S] (Figure 3).

    The energy that is left when the mean over R, G and B is subtracted, over the whole energy.
    A grey kernel has 0.
    """
    grey = kernels.mean(1, keepdim=True)
    return (kernels - grey).square().sum((1, 2, 3)) / kernels.square().sum((1, 2, 3))


def column_color(net: AlexNet) -> NDArray[np.float64]:
    """Mean colour fraction of conv1's kernels in each half of its maps: float64 [2] (Figure 3).

    In a two-column network the halves are the columns of Figure 3; in a network of one column
    they are an arbitrary cut.
    """
    weight: Tensor = net.layers["conv1"].weight  # type: ignore[assignment]
    fractions = color_energy_fraction(weight.detach().double().cpu())
    return np.array([half.mean().item() for half in fractions.chunk(2)])
