"""Tiny ImageNet, 200 classes at 64×64 pixels, from a complete copy of the publisher's folder."""

from collections import Counter
from pathlib import Path

import numpy as np

from alexnet.data.catalogue import TINY_CLASSES
from alexnet.data.imageset import DataError
from alexnet.data.prepare import Item, Listing, folder_items
from alexnet.io import is_passing, named

FOLDER = "tiny-imagenet-200"
TINY_SIDE = 64  # pixels
# the labels of the publisher's own test images are unpublished; "test" is its validation set
PER_CLASS = {"train": 500, "test": 50}
NO_LABELS = (
    "its 10,000 validation images as test, since the labels of its test images are unpublished"
)


def find_tiny_imagenet(root: Path) -> Path | None:
    """Tiny ImageNet under `root`: its folder, or `root` itself where that is the folder."""
    if (root / FOLDER).is_dir():
        return root / FOLDER
    return root if (root / "wnids.txt").is_file() and (root / "val").is_dir() else None


def list_tiny_imagenet(path: Path, split: str) -> Listing:
    """The images of a split by class and name.

    Raises DataError if the copy is incomplete or its lists do not fit its files.
    """
    wnids = sorted(_read(path / "wnids.txt").split())
    if len(set(wnids)) != TINY_CLASSES or not all(wnid.isalnum() for wnid in wnids):
        raise DataError(
            f"{path / 'wnids.txt'} does not name {TINY_CLASSES} classes: the copy is damaged; "
            "unpack Tiny ImageNet again"
        )
    found = _train_items(path, wnids) if split == "train" else _validation_items(path, wnids)
    for wnid, items in found.items():
        if len(items) != PER_CLASS[split]:
            raise DataError(
                f"{path} holds {len(items):,} {split} images of {wnid}, Tiny ImageNet has "
                f"{PER_CLASS[split]:,}: "
                "the copy is incomplete; unpack it again"
            )
    labels = np.repeat(np.arange(TINY_CLASSES), PER_CLASS[split])
    return Listing(
        [item for items in found.values() for item in items], labels, wnids, _words(path, wnids)
    )


def _train_items(path: Path, wnids: list[str]) -> dict[str, list[Item]]:
    return {wnid: folder_items(path / "train" / wnid / "images", path, {".jpeg"}) for wnid in wnids}


def _validation_items(path: Path, wnids: list[str]) -> dict[str, list[Item]]:
    """The images that `val_annotations.txt` names, by class.

    Each of its lines: name, wnid, and a box that is not needed.
    """
    listed = path / "val" / "val_annotations.txt"
    rows = [line.split("\t")[:2] for line in _read(listed).splitlines() if line.strip()]
    there = {
        Path(item.name).name: item
        for item in folder_items(path / "val" / "images", path, {".jpeg"})
    }
    wrong = next(
        (row for row in rows if len(row) != 2 or row[0] not in there or row[1] not in wnids), None
    )
    if wrong is not None:
        raise DataError(
            f"{listed} has {' '.join(wrong)!r}, which is no class or no file of val/images; "
            "unpack Tiny ImageNet again"
        )
    twice = [name for name, times in Counter(row[0] for row in rows).items() if times > 1]
    if twice:
        raise DataError(
            f"{listed} names {twice[0]} more than once: the copy is damaged; unpack Tiny ImageNet "
            "again"
        )
    return {wnid: sorted(there[name] for name, label in rows if label == wnid) for wnid in wnids}


def _words(path: Path, wnids: list[str]) -> list[str]:
    """What each class is called, from `words.txt`; nothing where the copy lacks it."""
    if not (path / "words.txt").is_file():
        return []
    named = dict(
        line.split("\t", 1) for line in _read(path / "words.txt").splitlines() if "\t" in line
    )
    return [named.get(wnid, wnid) for wnid in wnids]


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        if is_passing(error):
            raise named(error, file) from error
        raise DataError(
            f"{file} cannot be read ({error}): the copy is incomplete; unpack Tiny ImageNet again"
        ) from error
