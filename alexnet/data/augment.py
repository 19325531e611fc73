"""What training sees of an image (§4.1): a random square of it, perhaps mirrored, under another light; and the ten views of a test.

Every draw is a function of (seed, epoch, image): a resumed run sees what it would have seen, on any number of processes.
Whole batches are cropped, mirrored and coloured at once on the device that trains.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from alexnet.config import AlexNetRecipe
from alexnet.data.batches import epoch_order
from alexnet.data.imageset import ImageSet

DRAWS = 1 << 32  # epochs' draws have keys above those of the epochs' orders


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
    sizes = np.sqrt(np.maximum(variances, 0)) if kind == "deviation" else variances
    return np.asarray((vectors * sizes).T, dtype=np.float32)


def _fits(images: Tensor, device: torch.device) -> bool:
    """Whether a split can lie in the device's memory for the whole run; else batches travel one by one."""
    return device.type == "cuda" and images.nbytes < torch.cuda.mem_get_info(device)[0] // 2


class Views:
    """One split on a device as the recipe shows it: (images, labels), float32 [B, 3, S, S] in channels-last memory, int64 [B].

    Grey levels minus the central square of the training images' mean image, wherever the crop lies (`convdata.py`).
    """

    def __init__(self, data: ImageSet, train: ImageSet, size: int, recipe: AlexNetRecipe, device: torch.device) -> None:
        self.count, self.size, self.recipe, self.device = len(data), size, recipe, device
        self.stored = recipe.resize or data.meta.shape[0]
        if self.stored < size:
            raise ValueError(f"crops of {size} pixels need stored images of at least that size, not {self.stored}")
        images = torch.from_numpy(data.images)
        self.images = images.to(device) if _fits(images, device) else images
        self.labels = torch.from_numpy(data.labels).to(device)
        middle = (self.stored - size) // 2
        mean = torch.from_numpy(train.mean_image).to(device)
        self.mean = self._resized(mean[None])[0, middle : middle + size, middle : middle + size]
        self.axes = torch.from_numpy(principal_light(np.array(train.meta.rgb_covariance), recipe.noise)).to(device)

    def epoch(
        self, seed: int, epoch: int, batch_size: int, skip: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once in the order of (seed, epoch), augmented; `skip` leaves out the first batches.

        Of `world` processes, each gets every world-th image of a batch.
        """
        recipe, order = self.recipe, epoch_order(self.count, seed, epoch)
        draws = draw(self.count, self.stored - self.size + 1, seed, epoch)
        noisy = recipe.noise != "none" and (recipe.noise_off is None or epoch < recipe.noise_off)
        for start in range(skip * batch_size, self.count, batch_size):
            index = order[start : start + batch_size]
            corner_of = index[np.arange(len(index)) // recipe.crop_chunk * recipe.crop_chunk]  # the first of each chunk draws
            mine = slice(rank, None, world)
            images = self.crop(
                index[mine], draws.corners[corner_of[mine]] if recipe.crops else None,
                draws.mirrored[corner_of[mine]] if recipe.flips else None,
            )  # fmt: skip
            if noisy:
                self.relight(images, draws.light[index[mine]])
            yield images.permute(0, 3, 1, 2), self.labels[torch.from_numpy(index[mine]).to(self.device)]

    def crop(self, index: NDArray[np.int64], corners: NDArray[np.int64] | None, mirrored: NDArray[np.bool_] | None) -> Tensor:
        """Squares of the images at `index`, the mean subtracted: float32 [B, S, S, 3]; without corners the central ones."""
        middle = (self.stored - self.size) // 2
        where = torch.from_numpy(np.full((len(index), 2), middle) if corners is None else corners)
        images, number = self.images, torch.from_numpy(index)
        if self.recipe.resize:
            images = self._resized(images[number.to(images.device)].to(self.device).float())
            number = torch.arange(len(index))
        squares = images.unfold(1, self.size, 1).unfold(2, self.size, 1).permute(0, 1, 2, 4, 5, 3)  # all crops, as a view
        number, top, left = (i.to(images.device) for i in (number, where[:, 0], where[:, 1]))
        chosen = squares[number, top, left].to(self.device)
        if mirrored is not None:
            turned = torch.from_numpy(mirrored).to(self.device)
            chosen = torch.where(turned[:, None, None, None], chosen.flip(2), chosen)
        return chosen.float().sub_(self.mean)

    def relight(self, images: Tensor, light: NDArray[np.float32]) -> None:
        """Add to every pixel of an image the same multiple of each principal axis of RGB (§4.1), in place."""
        shift = torch.from_numpy(light).to(self.device) @ self.axes * self.recipe.noise_sd
        images.add_(shift[:, None, None, :]).div_(self.recipe.noise_divisor)

    def in_order(
        self, batch_size: int, views: int, rank: int = 0, world: int = 1
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
                    self.crop(index, np.tile(corner, (len(index), 1)), turned).permute(0, 3, 1, 2)
                    for turned in mirrored
                    for corner in corners
                ],
            )

    def _resized(self, images: Tensor) -> Tensor:
        """[B, H, W, 3] brought to the recipe's size, bilinearly."""
        if not self.recipe.resize:
            return images
        size = (self.recipe.resize, self.recipe.resize)
        return F.interpolate(images.permute(0, 3, 1, 2), size=size, mode="bilinear", antialias=False).permute(0, 2, 3, 1)
