"""Which images a claim runs on: real ones if present or downloadable, else synthetic ones."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from alexnet.data.catalogue import HALVES
from alexnet.data.imagenet import part_of
from alexnet.data.imageset import DataError, ImageSet
from alexnet.data.prepare import Progress as Tell
from alexnet.data.sources import Splits, data_root, open_dataset
from alexnet.data.sources import dataset as dataset_of
from reproductions.harness.claims.claim import SCALES, Claim
from reproductions.harness.claims.runs import digest
from reproductions.harness.records import provenance

console = Console(highlight=False, soft_wrap=True)
GPU_SCALES = ("paper", "reduced")  # whose networks take weeks on a processor
Images = Mapping[str, Mapping[str, ImageSet]]  # both splits of data sets, by name
# scale, the images of each of its data sets, and the first line to print
ChosenData = tuple[str, dict[str, Splits], str]


def say(*lines: object) -> None:
    """Print lines as they are."""
    for line in lines:
        console.print(str(line), markup=False)


def choose_data(
    claim: Claim,
    *,
    scale: str | None,
    data: Path | None,
    pack: bool,
    gpu: bool = False,
    device: str | None = None,
    without_images: str | None = "smoke",
) -> ChosenData:
    """Choose a claim's scale and open its images.

    With `pack` False nothing is written or downloaded.

    By default it is the most faithful scale whose images are there or can be downloaded and whose
    network this machine can train on `device`, or a `gpu` elsewhere. Where no real images are
    there it is `without_images`, with images at scale smoke alone; None raises AbsentError. Raises
    DataError if images that were insisted on are absent, or any are broken; ValueError for a scale
    that the claim does not have.
    """
    check_scale(claim, scale)
    if all(declared.dataset is None for declared in claim.scales.values()):
        return next(iter(claim.scales)), {}, f"{claim.name}: counting, no images needed"
    refused = list[str]()
    for name in [scale] if scale else filter(claim.scales.__contains__, SCALES):
        used = claim.scales[name].dataset
        if HALVES.get(str(used), used) == "synthetic":
            if refused and without_images != name:
                return _without(claim, without_images, refused)
            why = "built-in synthetic images"
            if scale is None:
                why = f"NO REAL IMAGES ({'; '.join(refused)}); using the {why}"
            return _synthetic(claim, name, why, pack)
        on_gpu = gpu or provenance.computes_on_gpu(device)
        if scale is None and needs_gpu(claim, name) and not on_gpu:
            lame = provenance.has_driver() and device != "cpu"
            which = " that torch can use (`doctor` says why it cannot)" if lame else ""
            refused.append(f"scale {name} needs an NVIDIA GPU{which}, or --scale {name} to insist")
            continue
        try:
            return _real(claim, name, data, pack, refused)
        except AbsentError as error:
            refused.append(str(error))
    raise DataError("; ".join(refused))


class AbsentError(DataError):
    """Images that are not there, or not all of them.

    A scale that needs less can do without them.
    """


def check_scale(claim: Claim, scale: str | None) -> None:
    """Raise ValueError for a scale that the claim does not have; counts are the same at all."""
    if scale not in (None, *SCALES):
        raise ValueError(f"no scale is called {scale!r}; there are {', '.join(SCALES)}")
    if scale is not None and claim.trains and scale not in claim.scales:
        raise ValueError(f"{claim.name} has no scale {scale!r}; it has {', '.join(claim.scales)}")


def _without(claim: Claim, scale: str | None, refused: list[str]) -> ChosenData:
    """A scale without its images, at which records can be looked up and no run be made."""
    if scale is None:
        raise AbsentError(refused[-1])
    why = "; ".join(refused)
    return scale, {}, f"{claim.name}: NO REAL IMAGES ({why}); shown at scale {scale}"


def needs_gpu(claim: Claim, scale: str) -> bool:
    """Whether a run takes a processor weeks, where the claim has a scale made for processors."""
    return scale == "reduced" or (scale == "paper" and "mini" in claim.scales)


def _synthetic(claim: Claim, scale: str, why: str, pack: bool) -> ChosenData:
    datasets = claim.scales[scale].datasets
    images = {used: open_dataset(used, Path(), pack_missing=pack) for used in datasets}
    evidence = "this proves that the code runs and is no evidence for any claim"
    return scale, images, f"{claim.name}: {why} (scale {scale}): {evidence}"


def _real(
    claim: Claim, scale: str, data: Path | None, pack: bool, refused: list[str]
) -> ChosenData:
    """Open the real images of a scale.

    Raises AbsentError if they are not there, or too few for scale paper.
    """
    used = claim.scales[scale].datasets
    if not used:
        return scale, {}, f"{claim.name}: no images needed (scale {scale})"
    root = data_root(data)
    for dataset in used:
        _fetch(dataset, root, pack)
    images = {dataset: opened(dataset, root, pack) for dataset in used}
    metas = [split.meta for splits in images.values() for split in splits.values()]
    lacking = ", ".join(f"{part} for {meta.split}" for meta in metas if (part := part_of(meta)))
    if lacking and scale == "paper":
        raise AbsentError(
            f"{' and '.join(used)} under {root} has {lacking}, and scale paper needs them all"
        )
    if not all(images.values()):
        kind = "not packed yet"
    elif all(meta.canonical for meta in metas):
        kind = "the publisher's own files"
    else:
        kind = "a copy that is not the publisher's bytes"
    part = f", a part of it ({lacking})" if lacking else ""
    instead = f"; not a more faithful scale: {'; '.join(refused)}" if refused else ""
    where = f"{' and '.join(used)} under {root}"
    return scale, images, f"{claim.name}: {where}, {kind}{part} (scale {scale}){instead}"


def _fetch(dataset: str, root: Path, pack: bool) -> None:
    """Download a data set where it may and must be.

    Raises AbsentError if a data set is not there in the end.
    """
    try:
        images = dataset_of(dataset)
        if images.downloads and images.find(root) is None:
            if not pack:
                why = f"{images.title} is not under {root} (`run` would try to download it)"
                raise DataError(why)
            images.download(root)
        images.locate(root)
    except DataError as error:
        raise AbsentError(str(error)) from error


def fingerprints_of(images: Images) -> dict[str, str]:
    """One digest for the content of all splits of each data set that is open."""
    return {
        name: digest(sorted((split, data.meta.fingerprint) for split, data in splits.items()))
        for name, splits in images.items()
        if splits
    }


def opened(dataset: str, root: Path, pack: bool = True) -> Splits:
    """Open a data set, with a bar while it is packed."""
    with bar(f"opening {dataset}") as tell:
        return open_dataset(dataset, root, tell, pack_missing=pack)


@contextmanager
def bar(what: str) -> Iterator[Tell]:
    """A progress bar on the terminal, gone when it is done; gives the function that moves it."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as display:
        task = display.add_task(what, total=None)
        yield lambda what, done, total: display.update(
            task, description=what, completed=done, total=total
        )
