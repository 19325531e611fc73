"""Procedural images for machines without real ones: they prove that the code runs."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.data.cifar10 import CLASSES
from alexnet.data.imageset import ImageSet, pack
from alexnet.data.prepare import Progress
from alexnet.data.sources import DataSet, Splits, open_splits
from alexnet.io import cache_root

VERSION = 1  # part of the name under which the images are cached; raise it when they change
COUNTS = {"train": 2_560, "test": 500}
SIDE = 32  # pixels


class Synthetic(DataSet):
    """The built-in images, packed in the cache; they have CIFAR-10's class names."""

    def find(self, root: Path) -> Path:
        """The cache."""
        return cache_root()

    def open(
        self, root: Path, progress: Progress | None = None, *, pack_missing: bool = True
    ) -> Splits:
        """Both splits; `root` plays no part."""

        def make(folder: Path, split: str) -> ImageSet:
            about: dict[str, Any] = {"name": self.name, "split": split, "source": "procedural"}
            images, labels = synthetic_arrays(split)
            return pack(folder, images, labels, classes=CLASSES, canonical=False, **about)

        names = {split: f"synthetic-{VERSION}-{split}" for split in ("train", "test")}
        return open_splits(cache_root(), names, make, pack_missing)


def synthetic_arrays(split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Noisy coloured gratings of ten classes: uint8 [N, 32, 32, 3] and labels [N], always the same.

    A class has its own direction, wavelength and colour; phase, contrast and noise vary from image
    to image.
    """
    count = COUNTS[split]
    rng = np.random.Generator(np.random.Philox(key=[2012, sorted(COUNTS).index(split)]))
    labels = np.arange(count) % 10
    angle, cycles = np.pi * labels / 10, 2.0 + labels % 3
    thirds = (0, 1 / 3, 2 / 3)
    colour = np.stack([np.cos(2 * np.pi * (labels / 10 + third)) for third in thirds], axis=-1)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    along = x * np.cos(angle)[:, None, None] + y * np.sin(angle)[:, None, None]
    phase = rng.uniform(0, 2 * np.pi, (count, 1, 1))
    contrast = rng.uniform(60, 110, (count, 1, 1))
    wave = np.sin(2 * np.pi * cycles[:, None, None] * along + phase) * contrast
    coloured = 128 + wave[..., None] * (1 + colour[:, None, None, :]) / 2
    pixels = coloured + rng.normal(0, 15, (count, SIDE, SIDE, 3))
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8), labels
