"""ImageSet, the one format that training reads: packed uint8 images, mapped into memory, with a content fingerprint.

On disk an ImageSet is a folder: `images.npy` uint8 [N, H, W, 3] (RGB), `labels.npy` int64 [N], `mean_image.npy` float32
[H, W, 3] and `meta.json`. It is written beside its place and renamed, so it is there whole or not at all.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = 2
VERIFIED_ON_OPEN = 1 << 30  # bytes; larger sets are checked by `data verify` alone, since reading them takes minutes


class DataError(Exception):
    """The images are missing, broken or not what they claim to be. The message says what is wrong and what to do."""


@dataclass(frozen=True)
class Meta:
    """What is known of an ImageSet without reading its pixels."""

    format: int
    name: str  # the data set: "cifar10", "stand-in"
    split: str  # "train" or "test"
    classes: tuple[str, ...]
    count: int
    shape: tuple[int, int, int]  # height, width, 3
    statistics: str  # sha256 of mean image and pixel_std
    pixel_std: float  # of all pixels after the mean image is subtracted, in grey levels
    canonical: bool  # the publisher's own bytes, verified by checksum
    source: str  # in words: which files, decoded by what
    fingerprint: str  # sha256 of pixels, labels and class names


@dataclass(frozen=True)
class ImageSet:
    """Images [N, H, W, 3] uint8 and labels [N] int64 of one split, mapped so that the file is never written."""

    meta: Meta
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    mean_image: NDArray[np.float32]

    def __len__(self) -> int:
        return self.meta.count


def fingerprint(images: NDArray[np.uint8], labels: NDArray[np.int64], classes: Sequence[str]) -> str:
    """sha256 over shape, pixels, labels and class names, as hexadecimal."""
    digest = hashlib.sha256(json.dumps([list(images.shape), list(classes)]).encode())
    for start in range(0, len(images), 4096):
        digest.update(np.ascontiguousarray(images[start : start + 4096]).data)
    digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


def statistics(images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """The mean image [H, W, 3] and the standard deviation of all pixels around it, in grey levels."""
    mean_image = images.mean(axis=0, dtype=np.float64).astype(np.float32)
    parts = (images[start : start + 1000] for start in range(0, len(images), 1000))
    squares = sum(float(np.square(part - mean_image, dtype=np.float64).sum()) for part in parts)
    return mean_image, (squares / images.size) ** 0.5


def _statistics_digest(mean_image: NDArray[np.float32], pixel_std: float) -> str:
    return hashlib.sha256(mean_image.astype("<f4").tobytes() + repr(float(pixel_std)).encode()).hexdigest()


def pack(
    folder: Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    name: str,
    split: str,
    classes: Sequence[str],
    canonical: bool,
    source: str,
) -> ImageSet:
    """Write an ImageSet to `folder`, which appears only when complete, and open it."""
    mean_image, pixel_std = statistics(images)
    meta = Meta(
        format=FORMAT,
        name=name,
        split=split,
        classes=tuple(classes),
        count=len(images),
        shape=(images.shape[1], images.shape[2], images.shape[3]),
        statistics=_statistics_digest(mean_image, pixel_std),
        pixel_std=pixel_std,
        canonical=canonical,
        source=source,
        fingerprint=fingerprint(images, labels, classes),
    )
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    np.save(partial / "images.npy", images)
    np.save(partial / "labels.npy", labels.astype(np.int64))
    np.save(partial / "mean_image.npy", mean_image)
    (partial / "meta.json").write_text(json.dumps(asdict(meta), indent=1) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return open_imageset(folder)


def open_imageset(folder: Path, verify: bool | None = None) -> ImageSet:
    """Map an ImageSet. `verify` compares the fingerprint; by default sets up to 1 GiB are verified.

    Raises DataError if a file is missing, truncated or altered.
    """
    try:
        fields: dict[str, Any] = json.loads((folder / "meta.json").read_text())
        if fields.get("format") != FORMAT:
            raise ValueError(f"format {fields.get('format')} is not {FORMAT}")
        meta = Meta(**{**fields, "classes": tuple(fields["classes"]), "shape": tuple(fields["shape"])})
        images = np.load(
            folder / "images.npy", mmap_mode="c", allow_pickle=False
        )  # copy-on-write: torch insists on writable memory
        labels = np.load(folder / "labels.npy", allow_pickle=False)
        mean_image = np.load(folder / "mean_image.npy", allow_pickle=False)
        if images.shape != (meta.count, *meta.shape) or labels.shape != (meta.count,) or mean_image.shape != meta.shape:
            raise ValueError(f"arrays of shapes {images.shape}, {labels.shape} do not fit {meta.count} images")
        if images.dtype != np.uint8 or not 0 <= labels.min() <= labels.max() < len(meta.classes):
            raise ValueError("pixels are not uint8 or labels lie outside the classes")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, EOFError) as error:
        raise DataError(f"{folder} is not a whole ImageSet ({error}); delete it and run `data prepare` again") from error
    if _statistics_digest(mean_image, meta.pixel_std) != meta.statistics:
        raise DataError(f"{folder} has another mean image than it was packed with; delete it and run `data prepare` again")
    verify = images.nbytes <= VERIFIED_ON_OPEN if verify is None else verify
    if verify and fingerprint(images, labels, meta.classes) != meta.fingerprint:
        raise DataError(f"{folder} does not match its fingerprint; delete it and run `data prepare` again")
    return ImageSet(meta, images, labels, mean_image)
