"""Which images lie in a folder or a tar archive, and what their places say of them.

Archives are read in place, never extracted.
"""

import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from alexnet.data.decode import SUFFIXES
from alexnet.data.imageset import DataError
from alexnet.data.prepare import Item, Progress, folder_items
from alexnet.io import is_passing, named

# names of folders that say which split it is
PLACES = {"train": "train", "val": "val", "validation": "val", "test": "test"}
# the publisher's images that lie without class folders
FLAT = re.compile(r"ILSVRC20\d\d_(val|test)_(\d{8})\.JPEG")
# by first bytes
COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7z": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK": "zip",
}
BAD_TAR = (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, RecursionError)
DEPTH = 4  # of folders below a source; a link that leads back ends there


class Found(NamedTuple):
    """An image and what its place says of it."""

    place: str  # "train", "val" or "test"; "" where it says nothing
    label: str  # the class's name; "" where it says nothing
    number: int  # in the publisher's list of labels, from 1; 0 where the image is in none
    name: str  # of the file alone
    item: Item


def scan(source: Path, progress: Progress | None = None) -> Iterator[Found]:
    """Every image of a folder or an uncompressed tar.

    Images are in class folders, in tars of one class each, or in one flat list. Raises DataError
    if the source is absent, compressed, damaged or cut short, or names places outside itself.
    """
    if source.is_dir():
        yield from _scan_folder(source, source, progress)
    elif source.is_file():
        yield from _scan_tar(source, (), progress)
    else:
        raise DataError(f"{source} is not there; name a folder or a tar with --source")


def placed(parts: Sequence[str], item: Item) -> Found:
    """Split and class of an image by its path below the source.

    Paths are .../<split>/<class>/<file>, .../<class>/<file>, or a flat list's file name.
    """
    name, above = parts[-1], ["", "", *parts[:-1]]
    flat = FLAT.fullmatch(name)
    if flat and above[-1] in (*PLACES, ""):
        return Found(flat[1], "", int(flat[2]), name, item)
    if above[-1] in PLACES:
        return Found(PLACES[above[-1]], "", 0, name, item)
    return Found(PLACES.get(above[-2], ""), above[-1], 0, name, item)


def _scan_folder(folder: Path, root: Path, progress: Progress | None) -> Iterator[Found]:
    below = folder.relative_to(root).parts
    for item in folder_items(folder, root, SUFFIXES):
        yield placed((*below, Path(item.path).name), item)
    with os.scandir(folder) as entries:
        inside = sorted(Path(entry.path) for entry in entries if not entry.name.startswith("."))
    for number, path in enumerate(inside):
        if progress and not below:
            progress(f"reading {root.name}", number, len(inside))
        if path.is_dir() and len(below) < DEPTH:
            yield from _scan_folder(path, root, progress)
        elif path.suffix == ".tar":
            yield from _scan_tar(path, below, progress)


def _scan_tar(path: Path, below: Sequence[str], progress: Progress | None) -> Iterator[Found]:
    """The images of a tar, and of tars within it, which hold one class each.

    `below` is the path of the tar in its source.
    """
    with path.open("rb") as file:
        start = file.read(4)
    kind = next((kind for magic, kind in COMPRESSED.items() if start.startswith(magic)), None)
    if kind:
        why = "uncompress it first, since images are read where they lie"
        raise DataError(f"{path} is compressed ({kind}); {why}")
    try:
        with tarfile.open(path, "r:") as tar:
            yield from _scan_members(tar, path, below, progress)
    except BAD_TAR as error:
        if is_passing(error):
            raise named(error, path) from error
        raise DataError(
            f"{path} is not a whole tar archive ({error}); download it again"
        ) from error


def _scan_members(
    tar: tarfile.TarFile, path: Path, below: Sequence[str], progress: Progress | None
) -> Iterator[Found]:
    size, stamp = path.stat().st_size, path.stat().st_mtime_ns
    for member in _members(tar, path, size):
        parts = [*below, *_parts(member, path)]
        name, start = f"{path.name}/{member.name}", member.offset_data
        if parts[-1].endswith(".tar"):
            if progress:
                progress(f"reading {path.name}", start, size)
            above = (*parts[:-1], parts[-1].removesuffix(".tar"))
            with tarfile.open(fileobj=tar.extractfile(member), mode="r:") as inner:
                for image in _members(inner, path, member.size):
                    file, offset = _parts(image, path)[-1], start + image.offset_data
                    if file.lower().endswith(SUFFIXES):
                        item = Item(f"{name}/{file}", str(path), offset, image.size, stamp)
                        yield placed((*above, file), item)
        elif parts[-1].lower().endswith(SUFFIXES):
            if len(parts) == 1 and not FLAT.fullmatch(parts[0]):
                parts = [path.stem, *parts]  # the tar of one class
            yield placed(parts, Item(name, str(path), start, member.size, stamp))


def _members(tar: tarfile.TarFile, path: Path, size: int) -> Iterator[tarfile.TarInfo]:
    """The plain files of a tar. One that ends beyond the tar, or goes back in it, is an error."""
    last = -1
    while (member := tar.next()) is not None:
        if (
            member.offset_data <= last
            or member.size < 0
            or (member.isreg() and member.offset_data + member.size > size)
        ):
            raise DataError(f"{path} is cut short or damaged at {member.name}; download it again")
        last = member.offset_data
        if member.isreg() and not member.issparse():
            yield member
        tar.members.clear()  # type: ignore[attr-defined]  # else it keeps a million of them


def _parts(member: tarfile.TarInfo, path: Path) -> list[str]:
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if member.name.startswith("/") or ".." in parts or not parts or not member.name.isprintable():
        raise DataError(
            f"{path} holds {member.name!r}, a place outside itself: this is no archive of images "
            "to be trusted"
        )
    return parts
