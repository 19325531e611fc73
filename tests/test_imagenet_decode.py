"""The middle 256×256 pixels (§2): both versions against a float64 formula, the same refusals."""

import contextlib
import struct
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pictures import encoded, noise
from PIL import Image

from alexnet.data import imagenet_decode
from alexnet.data.decode import read_rgb
from alexnet.data.imagenet_decode import decode_center

pytestmark = pytest.mark.numerical

SIDES = st.integers(256, 700)


@contextlib.contextmanager
def pillow_alone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imagenet_decode, "HAS_AVX2", False)
        yield


def averages(source: int, wanted: int) -> NDArray[np.float64]:
    """[256, source]: triangle-filter weights of source pixels in the middle 256 of `wanted`."""
    scale, first = source / wanted, (wanted - 256) // 2
    centres = (first + np.arange(256) + 0.5)[:, None] * scale
    weights = np.maximum(0, 1 - np.abs(np.arange(source) + 0.5 - centres) / scale)
    return weights / weights.sum(axis=1, keepdims=True)


def exact_middle(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The rule for an image that shrinks, from the formula and without rounding."""
    height, width = pixels.shape[:2]
    scale = 256 / min(height, width)
    down, across = (
        averages(length, int(np.floor(scale * length + 0.5))) for length in (height, width)
    )
    return np.einsum("ih,hwc,jw->ijc", down, pixels.astype(np.float64), across, optimize=True)


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(0, 99), st.sampled_from(["noise", "smooth"]))
def test_a_colour_jpeg_is_averaged_as_the_formula_says(
    height: int, width: int, seed: int, kind: str
) -> None:
    small = (height, width) if kind == "noise" else (height // 9, width // 9)
    content = encoded(noise(*small, seed).resize((width, height)), "JPEG", quality=90)
    exact = exact_middle(np.asarray(read_rgb(content)))
    with pillow_alone():
        theirs = decode_center(content).astype(int)
    ours = decode_center(content).astype(int)
    # grey levels; both passes round, by half a level each, and halves up
    for away in (ours - exact, theirs - exact):
        assert np.abs(away).max() < 1.05
        assert np.abs(away).mean() < 0.35
        assert abs(away.mean()) < 0.15
    assert np.abs(ours - theirs).max() <= 2


def others() -> dict[str, bytes]:
    """Files that Pillow takes."""
    grey, inks = noise(300, 300).convert("L"), noise(300, 300).convert("CMYK")
    grown, slim = noise(200, 300), noise(260, 1_300)
    return {
        "png": encoded(noise(300, 300), "PNG"),
        "grey": encoded(grey, "JPEG"),
        "four inks": encoded(inks, "JPEG"),
        "small": encoded(grown, "JPEG"),
        "slim": encoded(slim, "JPEG"),
    }


@pytest.mark.parametrize("kind", others())
def test_what_is_no_ordinary_colour_jpeg_is_pillows(kind: str) -> None:
    content = others()[kind]
    ours = decode_center(content)
    with pillow_alone():
        np.testing.assert_array_equal(ours, decode_center(content))


def test_jpegs_are_refused_and_taken_as_by_pillow() -> None:
    """Cut short, damaged, with trailing bytes: the same message, or pixels but for rounding."""
    rng = np.random.default_rng(4)
    whole = encoded(noise(30, 40).resize((340, 260)), "JPEG", quality=60, progressive=True)
    contents = [whole[: rng.integers(len(whole))] for _ in range(30)] + [
        whole[:-2],
        whole[:-1],
        whole + b"more",
    ]
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        contents.append(bytes(damaged))
    refused = 0
    for content in contents:
        with pillow_alone():
            expected = outcome(content)
        found = outcome(content)
        refused += isinstance(found, str)
        if isinstance(expected, str) or isinstance(found, str):
            assert found == expected
        else:
            assert np.abs(found.astype(int) - expected).max() <= 2
    assert 30 < refused < len(contents)


def outcome(content: bytes) -> NDArray[np.uint8] | str:
    """The pixels, or the error's text without a buffer's address, which Pillow has in some."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow about sizes that the damage made up
            return decode_center(content)
    except ValueError as error:
        return str(error).split(" <")[0]


def test_a_jpeg_that_claims_to_be_huge_is_refused_by_its_header() -> None:
    content = bytearray(encoded(noise(300, 300), "JPEG"))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 40_000, 40_000)
    with pytest.raises(ValueError, match=r"not a readable image .*bomb"):
        decode_center(bytes(content))


def test_small_images_grow_by_a_bicubic() -> None:
    image = noise(128, 128)
    np.testing.assert_array_equal(
        decode_center(encoded(image, "PNG")),
        np.asarray(image.resize((256, 256), Image.Resampling.BICUBIC)),
    )
