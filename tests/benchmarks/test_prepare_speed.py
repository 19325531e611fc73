"""Preparing ImageNet against torchvision's ImageFolder with `transforms.v2`, interleaved in one process, on the same images.

Set ALEXNET_DATA to a folder of full-size images, <class>/<image>; it is skipped where there are none.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interleaved import compare
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from alexnet.data import prepare
from alexnet.data.decode import decode_middle
from alexnet.data.imagenet import list_imagenet
from alexnet.data.imageset import DataError, partial_of
from alexnet.data.prepare import Listing

DATA = os.environ.get("ALEXNET_DATA")  # read here, since tests do not see it
MOST = 500  # images
FULL_SIZE = 20_000  # bytes; smaller files are thumbnails or the 32 and 64 pixels of other sets


@pytest.fixture(scope="module")
def listing() -> Listing:
    """Up to 500 images of the data root; skips where there are none of ImageNet's kind."""
    try:
        found = list_imagenet("imagenet2012", [Path(DATA or "/nowhere")], "train", None)["train"]
    except (DataError, KeyError) as error:
        pytest.skip(f"ALEXNET_DATA names no folder of full-size images: {error}")
    big = [index for index, item in enumerate(found.items) if item.size > FULL_SIZE and item.offset == 0][:MOST]
    if not big:
        pytest.skip("ALEXNET_DATA names a folder without full-size images")
    return Listing([found.items[index] for index in big], found.labels[big], found.classes)


def ours(listing: Listing, folder: Path) -> Callable[[], None]:
    """From the files to pixels on the disk, on every core, as `pack_listing` does."""

    def decode() -> None:
        chunks = prepare._chunks(listing.items, 256 * 256 * 3)
        images, _ = prepare._resume(folder, chunks, (len(listing.items), 256, 256, 3))
        assert not any(broken for _, broken in prepare._decoded(images, chunks, decode_middle))

    return decode


def peer(listing: Listing, folder: Path) -> Callable[[], None]:
    """The same files through ImageFolder and a DataLoader with a worker for every core, saved as one array."""
    wanted = {item.path for item in listing.items}
    transform = v2.Compose([v2.Resize(256), v2.CenterCrop(256), v2.PILToTensor()])
    images = ImageFolder(DATA or "", transform, is_valid_file=wanted.__contains__, allow_empty=True)
    cores = len(os.sched_getaffinity(0))
    loader = DataLoader(images, batch_size=64, num_workers=cores if cores > 1 else 0)

    def decode() -> None:
        np.save(folder, np.concatenate([batch.permute(0, 2, 3, 1).numpy() for batch, _ in loader]))

    return decode


def test_preparing_images(benchmark: Any, listing: Listing, tmp_path: Path) -> None:
    mine, theirs = ours(listing, partial_of(tmp_path / "ours")), peer(listing, tmp_path / "theirs.npy")
    compare(benchmark, mine, theirs, images=len(listing.items))
