"""Our pooling against the formula in float64 and, to the bit, against torch's."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from alexnet.kernels import compiled, pool
from alexnet.layers import average_pool, max_pool

needs_c = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is here")
BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float64: torch.int64}


@pytest.fixture
def threads() -> Iterator[None]:
    """Restores torch's number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def draw(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float32, step: float = 0.0) -> Tensor:
    """Normal numbers, channels last; in multiples of `step`, so that many are equal."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    x = (x / step).round() * step if step else x
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def above(x: Tensor, size: int, seed: int = 1, step: float = 0.0) -> Tensor:
    return draw(F.max_pool2d(x.detach(), size, 2, ceil_mode=size == 3).shape, seed, x.dtype, step)


def torch_max(x: Tensor, size: int, *, relu: bool) -> Tensor:
    y = F.max_pool2d(x, size, 2, ceil_mode=size == 3)
    return F.relu(y) if relu else y


def torch_average(x: Tensor, size: int, *, relu: bool) -> Tensor:
    return F.avg_pool2d(F.relu(x) if relu else x, size, 2, ceil_mode=size == 3)


PAIRS = {"max": (max_pool, torch_max), "average": (average_pool, torch_average)}


def both(body, x: Tensor, gradient: Tensor, size: int, relu: bool) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    y = body(x, size, relu=relu)
    return y.detach(), *torch.autograd.grad(y, x, gradient)


def assert_same_bits(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> None:
    """Equal bits where there are numbers, and no number where there is none."""
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == other.dtype
        assert torch.equal(mine.isnan(), other.isnan())
        a, b = (t.contiguous().masked_fill(t.isnan(), 0).view(BITS[t.dtype]) for t in (mine, other))
        assert torch.equal(a, b)


def formula(kind: str, x: Tensor, gradient: Tensor, size: int, relu: bool) -> tuple[Tensor, Tensor]:
    """In float64, window by window; of equal values the first is the largest."""
    x, gradient = x.double(), gradient.double()
    before = x.clamp(min=0) if relu else x
    y, back = torch.zeros_like(gradient), torch.zeros_like(x)
    for row in range(y.shape[2]):
        for column in range(y.shape[3]):
            place = (..., slice(2 * row, 2 * row + size), slice(2 * column, 2 * column + size))
            window = before[place].flatten(2)
            share = torch.full_like(window, 1 / window.shape[2])
            if kind == "max":
                is_largest = window == window.amax(2, keepdim=True)
                share = (is_largest & (is_largest.cumsum(2) == 1)).double()
            y[:, :, row, column] = (window * share).sum(2)
            back[place] += (share * gradient[:, :, row, column, None]).view(x[place].shape)
    return y, back * (x > 0) if relu else back


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("size", [3, 2])
@pytest.mark.parametrize("kind", PAIRS)
def test_pooling_is_the_formula(kind: str, size: int, relu: bool, dtype: torch.dtype) -> None:
    """To one rounding of the result in fp32; in bf16 to the roundings (0.4 %) of a quotient and of up to three sums."""
    x = draw((2, 37, 9, 8), 0, dtype, step=0.25)
    gradient = above(x, size)
    relative = 4 * 2.0**-8 if dtype == torch.bfloat16 else 1e-6
    for mine, exact in zip(both(PAIRS[kind][0], x, gradient, size, relu), formula(kind, x, gradient, size, relu), strict=True):
        torch.testing.assert_close(mine.double(), exact, rtol=relative, atol=relative)


@needs_c
@settings(deadline=None, max_examples=150)
@given(
    kind=st.sampled_from(list(PAIRS)),
    size=st.sampled_from([3, 2]),
    relu=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    images=st.integers(1, 3),
    maps=st.one_of(st.integers(1, 40), st.sampled_from([64, 65, 96])),
    sides=st.tuples(st.integers(3, 13), st.integers(3, 13)),
    step=st.sampled_from([0.0, 0.5, 2.0]),
    odd=st.lists(st.sampled_from([float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e-40, 3e38]), max_size=30),
    seed=st.integers(0, 1000),
)
def test_bits_are_those_of_torch(kind, size, relu, dtype, images, maps, sides, step, odd, seed) -> None:
    x = draw((images, maps, *sides), seed, dtype, step)
    gradient = above(x, size, seed + 1, step)
    for tensor in (x, gradient) if odd else ():
        place = torch.randint(x.numel(), (len(odd),), generator=torch.Generator().manual_seed(seed)) % tensor.numel()
        tensor.permute(0, 2, 3, 1).view(-1)[place] = torch.tensor(odd, dtype=dtype)
    assert pool.is_served(x, size)
    ours, theirs = (both(body, x, gradient, size, relu) for body in PAIRS[kind])
    assert_same_bits(ours, theirs)


@needs_c
@pytest.mark.parametrize("kind", PAIRS)
def test_all_equal_to_infinity(kind: str) -> None:
    """A window of −∞ has its first value as the largest."""
    x = torch.full((1, 32, 5, 5), -float("inf")).contiguous(memory_format=torch.channels_last)
    gradient = above(x, 3)
    assert_same_bits(*(both(body, x, gradient, 3, False) for body in PAIRS[kind]))


@needs_c
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", PAIRS)
def test_bits_do_not_depend_on_threads(kind: str, dtype: torch.dtype) -> None:
    x = draw((5, 33, 45, 41), 0, dtype, step=0.25)
    assert x.numel() > 4 * compiled.PER_THREAD
    results = []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        results.append(both(PAIRS[kind][0], x, above(x, 3), 3, True))
    for other in results[1:]:
        assert_same_bits(results[0], other)


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize(
    "x",
    [
        draw((2, 8, 7, 7), 0).contiguous(),
        draw((2, 8, 7, 7), 0).double(),
        draw((2, 8, 2, 7), 0),
        draw((2, 8, 16, 7), 0)[:, :, ::2],
    ],
    ids=["maps first", "float64", "lower than a window", "strided"],
)
def test_what_c_does_not_serve_torch_computes(kind: str, x: Tensor) -> None:
    assert not pool.is_served(x, 3)
    ours, theirs = (both(body, x, above(x, 3), 3, True) for body in PAIRS[kind])
    assert_same_bits(ours, theirs)


@needs_c
def test_gradients_come_in_any_memory_order() -> None:
    """As from `flatten`, whose gradient has maps first."""
    x = draw((2, 40, 8, 8), 0)
    gradient = above(x, 3)
    for body, _ in PAIRS.values():
        assert_same_bits(both(body, x, gradient, 3, True), both(body, x, gradient.contiguous(), 3, True))


@needs_c
@pytest.mark.usefixtures("threads")
def test_a_compiler_without_openmp_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = draw((5, 33, 45, 41), 0)
    torch.set_num_threads(3)
    threaded = both(max_pool, x, above(x, 3), 3, True)
    lacking = tmp_path / "cc"
    lacking.write_text(f'#!/bin/sh\ncase " $* " in *" -fopenmp "*) exit 1 ;; esac\nexec {shutil.which("cc")} "$@"\n')
    lacking.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    functions = compiled.library.__wrapped__(Path(pool.__file__).with_suffix(".c"))
    monkeypatch.setattr(pool, "_compiled", lambda: functions.pool)
    assert_same_bits(both(max_pool, x, above(x, 3), 3, True), threaded)
