"""What a batch costs: views of images in memory, and training batches from the disk."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from interleaved import ClaimPlan, Race, copies
from loops import BATCH, Images, Resident, loader, synthetic, usual
from PIL import Image
from table import Row
from torch import Tensor, nn
from torch.utils.data import Subset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from alexnet.config import AlexNetRecipe
from alexnet.data.augment import draw
from alexnet.data.imageset import DataError, ImageSet
from alexnet.data.loader import Loader, epoch_order
from alexnet.data.sources import open_dataset
from alexnet.precision import image_type, native_bf16

DATA = os.environ.get("ALEXNET_DATA")  # read here, since tests do not see it
COUNT = 20 * BATCH
RECIPE = AlexNetRecipe()
# pixels stored and seen by the CIFAR nets, the mini network, AlexNet; batches
SIZES = [(32, 24, 20), (64, 56, 10), (256, 224, 4)]


class Noise(nn.Module):
    """§4.1's colour noise on one image [3, H, W]."""

    def __init__(self, axes: Tensor) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, image: Tensor) -> Tensor:
        return image + (0.1 * torch.randn(3, device=image.device) @ self.axes)[:, None, None]


def drawn(views: Loader, data: ImageSet, index: np.ndarray) -> Tensor:
    """The first epoch's views of images, made one by one with torchvision's own functions."""
    draws, shift = draw(len(data), views.stored - views.size + 1, 0, 0), []
    for k in index:
        image = torch.tensor(data.images[k]).permute(2, 0, 1)
        image = v2.functional.crop(image, *draws.corners[k].tolist(), views.size, views.size)
        image = v2.functional.horizontal_flip(image) if draws.flipped[k] else image
        light = torch.tensor(draws.color[k]) @ views.axes * RECIPE.color_noise_std
        shift.append(image.float() - views.mean.permute(2, 0, 1) + light[:, None, None])
    return torch.stack(shift)


def limit(views: Loader, batches: int) -> ClaimPlan:
    """Each byte of a view read, and each value written in the type of the network's input."""
    values, written = BATCH * views.size**2 * 3, views.dtype.itemsize
    moved = copies((1 + written) * batches * values, views.device, at_once=written * values)
    return ClaimPlan("a copy of what is read and written", (moved,))


def as_trained(views: Loader) -> Loader:
    """The views in the type in which `train` takes them on this machine."""
    views.dtype = image_type("bf16" if native_bf16(views.device) else "fp32")
    return views


def reading(views: Loader) -> Callable[[], None]:
    def epoch() -> None:
        for _ in views.epoch(0, 0, BATCH):
            pass

    return epoch


@pytest.mark.parametrize(("stored", "side", "batches"), SIZES)
def test_views(race: Race, stored: int, side: int, batches: int) -> None:
    what = f"crops, mirror images and colour noise, {stored} to {side} pixels, batch {BATCH}"
    row = Row(what, "CPU", "`Loader`", "`transforms.v2`, image by image", 20)
    device, data = race.prepare(row), synthetic(batches * BATCH, stored)
    views = Loader(data, data, side, RECIPE.augment, device)
    index = epoch_order(len(data), 0, 0)[:8]
    torch.testing.assert_close(
        next(views.epoch(0, 0, BATCH))[0][:8], drawn(views, data, index), rtol=0, atol=1e-4
    )
    crops = v2.RandomCrop(side), v2.RandomHorizontalFlip()
    images = Images(data, v2.Compose([usual(*crops), Noise(views.axes)]))

    def theirs() -> None:
        for start in range(0, len(data), BATCH):
            torch.stack([images[index][0] for index in range(start, start + BATCH)])

    race(reading(as_trained(views)), {row: theirs}, limit(views, batches), images=len(data))


@pytest.mark.parametrize(("stored", "side", "batches"), SIZES)
def test_views_on_a_gpu(race: Race, stored: int, side: int, batches: int) -> None:
    """The peer draws once per batch, since torchvision does, and adds no noise."""
    what, ours = (
        f"crops, mirror images and colour noise, {stored} to {side} pixels, batch {BATCH}",
        "`Loader`",
    )
    each = Row(what, "GPU", ours, "`transforms.v2`, image by image", 100)
    whole = Row(what, "GPU", ours, "`transforms.v2` of the whole batch, one crop for all", 1)
    device, data = race.prepare(each, whole), synthetic(batches * BATCH, stored)
    views, here = (
        Loader(data, data, side, RECIPE.augment, where) for where in (device, torch.device("cpu"))
    )
    torch.testing.assert_close(
        next(views.epoch(0, 0, BATCH))[0].cpu(), next(here.epoch(0, 0, BATCH))[0], rtol=0, atol=1e-4
    )
    crops = v2.RandomCrop(side), v2.RandomHorizontalFlip()
    images = Images(data, v2.Compose([usual(*crops), Noise(here.axes.to(device))]))
    images.images = images.images.to(device)
    resident = Resident(data, usual(*crops), device)

    def one_by_one() -> None:
        for start in range(0, len(data), BATCH):
            torch.stack([images[index][0] for index in range(start, start + BATCH)])

    def at_once() -> None:
        for _ in resident:
            pass

    race(
        reading(as_trained(views)),
        {each: one_by_one, whole: at_once},
        limit(views, batches),
        images=len(data),
    )


def folder_and_set(tmp_path: Path) -> tuple[Path, ImageSet]:
    """Tiny ImageNet's training images, as files and packed; without it random ones of its size."""
    root = Path(DATA or "/nowhere")
    try:
        return root / "tiny-imagenet-200" / "train", open_dataset(
            "tiny-imagenet", root, pack_missing=False
        )["train"]
    except (DataError, KeyError):
        data = synthetic(COUNT, 64)
        for k, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
            (tmp_path / str(label)).mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / str(label) / f"{k:04}.png")
        return tmp_path, data


def test_reading(race: Race, tmp_path: Path) -> None:
    row = Row(
        "training batches from the disk, 64 to 56 pixels",
        "CPU",
        "",
        "ImageFolder, `transforms.v2`, 2 workers",
        20,
    )
    device = race.prepare(row)
    folder, whole = folder_and_set(tmp_path)
    row = replace(row, ours=f"`ImageSet` of {whole.meta.name}, `Loader`")
    data = replace(
        whole,
        meta=replace(whole.meta, count=COUNT),
        images=whole.images[:COUNT],
        labels=whole.labels[:COUNT],
    )
    views = Loader(data, whole, 56, replace(RECIPE, color_noise="none").augment, device)
    found = ImageFolder(
        str(folder), usual(v2.ToImage(), v2.RandomCrop(56), v2.RandomHorizontalFlip())
    )
    theirs = loader(Subset(found, range(COUNT)), 2, device)

    def epoch() -> None:
        for _ in theirs:
            pass

    race(reading(as_trained(views)), {row: epoch}, limit(views, COUNT // BATCH), images=COUNT)
