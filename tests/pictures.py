"""Images as files, for the tests of what decodes them."""

import io

import numpy as np
from PIL import Image

WNIDS = ("n01443537", "n01629819", "n09256479")  # of the fixture `tiny_images`


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    """Every value drawn by itself."""
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    )
