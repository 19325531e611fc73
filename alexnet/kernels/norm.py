"""Response normalisation, forward and backward: norm.c on a processor, plain torch for all else.

With d = k + α · Σ x² over the neighbours and S the sum over neighbours, which is its own transpose:

    y  = x · d^−β
    dx = g · d^−β − 2αβ · x · S(g · x · d^−(β+1))

Backward computes d again from x: that takes less time than to keep it and read it back, and no memory. norm.c is compared with
plain torch before it is used; where it cannot be built or run, or does not agree, one line says so and plain torch computes.
"""

import ctypes
import logging
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.kernels.compiled import BuildError, load, threads_for

LOG = logging.getLogger(__name__)
SOURCE = Path(__file__).with_suffix(".c")
DTYPES = (torch.float32, torch.bfloat16)
# How far norm.c may be from plain torch, as a share of the largest value: 2e-7 and 3e-5 were measured (AMD EPYC, AVX2).
AGREEMENT = {torch.float32: 1e-5, torch.bfloat16: 1e-2}


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
    """What computes on a device: "c" on a processor, "torch" on a GPU and where norm.c cannot be used."""
    return "c" if device.type == "cpu" and _compiled() else "torch"


def why_plain() -> str:
    """Why a processor computes in plain torch; empty where it does not."""
    return _found()[1]


def normalise(norm: Norm, x: Tensor, gradient: Tensor | None = None) -> Tensor:
    """Of x [N, C, H, W] the normalised y or, given the gradient of y, the gradient of x; in the type of x, which is left as it is.

    Raises ValueError if the columns do not divide the maps.
    """
    if norm.columns and x.shape[1] % norm.columns:
        raise ValueError(f"{x.shape[1]} maps cannot be cut into {norm.columns} equal columns")
    if torch.compiler.is_compiling():  # which cannot look into C
        return _eager(norm, x, gradient)
    compiled = _compiled() if x.device.type == "cpu" and x.dtype in DTYPES else None
    return _eager(norm, x, gradient) if compiled is None else _in_c(compiled, norm, x, gradient)


def _compiled() -> Any:
    """`normalise` of norm.c, None where it cannot be used."""
    return _found()[0]


@cache
def _found() -> tuple[Any, str]:
    """`normalise` of norm.c; or None, and why it cannot be used, which is said once."""
    try:
        function = load(SOURCE).normalise
        _check(function)
    except (BuildError, AttributeError, MemoryError) as error:
        LOG.warning("response normalisation runs in plain torch, which is slower: %s", error)
        return None, str(error)
    return function, ""


def _check(function: Any) -> None:
    """Raise BuildError unless norm.c gives what plain torch gives, on tensors too small to be shared among threads."""
    values = torch.randn(2, 2, 24, 7, 9, generator=torch.Generator().manual_seed(0)) * 20
    for norm in (Norm(5, 1e-4, 0.75, 2.0, 2), Norm(9, 1e-3, 0.75, 1.0, 1), Norm(5, 1e-3, 0.75, 1.0, 0), Norm(3, 0.02, 0.5, 2.0, 1)):
        for dtype, share in AGREEMENT.items():
            x, above = values.to(dtype)
            for gradient in (None, above):
                plain = _eager(norm, x, gradient).float()
                apart = (_in_c(function, norm, x, gradient).float() - plain).abs().max()
                if not apart <= share * plain.abs().max():
                    raise BuildError(f"norm.c does not agree with plain torch on this processor ({norm}, {dtype})")


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
