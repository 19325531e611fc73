"""The layers that torch lacks against their formulas, written out one number at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from alexnet.ops.dropout import paper_dropout
from alexnet.ops.locally_connected import locally_connected
from alexnet.ops.pooling import average_pool, max_pool

pytestmark = pytest.mark.numerical

# N, maps of a column, H, W
shapes = st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))


def normal(
    *shape: int, seed: int = 0, scale: float = 1.0, dtype: torch.dtype = torch.float64
) -> Tensor:
    return (
        torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        * scale
    ).to(dtype)


def naive_locally_connected(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """One image, filter and position after the other; values outside of the maps add nothing."""
    height, width, outputs, size, _, inputs = weight.shape
    reach, y = size // 2, []
    for image in x:
        for o in range(outputs):
            for i in range(height):
                for j in range(width):
                    total = bias[i, j, o]
                    for u in range(size):
                        for v in range(size):
                            row, column = i + u - reach, j + v - reach
                            if 0 <= row < height and 0 <= column < width:
                                total = total + sum(
                                    weight[i, j, o, u, v, c] * image[c, row, column]
                                    for c in range(inputs)
                                )
                    y.append(total)
    return torch.stack(y).view(len(x), outputs, height, width)


@settings(deadline=None, max_examples=20)
@given(shapes, st.integers(1, 3), st.sampled_from([1, 3, 5]), st.booleans())
def test_locally_connected_is_the_formula(
    shape: tuple[int, int, int, int], outputs: int, size: int, channels_last: bool
) -> None:
    _, inputs, height, width = shape
    x = normal(*shape)
    x = (x.contiguous(memory_format=torch.channels_last) if channels_last else x).requires_grad_()
    weight = normal(height, width, outputs, size, size, inputs, seed=2).requires_grad_()
    bias = normal(height, width, outputs, seed=3).requires_grad_()
    ours, theirs = (body(x, weight, bias) for body in (locally_connected, naive_locally_connected))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    above = normal(*ours.shape, seed=1)
    gradients = [torch.autograd.grad(y, (x, weight, bias), above) for y in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("x", "weight", "bias"),
    [
        ((1, 2, 4, 4), (4, 4, 3, 3, 3, 1), (4, 4, 3)),  # reads one map of two
        ((1, 2, 4, 5), (4, 4, 3, 3, 3, 2), (4, 4, 3)),  # a column too many
        ((1, 2, 4, 4), (3, 2, 3, 3), (3,)),  # a convolution's
    ],
)
def test_filters_that_do_not_fit_are_refused(
    x: tuple[int, ...], weight: tuple[int, ...], bias: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="do not fit maps"):
        locally_connected(torch.zeros(x), torch.zeros(weight), torch.zeros(bias))


@pytest.mark.parametrize(
    ("pool", "mean", "size", "side", "starts"),
    [
        (max_pool, False, 3, 6, (0, 2, 4)),
        (max_pool, False, 3, 5, (0, 2)),
        (lambda x: max_pool(x, 2), False, 2, 5, (0, 2)),
        (average_pool, True, 3, 6, (0, 2, 4)),
        (average_pool, True, 3, 5, (0, 2)),
    ],
)
def test_windows_are_two_pixels_apart(
    pool, mean: bool, size: int, side: int, starts: tuple[int, ...]
) -> None:
    """Windows of 3 are clipped at the edge, windows of 2 leave out what does not fill one."""
    x = normal(2, 4, side, side)
    windows = [x[..., i : i + size, j : j + size].flatten(2) for i in starts for j in starts]
    expected = torch.stack([window.mean(2) if mean else window.amax(2) for window in windows], 2)
    torch.testing.assert_close(pool(x).flatten(2), expected, rtol=1e-12, atol=0)


def test_dropout_keeps_or_zeroes_and_never_scales() -> None:
    x = normal(100, 400).requires_grad_()
    y = paper_dropout(x, training=True, generator=torch.Generator().manual_seed(3))
    kept = y != 0
    assert torch.equal(y, torch.where(kept, x, 0.0))
    # four standard deviations of 40,000 throws
    assert kept.double().mean().item() == pytest.approx(0.5, abs=4 * 0.5 / 200)
    y.sum().backward()
    assert torch.equal(x.grad, kept.double())  # the same mask backwards


def test_dropout_halves_at_test() -> None:
    x = normal(5, 7)
    assert torch.equal(paper_dropout(x, training=False), x / 2)


def test_a_generators_state_says_which_mask() -> None:
    x = torch.ones(50, 50)
    one, again, other = (
        paper_dropout(x, training=True, generator=torch.Generator().manual_seed(key))
        for key in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    generator = torch.Generator().manual_seed(1)
    assert torch.equal(paper_dropout(x, training=True, generator=generator), one)
    # the next layer has a mask of its own
    assert not torch.equal(paper_dropout(x, training=True, generator=generator), one)


def test_without_a_generator_torchs_own_draws_the_masks() -> None:
    x = torch.ones(100)
    torch.manual_seed(1)
    first, second = (paper_dropout(x, training=True) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(
        first, paper_dropout(x, training=True, generator=torch.Generator().manual_seed(1))
    )
