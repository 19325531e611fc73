"""Response normalisation against `F.local_response_norm`, eager and compiled.

On the same values, with memory kept as in a training. On a processor in fp32, where torch's has the
memory order in which it is faster (maps first) and ours that of our nets (maps last). On a GPU as
autocast has them: both read bf16, ours writes bf16 and torch's fp32, since `pow` is on autocast's
list of fp32 operations. Compiling is not timed.
"""

import warnings
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from interleaved import ClaimPlan, Race, copies
from table import Row
from torch import Tensor

from alexnet.ops import lrn
from alexnet.ops.lrn import local_response_norm

ALEXNET = (5, 1e-4, 0.75, 2.0)  # n, α, β, k: §3.3
CIFAR = (9, 0.001 / 9, 0.75, 1.0)  # layers-conv-local-11pct.cfg
SHAPES = [((128, 96, 55, 55), ALEXNET), ((128, 256, 27, 27), ALEXNET), ((128, 64, 16, 16), CIFAR)]
BARS = {"CPU": (10, 5), "GPU": (12, 2)}  # eager, compiled


def both_ways(
    body: Callable[[Tensor], Tensor], x: Tensor, above: Tensor
) -> Callable[[], tuple[Tensor, Tensor]]:
    x = x.detach().requires_grad_()

    def run() -> tuple[Tensor, Tensor]:
        y = body(x)
        return y.detach(), *torch.autograd.grad(y, x, above.to(y.dtype))

    return run


def peer(size: int, alpha: float, beta: float, k: float) -> Callable[[Tensor], Tensor]:
    """Torch divides α by n, the paper does not."""

    def normalise(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda):
            return F.local_response_norm(x, size, alpha * size, beta, k)

    return normalise


@pytest.mark.parametrize("where", BARS)
@pytest.mark.parametrize(
    ("shape", "constants"), SHAPES, ids=["x".join(map(str, shape)) for shape, _ in SHAPES]
)
def test_response_norm(
    race: Race, where: str, shape: tuple[int, ...], constants: tuple[int, float, float, float]
) -> None:
    what = (
        f"response normalisation, forward and backward, {'×'.join(map(str, shape))}, n = "
        f"{constants[0]}"
    )
    ours = (
        f"`local_response_norm` in {lrn.backend(torch.device('cpu' if where == 'CPU' else 'cuda'))}"
    )
    peers = ("`F.local_response_norm`, eager", "`F.local_response_norm`, compiled")
    eager, compiled = (
        Row(what, where, ours, name, bar) for name, bar in zip(peers, BARS[where], strict=True)
    )
    device = race.prepare(eager, compiled)
    dtype = torch.bfloat16 if where == "GPU" else torch.float32
    x, above = (torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)) * 10).to(
        device, dtype
    )
    last = [tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, above)]
    torch.compiler.reset()
    mine = both_ways(lambda x: local_response_norm(x, *constants), *last)
    theirs = {
        eager: both_ways(peer(*constants), x, above),
        compiled: both_ways(torch.compile(peer(*constants), dynamic=False), x, above),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own
        theirs[compiled]()
    rounding = 1e-5 if where == "CPU" else 2e-2
    for body in theirs.values():
        for a, b in zip(mine(), body(), strict=True):
            torch.testing.assert_close(
                a.to(b.dtype), b, rtol=rounding, atol=rounding * b.abs().max().item()
            )
    # forward reads x and writes y, backward reads x and dy and writes dx
    moved = copies(5 * x.nbytes, device, at_once=x.nbytes)
    race(mine, theirs, ClaimPlan("a copy of what is read and written", (moved,)), images=len(x))
