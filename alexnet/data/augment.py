"""Training augmentation (§4.1): random crops, horizontal flips and PCA colour noise.

Every draw is a function of (seed, epoch, image): a resumed training sees what it would have seen,
on any number of processes. The host draws; the device crops, flips and colours whole batches.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

DRAWS = 1 << 32  # the keys of an epoch's draws are above those of its order
# Which of its two directions each principal axis of RGB has, from the least variance to the most:
# from green to blue, from red to blue, from light to dark. LAPACK promises neither of the two.
AXIS_DIRECTIONS = ((0, -1, 1), (-1, 0, 1), (-1, -1, -1))


@dataclass(frozen=True)
class Draws:
    """One epoch's random choices for every image of a split."""

    corners: NDArray[np.int64]  # [N, 2]: top and left of the crop
    flipped: NDArray[np.bool_]  # [N]
    color: NDArray[np.float32]  # [N, 3]: standard normal, one per principal axis of RGB


def draw(count: int, positions: int, seed: int, epoch: int) -> Draws:
    """Corners uniform on 0, ..., positions − 1 in both directions, flips with probability ½."""
    rng = np.random.Generator(np.random.Philox(key=[seed, DRAWS + epoch]))
    corners, flipped = rng.integers(0, positions, (count, 2)), rng.random(count) < 0.5
    return Draws(corners, flipped, rng.standard_normal((count, 3), dtype=np.float32))


def pca_color_axes(covariance: NDArray[np.float64], kind: str) -> NDArray[np.float32]:
    """[3, 3]: row i is what a draw of 1 on principal axis i adds to R, G and B.

    In grey levels, before `color_noise_std`.

    `deviation` scales the eigenvectors by the standard deviations, as the 2012 code did;
    `eigenvalue` by the variances, as §4.1 is printed: on ImageNet ±1,483 grey levels, which leaves
    nothing of the image.
    """
    variances, vectors = np.linalg.eigh(covariance)
    vectors = np.where((vectors * np.transpose(AXIS_DIRECTIONS)).sum(0) < 0, -vectors, vectors)
    sizes = np.sqrt(np.maximum(variances, 0)) if kind == "deviation" else variances
    return np.asarray((vectors * sizes).T, dtype=np.float32)


def color_shift(draws: Tensor, axes: Tensor, std: float) -> Tensor:
    """What colour noise adds to R, G and B of each image: float32 [B, 3] from draws [B, 3].

    Each image's from its own numbers, one rounding per operation: a product of matrices rounds by
    the number of its rows, so that processes which share a batch would see other images.
    """
    first, second, third = (draws[:, k : k + 1] * axes[k] for k in range(3))
    return (first + second + third) * std


@dataclass(frozen=True)
class BatchSpec:
    """Which squares of which of B images: drawn on the host, or copied to the images' device."""

    index: Tensor  # int64 [B]
    corners: Tensor  # int64 [B, 2]: top and left of the square
    flipped: Tensor  # bool [B]
    color: Tensor | None = None  # float32 [B, 3], added to every pixel

    def to(self, device: torch.device) -> "BatchSpec":
        """The same on a device."""
        color = None if self.color is None else self.color.to(device, non_blocking=True)
        index, corners, flipped = (
            tensor.to(device, non_blocking=True)
            for tensor in (self.index, self.corners, self.flipped)
        )
        return BatchSpec(index, corners, flipped, color)


def render(
    images: Tensor,
    mean: Tensor,
    spec: BatchSpec,
    divisor: float = 1.0,
    factor: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Squares of images [N, H, W, 3] minus the mean [S, S, 3]: `dtype` [B, S, S, 3].

    Every pixel becomes ((pixel − mean) + color) / divisor · factor, rounded to fp32 after each
    operation and to `dtype` in the end. Images are uint8 or float32, the mean float32. On a
    processor torch raises IndexError for an image or a square that does not exist.
    """
    spec = spec.to(images.device)
    windows = images.unfold(1, mean.shape[0], 1).unfold(2, mean.shape[1], 1)  # a view of them all
    squares = windows.permute(0, 1, 2, 4, 5, 3)[spec.index, spec.corners[:, 0], spec.corners[:, 1]]
    pixels = torch.where(spec.flipped[:, None, None, None], squares.flip(2), squares).float()
    pixels.sub_(mean)
    if spec.color is not None:
        pixels.add_(spec.color[:, None, None, :])
    if divisor != 1.0:
        pixels.div_(divisor)
    if factor != 1.0:
        pixels.mul_(factor)
    return pixels.to(dtype)
