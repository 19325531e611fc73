"""The bytes of an image file to RGB pixels of their own size.

The alpha channel is dropped and the EXIF orientation ignored, as the 2012 pipeline did.
"""

import io
import struct
import zlib

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, features

# what files called .JPEG are; Pillow's other decoders are kept from strangers' bytes
FORMATS = ("JPEG", "PNG", "GIF", "BMP")
SUFFIXES = (".jpeg", ".jpg", ".png", ".gif", ".bmp")
BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, OverflowError,
          struct.error, zlib.error, MemoryError)  # fmt: skip
LIBJPEG = features.version("libjpeg_turbo") or features.version("jpg")
DECODER = f"decoded by Pillow {PIL.__version__} with libjpeg {LIBJPEG}"


def read_rgb(content: bytes) -> Image.Image:
    """An RGB image from the bytes of a file.

    Raises ValueError if they are cut short, broken, no image or a decompression bomb.
    """
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
        raise ValueError(
            f"is not a readable image ({' '.join(str(error).split()) or type(error).__name__})"
        ) from error


def decode_square(content: bytes, side: int) -> NDArray[np.uint8]:
    """Pixels [side, side, 3] of an image that has this size.

    Raises ValueError if it has another or cannot be read.
    """
    image = read_rgb(content)
    if image.size != (side, side):
        raise ValueError(f"is {image.width}×{image.height} pixels, not {side}×{side}")
    return np.asarray(image)
