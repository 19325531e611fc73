"""ImageNet's releases of 2010, 2012, Fall 2009 and Fall 2011, from archives or image folders."""

import io
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.data.archives import BAD_TAR, Found, scan
from alexnet.data.catalogue import WHOLE
from alexnet.data.imageset import DataError, Meta
from alexnet.data.prepare import Listing, Progress
from alexnet.io import is_passing, named

# Of the releases without test images, every so many-th image of a class is for testing: half of
# Fall 2009 (§6); the paper trains on the entire Fall 2011, of which here a hundredth is kept back,
# to see how the training goes.
HELD_OUT = {"fall2009": 2, "fall2011": 100}
TRUTH = re.compile(r"ILSVRC20\d\d_(validation|test)_ground_truth\.txt")
KIT_FILE = 1 << 26  # bytes; the devkit's files are far smaller
ADVICE = (
    "--source takes the publisher's tars, its devkit, or folders such as train/<class>/ and "
    "val/<class>/"
)


@dataclass
class Kit:
    """The publisher's development kit: classes by number, labels of images without folders."""

    wnids: dict[int, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)  # by wnid
    # "val" or "test": the class number of image 1, 2, ...
    truth: dict[str, list[int]] = field(default_factory=dict)


def part_of(meta: Meta) -> str:
    """How much of a release is there, as "102 of 1,281,167 images"; "" if all of it."""
    if meta.name not in WHOLE:
        return ""
    classes, *counts = WHOLE[meta.name]
    whole = counts[meta.split == "test"]
    wanted = whole if isinstance(whole, tuple) else (whole or meta.count,)
    if meta.count not in wanted:
        return f"{meta.count:,} of {wanted[0]:,} images"
    return "" if len(meta.classes) == classes else f"{len(meta.classes):,} of {classes:,} classes"


def list_imagenet(
    name: str,
    sources: Sequence[Path],
    split: str | None,
    known: Sequence[str] | None,
    progress: Progress | None = None,
) -> dict[str, Listing]:
    """The images of each split that the sources hold, by class and name.

    `split` says which one images are whose place does not say it: by default "train", and in the
    Fall releases every so many-th image of a class is for testing (HELD_OUT). `known` are the
    classes if they are fixed already. Raises DataError if there is nothing to pack, labels are
    missing, or a class or an image is not what it should be.
    """
    kit, images = Kit(), defaultdict[str, list[Found]](list)
    for source in _expanded(sources):
        if not _read_kit(source, kit):
            for found in scan(source, progress):
                images[found.place].append(found)
    labelled = {place: list(_labelled(found, kit)) for place, found in images.items()}
    splits = _as_splits(name, labelled, split)
    flat = len(images["val"]) + len(images["test"])
    if (flat and not splits["test"]) or not any(splits.values()):
        what = (
            f"{flat:,} images without class folders and without labels; name the devkit too"
            if flat
            else "no images in classes"
        )
        raise DataError(f"{', '.join(str(source) for source in sources)}: {what}. {ADVICE}")
    classes = known or sorted({found.label for found in splits["train"] or splits["test"]})
    return {split: _listing(found, classes, kit.words) for split, found in splits.items() if found}


def _expanded(sources: Sequence[Path]) -> Iterator[Path]:
    """The sources and, of folders with the publisher's archives or labels in them, those too."""
    for source in sources:
        yield source
        if source.is_dir():
            inside = sorted(source.iterdir())
            yield from (
                path
                for path in inside
                if "devkit" in path.name.lower() or TRUTH.fullmatch(path.name)
            )


def _read_kit(source: Path, kit: Kit) -> bool:
    """Read a development kit (folder or archive) or a list of labels; False if it is neither."""
    if TRUTH.fullmatch(source.name):
        files = {source.name: source.read_bytes()}
    elif "devkit" not in source.name.lower():
        return False
    elif source.is_dir():
        files = {
            path.name: path.read_bytes()
            for path in source.rglob("*")
            if path.name == "meta.mat" or TRUTH.fullmatch(path.name)
        }
    else:
        files = _kit_archive(source)
    for name, content in files.items():
        listed = TRUTH.fullmatch(name)
        try:
            if listed:
                kit.truth["val" if listed[1] == "validation" else "test"] = [
                    int(line) for line in content.split()
                ]
            else:
                _read_synsets(content, kit)
        except (ValueError, TypeError, KeyError, IndexError, NotImplementedError, OSError) as error:
            raise DataError(
                f"{name} in {source} is not what the publisher's is ({error}); download the "
                "devkit again"
            ) from error
    return True


def _kit_archive(source: Path) -> dict[str, bytes]:
    files = {}
    try:
        with tarfile.open(source) as tar:
            while (member := tar.next()) is not None:
                name = Path(member.name).name
                if (
                    member.isreg()
                    and member.size <= KIT_FILE
                    and (name == "meta.mat" or TRUTH.fullmatch(name))
                ):
                    content = tar.extractfile(member)
                    files[name] = content.read() if content else b""
    except BAD_TAR as error:
        if is_passing(error):
            raise named(error, source) from error
        raise DataError(
            f"{source} is not a whole archive ({error}); download the devkit again"
        ) from error
    return files


def _read_synsets(content: bytes, kit: Kit) -> None:
    """Numbers, names and words of the classes from meta.mat, an array of records `synsets`."""
    from scipy.io import loadmat, matlab  # noqa: PLC0415 - slow to import and seldom needed

    file: Any = io.BytesIO(content)  # scipy's stubs know paths alone
    try:
        synsets = loadmat(file, squeeze_me=True, variable_names=["synsets"])["synsets"]
    except matlab.MatReadError as error:
        raise ValueError(str(error)) from error
    number = next(name for name in synsets.dtype.names if name.endswith("_ID"))
    for row in np.atleast_1d(synsets):
        kit.wnids[int(row[number])] = str(row["WNID"])
        kit.words[str(row["WNID"])] = str(row["words"])


def _labelled(images: Iterable[Found], kit: Kit) -> Iterator[Found]:
    """The images whose class is known: by their folder, or by their number in the devkit's list."""
    for found in images:
        if found.label:
            yield found
        elif found.number and found.place in kit.truth:
            truth = kit.truth[found.place]
            wnid = kit.wnids.get(truth[found.number - 1]) if found.number <= len(truth) else None
            if wnid is None:
                raise DataError(
                    f"{found.item.name}: the devkit names no class for it; give the devkit of the "
                    "same release"
                )
            yield found._replace(label=wnid)


def _as_splits(
    name: str, places: dict[str, list[Found]], split: str | None
) -> dict[str, list[Found]]:
    """What lies in each place, as training and test images.

    Labelled test images go before validation images.
    """
    unsaid = sorted(places.get("", []), key=lambda found: (found.label, found.name))
    splits = {
        "train": [*places.get("train", [])],
        "test": [*(places.get("test") or places.get("val", []))],
    }
    if name in HELD_OUT and split is None:
        nth = HELD_OUT[name]
        for _, group in groupby(unsaid, key=lambda found: found.label):
            for number, found in enumerate(group, start=1):
                splits["train" if number % nth else "test"].append(found)
        return splits
    chosen = split or "train"
    return {**splits, chosen: splits[chosen] + unsaid}


def _listing(images: Sequence[Found], classes: Sequence[str], words: dict[str, str]) -> Listing:
    numbers = {label: number for number, label in enumerate(classes)}
    strange = next((found for found in images if found.label not in numbers), None)
    if strange is not None:
        raise DataError(
            f"{strange.item.name} is of class {strange.label!r}, of which the training images "
            "have none"
        )
    images = sorted(images, key=lambda found: (found.label, found.name))
    twice = next((pair for pair in pairwise(images) if pair[0][1:4] == pair[1][1:4]), None)
    if twice is not None:
        raise DataError(
            f"{twice[0].item.name} and {twice[1].item.name} are the same image; name one of their "
            "sources"
        )
    labels = np.array([numbers[found.label] for found in images], dtype=np.int64)
    return Listing(
        [found.item for found in images],
        labels,
        classes,
        [words.get(label, label) for label in classes] if words else (),
    )
