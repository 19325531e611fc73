"""Image files to pixels: every kind in ImageNet, the middle 256×256 (§2), hostile files."""

import contextlib
import struct
import warnings
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pictures import encoded, noise
from PIL import Image

from alexnet.data import imagenet_decode
from alexnet.data.decode import decode_square, read_rgb
from alexnet.data.imagenet_decode import decode_center

pytestmark = pytest.mark.numerical

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)
SIDES = st.integers(256, 700)


@contextlib.contextmanager
def pillow_alone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imagenet_decode, "HAS_AVX2", False)
        yield


def test_grey_alpha_and_palettes_become_rgb() -> None:
    grey = np.stack([GREY] * 3, axis=-1)
    deep = Image.fromarray(GREY.astype(np.uint16) * 256 + 7)  # of which the high byte is kept
    clear = Image.fromarray(np.dstack([grey, GREY]))
    for image in (Image.fromarray(GREY), deep, clear):
        np.testing.assert_array_equal(decode_square(encoded(image, "PNG"), 16), grey)
    palette = Image.new("P", (16, 16), 1)
    palette.putpalette([1, 2, 3, 40, 50, 60])
    for content in (encoded(palette, "PNG", transparency=b"\0\x80"), encoded(palette, "GIF")):
        assert decode_square(content, 16)[3, 3].tolist() == [40, 50, 60]


@pytest.mark.parametrize(
    ("ink", "colour"),
    [((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0)), ((0, 0, 0, 0), (255,) * 3)],
)
def test_four_ink_jpegs(ink: tuple[int, ...], colour: tuple[int, ...]) -> None:
    content = encoded(Image.new("CMYK", (16, 16), ink), "JPEG", quality=95)
    assert np.abs(decode_square(content, 16).astype(int) - colour).max() <= 2


def test_the_exif_orientation_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    image = noise(16, 16)
    plain, turned = encoded(image, "JPEG"), encoded(image, "JPEG", exif=exif)
    np.testing.assert_array_equal(decode_square(plain, 16), decode_square(turned, 16))


def test_what_is_no_image_of_that_size_is_refused() -> None:
    with pytest.raises(ValueError, match="is 20×10 pixels, not 16×16"):
        decode_square(encoded(noise(10, 20), "PNG"), 16)
    whole = encoded(noise(64, 64), "JPEG")
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    for content in (b"", b"x", whole[:30], whole[: len(whole) // 2], script):
        with pytest.raises(ValueError, match="is not a readable image"):
            read_rgb(content)


@pytest.mark.filterwarnings("ignore")  # of Pillow about sizes that the damage made up
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_damaged_bytes_give_pixels_or_a_value_error_and_nothing_else(kind: str) -> None:
    rng, content = np.random.default_rng(3), encoded(noise(40, 40), kind)
    for _ in range(60):
        damaged = np.frombuffer(content, np.uint8).copy()
        damaged[rng.integers(0, len(damaged), 6)] = rng.integers(0, 256, 6)
        with contextlib.suppress(ValueError):
            assert read_rgb(damaged.tobytes()).mode == "RGB"


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    """40,000 × 40,000 pixels in a few bytes."""
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    )
    jpeg = bytearray(encoded(noise(300, 300), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 40_000, 40_000)
    for read, content in ((read_rgb, png), (decode_center, bytes(jpeg))):
        with pytest.raises(ValueError, match=r"not a readable image .*bomb"):
            read(content)


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


@pytest.mark.parametrize("kind", ["PNG", "grey", "four inks", "slim"])
def test_what_is_no_ordinary_colour_jpeg_is_pillows(kind: str) -> None:
    image = noise(260, 1_300) if kind == "slim" else noise(300, 300)
    image = image.convert({"grey": "L", "four inks": "CMYK"}.get(kind, "RGB"))
    content = encoded(image, "PNG" if kind == "PNG" else "JPEG")
    ours = decode_center(content)
    with pillow_alone():
        np.testing.assert_array_equal(ours, decode_center(content))


def test_small_images_grow_by_a_bicubic() -> None:
    image = noise(128, 128)
    grown = np.asarray(image.resize((256, 256), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(decode_center(encoded(image, "PNG")), grown)


def outcome(content: bytes) -> NDArray[np.uint8] | str:
    """The pixels, or the error's text without a buffer's address, which Pillow has in some."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow about sizes that the damage made up
            return decode_center(content)
    except ValueError as error:
        return str(error).split(" <")[0]


def test_damaged_jpegs_are_refused_and_taken_as_by_pillow() -> None:
    """Cut short, damaged, with trailing bytes: the same message, or pixels but for rounding."""
    rng = np.random.default_rng(4)
    whole = encoded(noise(30, 40).resize((340, 260)), "JPEG", quality=60, progressive=True)
    contents = [whole[: rng.integers(len(whole))] for _ in range(30)]
    contents += [whole[:-2], whole[:-1], whole + b"more"]
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
