"""Images by the name of a data set, or from any folder of class folders."""

from pathlib import Path

import numpy as np

from alexnet.data.catalogue import DATASETS
from alexnet.data.decode import SUFFIXES
from alexnet.data.imagenet_decode import pack_centers
from alexnet.data.imageset import DataError, ImageSet
from alexnet.data.prepare import Listing, Progress, folder_items
from alexnet.data.sources import data_root, open_dataset, open_packed
from alexnet.io import cache_root


def images(
    source: str | Path,
    split: str | None = None,
    *,
    data: str | Path | None = None,
    progress: Progress | None = None,
) -> ImageSet:
    """The images of a data set ("cifar10", "tiny-imagenet", ...), or of a folder of class folders.

    A data set is sought under `data`, by default `$ALEXNET_DATA`, else the cache; `split` is
    "train" (the default) or "test". Nothing is downloaded. A folder's classes are its subfolders by
    name; the shorter side of every image is brought to 256 pixels and the central square cut out
    (§2), once: the packed images are found again in the cache until a file changes. Raises
    DataError if there are no such images, or broken ones.
    """
    if str(source) in DATASETS:
        found = open_dataset(str(source), data_root(None if data is None else Path(data)), progress)
        if (split or "train") not in found:
            raise DataError(f"{source} has no split {split!r}; it has {', '.join(found)}")
        return found[split or "train"]
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise DataError(f"{source} is neither a folder nor one of {', '.join(DATASETS)}")
    if split:
        raise DataError(f"a folder has no splits; give {folder / split} itself")
    listing, name = _listing(folder), folder.resolve().name

    def make(target: Path) -> ImageSet:
        return pack_centers(target, listing, name, "train", "folder", progress)

    packed = open_packed(cache_root(), f"{name}-{listing.key}", make)
    assert packed is not None
    return packed


def _listing(folder: Path) -> Listing:
    """The images below a folder, by class. Raises DataError without two classes of images."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    found = {name: folder_items(folder / name, folder, SUFFIXES) for name in names}
    classes = [name for name, items in found.items() if items]
    if len(classes) < 2:
        kinds = ", ".join(SUFFIXES)
        raise DataError(f"{folder} has no two subfolders with images ({kinds}), one for each class")
    items = [item for name in classes for item in found[name]]
    labels = np.repeat(np.arange(len(classes)), [len(found[name]) for name in classes])
    return Listing(items, labels, classes)
