"""Which images a claim gets."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from alexnet.data.catalogue import DATASETS
from alexnet.data.imagenet import prepare_imagenet
from alexnet.data.imageset import DataError, ImageSet
from reproductions.harness.claims.claim import Claim, discover
from reproductions.harness.claims.variant import Scale
from reproductions.harness.plan.choose_data import choose_data
from reproductions.harness.records import provenance

CLAIMS = discover()
FOUR = {"paper": "imagenet2012", "reduced": "tiny-imagenet", "mini": "tiny-imagenet"}
FOUR |= {"smoke": "synthetic"}


def chosen(
    claim: Claim | str, data: Path, scale: str | None = None
) -> tuple[str, dict[str, dict[str, ImageSet]], str]:
    claim = CLAIMS[claim] if isinstance(claim, str) else claim
    return choose_data(claim, scale=scale, data=data, pack=True)


def scaled(**datasets: str) -> Claim:
    """A claim that uses these data sets at these scales."""
    scales = {scale: Scale(dataset) for scale, dataset in datasets.items()}
    return replace(CLAIMS["fig1_relu"], scales=scales)


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of an NVIDIA GPU, which is there where this file is."""
    path = tmp_path / "nvidiactl"
    there = lambda device: path.exists() and device != "cpu"  # noqa: E731
    monkeypatch.setattr(provenance, "computes_on_gpu", there)
    return path


def test_real_images_where_they_are(cifar_folder: Path) -> None:
    scale, images, note = chosen("fig1_relu", cifar_folder)
    assert (scale, list(images), len(images["cifar10"]["train"])) == ("paper", ["cifar10"], 30)
    assert "a copy that is not the publisher's bytes" in note
    (cifar_folder / "train" / "cat" / "0000.png").write_bytes(b"")
    with pytest.raises(DataError, match="cat"):  # never replaced by synthetic ones
        chosen("fig1_relu", cifar_folder)


def test_a_scale_for_processors_where_there_is_one_and_no_gpu(
    cifar_folder: Path, card: Path
) -> None:
    scale, images, note = chosen("cifar_lrn_gain", cifar_folder)
    assert (scale, list(images)) == ("mini", ["cifar10"])
    assert "scale paper needs an NVIDIA GPU, or --scale paper to insist" in note
    assert chosen("fig1_relu", cifar_folder)[0] == "paper"
    card.touch()
    assert chosen("cifar_lrn_gain", cifar_folder)[0] == "paper"


def test_synthetic_images_where_there_are_none_and_nobody_insists(tmp_path: Path) -> None:
    scale, images, note = chosen("fig1_relu", tmp_path)
    assert (scale, images["synthetic"]["train"].meta.name) == ("smoke", "synthetic")
    assert "NO REAL IMAGES" in note


def test_the_most_faithful_scale_that_images_and_machine_allow(
    tiny_images: Path, card: Path
) -> None:
    scale, images, note = chosen(scaled(**FOUR), tiny_images)
    assert (scale, images["tiny-imagenet"]["train"].meta.name) == ("mini", "tiny-imagenet")
    assert "(scale mini); not a more faithful scale: scale paper needs an NVIDIA GPU" in note
    card.touch()
    scale, _, note = chosen(scaled(**FOUR), tiny_images)
    assert scale == "reduced"
    assert "not a more faithful scale: the train images of imagenet2012 are not prepared" in note


def test_a_part_of_imagenet_is_not_scale_paper(
    tiny_images: Path, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card.touch()
    folder, claim = tiny_images / "some", scaled(**FOUR)
    for place in ("train/n1/a.JPEG", "train/n2/b.JPEG", "val/n2/c.JPEG"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (300, 300)).save(folder / place)
    prepare_imagenet("imagenet2012", tiny_images, [folder])
    scale, _, note = chosen(claim, tiny_images)
    assert scale == "reduced"
    part = "has 2 of 1,281,167 images for train, 1 of 50,000 images for test"
    assert f"{part}, and scale paper needs them all" in note
    with pytest.raises(DataError, match="scale paper needs them all"):
        chosen(claim, tiny_images, "paper")
    _, _, note = chosen(scaled(reduced="imagenet2012"), tiny_images)
    assert "a part of it (2 of 1,281,167 images for train" in note
    whole = DATASETS["imagenet2012"]._replace(classes=2, counts={"train": (2,), "test": (1,)})
    monkeypatch.setitem(DATASETS, "imagenet2012", whole)
    assert chosen(claim, tiny_images)[0] == "paper"
