"""Files of every kind in ImageNet, to RGB: values on real bytes; hostile files are refused."""

import contextlib
import struct
import warnings
import zlib

import numpy as np
import pytest
from pictures import encoded, noise
from PIL import Image

from alexnet.data.decode import decode_square, read_rgb

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)


def test_grey_becomes_three_equal_channels() -> None:
    pixels = decode_square(encoded(Image.fromarray(GREY), "PNG"), 16)
    np.testing.assert_array_equal(pixels, np.stack([GREY] * 3, axis=-1))
    jpeg = decode_square(encoded(Image.fromarray(GREY), "JPEG"), 16)
    assert np.ptp(jpeg, axis=2).max() == 0


def test_sixteen_bit_grey_keeps_its_high_byte() -> None:
    deep = GREY.astype(np.uint16) * 256 + 7
    np.testing.assert_array_equal(
        decode_square(encoded(Image.fromarray(deep), "PNG"), 16)[..., 1], GREY
    )


@pytest.mark.parametrize(
    ("ink", "colour"),
    [((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0)), ((0, 0, 0, 0), (255,) * 3)],
)
def test_four_ink_jpegs(ink: tuple[int, ...], colour: tuple[int, ...]) -> None:
    content = encoded(Image.new("CMYK", (16, 16), ink), "JPEG", quality=95)
    assert np.abs(decode_square(content, 16).astype(int) - colour).max() <= 2


def test_alpha_and_transparent_colours_are_dropped_without_a_warning() -> None:
    clear = Image.fromarray(np.dstack([np.asarray(noise(16, 16)), GREY]))
    np.testing.assert_array_equal(
        decode_square(encoded(clear, "PNG"), 16), np.asarray(clear)[..., :3]
    )
    palette = Image.new("P", (16, 16), 1)
    palette.putpalette([1, 2, 3, 40, 50, 60])
    assert decode_square(encoded(palette, "PNG", transparency=b"\0\x80"), 16)[3, 3].tolist() == [
        40,
        50,
        60,
    ]
    assert decode_square(encoded(palette, "GIF"), 16)[3, 3].tolist() == [40, 50, 60]


def test_the_exif_orientation_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    image = noise(16, 16)
    plain, turned = encoded(image, "JPEG"), encoded(image, "JPEG", exif=exif)
    np.testing.assert_array_equal(decode_square(plain, 16), decode_square(turned, 16))


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="is 20×10 pixels, not 16×16"):
        decode_square(encoded(noise(10, 20), "PNG"), 16)


def test_what_is_cut_short_or_no_image_is_refused() -> None:
    whole = encoded(noise(64, 64), "JPEG")
    for content in (b"", b"x", whole[:30], whole[: len(whole) // 2], b"\xff\xd8\xff\xe0 cut short"):
        with pytest.raises(ValueError, match="is not a readable image"):
            read_rgb(content)


def test_formats_that_run_programs_are_not_decoded() -> None:
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    with pytest.raises(ValueError, match="is not a readable image"):
        read_rgb(script)


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    """40,000 × 40,000 pixels in 100 bytes."""
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    png = b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    )
    with pytest.raises(ValueError, match=r"not a readable image .*bomb"):
        read_rgb(b"\x89PNG\r\n\x1a\n" + png)


def test_damaged_bytes_give_pixels_or_a_value_error_and_nothing_else() -> None:
    rng = np.random.default_rng(3)
    kinds = [encoded(noise(40, 40), kind) for kind in ("JPEG", "PNG", "GIF", "BMP")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow about sizes that the damage made up
        for content in kinds:
            for _ in range(60):
                damaged = bytearray(content)
                for place in rng.integers(0, len(damaged), 6):
                    damaged[place] = rng.integers(0, 256)
                with contextlib.suppress(ValueError):
                    assert read_rgb(bytes(damaged)).mode == "RGB"
