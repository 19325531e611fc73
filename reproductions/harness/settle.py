"""Which images a claim runs on: the real ones where they are or can be had, else the stand-in, said in the first line."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from alexnet.data.imageset import DataError, ImageSet
from alexnet.data.sources import DATASETS, data_root, download_cifar10, find_cifar10, open_dataset
from reproductions.harness.claim import Claim

console = Console(highlight=False, soft_wrap=True)
SCALES = ("paper", "reduced", "mini", "smoke")
Settled = tuple[str, dict[str, ImageSet], str]  # scale, splits, and the first line to print


def settle(claim: Claim, *, scale: str | None, dataset: str | None, data: Path | None, pack: bool) -> Settled:
    """Choose a claim's scale and open its images. With `pack` False nothing is written or downloaded.

    Raises DataError if images that were insisted on are absent or broken, ValueError for a scale or data set that the claim does
    not have.
    """
    if scale not in (None, *SCALES) or dataset not in (None, *DATASETS):
        raise ValueError(f"no such scale or data set; there are {', '.join(SCALES)} and {', '.join(DATASETS)}")
    if all(declared.dataset is None for declared in claim.scales.values()):
        return next(iter(claim.scales)), {}, f"{claim.name}: counting, no images needed"
    chosen = _choose_scale(claim, scale, dataset)
    if claim.scales[chosen].dataset == "stand-in":
        return _standin(claim, "built-in stand-in images", pack)
    root = data_root(data)
    try:
        if find_cifar10(root) is None:
            if not pack:
                raise DataError(f"CIFAR-10 is not under {root} (`run` would try to download it)")
            download_cifar10(root)
    except DataError as error:
        if scale is not None or dataset is not None or "smoke" not in claim.scales:
            raise
        return _standin(claim, f"NO REAL IMAGES ({error}); using the built-in stand-in images", pack)
    return _cifar10(claim, chosen, root, pack)


def _choose_scale(claim: Claim, scale: str | None, dataset: str | None) -> str:
    if scale is not None and scale not in claim.scales:
        raise ValueError(f"{claim.name} has no scale {scale!r}; it has {', '.join(claim.scales)}")
    fitting = [name for name, s in claim.scales.items() if dataset in (None, s.dataset) and scale in (None, name)]
    if not fitting:
        uses = ", ".join(f"{s.dataset} at scale {name}" for name, s in claim.scales.items())
        raise ValueError(f"{claim.name} does not use {dataset!r}{f' at scale {scale}' if scale else ''}; it uses {uses}")
    return fitting[0]


def _standin(claim: Claim, why: str, pack: bool) -> Settled:
    splits = open_dataset("stand-in", Path(), pack_missing=pack)
    return "smoke", splits, f"{claim.name}: {why} (scale smoke): this proves that the code runs and is no evidence for any claim"


def _cifar10(claim: Claim, scale: str, root: Path, pack: bool) -> Settled:
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("opening cifar10", total=None)

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        splits = open_dataset("cifar10", root, progress, pack_missing=pack)
    if not splits:
        return scale, splits, f"{claim.name}: cifar10 under {root}, not packed yet (scale {scale})"
    kind = "the publisher's own files" if splits["train"].meta.canonical else "a copy that is not the publisher's bytes"
    return scale, splits, f"{claim.name}: cifar10 under {root}, {kind} (scale {scale})"
