"""Tiny ImageNet, 200 classes at 64×64 pixels, from a complete copy of the publisher's folder."""

from collections import Counter
from pathlib import Path

import numpy as np

from alexnet.data.decode import DECODER
from alexnet.data.imageset import DataError
from alexnet.data.prepare import Item, Listing, Progress, folder_items
from alexnet.data.sources import DataSet, Splits, open_squares
from alexnet.io import is_passing, named

FOLDER = "tiny-imagenet-200"
CLASSES = 200
SIDE = 64  # pixels
# the labels of the publisher's own test images are unpublished; "test" is its validation set
PER_CLASS = {"train": 500, "test": 50}
SOURCE = (
    f"{FOLDER}, its 10,000 validation images as test, since the labels of its test images are "
    f"unpublished, {DECODER}"
)
AGAIN = "unpack Tiny ImageNet again"


class TinyImageNet(DataSet):
    """The publisher's folder."""

    def find(self, root: Path) -> Path | None:
        """The folder under `root`, or `root` itself where that is the folder."""
        if (root / FOLDER).is_dir():
            return root / FOLDER
        return root if (root / "wnids.txt").is_file() and (root / "val").is_dir() else None

    def absent(self, root: Path) -> str:
        """What to do where it is not there."""
        return (
            f"Tiny ImageNet is not under {root}: unpack {FOLDER}.zip there, or name another folder "
            "with --data or ALEXNET_DATA"
        )

    def open(
        self, root: Path, progress: Progress | None = None, *, pack_missing: bool = True
    ) -> Splits:
        """Both splits, from a complete copy."""
        path = self.locate(root)
        listings = {split: list_tiny_imagenet(path, split) for split in PER_CLASS}
        return open_squares(self.name, listings, SIDE, SOURCE, root, progress, pack_missing)


def list_tiny_imagenet(path: Path, split: str) -> Listing:
    """The images of a split by class and name.

    Raises DataError if the copy is incomplete or its lists do not fit its files.
    """
    wnids = sorted(_read(path / "wnids.txt").split())
    if len(set(wnids)) != CLASSES or not all(wnid.isalnum() for wnid in wnids):
        raise DataError(
            f"{path / 'wnids.txt'} does not name {CLASSES} classes: the copy is damaged; {AGAIN}"
        )
    if split == "train":
        folders = {wnid: path / "train" / wnid / "images" for wnid in wnids}
        found = {wnid: folder_items(folder, path, {".jpeg"}) for wnid, folder in folders.items()}
    else:
        found = _validation_items(path, wnids)
    for wnid, items in found.items():
        if len(items) != PER_CLASS[split]:
            raise DataError(
                f"{path} holds {len(items):,} {split} images of {wnid}, Tiny ImageNet has "
                f"{PER_CLASS[split]:,}: the copy is incomplete; unpack it again"
            )
    labels = np.repeat(np.arange(CLASSES), PER_CLASS[split])
    items = [item for mine in found.values() for item in mine]
    return Listing(items, labels, wnids, _words(path, wnids))


def _validation_items(path: Path, wnids: list[str]) -> dict[str, list[Item]]:
    """The images that `val_annotations.txt` names, by class.

    Each of its lines: name, wnid, and a box that is not needed.
    """
    listed = path / "val" / "val_annotations.txt"
    rows = [line.split("\t")[:2] for line in _read(listed).splitlines() if line.strip()]
    files = folder_items(path / "val" / "images", path, {".jpeg"})
    there = {Path(item.name).name: item for item in files}
    for row in rows:
        if len(row) != 2 or row[0] not in there or row[1] not in wnids:
            what = f"{' '.join(row)!r}, which is no class or no file of val/images"
            raise DataError(f"{listed} has {what}; {AGAIN}")
    name, times = Counter(row[0] for row in rows).most_common(1)[0] if rows else ("", 0)
    if times > 1:
        raise DataError(f"{listed} names {name} more than once: the copy is damaged; {AGAIN}")
    return {wnid: sorted(there[name] for name, label in rows if label == wnid) for wnid in wnids}


def _words(path: Path, wnids: list[str]) -> list[str]:
    """What each class is called, from `words.txt`; nothing where the copy lacks it."""
    if not (path / "words.txt").is_file():
        return []
    lines = [line.split("\t", 1) for line in _read(path / "words.txt").splitlines()]
    names = dict(line for line in lines if len(line) == 2)
    return [names.get(wnid, wnid) for wnid in wnids]


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        if is_passing(error):
            raise named(error, file) from error
        why = f"{file} cannot be read ({error}): the copy is incomplete"
        raise DataError(f"{why}; {AGAIN}") from error
