"""ImageSet, the format that training reads: packed uint8 images with a content fingerprint.

On disk an ImageSet is a folder: `images.npy` uint8 [N, H, W, 3] (RGB), `labels.npy` int64 [N],
`mean_image.npy` float32 [H, W, 3] and `meta.json`. It is written beside its place and renamed, so
it is there whole or not at all.
"""

import hashlib
import json
import mmap
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from alexnet.io import is_passing, is_there, move_aside, named

FORMAT = 3
# bytes; larger sets are checked by `data verify` alone, since reading them takes minutes
VERIFIED_ON_OPEN = 1 << 30
MAP_NORESERVE = 0x4000  # of Linux on x86 and ARM; the mmap module of Python 3.11 does not name it
Colours = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]


class DataError(Exception):
    """The images are missing, broken or not what they claim to be.

    The message says what is wrong and what to do.
    """


class BrokenSetError(DataError):
    """A packed set is proved not to be what it was; `why` says it without what to do."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; move it away and run `data prepare` again")
        self.why = why


@dataclass(frozen=True)
class Meta:
    """What is known of an ImageSet without reading its pixels."""

    format: int
    name: str  # the data set: "cifar10", "tiny-imagenet", "synthetic"
    split: str  # "train" or "test"
    classes: tuple[str, ...]
    count: int
    shape: tuple[int, int, int]  # height, width, 3
    statistics: str  # sha256 of mean image, pixel_std and rgb_covariance
    pixel_std: float  # of all pixels after the mean image is subtracted, in grey levels
    # of all pixels' RGB around their channel means, in grey levels squared (§4.1)
    rgb_covariance: Colours
    canonical: bool  # the publisher's own bytes, verified by checksum
    source: str  # in words: which files, decoded by what
    fingerprint: str  # sha256 of pixels, labels and class names
    # what each class is called in English, where the class names do not say it
    words: tuple[str, ...] = ()


META = TypeAdapter(Meta)


@dataclass(frozen=True)
class ImageSet:
    """Images uint8 [N, H, W, 3] and labels int64 [N] of one split, mapped from a file."""

    meta: Meta
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    mean_image: NDArray[np.float32]

    def __len__(self) -> int:
        return self.meta.count


def fingerprint(
    images: NDArray[np.uint8], labels: NDArray[np.int64], classes: Sequence[str]
) -> str:
    """sha256 over shape, pixels, labels and class names, as hexadecimal."""
    digest = hashlib.sha256(json.dumps([list(images.shape), list(classes)]).encode())
    for start in range(0, len(images), 4096):
        digest.update(np.ascontiguousarray(images[start : start + 4096]).data)
    digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


def statistics(images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """Mean image [H, W, 3] and standard deviation of all pixels around it, in grey levels."""
    mean_image = images.mean(axis=0, dtype=np.float64).astype(np.float32)
    parts = (images[start : start + 1000] for start in range(0, len(images), 1000))
    squares = sum(float(np.square(part - mean_image, dtype=np.float64).sum()) for part in parts)
    return mean_image, (squares / images.size) ** 0.5


def rgb_covariance(images: NDArray[np.uint8]) -> Colours:
    """The 3×3 covariance of the RGB values of all pixels of [N, H, W, 3], in grey levels squared.

    Summed in whole numbers, which float64 holds exactly up to 2^53: the same bits whatever the
    parts and the threads.
    """
    pixels = images.reshape(-1, 3)
    total, products = np.zeros(3), np.zeros((3, 3))
    for start in range(0, len(pixels), 1 << 16):
        part = np.ascontiguousarray(pixels[start : start + (1 << 16)].T).astype(np.float64)
        total += part.sum(axis=1)
        # six times faster than the matrix product of so flat a matrix
        products += [[a @ b for b in part] for a in part]
    mean = total / len(pixels)
    covariance = (products / len(pixels) - np.outer(mean, mean)).tolist()
    return tuple(tuple(row) for row in covariance)  # type: ignore[return-value]  # three by three


def _statistics_digest(
    mean_image: NDArray[np.float32], pixel_std: float, covariance: Colours
) -> str:
    text = repr((float(pixel_std), covariance))
    return hashlib.sha256(mean_image.astype("<f4").tobytes() + text.encode()).hexdigest()


def partial_of(folder: Path) -> Path:
    """Where an ImageSet is put together before it is renamed to `folder`."""
    return folder.with_name(folder.name + ".partial")


def pack(
    folder: Path, images: NDArray[np.uint8], labels: NDArray[np.int64], **about: Any
) -> ImageSet:
    """Write an ImageSet to `folder`, which appears only when complete, and open it.

    `about` is what `finish` asks for.
    """
    partial = partial_of(folder)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    np.save(partial / "images.npy", images)
    return finish(folder, labels, **about)


def finish(
    folder: Path,
    labels: NDArray[np.int64],
    *,
    name: str,
    split: str,
    classes: Sequence[str],
    canonical: bool,
    source: str,
    words: Sequence[str] = (),
) -> ImageSet:
    """Make an ImageSet of the `images.npy` that lies whole in `partial_of(folder)`, and open it.

    The images are read through a map, in parts, so that a set larger than the memory can be
    finished.
    """
    partial = partial_of(folder)
    images = np.asarray(np.load(partial / "images.npy", mmap_mode="r", allow_pickle=False))
    # each reads everything once; numpy and hashlib let the others run
    with ThreadPoolExecutor() as pool:
        counted, colours = pool.submit(statistics, images), pool.submit(rgb_covariance, images)
        content = fingerprint(images, labels, classes)
        (mean_image, pixel_std), covariance = counted.result(), colours.result()
    meta = Meta(
        format=FORMAT,
        name=name,
        split=split,
        classes=tuple(classes),
        count=len(images),
        shape=images.shape[1:],
        statistics=_statistics_digest(mean_image, pixel_std, covariance),
        pixel_std=pixel_std,
        rgb_covariance=covariance,
        canonical=canonical,
        source=source,
        fingerprint=content,
        words=tuple(words),
    )
    np.save(partial / "labels.npy", labels.astype(np.int64))
    np.save(partial / "mean_image.npy", mean_image)
    (partial / "meta.json").write_text(json.dumps(asdict(meta), indent=1) + "\n")
    for path in partial.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())  # a rename must not reach the disk before what it names
    if is_there(folder):
        move_aside(folder)
    partial.rename(folder)
    return open_imageset(folder)


def open_imageset(folder: Path, verify: bool | None = None) -> ImageSet:
    """Map an ImageSet. `verify` compares the fingerprint; by default sets up to 1 GiB are verified.

    Raises BrokenSetError if a file is missing, truncated or altered, OSError if one cannot be read
    or mapped now.
    """
    try:
        fields: dict[str, Any] = json.loads((folder / "meta.json").read_text())
        if fields.get("format") != FORMAT:
            raise ValueError(f"format {fields.get('format')} is not {FORMAT}")
        meta = META.validate_python(fields)
        images = _mapped(folder / "images.npy")
        labels = np.load(folder / "labels.npy", allow_pickle=False)
        mean_image = np.load(folder / "mean_image.npy", allow_pickle=False)
        shapes = images.shape, labels.shape, mean_image.shape
        if shapes != ((meta.count, *meta.shape), (meta.count,), meta.shape):
            raise ValueError(f"arrays of shapes {shapes} do not fit {meta.count} images")
        if images.dtype != np.uint8 or not 0 <= labels.min() <= labels.max() < len(meta.classes):
            raise ValueError("pixels are not uint8 or labels lie outside the classes")
    except (OSError, ValueError, TypeError, AttributeError, EOFError) as error:
        if is_passing(error):
            raise named(error, folder) from error
        raise BrokenSetError(f"{folder} is not a whole ImageSet ({error})") from error
    if _statistics_digest(mean_image, meta.pixel_std, meta.rgb_covariance) != meta.statistics:
        raise BrokenSetError(f"{folder} has another mean image than it was packed with")
    data = ImageSet(meta, images, labels, mean_image)
    if verify or (verify is None and images.nbytes <= VERIFIED_ON_OPEN):
        check_fingerprint(data, str(folder))
    return data


def check_fingerprint(data: ImageSet, where: str) -> None:
    """Read every pixel.

    Raises BrokenSetError if pixels, labels or class names are not those that were packed.
    """
    if fingerprint(data.images, data.labels, data.meta.classes) != data.meta.fingerprint:
        raise BrokenSetError(f"{where} does not match its fingerprint")


def _mapped(path: Path) -> NDArray[np.uint8]:
    """The array of an .npy file, mapped copy-on-write, since torch insists on writable memory.

    numpy's own map of this kind reserves memory for a copy of it all, which fails where the set is
    larger than the memory.
    """
    header = np.load(path, mmap_mode="r", allow_pickle=False)
    with path.open("rb") as file:
        flags, access = mmap.MAP_PRIVATE | MAP_NORESERVE, mmap.PROT_READ | mmap.PROT_WRITE
        buffer = mmap.mmap(file.fileno(), 0, flags=flags, prot=access)
    return np.ndarray(header.shape, header.dtype, buffer, header.offset)
