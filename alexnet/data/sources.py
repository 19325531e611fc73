"""Data sets by name: where their images are, and both splits of each as ImageSets.

Sources that need decoding are packed once under `prepared/` in the data root (in the user's cache
where the root cannot be written) and found again by what they were made of.
"""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from alexnet.data.catalogue import DATASETS
from alexnet.data.decode import decode_square
from alexnet.data.imageset import FORMAT, BrokenSetError, DataError, ImageSet, open_imageset
from alexnet.data.prepare import Listing, Progress, pack_listing
from alexnet.io import cache_root, is_there, locked, move_aside

Splits = dict[str, ImageSet]


def data_root(given: Path | None = None) -> Path:
    """The folder that holds the data sets: `given`, else `$ALEXNET_DATA`, else the cache.

    DataError if it is no folder.
    """
    root = given or (Path(os.environ["ALEXNET_DATA"]) if os.environ.get("ALEXNET_DATA") else None)
    if root is None:
        return cache_root()
    if not root.expanduser().is_dir():
        raise DataError(
            f"the data root {root} is not a folder; create it or name another with --data or "
            "ALEXNET_DATA"
        )
    return root.expanduser()


class DataSet(ABC):
    """One data set. Each kind has a subclass in a module of its own, which the catalogue names."""

    downloads = False  # whether `download` can fetch it; then `title` is what users call it
    title = ""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def find(self, root: Path) -> Path | None:
        """Where it is under `root`, if it is there."""

    def absent(self, root: Path) -> str:
        """What to do where it is not there, in one line."""
        return f"{self.name} is not under {root}"

    @abstractmethod
    def open(
        self, root: Path, progress: Progress | None = None, *, pack_missing: bool = True
    ) -> Splits:
        """What `open_dataset` promises of this data set."""

    def locate(self, root: Path) -> Path:
        """Where it is under `root`. Raises DataError, which says what to do, if it is not there."""
        path = self.find(root)
        if path is None:
            raise DataError(self.absent(root))
        return path

    def download(self, root: Path) -> Path:
        """Fetch it into `root`, whole or not at all. Raises DataError if it cannot be had."""
        raise DataError(self.absent(root))

    def verify(self, root: Path) -> None:
        """Check the source. Raises DataError if it is absent, incomplete or altered."""
        self.locate(root)


def dataset(name: str) -> DataSet:
    """The data set of a name. Raises ValueError for an unknown one."""
    if name not in DATASETS:
        raise ValueError(f"no data set is called {name!r}; there are {', '.join(DATASETS)}")
    module, kind = DATASETS[name].opened_by.split(".")
    return getattr(import_module(f"alexnet.data.{module}"), kind)(name)  # type: ignore[no-any-return]


def open_dataset(
    name: str, root: Path, progress: Progress | None = None, *, pack_missing: bool = True
) -> Splits:
    """Both splits of a data set, packed first if that has not been done. Never downloads.

    With `pack_missing` False nothing is written, and a set that is not packed yet comes back empty.
    Raises DataError if the data are absent, incomplete, broken or fail their checksum, ValueError
    for an unknown name.
    """
    return dataset(name).open(root, progress, pack_missing=pack_missing)


def open_splits(
    root: Path, names: dict[str, str], make: Callable[[Path, str], object], pack_missing: bool
) -> Splits:
    """The packed set of each split, all or none; `make` packs one that is missing into a folder."""
    found = {}
    for split, name in names.items():
        images = open_packed(root, name, lambda folder, s=split: make(folder, s), pack_missing)  # type: ignore[misc]
        if images is not None:
            found[split] = images
    return found if len(found) == len(names) else {}


def open_squares(
    name: str,
    listings: dict[str, Listing],
    side: int,
    source: str,
    root: Path,
    progress: Progress | None,
    pack_missing: bool,
) -> Splits:
    """Open sets of images of one size, packed under a name that changes with their files."""

    def make(folder: Path, split: str) -> ImageSet:
        decode = partial(decode_square, side=side)
        about: dict[str, Any] = {"name": name, "split": split, "canonical": False, "source": source}
        return pack_listing(folder, listings[split], (side, side, 3), decode, progress, **about)

    names = {split: f"{name}-{listing.key}-{split}" for split, listing in listings.items()}
    return open_splits(root, names, make, pack_missing)


def packed_folder(root: Path, name: str) -> Path | None:
    """The folder of a packed set, in the root or in the cache."""
    places = [base / "prepared" / f"{name}-{FORMAT}" for base in (root, cache_root())]
    return next((place for place in places if is_there(place)), None)


def open_packed(
    root: Path, name: str, make: Callable[[Path], object], pack_missing: bool = True
) -> ImageSet | None:
    """Open a packed set; make it first, in the root, or in the cache if that cannot be written.

    With `pack_missing` one that is proved broken is moved aside and made again.
    """
    folder = packed_folder(root, name)
    if folder is None and not pack_missing:
        return None
    if folder:
        try:
            return open_imageset(folder)
        except BrokenSetError:
            if not pack_missing or not os.access(folder.parent, os.W_OK):
                raise
    else:
        mine = os.access(root / "prepared" if (root / "prepared").exists() else root, os.W_OK)
        folder = (root if mine else cache_root()) / "prepared" / f"{name}-{FORMAT}"
    with locked(folder.with_name(f".{folder.name}.lock")):
        if not _is_whole(folder):
            make(folder)
    return open_imageset(folder)


def _is_whole(folder: Path) -> bool:
    """Whether a packed set is there; what is there and broken is moved aside, in one line."""
    if not is_there(folder):
        return False
    try:
        open_imageset(folder)
    except BrokenSetError as error:
        logging.getLogger("alexnet").warning(
            "%s; moved aside to %s and packed again", error.why, move_aside(folder).name
        )
        return False
    return True
