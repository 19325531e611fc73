"""Rendered squares of images against the formula, written out pixel by pixel."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from alexnet.data.augment import BatchSpec, render

pytestmark = pytest.mark.numerical

Case = tuple[Tensor, Tensor, BatchSpec, float, float]


def case(
    seed: int,
    count: int,
    square: tuple[int, int],
    spare: tuple[int, int],
    lit: bool = True,
    divisor: float = 1.1,
    factor: float = 1.0,
) -> Case:
    """Squares of five random images, larger by `spare` pixels; the last at the last image's end."""
    rng = np.random.default_rng(seed)
    images = rng.integers(
        0, 256, (5, square[0] + spare[0], square[1] + spare[1], 3), dtype=np.uint8
    )
    corners, index = rng.integers(0, np.array(spare) + 1, (count, 2)), rng.integers(0, 5, count)
    corners[-1:], index[-1:] = spare, 4
    mean = rng.uniform(0, 255, (*square, 3)).astype(np.float32)
    shift = torch.from_numpy(rng.normal(0, 30, (count, 3)).astype(np.float32)) if lit else None
    spec = BatchSpec(
        torch.from_numpy(index),
        torch.from_numpy(corners),
        torch.from_numpy(rng.random(count) < 0.5),
        shift,
    )
    return torch.from_numpy(images), torch.from_numpy(mean), spec, divisor, factor


def formula(
    images: Tensor,
    mean: Tensor,
    spec: BatchSpec,
    divisor: float,
    factor: float,
    kind: type = np.float32,
) -> np.ndarray:
    """One square after the other, every operation rounded to `kind`."""
    pixels = np.zeros((len(spec.index), *mean.shape), kind)
    for n, (number, (top, left), turned) in enumerate(
        zip(spec.index, spec.corners, spec.flipped, strict=True)
    ):
        square = images[number].numpy()[top : top + mean.shape[0], left : left + mean.shape[1]]
        pixels[n] = (square[:, ::-1] if turned else square).astype(kind) - mean.numpy().astype(kind)
        if spec.color is not None:
            pixels[n] += spec.color[n].numpy().astype(kind)
    return pixels / kind(divisor) * kind(factor)


cases = st.builds(
    case,
    st.integers(0, 2**32),
    st.integers(0, 6),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    st.booleans(),
    st.sampled_from([1.0, 1.1]),
    st.sampled_from([1.0, 1 / 61.7]),
)


@settings(deadline=None, max_examples=200)
@given(cases)
def test_is_the_formula_to_the_bit(drawn: Case) -> None:
    """Of any shape, in fp32 and rounded from that to bf16; in float64 up to four roundings."""
    expected = formula(*drawn)
    np.testing.assert_allclose(
        expected, formula(*drawn, np.float64), rtol=3e-7, atol=1e-4 * drawn[4]
    )
    for dtype in (torch.float32, torch.bfloat16):
        pixels = render(*drawn, dtype)
        assert pixels.dtype == dtype
        assert pixels.is_contiguous()
        assert torch.equal(pixels, torch.from_numpy(expected).to(dtype))


@pytest.mark.parametrize(("index", "corner"), [(5, (0, 0)), (0, (4, 0)), (0, (0, 2**62))])
def test_what_does_not_exist_is_refused(index: int, corner: tuple[int, int]) -> None:
    images, mean, *_ = case(0, 1, (8, 8), (3, 2))
    spec = BatchSpec(
        torch.tensor([0, index]), torch.tensor([(0, 0), corner]), torch.tensor([False, False])
    )
    with pytest.raises(IndexError, match="out of bounds"):
        render(images, mean, spec)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("lit", [True, False])
def test_on_a_gpu(dtype: torch.dtype, lit: bool) -> None:
    """The same bits as on the CPU, without waiting for the GPU if the spec is on it."""
    for drawn in (
        case(0, 6, (224, 224), (32, 32), lit),
        case(1, 3, (5, 7), (1, 2), lit, 1.0, 0.1),
        case(2, 0, (4, 4), (2, 2), lit),
    ):
        images, mean, spec, *rest = drawn
        there = images.cuda(), mean.cuda(), spec.to(torch.device("cuda"))
        torch.cuda.set_sync_debug_mode("error")
        pixels = render(*there, *rest, dtype=dtype)
        torch.cuda.set_sync_debug_mode("default")
        assert torch.equal(pixels.cpu(), render(*drawn, dtype=dtype))
        assert torch.equal(render(there[0].float(), *there[1:], *rest, dtype=dtype), pixels)
