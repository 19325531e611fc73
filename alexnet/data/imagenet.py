"""ImageNet's releases of 2010, 2012, Fall 2009 and Fall 2011, from archives or image folders."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np

from alexnet.data.archives import Found, scan
from alexnet.data.catalogue import DATASETS
from alexnet.data.devkit import TRUTH, Kit, read_kit
from alexnet.data.imageset import BrokenSetError, DataError, ImageSet, Meta, open_imageset
from alexnet.data.prepare import Listing, Progress
from alexnet.data.sources import DataSet, Splits, open_splits, packed_folder

SPLITS = ("train", "test")
# Of the releases without test images, every so many-th image of a class is for testing: half of
# Fall 2009 (§6); the paper trains on the entire Fall 2011, of which here a hundredth is kept back,
# to see how the training goes.
HELD_OUT = {"fall2009": 2, "fall2011": 100}
ADVICE = (
    "--source takes the publisher's tars, its devkit, or folders such as train/<class>/ and "
    "val/<class>/"
)


class ImageNet(DataSet):
    """A release that `prepare_imagenet` has packed."""

    def find(self, root: Path) -> Path | None:
        """`root`, if both splits are packed."""
        return None if self._missing(root) else root

    def absent(self, root: Path) -> str:
        """Which split is missing, and how to pack it."""
        return (
            f"the {self._missing(root)[0]} images of {self.name} are not prepared under {root}: "
            f"run `data prepare {self.name} --source PATH`. {ADVICE}"
        )

    def _missing(self, root: Path) -> list[str]:
        return [split for split in SPLITS if not packed_folder(root, f"{self.name}-{split}")]

    def open(
        self, root: Path, progress: Progress | None = None, *, pack_missing: bool = True
    ) -> Splits:
        """Both splits as they are packed; one that is broken is never packed again from nothing."""
        self.locate(root)
        names = {split: f"{self.name}-{split}" for split in SPLITS}
        splits = open_splits(root, names, lambda *_: None, pack_missing=False)
        if splits["train"].meta.classes != splits["test"].meta.classes:
            raise DataError(
                f"the training and test images of {self.name} under {root} have other classes; "
                "move one away and prepare it again"
            )
        return splits


def part_of(meta: Meta) -> str:
    """How much of a release is there, as "102 of 1,281,167 images"; "" if all of it."""
    entry = DATASETS.get(meta.name)
    if entry is None or entry.counts is None:
        return ""
    wanted = entry.counts.get(meta.split, (meta.count,))
    if meta.count not in wanted:
        return f"{meta.count:,} of {wanted[0]:,} images"
    found = len(meta.classes)
    return "" if found == entry.classes else f"{found:,} of {entry.classes:,} classes"


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
    from alexnet.data.imagenet_decode import pack_centers  # noqa: PLC0415 - nothing else here needs torch

    there = {part: meta for part in SPLITS if (meta := _packed_meta(root, f"{name}-{part}"))}
    known = there["train"].classes if "train" in there else None
    listings = list_imagenet(name, sources, split, known, progress)
    for part, listing in listings.items():
        if part in there and there[part].count != len(listing.items):
            raise DataError(
                f"{packed_folder(root, f'{name}-{part}')} holds {there[part].count:,} images "
                f"already, and these sources have {len(listing.items):,}; move it away to pack "
                "those"
            )
    source = ", ".join(sorted({path.name for path in sources}))

    def make(folder: Path, part: str) -> ImageSet:
        return pack_centers(folder, listings[part], name, part, source, progress)

    return open_splits(root, {part: f"{name}-{part}" for part in listings}, make, pack_missing=True)


def _packed_meta(root: Path, name: str) -> Meta | None:
    folder = packed_folder(root, name)
    try:
        return open_imageset(folder, verify=False).meta if folder else None
    except BrokenSetError:
        return None


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
        if not read_kit(source, kit):
            for found in scan(source, progress):
                images[found.place].append(found)
    labelled = {place: list(_labelled(found, kit)) for place, found in images.items()}
    splits = _as_splits(name, labelled, split)
    flat = len(images["val"]) + len(images["test"])
    if (flat and not splits["test"]) or not any(splits.values()):
        without = f"{flat:,} images without class folders and without labels; name the devkit too"
        what = without if flat else "no images in classes"
        raise DataError(f"{', '.join(map(str, sources))}: {what}. {ADVICE}")
    classes = known or sorted({found.label for found in splits["train"] or splits["test"]})
    return {split: _listing(found, classes, kit.words) for split, found in splits.items() if found}


def _expanded(sources: Sequence[Path]) -> Iterator[Path]:
    """The sources and, of folders with the publisher's archives or labels in them, those too."""
    for source in sources:
        yield source
        if source.is_dir():
            for path in sorted(source.iterdir()):
                if "devkit" in path.name.lower() or TRUTH.fullmatch(path.name):
                    yield path


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
    tests = places.get("test") or places.get("val", [])
    splits = {"train": [*places.get("train", [])], "test": [*tests]}
    if name not in HELD_OUT or split:
        splits[split or "train"] += unsaid
        return splits
    for _, group in groupby(unsaid, key=lambda found: found.label):
        for number, found in enumerate(group, start=1):
            splits["train" if number % HELD_OUT[name] else "test"].append(found)
    return splits


def _listing(images: Sequence[Found], classes: Sequence[str], words: dict[str, str]) -> Listing:
    numbers = {label: number for number, label in enumerate(classes)}
    for found in images:
        if found.label not in numbers:
            why = f"is of class {found.label!r}, of which the training images have none"
            raise DataError(f"{found.item.name} {why}")
    images = sorted(images, key=lambda found: (found.label, found.name))
    for one, other in pairwise(images):
        if one[1:4] == other[1:4]:
            both = f"{one.item.name} and {other.item.name}"
            raise DataError(f"{both} are the same image; name one of their sources")
    labels = np.array([numbers[found.label] for found in images], dtype=np.int64)
    titles = [words.get(label, label) for label in classes] if words else ()
    return Listing([found.item for found in images], labels, classes, titles)
