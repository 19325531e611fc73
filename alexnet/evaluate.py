"""What a trained network is asked: errors in one view and in ten, features, first kernels, averages of several networks."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.augment import Views
from alexnet.model import AlexNet
from alexnet.parallel import place
from alexnet.precision import image_type


@torch.no_grad()
def probabilities(net: AlexNet, split: Views, *, views: int, precision: str, batch_size: int = 250) -> Tensor:
    """Class probabilities of every image of a split in stored order, averaged over 1 or 10 views (§4.1): float32 [N, classes], CPU.

    Where several processes evaluate together, each computes its own images and all get the whole: every image counts once.
    """
    net.eval()
    rank, world = place()
    found = torch.zeros(split.count, net.config.classes, device=split.device)
    for index, squares in split.in_order(batch_size, views, rank, world, image_type(precision)):
        with torch.autocast(split.device.type, torch.bfloat16, enabled=precision == "bf16"):
            scores = [net(square) for square in squares]
        average = sum(score.float().softmax(1) for score in scores) / len(scores)
        found[torch.from_numpy(index).to(split.device)] = average
    if world > 1:
        dist.all_reduce(found)  # each image's row is zero everywhere but in the process that computed it
    return found.cpu()


def topk_credit(scores: Tensor, labels: Tensor, k: int) -> Tensor:
    """For every image, how much of its label is among the k best classes: float64 [N], 1 or 0 where no class ties with it.

    Equal scores share what is left as in the 2012 code: of e classes that tie for s free places, each has min(1, s / e).
    """
    own = scores.gather(1, labels[:, None])
    better = (~(scores <= own)).sum(1)  # what is not a number counts as better: a network that diverged is right nowhere
    equal = (scores == own).sum(1).clamp(min=1)
    return ((k - better).double() / equal).clamp(0, 1)


def errors(scores: Tensor, labels: Tensor) -> dict[str, float]:
    """Top-1 and top-5 error in percent."""
    return {f"top{k}": 100 * (1 - topk_credit(scores, labels, k).mean().item()) for k in (1, 5)}


def ensemble(members: Sequence[Tensor]) -> Tensor:
    """The average of several networks' probabilities [N, classes], all with the same weight (Table 2: "5 CNNs", "7 CNNs")."""
    return torch.stack(list(members)).mean(0)


@torch.no_grad()
def features(net: AlexNet, split: Views, *, precision: str, count: int | None = None, batch_size: int = 250) -> Tensor:
    """The last hidden layer (fc7) of the first `count` images' central view: float32 [count, 4096] on the CPU (§6.1)."""
    net.eval()
    rows, wanted = [], split.count if count is None else min(count, split.count)
    for start in range(0, wanted, batch_size):
        images = split.crop(np.arange(start, min(start + batch_size, wanted)), None, None).permute(0, 3, 1, 2)
        with torch.autocast(split.device.type, torch.bfloat16, enabled=precision == "bf16"):
            rows.append(net.hidden(images).float().cpu())
    return torch.cat(rows)


def retrieval_precision(queries: Tensor, stored: Tensor, query_labels: Tensor, stored_labels: Tensor, k: int = 6) -> float:
    """Share in percent of the k nearest stored rows (Euclidean) that have the query's label; Figure 4 shows k = 6."""
    right = 0
    squares = stored.square().sum(1)
    for start in range(0, len(queries), 500):
        part = queries[start : start + 500]
        distance = squares - 2 * part @ stored.T  # up to the query's own square, the same for all
        nearest = distance.topk(k, largest=False).indices
        right += int((stored_labels[nearest] == query_labels[start : start + 500, None]).sum())
    return 100 * right / (k * len(queries))


def colour_share(kernels: Tensor) -> Tensor:
    """How much of each kernel's energy is colour: [maps] in 0–1, for kernels [maps, 3, S, S] (Figure 3).

    The energy that is left when the mean over R, G and B is taken away, over the whole energy. A grey kernel has 0.
    """
    grey = kernels.mean(1, keepdim=True)
    return (kernels - grey).square().sum((1, 2, 3)) / kernels.square().sum((1, 2, 3))


def column_colour(net: AlexNet) -> NDArray[np.float64]:
    """Mean colour share of conv1's kernels in each half of its maps, first half first: float64 [2].

    In a two-column network the halves are the columns of Figure 3; in a network of one column they are an arbitrary cut.
    """
    shares = colour_share(net.layers["conv1"].weight.detach().double().cpu())  # type: ignore[operator]
    return np.array([half.mean().item() for half in shares.chunk(2)])
