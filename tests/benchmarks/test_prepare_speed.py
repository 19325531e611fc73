"""Preparing ImageNet, from the files to pixels on the disk, on the same full-size images.

They are those of a folder <class>/<image> that ALEXNET_DATA names; where there are none, made ones
of an ordinary size.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from interleaved import Body, ClaimPlan, Race
from PIL import Image
from table import Row
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from alexnet.data import prepare
from alexnet.data.imagenet import list_imagenet
from alexnet.data.imagenet_decode import ONE_TORCH_THREAD, decode_center
from alexnet.data.imageset import DataError, partial_of
from alexnet.data.prepare import Item, folder_items

DATA = os.environ.get("ALEXNET_DATA")  # read here, since tests do not see it
CORES = len(os.sched_getaffinity(0))
MOST = 120 * CORES  # images
# a whole ImageNet has 7,500, so that the wait at the end (last chunks, disk) is negligible
CHUNKS = 8 * CORES
FULL_SIZE = 20_000  # bytes; smaller files are thumbnails or the 32 and 64 pixels of other sets
TRIED = (
    "In one process ours is 1.9 times as fast (n = 9), with Pillow's decoder in place of "
    "simplejpeg 1.5; were resizing free it would be 3.0, with Pillow's decoder 2.1 (n = 10). The "
    "rest is what the cores lose side by side: on a machine that others used as well, two threads "
    "of either's work gave 1.1 to 1.6 times one."
)


def found() -> list[Item]:
    """Full-size images of the data root."""
    try:
        listing = list_imagenet("imagenet2012", [Path(DATA or "/nowhere")], "train", None)["train"]
    except (DataError, KeyError):
        return []
    return [item for item in listing.items if item.size > FULL_SIZE and item.offset == 0][:MOST]


def made(folder: Path) -> list[Item]:
    """JPEG files of 500×375 pixels and about 110 kB, as ImageNet's are on average."""
    rng, place = np.random.default_rng(0), folder / "class"
    place.mkdir(parents=True)
    for k in range(MOST):
        small = rng.integers(0, 256, (47, 63, 3), dtype=np.uint8)
        smooth = np.asarray(
            Image.fromarray(small).resize((500, 375), Image.Resampling.BICUBIC)
        ).astype(np.float64)
        noisy = np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(place / f"{k:04}.jpg", quality=90)
    return folder_items(place, folder, (".jpg",))


def middle(path: str) -> Image.Image:
    """The rule of §2 as one writes it in Pillow."""
    image = Image.open(path).convert("RGB")
    scale = 256 / min(image.size)
    width, height = (round(scale * length) for length in image.size)
    left, top = (width - 256) // 2, (height - 256) // 2
    return image.resize((width, height), Image.Resampling.BILINEAR).crop(
        (left, top, left + 256, top + 256)
    )


def ours(items: list[Item], folder: Path) -> Body:
    """From the files to pixels on the disk, on every core, as `pack_listing` does."""

    def decode() -> None:
        chunks = prepare._chunks(items, 256 * 256 * 3)
        images, _ = prepare._resume(folder, chunks, (len(items), 256, 256, 3), "")
        for start, broken in prepare._decoded(images, chunks, decode_center, ONE_TORCH_THREAD):
            assert not broken
            prepare._note(images, prepare._line(start, chunks[start], ""))

    return decode


def folder_loader(items: list[Item], folder: Path) -> Body:
    """The same files through ImageFolder and a DataLoader, a worker per core, into one array."""
    wanted = {item.path for item in items}
    transform = v2.Compose([v2.Resize(256), v2.CenterCrop(256), v2.PILToTensor()])
    root = Path(items[0].path).parents[1]
    images = ImageFolder(str(root), transform, is_valid_file=wanted.__contains__, allow_empty=True)
    batches = DataLoader(images, batch_size=64, num_workers=CORES if CORES > 1 else 0)
    return lambda: np.save(
        folder, np.concatenate([batch.permute(0, 2, 3, 1).numpy() for batch, _ in batches])
    )


def test_preparing_images(race: Race, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = found()
    mine = (
        f"`prepare`, {CORES} cores, "
        f"{'images of the data root' if items else 'made images of 500×375 pixels'}"
    )
    single = Row(
        "preparing ImageNet, for each core", "CPU", mine, "Pillow in one process", 1.5, TRIED
    )
    workers = Row(
        "preparing ImageNet", "CPU", mine, "ImageFolder, `transforms.v2`, a worker for each core", 1
    )
    race.prepare(single, workers)
    items = items or made(tmp_path / "files")
    monkeypatch.setattr(prepare, "CHUNK_BYTES", len(items) * 256 * 256 * 3 // CHUNKS)
    for item in items[:5]:
        away = decode_center(Path(item.path).read_bytes()).astype(float) - np.asarray(
            middle(item.path)
        )
        # grey levels: another rounding of the sides, another filter where an image is small
        assert np.abs(away).mean() < 2

    def alone() -> None:
        np.save(tmp_path / "alone.npy", np.stack([np.asarray(middle(item.path)) for item in items]))

    def decoded() -> None:
        for item in items:
            Image.open(item.path).load()

    limit = ClaimPlan("decoding alone by Pillow, spread over the cores", ((decoded, 1 / CORES),))
    peers = {
        single: ClaimPlan("", ((alone, 1 / CORES),)),
        workers: folder_loader(items, tmp_path / "loaded.npy"),
    }
    race(ours(items, partial_of(tmp_path / "ours")), peers, limit, images=len(items))
