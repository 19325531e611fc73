"""Max- and average-pooling at stride 2 on a processor, forward and backward, to the bits of torch's own: pool.c.

Windows of 3 count at the edge what is left of them (`ceil_mode`), windows of 2 leave out what does not fill one.
"""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alexnet.kernels.compiled import library, threads_for

DTYPES = (torch.float32, torch.bfloat16)
STRIDE = 2
BLOCK = 32  # of pool.c


class _Arguments(ctypes.Structure):
    """`Pool` of pool.c."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "gradient", "out", "taps")),
        *((name, ctypes.c_long) for name in ("images", "height", "width", "channels", "size", "rows", "columns")),
        *((name, ctypes.c_int) for name in ("relu", "bf16")),
    )


def is_served(x: Tensor, size: int) -> bool:
    """Whether pool.c can pool x: fp32 or bf16, channels last, at least a window large, and a compiler was there."""
    plain = x.device.type == "cpu" and x.dtype in DTYPES and x.dim() == 4 and x.numel() > 0 and min(x.shape[2:]) >= size
    return plain and x.is_contiguous(memory_format=torch.channels_last) and _compiled() is not None


def maximum(x: Tensor, size: int, relu: bool) -> tuple[Tensor, Tensor]:
    """The largest value of each size × size window of x [N, C, H, W], with `relu` behind it; for `maximum_back`, which it is."""
    y = _pooled(x, size)
    blocks = -(-x.shape[1] // BLOCK)
    taps = torch.empty((len(x), *y.shape[2:], blocks, BLOCK), dtype=torch.int16)
    _run(x, None, y, taps, x.shape, size, relu)
    return y, taps


def maximum_back(gradient: Tensor, taps: Tensor, shape: torch.Size, size: int) -> Tensor:
    """The gradient of x, of `shape`, from that of y."""
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    out = torch.empty(shape, dtype=gradient.dtype, memory_format=torch.channels_last)
    _run(None, gradient, out, taps, shape, size, relu=False)
    return out


def average(x: Tensor, size: int, relu: bool) -> Tensor:
    """The mean of each size × size window of x [N, C, H, W] or, with `relu`, of what ReLU makes of x."""
    y = _pooled(x, size)
    _run(x, None, y, None, x.shape, size, relu)
    return y


def average_back(gradient: Tensor, x: Tensor | None, shape: torch.Size, size: int) -> Tensor:
    """The gradient of x, of `shape`, from that of y; x itself is given where ReLU came before."""
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    out = torch.empty(shape, dtype=gradient.dtype, memory_format=torch.channels_last)
    _run(x, gradient, out, None, shape, size, relu=x is not None)
    return out


def _pooled(x: Tensor, size: int) -> Tensor:
    spare = STRIDE - 1 if size == 3 else 0
    sides = ((side - size + spare) // STRIDE + 1 for side in x.shape[2:])
    return torch.empty((*x.shape[:2], *sides), dtype=x.dtype, memory_format=torch.channels_last)


@cache
def _compiled() -> Any:
    """`pool` of pool.c."""
    functions = library(Path(__file__).with_suffix(".c"))
    return functions and functions.pool


def _run(
    x: Tensor | None, gradient: Tensor | None, out: Tensor, taps: Tensor | None, shape: torch.Size, size: int, relu: bool
) -> None:
    images, maps, height, width = shape
    pooled = out if gradient is None else gradient
    pointers = (None if tensor is None else tensor.data_ptr() for tensor in (x, gradient, out, taps))
    arguments = _Arguments(*pointers, images, height, width, maps, size, *pooled.shape[2:], relu, out.dtype == torch.bfloat16)
    _compiled()(ctypes.byref(arguments), threads_for(shape.numel()))
