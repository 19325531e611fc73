"""Several processes training one network: who this one is, and what it takes for them to compute what one would.

Started by torchrun or by a Slurm step with `torch.distributed` initialised; without that every function here does nothing.
"""

from dataclasses import replace
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


def place() -> tuple[int, int]:
    """(rank, number) of this process among those that train together; (0, 1) where it trains alone."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def told(word: T) -> T:
    """What the first process says, in all of them."""
    if place()[1] == 1:
        return word
    said = [word]
    dist.broadcast_object_list(said)
    return said[0]


class Sharded(nn.Module):
    """A network whose gradients are averaged over all processes, each image of the whole batch counting once.

    DistributedDataParallel weighs every process alike; `share`, set before each batch to (processes × images here / images of
    the whole batch), makes up for those with fewer images.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.inner = DistributedDataParallel(net)
        self.share = 1.0

    def forward(self, images: Tensor) -> Tensor:
        """Class scores of this process's images, as `net` has them."""
        scores: Tensor = self.inner(images)
        if scores.requires_grad:
            scores.register_hook(lambda gradient: gradient * self.share)  # type: ignore[no-untyped-call]
        return scores


def total(row: Any, device: torch.device) -> Any:
    """A row of history over the images of all processes."""
    if place()[1] == 1:
        return row
    sums = torch.tensor([row.images, row.train_loss * row.images, row.train_error * row.images], dtype=torch.float64, device=device)
    dist.all_reduce(sums)
    images, loss, error = sums.tolist()
    return replace(row, images=int(images), train_loss=loss / images, train_error=error / images)
