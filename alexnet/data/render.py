"""What is shown of stored images: a square of each, perhaps mirrored, minus the mean, under another light.

Every pixel becomes ((pixel − mean) + shift) / divisor · factor, rounded to fp32 after each operation and to `dtype` at last.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Chosen:
    """What is shown of each of B images: tensors on the host, where they are checked, or on the device of the images."""

    index: Tensor  # int64 [B]: which images
    corners: Tensor  # int64 [B, 2]: top and left of the square
    mirrored: Tensor  # bool [B]
    shift: Tensor | None = None  # float32 [B, 3], added to every pixel; None: nothing

    def __post_init__(self) -> None:
        """Raise ValueError if the shapes do not fit."""
        count = len(self.index)
        shapes = [tuple(tensor.shape) for tensor in (self.index, self.corners, self.mirrored, self.shift) if tensor is not None]
        if shapes != [(count,), (count, 2), (count,), (count, 3)][: len(shapes)]:
            raise ValueError(f"index, corners, mirrored and shift cannot have the shapes {shapes}")

    def to(self, device: torch.device) -> "Chosen":
        """The same on a device."""
        index, corners, mirrored = (tensor.to(device, non_blocking=True) for tensor in (self.index, self.corners, self.mirrored))
        return Chosen(index, corners, mirrored, None if self.shift is None else self.shift.to(device, non_blocking=True))


def render(
    images: Tensor, mean: Tensor, chosen: Chosen, divisor: float = 1.0, factor: float = 1.0, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Squares of the chosen images [N, H, W, 3], uint8 or float32, minus the mean, float32 [S, S, 3]: `dtype` [B, S, S, 3].

    Raises IndexError if an image or a part of a square does not exist; what is chosen on a GPU is not checked, not to wait for
    it. Raises ValueError without 3 channels.
    """
    if images.shape[3] != 3 or mean.shape[2] != 3:
        raise ValueError(f"images have red, green and blue, not {images.shape[3]} channels, and the mean {mean.shape[2]}")
    if chosen.index.device.type == "cpu":
        check_index(chosen.index, len(images))
        _check_corners(chosen.corners, images.shape[1:3], mean.shape[:2])
    chosen = chosen.to(images.device)
    squares = images.unfold(1, mean.shape[0], 1).unfold(2, mean.shape[1], 1).permute(0, 1, 2, 4, 5, 3)  # all of them, as a view
    shown = squares[chosen.index, chosen.corners[:, 0], chosen.corners[:, 1]]
    shown = torch.where(chosen.mirrored[:, None, None, None], shown.flip(2), shown).float().sub_(mean)
    if chosen.shift is not None:
        shown.add_(chosen.shift[:, None, None, :])
    if divisor != 1.0:
        shown.div_(divisor)
    if factor != 1.0:
        shown.mul_(factor)
    return shown.to(dtype)


def check_index(index: Tensor, count: int) -> None:
    """Raise IndexError unless all of an index on the host are among so many images."""
    if len(index) and (index.amin() < 0 or index.amax() >= count):
        raise IndexError(f"images {index.amin()} to {index.amax()} are asked for, where there are {count}")


def _check_corners(corners: Tensor, image: torch.Size, square: torch.Size) -> None:
    far = torch.tensor(image) - torch.tensor(square)
    if ((corners < 0) | (corners > far)).any():
        least, most = corners.amin(0).tolist(), corners.amax(0).tolist()
        raise IndexError(f"squares of {list(square)} pixels at {least} to {most} do not lie in images of {list(image)}")
