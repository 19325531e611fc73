"""Response normalisation on a GPU, in Triton: what norm.py describes, of channels-last tensors of fp32 or bf16.

A tensor is one line of values. Neighbouring maps are neighbours on it; neighbouring pixels of a map lie as many values apart as a
pixel has maps, or a row has values. A program has `BLOCK` values; it loads their neighbours again instead of passing them between
threads, since they are in the cache of the processor already. Sums are taken in fp32 in a fixed order, without atomics and without
contraction to fused operations, so that bits depend neither on the batch size nor on the run.

On the way back every neighbour's share x · g · d^−(β+1) is needed. Among maps a program computes those it needs itself, from
4 · reach + 1 values of x: no further pass over memory. Among squares of pixels it would take (4 · reach + 1)², so they are stored.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from alexnet.kernels.norm import Norm

BLOCK = 256  # values: two for each thread of four warps; with more, a warp's unaligned load of bf16 would touch more cache lines


@triton.jit
def _here(BLOCK: tl.constexpr, STEP: tl.constexpr, LENGTH: tl.constexpr, ROWS: tl.constexpr):
    """Where the values of this program start, which they are from there on, and their row and place in it."""
    start = tl.program_id(0).to(tl.int64) * BLOCK
    lane = tl.arange(0, BLOCK)
    place = ((start % (STEP * LENGTH * ROWS)).to(tl.int32) + lane) // STEP
    return start, lane, place // LENGTH % ROWS, place % LENGTH


@triton.jit
def _load(values, lane, row, place, down, along, real, STEP: tl.constexpr, LENGTH: tl.constexpr, ROWS: tl.constexpr):
    """In fp32 the neighbours so many rows down and places along; 0 outside, where nothing is loaded."""
    inside = real & (row + down >= 0) & (row + down < ROWS) & (place + along >= 0) & (place + along < LENGTH)
    return tl.load(values + lane + (down * LENGTH + along) * STEP, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def _divisor(
    x, lane, row, place, SHIFT: tl.constexpr, real, alpha, k,
    STEP: tl.constexpr, LENGTH: tl.constexpr, ROWS: tl.constexpr, REACH: tl.constexpr, REACH_ROWS: tl.constexpr,
):  # fmt: skip
    """The divisor d = k + α · Σ x² of the value that lies `SHIFT` places along."""
    total = lane * 0.0
    for down in tl.static_range(-REACH_ROWS, REACH_ROWS + 1):
        for along in tl.static_range(-REACH, REACH + 1):
            value = _load(x, lane, row, place, down, SHIFT + along, real, STEP, LENGTH, ROWS)
            total += value * value
    return k + alpha * total


@triton.jit
def _powers(divisor, BETA: tl.constexpr):
    """d^−β and 1 / d; two square roots where β is the 3/4 of the paper."""
    if BETA == 0.75:
        root = tl.rsqrt(divisor)
        return root * tl.sqrt(root), root * root
    else:  # noqa: RET505 - Triton compiles one branch of an if over constants, and what follows it always
        return tl.exp2(-BETA * tl.log2(divisor)), 1.0 / divisor


@triton.jit
def _forward(
    x, out, count, alpha, k, BETA: tl.constexpr, BLOCK: tl.constexpr,
    STEP: tl.constexpr, LENGTH: tl.constexpr, ROWS: tl.constexpr, REACH: tl.constexpr, REACH_ROWS: tl.constexpr,
):  # fmt: skip
    start, lane, row, place = _here(BLOCK, STEP, LENGTH, ROWS)
    real = start + lane < count
    power, _ = _powers(_divisor(x + start, lane, row, place, 0, real, alpha, k, STEP, LENGTH, ROWS, REACH, REACH_ROWS), BETA)
    value = _load(x + start, lane, row, place, 0, 0, real, STEP, LENGTH, ROWS)
    tl.store(out + start + lane, (value * power).to(out.dtype.element_ty), mask=real)


@triton.jit
def _share(
    x, gradient, lane, row, place, SHIFT: tl.constexpr, real, alpha, k, BETA: tl.constexpr,
    STEP: tl.constexpr, LENGTH: tl.constexpr, ROWS: tl.constexpr, REACH: tl.constexpr, REACH_ROWS: tl.constexpr,
):  # fmt: skip
    """The share x · g · d^−(β+1) of the value that lies `SHIFT` places along; 0 if that is outside."""
    divisor = _divisor(x, lane, row, place, SHIFT, real, alpha, k, STEP, LENGTH, ROWS, REACH, REACH_ROWS)
    power, inverse = _powers(divisor, BETA)
    above = _load(gradient, lane, row, place, 0, SHIFT, real, STEP, LENGTH, ROWS)
    value = _load(x, lane, row, place, 0, SHIFT, real, STEP, LENGTH, ROWS)
    inside = (place + SHIFT >= 0) & (place + SHIFT < LENGTH)
    return tl.where(inside, value * (above * power) * inverse, 0.0)  # outside d may be infinite or not a number


@triton.jit
def _shares(
    x, gradient, out, count, alpha, k, BETA: tl.constexpr, BLOCK: tl.constexpr,
    STEP: tl.constexpr, LENGTH: tl.constexpr, ROWS: tl.constexpr, REACH: tl.constexpr, REACH_ROWS: tl.constexpr,
):  # fmt: skip
    start, lane, row, place = _here(BLOCK, STEP, LENGTH, ROWS)
    real = start + lane < count
    share = _share(x + start, gradient + start, lane, row, place, 0, real, alpha, k, BETA, STEP, LENGTH, ROWS, REACH, REACH_ROWS)
    tl.store(out + start + lane, share, mask=real)


@triton.jit
def _backward(
    x, gradient, shares, out, count, alpha, k, BETA: tl.constexpr, BLOCK: tl.constexpr,
    STEP: tl.constexpr, LENGTH: tl.constexpr, ROWS: tl.constexpr, REACH: tl.constexpr, REACH_ROWS: tl.constexpr,
):  # fmt: skip
    """`shares` None: among maps, computed here."""
    start, lane, row, place = _here(BLOCK, STEP, LENGTH, ROWS)
    real = start + lane < count
    spread = lane * 0.0
    for down in tl.static_range(-REACH_ROWS, REACH_ROWS + 1):
        for along in tl.static_range(-REACH, REACH + 1):
            if shares is None:
                spread += _share(
                    x + start, gradient + start, lane, row, place, along, real, alpha, k, BETA,
                    STEP, LENGTH, ROWS, REACH, REACH_ROWS,
                )  # fmt: skip
            else:
                spread += _load(shares + start, lane, row, place, down, along, real, STEP, LENGTH, ROWS)
    power, _ = _powers(_divisor(x + start, lane, row, place, 0, real, alpha, k, STEP, LENGTH, ROWS, REACH, REACH_ROWS), BETA)
    value = _load(x + start, lane, row, place, 0, 0, real, STEP, LENGTH, ROWS)
    above = _load(gradient + start, lane, row, place, 0, 0, real, STEP, LENGTH, ROWS)
    slope = above * power - 2 * alpha * BETA * value * spread
    tl.store(out + start + lane, slope.to(out.dtype.element_ty), mask=real)


def normalise(norm: Norm, x: Tensor, gradient: Tensor | None = None) -> Tensor:
    """`alexnet.kernels.norm.normalise` on the GPU of x. Backward among squares of pixels takes 4 bytes a value beside."""
    _, maps, height, width = x.shape
    reach = norm.size // 2
    steps = (1, maps // norm.columns, 1, reach, 0) if norm.columns else (maps, width, height, reach, reach)
    constants = (x.numel(), norm.alpha, norm.k, norm.beta, BLOCK, *steps)
    grid = (triton.cdiv(x.numel(), BLOCK),)
    x = x.contiguous(memory_format=torch.channels_last)
    out = torch.empty_like(x, memory_format=torch.channels_last)
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]  # where Triton launches; the two columns are on two devices
        if gradient is None:
            _forward[grid](x, out, *constants, enable_fp_fusion=False)
            return out
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        shares = None if norm.columns else torch.empty_like(x, dtype=torch.float32)
        if shares is not None:
            _shares[grid](x, gradient, shares, *constants, enable_fp_fusion=False)
        _backward[grid](x, gradient, shares, out, *constants, enable_fp_fusion=False)
    return out
