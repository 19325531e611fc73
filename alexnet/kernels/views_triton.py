"""What is shown of stored images on a GPU, in Triton: what views.py describes, one load of a pixel and one store for each value.

A program makes `BLOCK` neighbouring values of one square. Nothing is contracted to fused operations, and the division is rounded to
nearest, so that bits are those of the processor's bodies.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from alexnet.kernels.views import Chosen

BLOCK = 1024  # values: eight for each thread of four warps


@triton.jit
def _render(
    images, mean, index, corners, mirrored, shift, out, height, width, divisor, factor,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """`shift` None: nothing is added."""
    square = tl.program_id(0).to(tl.int64)
    value = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    real = value < ROWS * COLUMNS * 3
    colour, column, row = value % 3, value // 3 % COLUMNS, value // 3 // COLUMNS
    column = tl.where(tl.load(mirrored + square), COLUMNS - 1 - column, column)
    top, left = tl.load(corners + 2 * square), tl.load(corners + 2 * square + 1)
    images += ((tl.load(index + square) * height + top) * width + left) * 3
    pixel = tl.load(images + (row * width + column) * 3 + colour, mask=real, other=0)
    shown = pixel.to(tl.float32) - tl.load(mean + value, mask=real, other=0.0)
    if shift is not None:
        shown += tl.load(shift + 3 * square + colour)
    shown = tl.div_rn(shown, divisor) * factor
    tl.store(out + square * (ROWS * COLUMNS * 3) + value, shown.to(out.dtype.element_ty), mask=real)


def render(images: Tensor, mean: Tensor, chosen: Chosen, divisor: float, factor: float, dtype: torch.dtype) -> Tensor:
    """`alexnet.kernels.views.render` on the GPU of the images, where `chosen` lies too."""
    (_, height, width, _), (rows, columns, _), count = images.shape, mean.shape, len(chosen.index)
    out = torch.empty((count, rows, columns, 3), dtype=dtype, device=images.device)
    shift = None if chosen.shift is None else chosen.shift.contiguous()
    tensors = (tensor.contiguous() for tensor in (images, mean, chosen.index, chosen.corners, chosen.mirrored))
    grid = (count, triton.cdiv(rows * columns * 3, BLOCK))
    if count:
        with torch.cuda.device_of(images):  # type: ignore[no-untyped-call]  # where Triton launches
            _render[grid](
                *tensors, shift, out, height, width, divisor, factor, rows, columns, BLOCK, enable_fp_fusion=False
            )  # fmt: skip
    return out
