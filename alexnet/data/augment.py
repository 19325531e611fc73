"""What training sees of an image (§4.1): a random square of it, perhaps mirrored, under another light; and the ten views of a test.

Every draw is a function of (seed, epoch, image): a resumed run sees what it would have seen, on any number of processes.
Whole batches are cropped, mirrored and coloured at once on the device that trains.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.config import AlexNetRecipe
from alexnet.data.batches import epoch_order
from alexnet.data.imageset import ImageSet
from alexnet.data.render import Chosen, check_index, render

DRAWS = 1 << 32  # epochs' draws have keys above those of the epochs' orders
# Which of its two directions each principal axis of RGB has, from the least variance to the most:
# from green to blue, from red to blue, from light to dark. LAPACK promises neither of the two.
AXIS_DIRECTIONS = ((0, -1, 1), (-1, 0, 1), (-1, -1, -1))


@dataclass(frozen=True)
class Draws:
    """One epoch's random choices for every image of a split."""

    corners: NDArray[np.int64]  # [N, 2]: top and left of the crop
    mirrored: NDArray[np.bool_]  # [N]
    light: NDArray[np.float32]  # [N, 3]: standard normal, one per principal axis


def draw(count: int, positions: int, seed: int, epoch: int) -> Draws:
    """The draws of an epoch: corners uniform on 0, ..., positions − 1 in both directions, mirrored with probability ½."""
    rng = np.random.Generator(np.random.Philox(key=[seed, DRAWS + epoch]))
    return Draws(rng.integers(0, positions, (count, 2)), rng.random(count) < 0.5, rng.standard_normal((count, 3), dtype=np.float32))


def principal_light(covariance: NDArray[np.float64], kind: str) -> NDArray[np.float32]:
    """[3, 3]: row i is what a draw of 1 on principal axis i adds to R, G and B, in grey levels before `noise_sd`.

    `deviation` scales the eigenvectors by the standard deviations, as the 2012 code did; `eigenvalue` by the variances, as §4.1
    is printed: on ImageNet ±1,483 grey levels, which leaves nothing of the image.
    """
    variances, vectors = np.linalg.eigh(covariance)
    vectors = np.where((vectors * np.transpose(AXIS_DIRECTIONS)).sum(0) < 0, -vectors, vectors)
    sizes = np.sqrt(np.maximum(variances, 0)) if kind == "deviation" else variances
    return np.asarray((vectors * sizes).T, dtype=np.float32)


def light_shift(light: Tensor, axes: Tensor, sd: float) -> Tensor:
    """What `light` [B, 3] adds to R, G and B of each image, `axes` being of `principal_light`: float32 [B, 3].

    Each image's from its own numbers, one rounding per operation: a product of matrices rounds by
    the number of its rows, so that processes which share a batch would see other images.
    """
    first, second, third = (light[:, k : k + 1] * axes[k] for k in range(3))
    return (first + second + third) * sd


def _fits(images: Tensor, device: torch.device) -> bool:
    """Whether a split can lie in the device's memory for the whole run; else batches travel one by one."""
    return device.type == "cuda" and images.nbytes < torch.cuda.mem_get_info(device)[0] // 2


class Views:
    """One split on a device as the recipe shows it: (images, labels), `dtype` [B, 3, S, S] in channels-last memory, int64 [B].

    Grey levels minus the central square of the training images' mean image, wherever the crop lies (`convdata.py`). The host draws,
    the device shows.
    """

    def __init__(self, data: ImageSet, train: ImageSet, size: int, recipe: AlexNetRecipe, device: torch.device) -> None:
        self.count, self.size, self.recipe, self.device = len(data), size, recipe, device
        self.dtype = torch.float32  # of training's images; bf16 once it is known that the network rounds them to that anyway
        self.stored = recipe.resize or data.meta.shape[0]
        if self.stored < size:
            raise ValueError(f"crops of {size} pixels need stored images of at least that size, not {self.stored}")
        images = torch.from_numpy(data.images)
        self.resident = device.type == "cpu" or _fits(images, device)
        self.images = images.to(device) if self.resident else images
        self.labels = torch.from_numpy(data.labels).to(device)
        middle = (self.stored - size) // 2
        mean = torch.from_numpy(train.mean_image).to(device)
        self.mean = self._resized(mean[None])[0, middle : middle + size, middle : middle + size]
        self.axes = torch.from_numpy(principal_light(np.array(train.meta.rgb_covariance), recipe.noise))

    def epoch(
        self, seed: int, epoch: int, batch_size: int, skip: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once in the order of (seed, epoch), augmented; `skip` leaves out the first batches.

        Of `world` processes, each gets every world-th image of a batch.
        """
        for chosen in self._choices(seed, epoch, batch_size, skip, rank, world):
            labels = self.labels[chosen.index.to(self.device, non_blocking=True)]
            yield self._render(chosen, self.dtype).permute(0, 3, 1, 2), labels

    def _choices(self, seed: int, epoch: int, batch_size: int, skip: int, rank: int, world: int) -> Iterator[Chosen]:
        """What `epoch` shows, drawn on the host: one `Chosen` for each batch."""
        recipe, order = self.recipe, epoch_order(self.count, seed, epoch)
        draws = draw(self.count, self.stored - self.size + 1, seed, epoch)
        noisy = recipe.noise != "none" and (recipe.noise_off is None or epoch < recipe.noise_off)
        for start in range(skip * batch_size, self.count, batch_size):
            index = order[start : start + batch_size]
            corner_of = index[np.arange(len(index)) // recipe.crop_chunk * recipe.crop_chunk]  # the first of each chunk draws
            mine = slice(rank, None, world)
            yield self._chosen(
                index[mine], draws.corners[corner_of[mine]] if recipe.crops else None,
                draws.mirrored[corner_of[mine]] if recipe.flips else None, draws.light[index[mine]] if noisy else None,
            )  # fmt: skip

    def crop(
        self, index: NDArray[np.int64], corners: NDArray[np.int64] | None, mirrored: NDArray[np.bool_] | None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:  # fmt: skip
        """Squares of the images at `index`, the mean subtracted: `dtype` [B, S, S, 3]; without corners the central ones."""
        return self._render(self._chosen(index, corners, mirrored, None), dtype)

    def _chosen(
        self, index: NDArray[np.int64], corners: NDArray[np.int64] | None, mirrored: NDArray[np.bool_] | None,
        light: NDArray[np.float32] | None,
    ) -> Chosen:  # fmt: skip
        """On the host; the light is one multiple of each principal axis of RGB for every pixel of an image (§4.1)."""
        middle, count = (self.stored - self.size) // 2, len(index)
        return Chosen(
            torch.from_numpy(index),
            torch.from_numpy(np.full((count, 2), middle) if corners is None else corners),
            torch.zeros(count, dtype=torch.bool) if mirrored is None else torch.from_numpy(mirrored),
            None if light is None else light_shift(torch.from_numpy(light), self.axes, self.recipe.noise_sd),
        )

    def _render(self, chosen: Chosen, dtype: torch.dtype) -> Tensor:
        """Images that are resized first, or that lie elsewhere, come to the device as a batch."""
        images, divisor = self.images, 1.0 if chosen.shift is None else self.recipe.noise_divisor
        if self.recipe.resize or not self.resident:
            if chosen.index.device.type == "cpu":
                check_index(chosen.index, len(images))
            images = images[chosen.index.to(images.device)].to(self.device)
            images = self._resized(images.float()) if self.recipe.resize else images
            chosen = replace(chosen, index=torch.arange(len(images), device=chosen.index.device))
        return render(images, self.mean, chosen, divisor, dtype=dtype)

    def in_order(
        self, batch_size: int, views: int, rank: int = 0, world: int = 1, dtype: torch.dtype = torch.float32
    ) -> Iterator[tuple[NDArray[np.int64], list[Tensor]]]:
        """Every image once as stored: (index, views of the images), the views being the centre or all ten.

        Ten views (§4.1): the four corners and the centre, then their mirror images. Of `world` processes, each gets every world-th
        image.
        """
        far = self.stored - self.size
        corners = [(far // 2, far // 2)] if views == 1 else [(0, 0), (0, far), (far, 0), (far, far), (far // 2, far // 2)]
        mine = np.arange(rank, self.count, world)
        for start in range(0, len(mine), batch_size):
            index = mine[start : start + batch_size]
            mirrored = [None] if views == 1 else [np.zeros(len(index), bool), np.ones(len(index), bool)]
            yield (
                index,
                [
                    self.crop(index, np.tile(corner, (len(index), 1)), turned, dtype).permute(0, 3, 1, 2)
                    for turned in mirrored
                    for corner in corners
                ],
            )

    def _resized(self, images: Tensor) -> Tensor:
        """[B, H, W, 3] brought to the recipe's size, bilinearly."""
        if not self.recipe.resize:
            return images
        size = [self.recipe.resize, self.recipe.resize]
        # F.interpolate goes by forty operations on a GPU under deterministic algorithms, for a backward that images never have.
        resized: Tensor = torch.ops.aten.upsample_bilinear2d(images.permute(0, 3, 1, 2), size, False)
        return resized.permute(0, 2, 3, 1)
