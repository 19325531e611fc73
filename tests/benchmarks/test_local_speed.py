"""The locally connected layer, forward and backward, against `F.unfold` and one `einsum`.

On the same values in each one's own memory order, in fp32 and, where the processor has it, in bf16.
The shapes are those of the nets of §3.3.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from interleaved import Race
from table import Row
from torch import Tensor

from alexnet.ops.locally_connected import locally_connected
from alexnet.precision import native_bf16

# maps in and out: local3 and local4 of the 13 % net, local3 of the 11 % net
SHAPES = [(64, 32), (32, 32), (64, 64)]
BATCH, SIDE, SIZE = 128, 6, 3
DTYPES = [torch.float32, *([torch.bfloat16] if native_bf16(torch.device("cpu")) else [])]


def naive(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Weights [O, C·s·s, H·W] and biases [O, H·W], ordered like `F.unfold`'s [N, C·s·s, H·W]."""
    patches = F.unfold(x, SIZE, padding=SIZE // 2)
    return (torch.einsum("nkp,okp->nop", patches, weight) + bias).view(len(x), -1, SIDE, SIDE)


def both_ways(
    body: Callable[..., Tensor], inputs: list[Tensor], above: Tensor
) -> Callable[[], tuple[Tensor, ...]]:
    inputs = [tensor.contiguous().requires_grad_() for tensor in inputs]

    def run() -> tuple[Tensor, ...]:
        y = body(*inputs)
        return y.detach(), *torch.autograd.grad(y, inputs, above)

    return run


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("maps", "outputs"), SHAPES)
def test_locally_connected(race: Race, maps: int, outputs: int, dtype: torch.dtype) -> None:
    what = (
        f"locally connected layer, forward and backward, {maps} to {outputs} maps of 6×6, "
        f"{str(dtype).removeprefix('torch.')}"
    )
    row = Row(what, "CPU", "`locally_connected`", "`F.unfold` and `torch.einsum`")
    race.prepare(row)
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(BATCH, maps, SIDE, SIDE, generator=stream).to(dtype)
    weight = (torch.randn(SIDE, SIDE, outputs, SIZE, SIZE, maps, generator=stream) * 0.04).to(dtype)
    bias, above = (
        torch.zeros(SIDE, SIDE, outputs, dtype=dtype),
        torch.randn(BATCH, outputs, SIDE, SIDE, generator=stream).to(dtype),
    )
    last = above.contiguous(memory_format=torch.channels_last)
    ours = both_ways(locally_connected, [x, weight, bias], last)
    peers = [
        x,
        weight.permute(2, 5, 3, 4, 0, 1).reshape(outputs, -1, SIDE**2),
        bias.permute(2, 0, 1).flatten(1),
    ]
    theirs = both_ways(naive, peers, above)
    mine, other = ours(), theirs()  # y and the gradients of x, weight and bias
    shape = (outputs, maps, SIZE, SIZE, SIDE, SIDE)
    there = [
        *other[:2],
        other[2].view(shape).permute(4, 5, 0, 2, 3, 1),
        other[3].view(outputs, SIDE, SIDE).permute(1, 2, 0),
    ]
    for a, b in zip(mine, there, strict=True):
        torch.testing.assert_close(
            a, b, rtol=0.0, atol=(2**-6 if dtype == torch.bfloat16 else 1e-5) * b.abs().max().item()
        )
    race(ours, {row: theirs}, images=BATCH)
