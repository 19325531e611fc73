"""Where images come from: CIFAR-10 (the publisher's files or a folder of images) and the built-in stand-in.

Every source ends in two ImageSets, train and test. Sources that need decoding are packed once under `prepared/` in the data
root (in the user's cache where the root cannot be written) and found again by what they were made of.
"""

import hashlib
import os
import pickle
import socket
import tarfile
import tempfile
import urllib.error
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from alexnet.data.imageset import FORMAT, DataError, ImageSet, open_imageset, pack
from alexnet.data.standin import STANDIN_VERSION, standin_arrays
from alexnet.files import locked

Splits = dict[str, ImageSet]
Progress = Callable[[str, int, int], None]  # what is being done, images done, images in all

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_COUNTS = {"train": 50_000, "test": 10_000}
# md5 of the publisher's files, as on the CIFAR-10 page and in torchvision.datasets.CIFAR10.
CIFAR10_ARCHIVE = ("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a")
CIFAR10_FILES = {
    "train": (
        ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        ("data_batch_4", "634d18415352ddfa80567beed471001a"),
        ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    ),
    "test": (("test_batch", "40351d587109b95175f43aff81a1287e"),),
}
CIFAR10_HOST = "www.cs.toronto.edu"
DATASETS = ("cifar10", "stand-in")


def cache_root() -> Path:
    """The folder for files that can be made again: `$XDG_CACHE_HOME/alexnet`, by default `~/.cache/alexnet`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alexnet"


def data_root(given: Path | None = None) -> Path:
    """The folder that holds the data sets: `given`, else `$ALEXNET_DATA`, else the cache. DataError if it is no folder."""
    named = given or (Path(os.environ["ALEXNET_DATA"]) if os.environ.get("ALEXNET_DATA") else None)
    if named is None:
        return cache_root()
    if not named.expanduser().is_dir():
        raise DataError(f"the data root {named} is not a folder; create it or name another with --data or ALEXNET_DATA")
    return named.expanduser()


def find_cifar10(root: Path) -> Path | None:
    """CIFAR-10 under `root`: the publisher's folder, its archive, or a folder with train/<class>/ and test/<class>/."""
    for path in (root / "cifar-10-batches-py", root / CIFAR10_ARCHIVE[0], root / "cifar10", root):
        is_images = path.is_dir() and any((path / split / CIFAR10_CLASSES[0]).is_dir() for split in CIFAR10_COUNTS)
        if path.is_file() or (path.is_dir() and path.name == "cifar-10-batches-py") or is_images:
            return path
    return None


def download_cifar10(root: Path) -> Path:
    """Fetch the publisher's archive (170 MB) into `root` through torchvision, whole or not at all.

    Raises DataError if it cannot be had.
    """
    from torchvision.datasets.utils import download_url  # noqa: PLC0415 - torch is slow to import and seldom needed here

    name, md5 = CIFAR10_ARCHIVE
    try:
        socket.create_connection((CIFAR10_HOST, 443), timeout=5).close()  # a closed network must not block a batch job
        with locked(root / f".{name}.lock"), tempfile.TemporaryDirectory(prefix=".download-", dir=root) as folder:
            if not (root / name).exists():
                download_url(f"https://{CIFAR10_HOST}/~kriz/{name}", folder, name, md5)
                (Path(folder) / name).rename(root / name)
    except (OSError, RuntimeError, urllib.error.URLError) as error:
        raise DataError(f"CIFAR-10 is not under {root} and could not be downloaded ({error})") from error
    return root / name


def open_dataset(name: str, root: Path, progress: Progress | None = None, *, pack_missing: bool = True) -> Splits:
    """Both splits of a data set, packed first if that has not been done. Never downloads.

    With `pack_missing` False nothing is written, and a set that is not packed yet comes back empty.
    Raises DataError if the data are absent, incomplete, broken or fail their checksum, ValueError for an unknown name.
    """
    if name not in DATASETS:
        raise ValueError(f"no data set is called {name!r}; there are {' and '.join(DATASETS)}")
    if name == "stand-in":
        return _open_standin(pack_missing)
    path = _located_cifar10(root)
    return _open_cifar10(path, root, progress, pack_missing)


def verify_cifar10(root: Path) -> None:
    """Check CIFAR-10's source: the md5 of every file of the publisher's, or that an image folder has all its files.

    Raises DataError if it is absent, incomplete or altered.
    """
    path = _located_cifar10(root)
    for split in CIFAR10_COUNTS:
        if _is_canonical(path):
            _read_batches(path, split)
        else:
            _class_files(path, split)


def _located_cifar10(root: Path) -> Path:
    path = find_cifar10(root)
    if path is None:
        raise DataError(
            f"CIFAR-10 is not under {root}: put cifar-10-batches-py, {CIFAR10_ARCHIVE[0]} or train/<class>/ and "
            "test/<class>/ image folders there, or name another folder with --data or ALEXNET_DATA"
        )
    return path


def _is_canonical(path: Path) -> bool:
    return path.is_file() or path.name == "cifar-10-batches-py"


def _open_standin(pack_missing: bool) -> Splits:
    def make(folder: Path, split: str) -> None:
        images, labels = standin_arrays(split)
        pack(folder, images, labels, name="stand-in", split=split, classes=CIFAR10_CLASSES, canonical=False, source="procedural")

    splits = {s: _open_packed(cache_root(), f"stand-in-{STANDIN_VERSION}-{s}", s, make, pack_missing) for s in CIFAR10_COUNTS}
    return _whole(splits)


def _open_cifar10(path: Path, root: Path, progress: Progress | None, pack_missing: bool) -> Splits:
    canonical = _is_canonical(path)
    source = "cifar-10-python, verified by md5" if canonical else f"image folder, decoded by Pillow {PIL.__version__}"

    def make(folder: Path, split: str) -> None:
        images, labels = _read_batches(path, split) if canonical else _decode_folder(path, split, folder, progress)
        pack(folder, images, labels, name="cifar10", split=split, classes=CIFAR10_CLASSES, canonical=canonical, source=source)

    splits = {}
    for split in CIFAR10_COUNTS:
        key = CIFAR10_ARCHIVE[1][:12] if canonical else _listing_key(path, split)
        splits[split] = _open_packed(root, f"cifar10-{key}-{split}", split, make, pack_missing)
    return _whole(splits)


def _whole(splits: dict[str, ImageSet | None]) -> Splits:
    found = {name: split for name, split in splits.items() if split is not None}
    return found if len(found) == len(splits) else {}


def _open_packed(root: Path, name: str, split: str, make: Callable[[Path, str], None], pack_missing: bool) -> ImageSet | None:
    """Open a packed set where it lies, in the root or in the cache; make it first where it may and must be made."""
    named = f"{name}-{FORMAT}"
    places = [root / "prepared" / named, cache_root() / "prepared" / named]
    folder = next((place for place in places if place.exists()), None)
    if folder is None:
        if not pack_missing:
            return None
        folder = places[0] if os.access(root / "prepared" if (root / "prepared").exists() else root, os.W_OK) else places[1]
        with locked(folder.with_name(f".{named}.lock")):
            if not folder.exists():
                make(folder, split)
    return open_imageset(folder)


def _read_batches(path: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The publisher's pickles, each unpickled only after its md5 is right; an archive is read in place, nothing extracted."""
    if path.is_file():
        _check_md5(path.read_bytes(), CIFAR10_ARCHIVE[1], path)
    pixels, labels = [], []
    for name, md5 in CIFAR10_FILES[split]:
        try:
            if path.is_file():
                with tarfile.open(path) as archive:
                    member = archive.extractfile(f"cifar-10-batches-py/{name}")
                    content = member.read() if member else b""
            else:
                content = (path / name).read_bytes()
        except (OSError, KeyError, tarfile.TarError, EOFError) as error:
            raise DataError(f"{path} lacks {name} ({error}); download CIFAR-10 again") from error
        _check_md5(content, md5, path / name)
        batch = pickle.loads(content, encoding="bytes")  # noqa: S301 - its bytes are the publisher's
        pixels.append(np.asarray(batch[b"data"], dtype=np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        labels.append(np.asarray(batch[b"labels"], dtype=np.int64))
    return np.ascontiguousarray(np.concatenate(pixels)), np.concatenate(labels)


def _check_md5(content: bytes, expected: str, path: Path) -> None:
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise DataError(f"{path} has md5 {found}, the publisher's is {expected}: it is truncated or altered; download it again")


def _class_files(path: Path, split: str) -> dict[str, list[Path]]:
    files = {}
    for name in CIFAR10_CLASSES:
        folder = path / split / name
        found = [f for f in sorted(folder.glob("*")) if f.suffix.lower() in {".jpg", ".jpeg", ".png"}]
        wanted = CIFAR10_COUNTS[split] // len(CIFAR10_CLASSES)
        if len(found) != wanted:
            raise DataError(
                f"{folder} holds {len(found):,} images, CIFAR-10 has {wanted:,}: the copy is incomplete; unpack it again"
            )
        files[name] = found
    return files


def _listing_key(path: Path, split: str) -> str:
    digest = hashlib.sha256()
    for files in _class_files(path, split).values():
        for file in files:
            stat = file.stat()
            digest.update(f"{file.relative_to(path)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]


def _decode_folder(path: Path, split: str, target: Path, progress: Progress | None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Decode class by class, each class kept as a file until all are there: an interrupted call goes on where it stopped."""
    files = _class_files(path, split)
    parts = target.with_name(target.name + ".parts")
    parts.mkdir(parents=True, exist_ok=True)
    total, done, pixels = CIFAR10_COUNTS[split], 0, []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name in CIFAR10_CLASSES:
            part = parts / f"{name}.npy"
            if not part.exists():
                decoded = np.stack(list(pool.map(_decode, files[name])))
                np.save(part.with_suffix(".partial.npy"), decoded)
                part.with_suffix(".partial.npy").rename(part)
            pixels.append(np.load(part, allow_pickle=False))
            done += len(files[name])
            if progress:
                progress(f"packing cifar10 {split}", done, total)
    labels = np.repeat(np.arange(len(CIFAR10_CLASSES)), [len(files[name]) for name in CIFAR10_CLASSES])
    for part in parts.iterdir():
        part.unlink()
    parts.rmdir()
    return np.concatenate(pixels), labels


def _decode(file: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise DataError(f"{file} is not a readable image ({error}); unpack the images again") from error
    if pixels.shape != (32, 32, 3):
        raise DataError(f"{file} is {pixels.shape[1]}×{pixels.shape[0]} pixels, CIFAR-10 images are 32×32")
    return pixels
