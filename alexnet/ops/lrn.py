"""Local response normalisation (§3.3): by lrn.c on a processor, else by plain torch.

With d = k + α · Σ x² over the neighbours and S the sum over neighbours, its own transpose:

    y  = x · d^−β
    dx = g · d^−β − 2αβ · x · S(g · x · d^−(β+1))

The backward pass computes d again from x: that takes less time than to store it and read it back.
lrn.c is compared with plain torch before it is used. Where it cannot be built or run, or does not
agree, one line says so and plain torch computes.
"""

import ctypes
import logging
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from alexnet.ops.build import BuildError, load, threads_for

LOG = logging.getLogger(__name__)
SOURCE = Path(__file__).with_suffix(".c")
DTYPES = (torch.float32, torch.bfloat16)
# How far lrn.c may be from plain torch, as a share of the largest value: 2e-7 and 3e-5 were
# measured (AMD EPYC, AVX2).
AGREEMENT = {torch.float32: 1e-5, torch.bfloat16: 1e-2}


class LRN(NamedTuple):
    """A normalisation: its constants, and which neighbours are summed."""

    size: int  # neighbours are at most size // 2 apart
    alpha: float
    beta: float
    k: float
    columns: int  # maps of the same one of so many columns; 0: a square of pixels of the same map


def local_response_norm(
    x: Tensor, size: int, alpha: float, beta: float, k: float, columns: int = 1
) -> Tensor:
    """b_i = a_i / (k + α Σ_j a_j²)^β over neighbouring maps (§3.3), x float [N, C, H, W].

    The sum is over the maps j at most size // 2 from i, in its own one of `columns` equal parts of
    the maps. The 2012 code has α/n where the text has α: pass what is meant. Sums are taken in
    fp32 at least; the result has the type of `x`. Raises ValueError if the columns do not divide
    the maps.
    """
    return _Function.apply(x, LRN(size, alpha, beta, k, columns))  # type: ignore[no-any-return]


def within_map_lrn(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """The same with the sum over size × size pixels of the map itself (`cnorm2` of net #145)."""
    return _Function.apply(x, LRN(size, alpha, beta, k, columns=0))  # type: ignore[no-any-return]


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, lrn: LRN) -> Tensor:  # type: ignore[no-untyped-def]  # noqa: ANN001
        ctx.save_for_backward(x)
        ctx.lrn = lrn
        return normalize(lrn, x)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        (x,) = ctx.saved_tensors
        return normalize(ctx.lrn, x, gradient), None


def normalize(lrn: LRN, x: Tensor, gradient: Tensor | None = None) -> Tensor:
    """The y of x [N, C, H, W] or, given the gradient of y, the gradient of x; in the type of x.

    Raises ValueError if the columns do not divide the maps.
    """
    if lrn.columns and x.shape[1] % lrn.columns:
        raise ValueError(f"{x.shape[1]} maps cannot be cut into {lrn.columns} equal columns")
    if torch.compiler.is_compiling():  # which cannot look into C
        return _plain(lrn, x, gradient)
    compiled = _found()[0] if x.device.type == "cpu" and x.dtype in DTYPES else None
    return _plain(lrn, x, gradient) if compiled is None else _in_c(compiled, lrn, x, gradient)


def backend(device: torch.device) -> str:
    """What computes on a device: "c" on a processor, "torch" on a GPU or where lrn.c fails."""
    return "c" if device.type == "cpu" and _found()[0] else "torch"


def why_plain() -> str:
    """Why a processor computes in plain torch; empty where it does not."""
    return _found()[1]


class _Arguments(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "gradient", "out")),
        *(
            (name, ctypes.c_long)
            for name in ("images", "height", "width", "channels", "columns", "reach")
        ),
        *((name, ctypes.c_float) for name in ("alpha", "beta", "k")),
        ("bf16", ctypes.c_int),
    )


@cache
def _found() -> tuple[Any, str]:
    """`normalise` of lrn.c; or None, and why it cannot be used, which is logged once."""
    try:
        function = load(SOURCE).normalise
        _check(function)
    except (BuildError, AttributeError, MemoryError) as error:
        LOG.warning("response normalisation runs in plain torch, which is slower: %s", error)
        return None, str(error)
    return function, ""


def _check(function: Any) -> None:
    """Raise BuildError unless lrn.c agrees with plain torch, on tensors too small for threads."""
    random = torch.Generator().manual_seed(0)
    values = torch.randn(2, 2, 24, 7, 9, generator=random) * 20
    for lrn in (
        LRN(5, 1e-4, 0.75, 2.0, 2),
        LRN(9, 1e-3, 0.75, 1.0, 1),
        LRN(5, 1e-3, 0.75, 1.0, 0),
        LRN(3, 0.02, 0.5, 2.0, 1),
    ):
        for dtype, share in AGREEMENT.items():
            x, above = values.to(dtype)
            for gradient in (None, above):
                plain = _plain(lrn, x, gradient).float()
                apart = (_in_c(function, lrn, x, gradient).float() - plain).abs().max()
                if not apart <= share * plain.abs().max():
                    raise BuildError(f"lrn.c does not agree with plain torch here ({lrn}, {dtype})")


def _in_c(function: Any, lrn: LRN, x: Tensor, gradient: Tensor | None) -> Tensor:
    x = x.contiguous(memory_format=torch.channels_last)
    out = torch.empty_like(x, memory_format=torch.channels_last)
    if gradient is not None:
        gradient = gradient.contiguous(memory_format=torch.channels_last)
    images, maps, height, width = x.shape
    arguments = _Arguments(
        x.data_ptr(),
        None if gradient is None else gradient.data_ptr(),
        out.data_ptr(),
        *(images, height, width, maps, lrn.columns, lrn.size // 2),
        *(lrn.alpha, lrn.beta, lrn.k),
        x.dtype == torch.bfloat16,
    )
    if function(ctypes.byref(arguments), threads_for(x.numel())):
        raise MemoryError("no memory to normalise in; give fewer threads or a smaller batch")
    return out


def _plain(lrn: LRN, x: Tensor, gradient: Tensor | None) -> Tensor:
    values = x if x.dtype == torch.float64 else x.float()
    divisor = _neighbours(lrn, values.square()).mul_(lrn.alpha).add_(lrn.k)
    power = _power(divisor, -lrn.beta)
    if gradient is None:
        return (values * power).to(x.dtype)
    # mixed memory orders are several times slower
    last = divisor.is_contiguous(memory_format=torch.channels_last)
    order = torch.channels_last if last else torch.contiguous_format
    scaled = gradient.contiguous(memory_format=order).to(divisor.dtype) * power
    spread = _neighbours(lrn, (values * scaled).div_(divisor))
    return torch.addcmul(scaled, values, spread, value=-2 * lrn.alpha * lrn.beta).to(x.dtype)


def _power(base: Tensor, exponent: float) -> Tensor:
    """base^exponent; for −3/4 two square roots: 2.2 to 2.4 times faster on a CPU core (n = 3)."""
    if exponent == -0.75:
        root = base.rsqrt()
        return root * root.sqrt()
    return base.pow(exponent)


def _neighbours(lrn: LRN, squares: Tensor) -> Tensor:
    """Sums over neighbouring maps (by a [C, C] matrix) or squares of pixels, of [N, C, H, W]."""
    if not lrn.columns:
        return F.avg_pool2d(squares, lrn.size, 1, lrn.size // 2, divisor_override=1)
    maps = squares.shape[1]
    index = torch.arange(maps, device=squares.device)
    near = (index[:, None] - index).abs() <= lrn.size // 2
    column = index * lrn.columns // maps
    window = (near & (column[:, None] == column)).to(squares.dtype)
    with torch.autocast(squares.device.type, enabled=False):
        summed = squares.permute(0, 2, 3, 1) @ window
    return summed.permute(0, 3, 1, 2)
