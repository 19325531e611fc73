"""The layers that torch lacks against their formulas, written out one number at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from alexnet.ops.dropout import paper_dropout
from alexnet.ops.locally_connected import locally_connected
from alexnet.ops.lrn import local_response_norm, within_map_lrn
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


def naive_response_norm(
    a: Tensor, size: int, alpha: float, beta: float, k: float, columns: int
) -> Tensor:
    """§3.3 by map, row and column: b_i = a_i / (k + α Σ a_j²)^β over maps j of i's column."""
    images, maps, height, width = a.shape
    per_column = maps // columns
    b = []
    for n in range(images):
        for i in range(maps):
            first = i // per_column * per_column
            near = range(max(first, i - size // 2), min(first + per_column - 1, i + size // 2) + 1)
            b += [
                a[n, i, y, x] / (k + alpha * sum(a[n, j, y, x] ** 2 for j in near)) ** beta
                for y in range(height)
                for x in range(width)
            ]
    return torch.stack(b).view_as(a)


def naive_within_map_norm(a: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """The same over a size × size square of pixels, clipped at the border of the map."""
    images, maps, height, width = a.shape
    reach = size // 2
    b = []
    for n in range(images):
        for i in range(maps):
            for y in range(height):
                for x in range(width):
                    square = a[
                        n, i, max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1
                    ]
                    b.append(
                        a[n, i, y, x] / (k + alpha * sum(v**2 for v in square.flatten())) ** beta
                    )
    return torch.stack(b).view_as(a)


def assert_same(ours: Tensor, theirs: Tensor, x: Tensor) -> None:
    """Equal values, and equal gradients for a random gradient from above."""
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    above = normal(*ours.shape, seed=1)
    gradients = [torch.autograd.grad(y, x, above, retain_graph=True)[0] for y in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-11, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(
    shapes,
    st.integers(1, 3),
    st.sampled_from([1, 3, 5, 9]),
    st.sampled_from([0.75, 0.5, 1.0]),
    st.booleans(),
)
def test_response_norm_is_the_formula(
    shape: tuple[int, int, int, int], columns: int, size: int, beta: float, channels_last: bool
) -> None:
    images, maps, height, width = shape
    x = normal(images, maps * columns, height, width, scale=3.0).requires_grad_()
    given_x = x.contiguous(memory_format=torch.channels_last) if channels_last else x
    ours = local_response_norm(given_x, size, 0.3, beta, 2.0, columns)
    assert_same(ours, naive_response_norm(x, size, 0.3, beta, 2.0, columns), x)


@settings(deadline=None, max_examples=20)
@given(shapes, st.sampled_from([1, 3, 5]), st.sampled_from([0.75, 0.5]), st.booleans())
def test_within_map_norm_is_the_formula(
    shape: tuple[int, int, int, int], size: int, beta: float, channels_last: bool
) -> None:
    x = normal(*shape, scale=3.0).requires_grad_()
    given_x = x.contiguous(memory_format=torch.channels_last) if channels_last else x
    assert_same(
        within_map_lrn(given_x, size, 0.3, beta, 1.0),
        naive_within_map_norm(x, size, 0.3, beta, 1.0),
        x,
    )


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (1.0, [0.125, -0.148651, 0.222976, 0.195397, 0, 0.297762]),
        (1.0 / 5, [0.308368, -0.420448, 0.630672, 0.591089, 0, 0.876032]),
        (1e-4, [0.594292, -1.187871, 1.781807, 2.373609, 0, 2.968455]),
        (1e-4 / 5, [0.594541, -1.18894, 1.783409, 2.377451, 0, 2.972104]),
    ],
)
def test_response_norm_by_hand(alpha: float, expected: list[float]) -> None:
    """Six maps of one pixel; the text's α, and the α/n of the 2012 code."""
    a = torch.tensor([1.0, -2, 3, 4, 0, 5], dtype=torch.float64).view(1, 6, 1, 1)
    b = local_response_norm(a, 5, alpha, 0.75, 2.0)
    torch.testing.assert_close(
        b.flatten(), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("autocast", [False, True])
def test_bf16_in_and_out_with_sums_in_fp32(autocast: bool) -> None:
    """The result is the fp32 one, rounded once; so is the gradient."""
    x = normal(2, 12, 4, 4, scale=60.0, dtype=torch.bfloat16)
    above = normal(2, 12, 4, 4, seed=1, dtype=torch.bfloat16)
    for norm in (
        lambda a: local_response_norm(a, 5, 1e-4, 0.75, 2.0, columns=2),
        lambda a: within_map_lrn(a, 5, 1e-3 / 25, 0.75, 1.0),
    ):
        short, long = x.clone().requires_grad_(), x.float().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            y = norm(short)
        exact = norm(long)
        assert y.dtype == torch.bfloat16
        assert torch.equal(y, exact.bfloat16())
        y.backward(above)
        exact.backward(above.float())
        assert short.grad.dtype == torch.bfloat16
        assert torch.equal(short.grad, long.grad.bfloat16())


def test_no_input_is_changed_in_place() -> None:
    x = normal(1, 6, 3, 3).requires_grad_()
    before = x.detach().clone()
    (
        local_response_norm(x, 5, 1.0, 0.75, 2.0).sum() + within_map_lrn(x, 5, 1.0, 0.75, 1.0).sum()
    ).backward()
    assert torch.equal(x, before)


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


def test_local_products_in_bf16_have_sums_in_fp32() -> None:
    """Under autocast all is bf16, rounded once: as near to fp32 as 576 products allow."""
    x, weight = (
        normal(8, 64, 6, 6, dtype=torch.float32),
        normal(6, 6, 32, 3, 3, 64, seed=2, scale=0.04, dtype=torch.float32),
    )
    bias, above = (
        normal(6, 6, 32, seed=3, dtype=torch.float32),
        normal(8, 32, 6, 6, seed=1, dtype=torch.float32),
    )
    found = []
    for narrow in (False, True):
        # the inputs' own rounding is not asked about
        inputs = [t.bfloat16().float().requires_grad_() for t in (x, weight, bias)]
        with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            y = locally_connected(*inputs)
        assert y.dtype == (torch.bfloat16 if narrow else torch.float32)
        gradients = torch.autograd.grad(y, inputs, above.bfloat16().to(y.dtype))
        assert {gradient.dtype for gradient in gradients} == {torch.float32}
        found.append([y.detach().float(), *gradients])
    for exact, rounded in zip(*found, strict=True):
        assert (exact - rounded).abs().max() <= 2**-8 * exact.abs().max()


@pytest.mark.parametrize(
    ("x", "weight", "bias"),
    [
        ((1, 2, 4, 4), (4, 4, 3, 3, 3, 1), (4, 4, 3)),  # reads one map of two
        ((1, 2, 4, 5), (4, 4, 3, 3, 3, 2), (4, 4, 3)),  # a column too many
        ((1, 2, 4, 4), (4, 4, 3, 2, 2, 2), (4, 4, 3)),  # no middle
        ((1, 2, 4, 4), (4, 4, 3, 3, 3, 2), (3,)),  # shared biases
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
        (lambda x: max_pool(x, 2), False, 2, 6, (0, 2, 4)),
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
