"""The bytes of an image file to RGB pixels: at their own size, or at 256×256 by the rule of the paper (§2).

The alpha channel is dropped and the EXIF orientation ignored, as the 2012 pipeline did.
"""

import io
import math
import struct
import zlib

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, features

SIDE = 256  # §2: the shorter side of every image, and the square cut out of its middle
FORMATS = ("JPEG", "PNG", "GIF", "BMP")  # what files called .JPEG are; Pillow's other decoders are kept from strangers' bytes
SUFFIXES = (".jpeg", ".jpg", ".png", ".gif", ".bmp")
BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, OverflowError, struct.error, zlib.error, MemoryError)
DECODER = f"decoded by Pillow {PIL.__version__} with libjpeg {features.version('libjpeg_turbo') or features.version('jpg')}"
RULE = f"shorter side to {SIDE}, middle {SIDE}×{SIDE}, {DECODER}"


def read_rgb(content: bytes) -> Image.Image:
    """An RGB image from the bytes of a file. Raises ValueError if they are cut short, broken, no image or a decompression bomb."""
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip at 255
            return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
        image.info.pop("transparency", None)
        if image.mode != "RGB":
            return image.convert("RGB")
        image.load()
        return image
    except (*BROKEN, Image.DecompressionBombError) as error:
        raise ValueError(f"is not a readable image ({' '.join(str(error).split()) or type(error).__name__})") from error


def decode_square(content: bytes, side: int) -> NDArray[np.uint8]:
    """Pixels [side, side, 3] of an image that has this size. Raises ValueError if it has another or cannot be read."""
    image = read_rgb(content)
    if image.size != (side, side):
        raise ValueError(f"is {image.width}×{image.height} pixels, not {side}×{side}")
    return np.asarray(image)


def decode_middle(content: bytes) -> NDArray[np.uint8]:
    """Pixels [256, 256, 3] from the middle of an image whose shorter side is brought to 256 (§2).

    Rounding and filters follow cuda-convnet2's make-data: areas are averaged where the image shrinks, a bicubic is laid through
    the pixels where it grows. Pillow's nearest filters differ from OpenCV's by less than 1 grey level on average, which is a
    third of what the JPEG compression of the 2012 batches changed. Raises ValueError for what is no readable image.
    """
    image = read_rgb(content)
    scale = SIDE / min(image.size)
    width, height = (math.floor(scale * length + 0.5) for length in image.size)
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    across, down = image.width / width, image.height / height  # source pixels per pixel
    middle = (left * across, top * down, (left + SIDE) * across, (top + SIDE) * down)
    middle = (middle[0], middle[1], min(middle[2], image.width), min(middle[3], image.height))
    how = Image.Resampling.BILINEAR if scale <= 1 else Image.Resampling.BICUBIC
    return np.asarray(image.resize((SIDE, SIDE), how, box=middle))
