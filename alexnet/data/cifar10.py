"""CIFAR-10: the publisher's folder or archive, verified by md5, or class folders by split."""

import hashlib
import pickle
import socket
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet.data.decode import DECODER
from alexnet.data.imageset import DataError, ImageSet, pack
from alexnet.data.prepare import Listing, Progress, folder_items
from alexnet.data.sources import DataSet, Splits, open_splits, open_squares
from alexnet.io import is_passing, locked, named

CLASSES = ("airplane", "automobile", "bird", "cat", "deer",
           "dog", "frog", "horse", "ship", "truck")  # fmt: skip
COUNTS = {"train": 50_000, "test": 10_000}
FOLDER = "cifar-10-batches-py"
# md5 of the publisher's files, as on the CIFAR-10 page and in torchvision.datasets.CIFAR10.
ARCHIVE = ("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a")
FILES = {
    "train": (
        ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        ("data_batch_4", "634d18415352ddfa80567beed471001a"),
        ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    ),
    "test": (("test_batch", "40351d587109b95175f43aff81a1287e"),),
}
HOST = "www.cs.toronto.edu"


class Cifar10(DataSet):
    """CIFAR-10 in any of its forms."""

    title = "CIFAR-10"
    downloads = True

    def find(self, root: Path) -> Path | None:
        """The publisher's folder or archive under `root`, or the parent of image folders."""
        for path in (root / FOLDER, root / ARCHIVE[0], root / "cifar10", root):
            has_images = any((path / split / CLASSES[0]).is_dir() for split in COUNTS)
            if path.is_file() or (path.is_dir() and path.name == FOLDER) or has_images:
                return path
        return None

    def absent(self, root: Path) -> str:
        """What to do where it is not there."""
        return (
            f"CIFAR-10 is not under {root}: put {FOLDER}, {ARCHIVE[0]} or train/<class>/ and "
            "test/<class>/ image folders there, or name another folder with --data or ALEXNET_DATA"
        )

    def open(
        self, root: Path, progress: Progress | None = None, *, pack_missing: bool = True
    ) -> Splits:
        """Both splits; the publisher's files are canonical."""
        path = self.locate(root)
        if not _is_canonical(path):
            listings = {split: _list_folder(path, split) for split in COUNTS}
            source = f"image folder, {DECODER}"
            return open_squares("cifar10", listings, 32, source, root, progress, pack_missing)

        def make(folder: Path, split: str) -> ImageSet:
            images, labels = _read_batches(path, split)
            source = "cifar-10-python, verified by md5"
            about = {"name": "cifar10", "split": split, "canonical": True, "source": source}
            return pack(folder, images, labels, classes=CLASSES, **about)

        names = {split: f"cifar10-{ARCHIVE[1][:12]}-{split}" for split in COUNTS}
        return open_splits(root, names, make, pack_missing)

    def download(self, root: Path) -> Path:
        """Fetch the publisher's archive (170 MB) through torchvision."""
        from torchvision.datasets.utils import download_url  # noqa: PLC0415 - torch is slow to import and seldom needed here

        name, md5 = ARCHIVE
        try:
            # a closed network must not block a batch job
            socket.create_connection((HOST, 443), timeout=5).close()
            with (
                locked(root / f".{name}.lock"),
                tempfile.TemporaryDirectory(prefix=".download-", dir=root) as folder,
            ):
                if not (root / name).exists():
                    download_url(f"https://{HOST}/~kriz/{name}", folder, name, md5)
                    (Path(folder) / name).rename(root / name)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"CIFAR-10 is not under {root} and could not be downloaded ({error})"
            ) from error
        return root / name

    def verify(self, root: Path) -> None:
        """Check the md5 of the publisher's files, or that image folders are complete."""
        path = self.locate(root)
        for split in COUNTS:
            (_read_batches if _is_canonical(path) else _list_folder)(path, split)


def _is_canonical(path: Path) -> bool:
    return path.is_file() or path.name == FOLDER


def _read_batches(path: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The publisher's pickles, each unpickled after its md5 is checked; nothing is extracted."""
    if path.is_file():
        _check_md5(path.read_bytes(), ARCHIVE[1], path)
    pixels, labels = [], []
    for name, md5 in FILES[split]:
        content = _content(path, name)
        _check_md5(content, md5, path / name)
        batch = pickle.loads(content, encoding="bytes")  # noqa: S301 - its bytes are the publisher's
        planes = np.asarray(batch[b"data"], dtype=np.uint8).reshape(-1, 3, 32, 32)
        pixels.append(planes.transpose(0, 2, 3, 1))
        labels.append(np.asarray(batch[b"labels"], dtype=np.int64))
    return np.ascontiguousarray(np.concatenate(pixels)), np.concatenate(labels)


def _content(path: Path, name: str) -> bytes:
    try:
        if not path.is_file():
            return (path / name).read_bytes()
        with tarfile.open(path) as archive:
            member = archive.extractfile(f"{FOLDER}/{name}")
            return member.read() if member else b""
    except (OSError, KeyError, tarfile.TarError, EOFError) as error:
        if is_passing(error):
            raise named(error, path) from error
        raise DataError(f"{path} lacks {name} ({error}); download CIFAR-10 again") from error


def _check_md5(content: bytes, expected: str, path: Path) -> None:
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise DataError(
            f"{path} has md5 {found}, the publisher's is {expected}: it is truncated or altered; "
            "download it again"
        )


def _list_folder(path: Path, split: str) -> Listing:
    """The images of a split by class and name; a class has as many as CIFAR-10's or DataError."""
    wanted = COUNTS[split] // len(CLASSES)
    items = []
    for name in CLASSES:
        found = folder_items(path / split / name, path, (".jpg", ".jpeg", ".png"))
        if len(found) != wanted:
            raise DataError(
                f"{path / split / name} holds {len(found):,} images, CIFAR-10 has {wanted:,}: the "
                "copy is incomplete; unpack it again"
            )
        items += found
    return Listing(items, np.repeat(np.arange(len(CLASSES)), wanted), CLASSES)
