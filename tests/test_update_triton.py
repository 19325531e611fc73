"""The update for GPUs where there is none: computed by Triton's interpreter, and compiled without being run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from gpuless import compile_for_gpu, interpreter, needs_triton
from torch import Tensor

from alexnet.optim import PaperSGD

pytestmark = needs_triton

RATES = [(0.9, 0.0005, 0.01), (0.9, 0.0, 0.02), (0.0, 0.1, 0.3)]  # momentum, weight decay, ε


def interpreted(weight: Tensor, velocity: Tensor, gradient: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
    from alexnet.kernels.update_triton import update

    after = weight.clone(), velocity.clone()  # processes share the memory of what they send
    update(*after, gradient, rates)
    return after


@pytest.fixture(scope="module")
def body() -> Iterator:
    """`update` of update_triton.py, in a process that interprets it: (weight, velocity) from after it."""
    with interpreter() as process:
        yield lambda *tensors: process.submit(interpreted, *tensors).result()


def draw(shape: tuple[int, ...], seed: int, last: bool = False) -> Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return drawn.contiguous(memory_format=torch.channels_last) if last else drawn


def sent(momentum: float, decay: float, rate: float) -> Tensor:
    return torch.tensor([momentum, decay * rate, rate])


def formula(w: Tensor, v: Tensor, g: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
    """Each operation by itself, and so rounded."""
    momentum, decay, rate = rates
    v = momentum * v - (decay * w if decay else 0.0) - rate * g
    return w + v, v


def same(a: Tensor, b: Tensor) -> bool:
    """Whether they have the same bits; what is not a number counts as one."""
    return torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0)) and torch.equal(a.isnan(), b.isnan()) and a.stride() == b.stride()


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("shape", [(1,), (2500,), (8, 3, 11, 11), (10, 64, 5, 5), (33, 65)])
def test_is_the_formula_to_the_bit_over_steps(shape: tuple[int, ...], rates: tuple[float, float, float], body) -> None:
    last = len(shape) == 4
    weight, velocity = draw(shape, 0, last), torch.zeros_like(draw(shape, 0, last))
    expected = weight.clone(), velocity.clone()
    for step in range(3):
        gradient = draw(shape, 1 + step, last)
        weight, velocity = body(weight, velocity, gradient, sent(*rates))
        expected = formula(*expected, gradient, sent(*rates))
        for mine, theirs in zip((weight, velocity), expected, strict=True):
            assert same(mine, theirs)


def test_is_the_rule_of_the_optimizer(body) -> None:
    """Torch's own operations on a processor fuse some products with the sums behind them, which rounds once less."""
    weight, gradient = draw((3000,), 0), draw((3000,), 1)
    plain = weight.clone().double().requires_grad_()
    optimizer = PaperSGD([plain], lr=0.02, momentum=0.8, weight_decay=0.01)
    velocity = torch.zeros_like(weight)
    for _ in range(4):
        plain.grad = gradient.double()
        optimizer.step()
        weight, velocity = body(weight, velocity, gradient, sent(0.8, 0.01, 0.02))
    torch.testing.assert_close(weight.double(), plain.detach(), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(velocity.double(), optimizer.velocity(plain), rtol=1e-6, atol=1e-7)


def test_what_is_not_finite_stays_so_and_alone(body) -> None:
    weight, velocity, gradient = (draw((40,), seed) for seed in range(3))
    weight[3], velocity[5], gradient[7] = torch.inf, torch.nan, -torch.inf
    for rates in RATES:
        mine = body(weight, velocity, gradient, sent(*rates))
        assert all(map(same, mine, formula(weight, velocity, gradient, sent(*rates))))
        assert torch.isfinite(mine[0]).sum() == 37


def test_memory_orders(body) -> None:
    """A gradient in another order is put right; a velocity in another is an error."""
    weight, velocity, gradient = (draw((4, 6, 3, 3), seed, last=True) for seed in range(3))
    rates = sent(*RATES[0])
    mine = body(weight, velocity, gradient.contiguous(), rates)
    assert all(map(same, mine, formula(weight, velocity, gradient, rates)))
    with pytest.raises(ValueError, match="memory order"):
        body(weight, velocity.contiguous(), gradient, rates)


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from alexnet.kernels.update_triton import BLOCK, _update

signature = {name: "*fp32" for name in ("weight", "velocity", "gradient", "rates")} | {"count": "i32", "BLOCK": "constexpr"}
aligned = {(place,): [["tt.divisibility", 16]] for place in range(5)}
source = ASTSource(_update, signature, {"BLOCK": BLOCK}, aligned)
made = triton.compile(source, GPUTarget("cuda", 90, 32), {"enable_fp_fusion": False})
assert made.asm["cubin"]
ptx = made.asm["ptx"]
assert "fma.rn.f32" not in ptx
assert ptx.count("ld.global.v4") == 3 * BLOCK // 512, ptx.count("ld.global.v4")
assert ptx.count("st.global.v4") == 2 * BLOCK // 512
"""


def test_compiles_for_a_gpu_that_is_not_here(clean_env: dict[str, str], tmp_path: Path) -> None:
    """For Hopper: each value is read once and written once, 16 bytes at a time, and nothing is contracted."""
    compile_for_gpu(COMPILE, clean_env, tmp_path)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_optimizer_follows_its_rates_on_a_gpu() -> None:
    """Rates that change between steps reach the device."""
    weight, velocity = draw((8, 3, 5, 5), 0, last=True).cuda(), torch.zeros(8, 3, 5, 5).cuda()
    expected = weight.clone(), velocity.clone(memory_format=torch.channels_last)
    optimizer = PaperSGD([weight.requires_grad_()], lr=0.0)
    for step, rate in enumerate((0.1, 0.1, 0.01)):
        optimizer.param_groups[0] |= {"lr": rate, "weight_decay": 0.01}
        weight.grad = draw((8, 3, 5, 5), 1 + step, last=True).cuda()
        optimizer.step()
        expected = formula(*expected, weight.grad, sent(0.9, 0.01, rate).cuda())
    assert torch.equal(weight, expected[0])
    assert torch.equal(optimizer.velocity(weight), expected[1])
