"""Response normalisation, forward and backward: norm.c on a processor, plain torch for all else.

With d = k + α · Σ x² over the neighbours and S the sum over neighbours, which is its own transpose:

    y  = x · d^−β
    dx = g · d^−β − 2αβ · x · S(g · x · d^−(β+1))

Backward computes d again from x: that takes less time than to keep it and read it back, and no memory.
"""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.kernels.compiled import library, threads_for

DTYPES = (torch.float32, torch.bfloat16)


class Norm(NamedTuple):
    """Which normalisation: its constants, and which neighbours are summed."""

    size: int  # neighbours are at most size // 2 apart
    alpha: float
    beta: float
    k: float
    columns: int  # maps of the same one of so many columns; 0: pixels of the same map, a square of them


class _Arguments(ctypes.Structure):
    """`Norm` of norm.c."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "gradient", "out")),
        *((name, ctypes.c_long) for name in ("images", "height", "width", "channels", "columns", "reach")),
        *((name, ctypes.c_float) for name in ("alpha", "beta", "k")),
        ("bf16", ctypes.c_int),
    )


def body(device: torch.device) -> str:
    """What computes on a device: "c" on a processor, "torch" on a GPU and where there is no compiler."""
    return "c" if device.type == "cpu" and _compiled() else "torch"


def normalise(norm: Norm, x: Tensor, gradient: Tensor | None = None) -> Tensor:
    """Of x [N, C, H, W] the normalised y or, given the gradient of y, the gradient of x; in the type of x, which is left as it is.

    Raises ValueError if the columns do not divide the maps.
    """
    if norm.columns and x.shape[1] % norm.columns:
        raise ValueError(f"{x.shape[1]} maps cannot be cut into {norm.columns} equal columns")
    compiled = _compiled() if x.device.type == "cpu" and x.dtype in DTYPES else None
    return _eager(norm, x, gradient) if compiled is None else _in_c(compiled, norm, x, gradient)


@cache
def _compiled() -> Any:
    """`normalise` of norm.c."""
    functions = library(Path(__file__).with_suffix(".c"))
    return functions and functions.normalise


def _in_c(function: Any, norm: Norm, x: Tensor, gradient: Tensor | None) -> Tensor:
    x = x.contiguous(memory_format=torch.channels_last)
    out = torch.empty_like(x, memory_format=torch.channels_last)
    if gradient is not None:
        gradient = gradient.contiguous(memory_format=torch.channels_last)
    images, maps, height, width = x.shape
    arguments = _Arguments(
        x.data_ptr(), None if gradient is None else gradient.data_ptr(), out.data_ptr(), images, height, width, maps,
        norm.columns, norm.size // 2, norm.alpha, norm.beta, norm.k, x.dtype == torch.bfloat16,
    )  # fmt: skip
    threads = threads_for(x.numel())
    if function(ctypes.byref(arguments), threads):
        raise MemoryError("no memory to normalise in; give fewer threads or a smaller batch")
    return out


def _eager(norm: Norm, x: Tensor, gradient: Tensor | None) -> Tensor:
    values = x if x.dtype == torch.float64 else x.float()
    divisor = _neighbours(norm, values.square()).mul_(norm.alpha).add_(norm.k)
    power = _power(divisor, -norm.beta)
    if gradient is None:
        return (values * power).to(x.dtype)
    last = divisor.is_contiguous(memory_format=torch.channels_last)  # mixed memory orders are several times slower
    gradient = gradient.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
    scaled = gradient.to(divisor.dtype) * power
    spread = _neighbours(norm, (values * scaled).div_(divisor))
    return torch.addcmul(scaled, values, spread, value=-2 * norm.alpha * norm.beta).to(x.dtype)


def _power(base: Tensor, exponent: float) -> Tensor:
    """base^exponent; two square roots where it is the −3/4 of the paper: 2.2 to 2.4 times faster on a CPU core (n = 3)."""
    if exponent == -0.75:
        root = base.rsqrt()
        return root * root.sqrt()
    return base.pow(exponent)


def _neighbours(norm: Norm, squares: Tensor) -> Tensor:
    """Sums of [N, C, H, W] over neighbouring maps, by a [C, C] matrix of ones and zeros, or over squares of pixels."""
    if not norm.columns:
        return F.avg_pool2d(squares, norm.size, 1, norm.size // 2, divisor_override=1)
    maps = squares.shape[1]
    index = torch.arange(maps, device=squares.device)
    near = (index[:, None] - index).abs() <= norm.size // 2
    column = index * norm.columns // maps
    window = (near & (column[:, None] == column)).to(squares.dtype)
    with torch.autocast(squares.device.type, enabled=False):
        summed = squares.permute(0, 2, 3, 1) @ window
    return summed.permute(0, 3, 1, 2)
