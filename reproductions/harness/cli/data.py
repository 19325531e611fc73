"""`data`: pack a data set, or check a packed one."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reproductions.harness.cli.options import DataRoot, Json, fail, nearest, show_table

if TYPE_CHECKING:
    from alexnet.data.imageset import ImageSet


def data_command(
    action: Annotated[str, typer.Argument(help="verify or prepare")],
    dataset: Annotated[
        str,
        typer.Argument(
            help="cifar10, tiny-imagenet, imagenet2010, imagenet2012, fall2009, fall2011 or "
            "synthetic"
        ),
    ] = "cifar10",
    data: DataRoot = None,
    source: Annotated[
        list[Path] | None,
        typer.Option(
            help="ImageNet: a tar of the publisher's, its devkit, or a folder of images; "
            "several are put together."
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="ImageNet: train or test, where the source does not say which its images are; "
            "default train."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """`prepare` packs a data set for training; `verify` checks a packed one by its fingerprint.

    Example: `data prepare tiny-imagenet --data ~/images`
    """
    if action not in ("verify", "prepare"):
        fail(f"data {action}: say `data verify` or `data prepare`")
    from alexnet.data.sources import data_root

    _check_arguments(dataset, action == "verify", source or [], split)
    root = Path() if dataset == "synthetic" else data_root(data)
    if action == "verify":
        show_table(_verify(dataset, root), as_json)
    else:
        show_table(_prepare(dataset, root, source or [], split), as_json)


def _verify(dataset: str, root: Path) -> list[dict[str, Any]]:
    from alexnet.data.imageset import check_fingerprint
    from alexnet.data.sources import dataset as dataset_of
    from reproductions.harness.plan.choose_data import opened

    dataset_of(dataset).verify(root)
    splits = opened(dataset, root, pack=False)
    for name, images in splits.items():
        check_fingerprint(images, f"the packed {name} split of {dataset}")
    if not splits:
        state = "source verified, not packed yet (`data prepare` does it)"
        return [{"split": "both", "state": state}]
    return [_row(name, images, "verified") for name, images in splits.items()]


def _prepare(
    dataset: str, root: Path, sources: Sequence[Path], split: str | None
) -> list[dict[str, Any]]:
    from alexnet.data.imagenet import prepare_imagenet
    from alexnet.data.sources import dataset as dataset_of
    from reproductions.harness.plan.choose_data import bar, opened

    chosen = dataset_of(dataset)
    if chosen.downloads and chosen.find(root) is None:
        chosen.download(root)
    if sources:
        with bar(f"reading {dataset}") as tell:
            splits = prepare_imagenet(dataset, root, sources, split, tell)
    else:
        splits = opened(dataset, root)
    return [_row(name, images, "ready") for name, images in splits.items()]


def _row(split: str, images: "ImageSet", state: str) -> dict[str, Any]:
    from alexnet.data.imagenet import part_of

    return {
        "split": split,
        "images": f"{images.meta.count:,}",
        "shape": "×".join(map(str, images.meta.shape)),
        "canonical": images.meta.canonical,
        "fingerprint": images.meta.fingerprint[:16],
        "source": images.meta.source,
        "state": ", ".join(filter(None, (state, part_of(images.meta)))),
    }


def _check_arguments(
    dataset: str, verify: bool, sources: Sequence[Path], split: str | None
) -> None:
    from alexnet.data.catalogue import DATASETS, RELEASES

    if dataset not in DATASETS:
        fail(f"no data set is called {dataset!r}{nearest(dataset, DATASETS)}")
    if (sources or split) and (dataset not in RELEASES or verify):
        fail(
            f"--source and --split are for `data prepare` of {', '.join(RELEASES)}; other sets lie "
            "in the data root"
        )
    if split and not sources:
        fail("--split says what the images of --source are; name them, or leave it out")
    if split not in (None, "train", "test"):
        fail(f"--split {split}: say train or test")
