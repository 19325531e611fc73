"""Images by the name of a data set, or from any folder of class folders."""

from pathlib import Path

import numpy as np

from alexnet.data.catalogue import DATASETS
from alexnet.data.decode import SUFFIXES
from alexnet.data.imagenet_decode import RULE, SIDE, decode_center, use_one_torch_thread
from alexnet.data.imageset import FORMAT, DataError, ImageSet, open_imageset
from alexnet.data.prepare import Listing, Progress, folder_items, pack_listing
from alexnet.data.sources import data_root, open_dataset
from alexnet.io import cache_root, is_there, locked


def images(
    source: str | Path,
    split: str = "train",
    *,
    data: Path | None = None,
    progress: Progress | None = None,
) -> ImageSet:
    """The images of a data set ("cifar10", "tiny-imagenet", ...), or of a folder of class folders.

    A data set is sought under `data`, by default `$ALEXNET_DATA`; `split` is "train" or "test". A
    folder's classes are its subfolders by name; the shorter side of every image is brought to 256
    pixels and the central square cut out (§2), once: the packed images are found again in the
    cache until a file changes. Raises DataError if there are no such images, or broken ones.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return _packed(folder, split, progress)
    if str(source) in DATASETS:
        return open_dataset(str(source), data_root(data), progress)[split]
    raise DataError(f"{source} is neither a folder nor one of {', '.join(DATASETS)}")


def _packed(folder: Path, split: str, progress: Progress | None) -> ImageSet:
    listing = _listing(folder)
    name = folder.resolve().name
    target = cache_root() / "folders" / f"{name}-{listing.key}-{split}-{FORMAT}"
    with locked(target.with_name(f".{target.name}.lock")):
        if not is_there(target):
            about = {"name": name, "split": split, "canonical": False, "source": f"folder, {RULE}"}
            shape = (SIDE, SIDE, 3)
            pack_listing(
                target, listing, shape, decode_center, progress, use_one_torch_thread, **about
            )
    return open_imageset(target)


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
