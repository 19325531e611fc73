"""From an ImageSet to batches on the training device; the order of the images depends on the seed and the epoch alone."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.imageset import ImageSet
from alexnet.data.render import Chosen, render


def epoch_order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """A permutation of `count` images, a pure function of (seed, epoch): a resumed run sees the order it would have seen."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(count)


class Batches:
    """One split on a device, handed out as (images, labels): `dtype` [B, 3, H, W] in channels-last memory, int64 [B].

    Pixels stay uint8 until they are in a batch; there the mean image is subtracted and, where `scale` is not 1, the result is
    multiplied by it. `mean_image` [H, W, 3] is the training split's for every split.
    """

    def __init__(self, data: ImageSet, mean_image: NDArray[np.float32], scale: float, device: torch.device) -> None:
        self.count = len(data)
        self.scale = scale
        self.device = device
        self.dtype = torch.float32  # of the images; bf16 once it is known that the network rounds them to that anyway
        self.images = torch.from_numpy(data.images).to(device)
        self.labels = torch.from_numpy(data.labels).to(device)
        self.mean = torch.from_numpy(mean_image).to(device)

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The images and labels at `index`, int64 [B] on the device."""
        whole = Chosen(index, index.new_zeros(len(index), 2), torch.zeros_like(index, dtype=torch.bool))
        images = render(self.images, self.mean, whole, factor=self.scale, dtype=self.dtype)
        return images.permute(0, 3, 1, 2), self.labels[index]

    def epoch(self, seed: int, epoch: int, batch_size: int, skip: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once in the order of (seed, epoch), the last batch smaller; `skip` leaves out the first batches."""
        order = torch.from_numpy(epoch_order(self.count, seed, epoch)).to(self.device)
        for start in range(skip * batch_size, self.count, batch_size):
            yield self.take(order[start : start + batch_size])

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once as stored."""
        for start in range(0, self.count, batch_size):
            yield self.take(torch.arange(start, min(start + batch_size, self.count), device=self.device))
