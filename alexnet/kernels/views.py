"""What is shown of stored images, in one pass over memory: a square of each, perhaps mirrored, minus the mean, under another light.

Every pixel becomes ((pixel − mean) + shift) / divisor · factor, rounded to fp32 after each operation and to `dtype` at last.
"""

import ctypes
import weakref
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.kernels.compiled import library, threads_for

DTYPES = (torch.float32, torch.bfloat16)


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

    C on a processor and plain torch for all else give the same bits. Raises IndexError if an image or a part of a
    square does not exist; what is chosen on a GPU is not checked, not to wait for it. Raises ValueError without 3 channels.
    """
    if images.shape[3] != 3 or mean.shape[2] != 3:
        raise ValueError(f"images have red, green and blue, not {images.shape[3]} channels, and the mean {mean.shape[2]}")
    if chosen.index.device.type == "cpu":
        check_index(chosen.index, len(images))
        _check_corners(chosen.corners, images.shape[1:3], mean.shape[:2])
    chosen = chosen.to(images.device)
    body, compiled = _eager, _compiled() if images.device.type == "cpu" and images.dtype == torch.uint8 else None
    if compiled is not None and dtype in DTYPES:
        body = partial(_in_c, compiled)
    return body(images, mean, chosen, divisor, factor, dtype)


def check_index(index: Tensor, count: int) -> None:
    """Raise IndexError unless all of an index on the host are among so many images."""
    if len(index) and (index.amin() < 0 or index.amax() >= count):
        raise IndexError(f"images {index.amin()} to {index.amax()} are asked for, where there are {count}")


def _check_corners(corners: Tensor, image: torch.Size, square: torch.Size) -> None:
    far = torch.tensor(image) - torch.tensor(square)
    if ((corners < 0) | (corners > far)).any():
        least, most = corners.amin(0).tolist(), corners.amax(0).tolist()
        raise IndexError(f"squares of {list(square)} pixels at {least} to {most} do not lie in images of {list(image)}")


@cache
def _compiled() -> Any:
    """`render` of views.c."""
    functions = library(Path(__file__).with_suffix(".c"))
    return functions and functions.render


def _in_c(function: Any, images: Tensor, mean: Tensor, chosen: Chosen, divisor: float, factor: float, dtype: torch.dtype) -> Tensor:
    _, height, width, _ = images.shape
    count, (rows, columns, _) = len(chosen.index), mean.shape
    out = _blocks.empty((count, rows, columns, 3), dtype)
    shift = None if chosen.shift is None else chosen.shift.float()
    read = [images, mean.float(), chosen.index.long(), chosen.corners.long(), chosen.mirrored.bool(), shift]
    read = [None if tensor is None else tensor.contiguous() for tensor in read]  # alive until C has read them
    arguments = _Arguments(
        *(None if tensor is None else tensor.data_ptr() for tensor in read), out.data_ptr(),
        height, width, count, rows, columns, divisor, factor, dtype == torch.bfloat16,
    )  # fmt: skip
    threads = threads_for(out.numel())
    if function(ctypes.byref(arguments), threads):
        raise MemoryError("no memory to show images in; give fewer threads")
    return out


class _Arguments(ctypes.Structure):
    """`Views` of views.c."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("images", "mean", "index", "corners", "mirrored", "shift", "out")),
        *((name, ctypes.c_long) for name in ("height", "width", "count", "rows", "columns")),
        *((name, ctypes.c_float) for name in ("divisor", "factor")),
        ("bf16", ctypes.c_int),
    )


class _Blocks:
    """Memory for results on a processor, handed out again once no tensor uses it.

    Large blocks malloc would give back to the kernel, which clears every page of the next one: a pass over memory more.
    """

    LINE = 64  # bytes: where a line of the cache begins
    KEPT = 2  # a training reads one batch while it makes the next

    def __init__(self) -> None:
        self.free: list[NDArray[np.uint8]] = []

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """As torch.empty."""
        size = int(np.prod(shape)) * dtype.itemsize
        if not size:
            return torch.empty(shape, dtype=dtype)
        block = np.empty(0, np.uint8)
        while self.free and len(block) < size:  # what is too small is let go
            block = self.free.pop()
        if len(block) < size:
            block = np.empty(size + self.LINE, np.uint8)  # on large pages, where the kernel has them
            block = block[-block.ctypes.data % self.LINE :][:size]
        lent = block[:size]
        weakref.finalize(lent, self._back, block).atexit = False
        return torch.from_numpy(lent).view(dtype).view(shape)

    def _back(self, block: NDArray[np.uint8]) -> None:
        if len(self.free) < self.KEPT:
            self.free.append(block)


_blocks = _Blocks()


def _eager(images: Tensor, mean: Tensor, chosen: Chosen, divisor: float, factor: float, dtype: torch.dtype) -> Tensor:
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
