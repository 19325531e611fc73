"""Several processes that train one network, started by torchrun or by a Slurm step.

Without an initialised `torch.distributed` every function here does nothing.
"""

from dataclasses import replace
from typing import Any, TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


def rank_and_world_size() -> tuple[int, int]:
    """Rank of this process and number of those that train together; (0, 1) if it is alone."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def broadcast(value: T) -> T:
    """The first process's value, in all of them."""
    if rank_and_world_size()[1] == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


def all_reduce_row(row: Any, device: torch.device) -> Any:
    """A row of history over the images of all processes."""
    if rank_and_world_size()[1] == 1:
        return row
    weighted = [row.images, row.train_loss * row.images, row.train_error * row.images]
    sums = torch.tensor(weighted, dtype=torch.float64, device=device)
    dist.all_reduce(sums)
    images, loss, error = sums.tolist()
    return replace(row, images=int(images), train_loss=loss / images, train_error=error / images)
