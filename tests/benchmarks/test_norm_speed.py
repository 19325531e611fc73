"""Response normalisation, forward and backward on the processor, against `F.local_response_norm`, eager and compiled.

All three in turn in one process, in fp32 on the same values, with memory kept as in a training. Torch's has the memory order in
which it is faster (maps first), ours that of our nets (maps last). Compiling is not timed. The ratios are printed and stored, not
asserted: a machine that others use as well makes them noisy. What is asserted is that the values agree.
"""

import os
import statistics
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from interleaved import alternate
from torch import Tensor

from alexnet.kernels import norm
from alexnet.layers import response_norm
from reproductions.harness.bench import _keep_freed_memory

ALEXNET = (5, 1e-4, 0.75, 2.0)  # n, α, β, k: §3.3
CIFAR = (9, 0.001 / 9, 0.75, 1.0)  # the local response normalisation of cuda-convnet's CIFAR nets
SHAPES = [
    ((128, 96, 55, 55), ALEXNET), ((128, 256, 27, 27), ALEXNET),
    ((128, 24, 27, 27), ALEXNET), ((128, 64, 13, 13), ALEXNET),
    ((128, 64, 16, 16), CIFAR), ((128, 32, 16, 16), CIFAR),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _all_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    _keep_freed_memory()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    yield
    torch.set_num_threads(before)


def both_ways(body: Callable[[Tensor], Tensor], x: Tensor, above: Tensor) -> Callable[[], tuple[Tensor, Tensor]]:
    x = x.requires_grad_()

    def run() -> tuple[Tensor, Tensor]:
        y = body(x)
        return y.detach(), *torch.autograd.grad(y, x, above)

    return run


def peer(size: int, alpha: float, beta: float, k: float) -> Callable[[Tensor], Tensor]:
    """Torch divides α by n, the paper does not."""
    return lambda x: F.local_response_norm(x, size, alpha * size, beta, k)


@pytest.mark.parametrize(("shape", "constants"), SHAPES, ids=["x".join(map(str, shape)) for shape, _ in SHAPES])
def test_response_norm(benchmark: Any, shape: tuple[int, ...], constants: tuple[int, float, float, float]) -> None:
    x, above = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)) * 10
    last = [tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, above)]
    torch.compiler.reset()
    ours = both_ways(lambda x: response_norm(x, *constants), *last)
    eager = both_ways(peer(*constants), x, above)
    compiled = both_ways(torch.compile(peer(*constants), dynamic=False), x, above)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own
        compiled()
    for theirs in (eager, compiled):
        for a, b in zip(ours(), theirs(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 * b.abs().max().item())
    mine, *others = alternate(ours, eager, compiled)
    for name, taken in zip(("eager", "compiled"), others, strict=True):
        ratios = [b / a for a, b in zip(mine, taken, strict=True)]
        benchmark.extra_info[name] = ratios
        print(f"\n{name} / ours {statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})", end="")
    print(f", ours in {norm.body(x.device)} {1000 * statistics.median(mine):.1f} ms, {torch.get_num_threads()} threads")
    benchmark.pedantic(ours, rounds=3)
