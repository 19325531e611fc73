"""The update of §5 on a GPU, in Triton: one pass over a parameter, where torch's operations would take four.

    v ← momentum · v − decay · ε · w − ε · g,  then w ← w + v

Every operation is rounded, in the order of the formula. The three rates lie on the device: a CUDA graph that was captured once
follows them.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024  # values: two loads of 16 bytes for each thread of four warps


@triton.jit
def _update(weight, velocity, gradient, rates, count, BLOCK: tl.constexpr):
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    real = place < count
    momentum, decay, rate = tl.load(rates), tl.load(rates + 1), tl.load(rates + 2)
    w = tl.load(weight + place, mask=real)
    v = tl.load(velocity + place, mask=real) * momentum
    v = tl.where(decay != 0, v - decay * w, v)  # as in PaperSGD, an infinite weight without decay is no business of its velocity
    v -= rate * tl.load(gradient + place, mask=real)
    tl.store(velocity + place, v, mask=real)
    tl.store(weight + place, w + v, mask=real)


def update(weight: Tensor, velocity: Tensor, gradient: Tensor, rates: Tensor) -> None:
    """Change `weight` and `velocity` in place: float32, of one shape and one memory order without gaps.

    `rates` are (momentum, decay · ε, ε), float32 [3] on the same device. Raises ValueError if the memory orders differ.
    """
    if velocity.stride() != weight.stride():
        raise ValueError(f"a velocity in the memory order {velocity.stride()} does not fit a weight in {weight.stride()}")
    if gradient.stride() != weight.stride():
        gradient = torch.empty_like(weight).copy_(gradient)
    with torch.cuda.device_of(weight):  # type: ignore[no-untyped-call]  # where Triton launches
        count = weight.numel()
        _update[(triton.cdiv(count, BLOCK),)](weight, velocity, gradient, rates, count, BLOCK, enable_fp_fusion=False)
