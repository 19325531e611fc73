"""From an image file to its central 256×256 pixels, the shorter side brought to 256 (§2).

Colour JPEGs larger than that, which nearly all of ImageNet are, go through simplejpeg and torch,
1.9 times faster than by Pillow alone (a core of an AMD EPYC, n = 9); Pillow takes all others, and
those that simplejpeg doubts. A module of its own: only packing ImageNet needs what it imports.
"""

import io
import math
from functools import partial
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from alexnet.data.decode import BROKEN, DECODER, read_rgb
from alexnet.data.imageset import ImageSet
from alexnet.data.prepare import Listing, Progress, pack_listing

SIDE = 256  # §2: the shorter side of every image, and the square cut out of its middle
# longer sides to a shorter one: torch resizes the whole of an image, which of a slim one is most of
# the work
MAX_ASPECT = 4
# Without AVX2 torch resizes slower than Pillow.
HAS_AVX2 = torch.backends.cpu.get_cpu_capability() in {"AVX2", "AVX512"}
BY_TORCH = (
    f"colour JPEGs that shrink decoded by simplejpeg {simplejpeg.__version__} and averaged by "
    f"torch {torch.__version__}, others "
)
# Torch resizes in the thread that decodes. With more, two such threads took 1.09 to 1.13 times as
# long (three runs on two cores of an AMD EPYC, n = 9 and 13).
ONE_TORCH_THREAD = partial(torch.set_num_threads, 1)
RULE = f"shorter side to {SIDE}, middle {SIDE}×{SIDE}, {BY_TORCH * HAS_AVX2}{DECODER}"


def decode_center(content: bytes) -> NDArray[np.uint8]:
    """Central pixels [256, 256, 3] of an image whose shorter side is brought to 256 (§2).

    Rounding and filters follow cuda-convnet2's make-data: areas are averaged where the image
    shrinks, a bicubic is laid through the pixels where it grows. The nearest filters of Pillow and
    torch differ from OpenCV's by less than 1 grey level on average, which is a third of what the
    JPEG compression of the 2012 batches changed. Raises ValueError for what is no readable image.
    """
    pixels = _pixels_of_jpeg(content) if HAS_AVX2 else None
    return _resized_by_pillow(read_rgb(content)) if pixels is None else _averaged_by_torch(pixels)


def pack_centers(
    folder: Path, listing: Listing, name: str, split: str, source: str, progress: Progress | None
) -> ImageSet:
    """Pack the central 256×256 pixels of a listing's images; see `pack_listing`."""
    about = {"name": name, "split": split, "canonical": False, "source": f"{source}, {RULE}"}
    shape = (SIDE, SIDE, 3)
    return pack_listing(folder, listing, shape, decode_center, progress, ONE_TORCH_THREAD, **about)


def _pixels_of_jpeg(content: bytes) -> NDArray[np.uint8] | None:
    """Pixels [height, width, 3] of a faultless colour JPEG that shrinks and is not slim, else None.

    They are those that Pillow gives.
    """
    try:
        # decodes nothing, and refuses decompression bombs
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as header:
            short, long = sorted(header.size)
            if header.mode != "RGB" or not SIDE <= short <= long <= MAX_ASPECT * short:
                return None
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(content, "RGB")
    except (*BROKEN, Image.DecompressionBombError):
        return None
    return pixels


def _sizes(width: int, height: int) -> tuple[int, int, int, int]:
    """Width and height once the shorter side is 256, and left and top of the centre there."""
    scale = SIDE / min(width, height)
    across, down = math.floor(scale * width + 0.5), math.floor(scale * height + 0.5)
    return across, down, (across - SIDE) // 2, (down - SIDE) // 2


def _averaged_by_torch(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Resize by torch: within 2 grey levels of Pillow, and as near to the exact values.

    Both round after each direction, torch its weights too.
    """
    across, down, left, top = _sizes(pixels.shape[1], pixels.shape[0])
    # channels last in memory, which saves torch a copy
    batch = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)
    whole = F.interpolate(
        batch, (down, across), mode="bilinear", antialias=True, align_corners=False
    )
    middle: NDArray[np.uint8] = (
        whole[0, :, top : top + SIDE, left : left + SIDE].permute(1, 2, 0).numpy()
    )
    return middle


def _resized_by_pillow(image: Image.Image) -> NDArray[np.uint8]:
    """Resize the centre alone: a very slim image takes no more memory than another."""
    width, height, left, top = _sizes(*image.size)
    across, down = image.width / width, image.height / height  # source pixels per pixel
    middle = (left * across, top * down, (left + SIDE) * across, (top + SIDE) * down)
    middle = (middle[0], middle[1], min(middle[2], image.width), min(middle[3], image.height))
    how = Image.Resampling.BILINEAR if min(image.size) >= SIDE else Image.Resampling.BICUBIC
    return np.asarray(image.resize((SIDE, SIDE), how, box=middle))
