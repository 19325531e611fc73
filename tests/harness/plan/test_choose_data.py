"""Which images a claim gets."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from alexnet.data.catalogue import DATASETS
from alexnet.data.imagenet import prepare_imagenet
from alexnet.data.imageset import DataError
from reproductions.harness.claims.claim import Claim, discover
from reproductions.harness.claims.variant import Scale
from reproductions.harness.plan.choose_data import choose_data
from reproductions.harness.records import provenance

CLAIMS = discover()
NOTHING = {"scale": None, "data": None, "pack": True}


def test_real_images_where_they_are(cifar_folder: Path) -> None:
    scale, images, note = choose_data(CLAIMS["fig1_relu"], **{**NOTHING, "data": cifar_folder})
    assert (scale, list(images), len(images["cifar10"]["train"])) == ("paper", ["cifar10"], 30)
    assert "a copy that is not the publisher's bytes" in note


def test_a_scale_for_processors_where_there_is_one_and_no_gpu(
    cifar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        provenance,
        "computes_on_gpu",
        lambda device: (tmp_path / "nvidiactl").exists() and device != "cpu",
    )
    scale, images, note = choose_data(CLAIMS["cifar_lrn_gain"], **{**NOTHING, "data": cifar_folder})
    assert (scale, list(images)) == ("mini", ["cifar10"])
    assert "scale paper needs an NVIDIA GPU, or --scale paper to insist" in note
    assert choose_data(CLAIMS["fig1_relu"], **{**NOTHING, "data": cifar_folder})[0] == "paper"
    (tmp_path / "nvidiactl").touch()
    assert choose_data(CLAIMS["cifar_lrn_gain"], **{**NOTHING, "data": cifar_folder})[0] == "paper"


def test_the_synthetic_where_there_are_none_and_nobody_insists(tmp_path: Path) -> None:
    scale, images, note = choose_data(CLAIMS["fig1_relu"], **{**NOTHING, "data": tmp_path})
    assert (scale, images["synthetic"]["train"].meta.name) == ("smoke", "synthetic")
    assert "NO REAL IMAGES" in note


def test_broken_images_are_never_replaced_by_the_synthetic(cifar_folder: Path) -> None:
    (cifar_folder / "train" / "cat" / "0000.png").write_bytes(b"")
    with pytest.raises(DataError, match="cat"):
        choose_data(CLAIMS["fig1_relu"], **{**NOTHING, "data": cifar_folder})


def scaled(**datasets: str | None) -> Claim:
    """A claim that uses these data sets at these scales."""
    return replace(
        CLAIMS["fig1_relu"], scales={scale: Scale(dataset) for scale, dataset in datasets.items()}
    )


@pytest.fixture
def tiny_root(tiny_images: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with a packed synthetic for Tiny ImageNet, and no NVIDIA GPU."""
    monkeypatch.setattr(
        provenance,
        "computes_on_gpu",
        lambda device: (tiny_images / "nvidiactl").exists() and device != "cpu",
    )
    return tiny_images


FOUR = {
    "paper": "imagenet2012",
    "reduced": "tiny-imagenet",
    "mini": "tiny-imagenet",
    "smoke": "synthetic",
}


def test_the_most_faithful_scale_that_images_and_machine_allow(tiny_root: Path) -> None:
    here = {**NOTHING, "data": tiny_root}
    scale, images, note = choose_data(scaled(**FOUR), **here)
    assert (scale, images["tiny-imagenet"]["train"].meta.name) == ("mini", "tiny-imagenet")
    assert "(scale mini); not a more faithful scale: scale paper needs an NVIDIA GPU" in note
    (tiny_root / "nvidiactl").touch()
    scale, _, note = choose_data(scaled(**FOUR), **here)
    assert scale == "reduced"
    assert "not a more faithful scale: the train images of imagenet2012 are not prepared" in note


def test_a_part_of_imagenet_is_not_scale_paper(
    tiny_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tiny_root / "nvidiactl").touch()
    for place in ("train/n1/a.JPEG", "train/n2/b.JPEG", "val/n2/c.JPEG"):
        (tiny_root / "some" / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (300, 300)).save(tiny_root / "some" / place)
    prepare_imagenet("imagenet2012", tiny_root, [tiny_root / "some"])
    scale, _, note = choose_data(scaled(**FOUR), **{**NOTHING, "data": tiny_root})
    assert scale == "reduced"
    assert (
        "has 2 of 1,281,167 images for train, 1 of 50,000 images for test, and scale paper needs "
        "them all" in note
    )
    with pytest.raises(DataError, match="scale paper needs them all"):
        choose_data(scaled(**FOUR), **{**NOTHING, "data": tiny_root, "scale": "paper"})
    _, _, note = choose_data(scaled(reduced="imagenet2012"), **{**NOTHING, "data": tiny_root})
    assert "a part of it (2 of 1,281,167 images for train" in note
    whole = DATASETS["imagenet2012"]._replace(classes=2, counts={"train": (2,), "test": (1,)})
    monkeypatch.setitem(DATASETS, "imagenet2012", whole)
    assert choose_data(scaled(**FOUR), **{**NOTHING, "data": tiny_root})[0] == "paper"
