"""The data sets: CIFAR-10, Tiny ImageNet, ImageNet, the built-in images, and halves of them.

Every source ends in two ImageSets, train and test. Sources that need decoding are packed once under
`prepared/` in the data root (in the user's cache where the root cannot be written) and found again
by what they were made of.
"""

import hashlib
import logging
import os
import pickle
import socket
import tarfile
import tempfile
import urllib.error
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.data.catalogue import CIFAR10_CLASSES, DATASETS, HALVES, WHOLE
from alexnet.data.decode import DECODER, decode_square
from alexnet.data.halves import pack_half
from alexnet.data.imagenet import ADVICE, list_imagenet
from alexnet.data.imageset import (
    FORMAT,
    BrokenSetError,
    DataError,
    ImageSet,
    Meta,
    open_imageset,
    pack,
)
from alexnet.data.prepare import Listing, Progress, folder_items, pack_listing
from alexnet.data.synthetic import SYNTHETIC_VERSION, synthetic_arrays
from alexnet.data.tiny_imagenet import (
    FOLDER,
    NO_LABELS,
    PER_CLASS,
    TINY_SIDE,
    find_tiny_imagenet,
    list_tiny_imagenet,
)
from alexnet.io import cache_root, is_passing, is_there, locked, move_aside, named

Splits = dict[str, ImageSet]

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


def data_root(given: Path | None = None) -> Path:
    """The folder that holds the data sets: `given`, else `$ALEXNET_DATA`, else the cache.

    DataError if it is no folder.
    """
    named = given or (Path(os.environ["ALEXNET_DATA"]) if os.environ.get("ALEXNET_DATA") else None)
    if named is None:
        return cache_root()
    if not named.expanduser().is_dir():
        raise DataError(
            f"the data root {named} is not a folder; create it or name another with --data or "
            "ALEXNET_DATA"
        )
    return named.expanduser()


def find_cifar10(root: Path) -> Path | None:
    """CIFAR-10 under `root`: the publisher's folder or archive, or class folders by split."""
    for path in (root / "cifar-10-batches-py", root / CIFAR10_ARCHIVE[0], root / "cifar10", root):
        is_images = path.is_dir() and any(
            (path / split / CIFAR10_CLASSES[0]).is_dir() for split in CIFAR10_COUNTS
        )
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
        # a closed network must not block a batch job
        socket.create_connection((CIFAR10_HOST, 443), timeout=5).close()
        with (
            locked(root / f".{name}.lock"),
            tempfile.TemporaryDirectory(prefix=".download-", dir=root) as folder,
        ):
            if not (root / name).exists():
                download_url(f"https://{CIFAR10_HOST}/~kriz/{name}", folder, name, md5)
                (Path(folder) / name).rename(root / name)
    except (OSError, RuntimeError, urllib.error.URLError) as error:
        raise DataError(
            f"CIFAR-10 is not under {root} and could not be downloaded ({error})"
        ) from error
    return root / name


def locate(name: str, root: Path) -> Path:
    """Where a data set lies under `root`.

    Raises DataError, which says what to do, if it is not there at all.
    """
    name = HALVES.get(name, name)
    if name == "synthetic":
        return cache_root()
    if name in WHOLE:
        return _located_imagenet(name, root)
    path = find_cifar10(root) if name == "cifar10" else find_tiny_imagenet(root)
    if path is not None:
        return path
    if name == "tiny-imagenet":
        raise DataError(
            f"Tiny ImageNet is not under {root}: unpack tiny-imagenet-200.zip there, or name "
            "another folder with --data or "
            "ALEXNET_DATA"
        )
    raise DataError(
        f"CIFAR-10 is not under {root}: put cifar-10-batches-py, {CIFAR10_ARCHIVE[0]} or "
        "train/<class>/ and "
        "test/<class>/ image folders there, or name another folder with --data or ALEXNET_DATA"
    )


def open_dataset(
    name: str, root: Path, progress: Progress | None = None, *, pack_missing: bool = True
) -> Splits:
    """Both splits of a data set, packed first if that has not been done. Never downloads.

    With `pack_missing` False nothing is written, and a set that is not packed yet comes back empty.
    Raises DataError if the data are absent, incomplete, broken or fail their checksum, ValueError
    for an unknown name.
    """
    if name not in DATASETS:
        raise ValueError(f"no data set is called {name!r}; there are {', '.join(DATASETS)}")
    path = locate(name, root)
    if name in HALVES:
        return _open_half(name, root, progress, pack_missing)
    if name == "synthetic":
        return _open_synthetic(pack_missing)
    if name in WHOLE:
        return _open_imagenet(name, root)
    opener = _open_tiny_imagenet if name == "tiny-imagenet" else _open_cifar10
    return opener(path, root, progress, pack_missing)


def verify_cifar10(root: Path) -> None:
    """Check CIFAR-10: the md5 of the publisher's files, or that an image folder is complete.

    Raises DataError if it is absent, incomplete or altered.
    """
    path = locate("cifar10", root)
    for split in CIFAR10_COUNTS:
        if _is_canonical(path):
            _read_batches(path, split)
        else:
            _list_folder(path, split)


def prepare_imagenet(
    name: str,
    root: Path,
    sources: Sequence[Path],
    split: str | None = None,
    progress: Progress | None = None,
) -> Splits:
    """Pack an ImageNet release at 256×256 (§2) and open it; splits that are packed already stay.

    `split` says what images are for whose place does not say it. Raises DataError if labels are
    missing or images broken, or other images are packed already.
    """
    from alexnet.data.imagenet_decode import RULE, SIDE, decode_center, use_one_torch_thread  # noqa: PLC0415 - nothing else here needs torch

    before = {part: _packed(root, f"{name}-{part}") for part in ("train", "test")}
    metas = {part: meta for part, folder in before.items() if folder and (meta := _meta_of(folder))}
    known = metas["train"].classes if "train" in metas else None
    listings = list_imagenet(name, sources, split, known, progress)
    for part, listing in listings.items():
        if part in metas and metas[part].count != len(listing.items):
            raise DataError(
                f"{before[part]} holds {metas[part].count:,} images already, and these sources "
                f"have {len(listing.items):,}; "
                "move it away to pack those"
            )
    source = f"{', '.join(sorted({path.name for path in sources}))}, {RULE}"

    def make(folder: Path, part: str) -> None:
        about = {"name": name, "split": part, "canonical": False, "source": source}
        pack_listing(
            folder,
            listings[part],
            (SIDE, SIDE, 3),
            decode_center,
            progress,
            use_one_torch_thread,
            **about,
        )

    return _whole(
        {
            part: open_packed(root, f"{name}-{part}", part, make, pack_missing=True)
            for part in listings
        }
    )


def _located_imagenet(name: str, root: Path) -> Path:
    for split in ("train", "test"):
        folder = _packed(root, f"{name}-{split}")
        if folder is None:
            raise DataError(
                f"the {split} images of {name} are not prepared under {root}: run `data prepare "
                f"{name} --source PATH`. {ADVICE}"
            )
    return root


def _open_imagenet(name: str, root: Path) -> Splits:
    folders = {split: _packed(root, f"{name}-{split}") for split in ("train", "test")}
    splits = _whole({split: open_imageset(folder) for split, folder in folders.items() if folder})
    if splits["train"].meta.classes != splits["test"].meta.classes:
        raise DataError(
            f"the training and test images of {name} under {root} have other classes; move one "
            "away and prepare it again"
        )
    return splits


def _is_canonical(path: Path) -> bool:
    return path.is_file() or path.name == "cifar-10-batches-py"


def _open_synthetic(pack_missing: bool) -> Splits:
    def make(folder: Path, split: str) -> None:
        images, labels = synthetic_arrays(split)
        pack(
            folder,
            images,
            labels,
            name="synthetic",
            split=split,
            classes=CIFAR10_CLASSES,
            canonical=False,
            source="procedural",
        )

    splits = {
        s: open_packed(cache_root(), f"synthetic-{SYNTHETIC_VERSION}-{s}", s, make, pack_missing)
        for s in CIFAR10_COUNTS
    }
    return _whole(splits)


def _open_half(name: str, root: Path, progress: Progress | None, pack_missing: bool) -> Splits:
    whole = open_dataset(HALVES[name], root, progress, pack_missing=pack_missing)
    base = cache_root() if HALVES[name] == "synthetic" else root

    def make(folder: Path, split: str) -> None:
        pack_half(folder, whole[split], name)

    names = {
        split: f"{name}-{images.meta.fingerprint[:12]}-{split}" for split, images in whole.items()
    }
    return _whole(
        {
            split: open_packed(base, folder, split, make, pack_missing)
            for split, folder in names.items()
        }
    )


def _open_cifar10(path: Path, root: Path, progress: Progress | None, pack_missing: bool) -> Splits:
    if not _is_canonical(path):
        listings = {split: _list_folder(path, split) for split in CIFAR10_COUNTS}
        return _open_listings(
            "cifar10", listings, 32, f"image folder, {DECODER}", root, progress, pack_missing
        )

    def make(folder: Path, split: str) -> None:
        images, labels = _read_batches(path, split)
        source = "cifar-10-python, verified by md5"
        pack(
            folder,
            images,
            labels,
            name="cifar10",
            split=split,
            classes=CIFAR10_CLASSES,
            canonical=True,
            source=source,
        )

    names = {split: f"cifar10-{CIFAR10_ARCHIVE[1][:12]}-{split}" for split in CIFAR10_COUNTS}
    return _whole(
        {split: open_packed(root, name, split, make, pack_missing) for split, name in names.items()}
    )


def _open_tiny_imagenet(
    path: Path, root: Path, progress: Progress | None, pack_missing: bool
) -> Splits:
    listings = {split: list_tiny_imagenet(path, split) for split in PER_CLASS}
    return _open_listings(
        "tiny-imagenet",
        listings,
        TINY_SIDE,
        f"{FOLDER}, {NO_LABELS}, {DECODER}",
        root,
        progress,
        pack_missing,
    )


def _open_listings(
    name: str,
    listings: dict[str, Listing],
    side: int,
    source: str,
    root: Path,
    progress: Progress | None,
    pack_missing: bool,
) -> Splits:
    """Open sets of images of one size, packed under a name that changes with their files."""

    def make(folder: Path, split: str) -> None:
        decode = partial(decode_square, side=side)
        about: dict[str, Any] = {"name": name, "split": split, "canonical": False, "source": source}
        pack_listing(folder, listings[split], (side, side, 3), decode, progress, **about)

    names = {split: f"{name}-{listing.key}-{split}" for split, listing in listings.items()}
    return _whole(
        {
            split: open_packed(root, folder, split, make, pack_missing)
            for split, folder in names.items()
        }
    )


def _whole(splits: dict[str, ImageSet | None]) -> Splits:
    found = {name: split for name, split in splits.items() if split is not None}
    return found if len(found) == len(splits) else {}


def _packed(root: Path, name: str) -> Path | None:
    """The folder of a packed set, in the root or in the cache."""
    places = [base / "prepared" / f"{name}-{FORMAT}" for base in (root, cache_root())]
    return next((place for place in places if is_there(place)), None)


def open_packed(
    root: Path, name: str, split: str, make: Callable[[Path, str], None], pack_missing: bool
) -> ImageSet | None:
    """Open a packed set; make it first, in the root, or in the cache if that cannot be written.

    With `pack_missing` one that is proved broken is moved aside and made again.
    """
    folder = _packed(root, name)
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
            make(folder, split)
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


def _meta_of(folder: Path) -> Meta | None:
    """What a packed set says of itself; None where it is broken, so that it is packed again."""
    try:
        return open_imageset(folder, verify=False).meta
    except BrokenSetError:
        return None


def _read_batches(path: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The publisher's pickles, each unpickled after its md5 is checked; nothing is extracted."""
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
            if is_passing(error):
                raise named(error, path) from error
            raise DataError(f"{path} lacks {name} ({error}); download CIFAR-10 again") from error
        _check_md5(content, md5, path / name)
        batch = pickle.loads(content, encoding="bytes")  # noqa: S301 - its bytes are the publisher's
        pixels.append(
            np.asarray(batch[b"data"], dtype=np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        )
        labels.append(np.asarray(batch[b"labels"], dtype=np.int64))
    return np.ascontiguousarray(np.concatenate(pixels)), np.concatenate(labels)


def _check_md5(content: bytes, expected: str, path: Path) -> None:
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise DataError(
            f"{path} has md5 {found}, the publisher's is {expected}: it is truncated or altered; "
            "download it again"
        )


def _list_folder(path: Path, split: str) -> Listing:
    """The images of a split by class and name.

    Raises DataError if a class has more or fewer than CIFAR-10 has.
    """
    wanted = CIFAR10_COUNTS[split] // len(CIFAR10_CLASSES)
    items = []
    for name in CIFAR10_CLASSES:
        folder = path / split / name
        found = folder_items(folder, path, (".jpg", ".jpeg", ".png"))
        if len(found) != wanted:
            raise DataError(
                f"{folder} holds {len(found):,} images, CIFAR-10 has {wanted:,}: the copy is "
                "incomplete; unpack it again"
            )
        items += found
    return Listing(items, np.repeat(np.arange(len(CIFAR10_CLASSES)), wanted), CIFAR10_CLASSES)
