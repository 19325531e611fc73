"""Which images a claim gets."""

from pathlib import Path

import pytest

from alexnet.data.imageset import DataError
from reproductions.harness.claim import discover
from reproductions.harness.settle import settle

CLAIMS = discover()
NOTHING = {"scale": None, "dataset": None, "data": None, "pack": True}


def test_real_images_where_they_are(cifar_folder: Path) -> None:
    scale, splits, note = settle(CLAIMS["fig1_relu"], **{**NOTHING, "data": cifar_folder})
    assert (scale, len(splits["train"])) == ("paper", 30)
    assert "a copy that is not the publisher's bytes" in note


def test_the_standin_where_there_are_none_and_nobody_insists(tmp_path: Path) -> None:
    scale, splits, note = settle(CLAIMS["fig1_relu"], **{**NOTHING, "data": tmp_path})
    assert (scale, splits["train"].meta.name) == ("smoke", "stand-in")
    assert "NO REAL IMAGES" in note


@pytest.mark.parametrize("insist", [{"scale": "paper"}, {"dataset": "cifar10"}])
def test_who_insists_gets_an_error(tmp_path: Path, insist: dict[str, str]) -> None:
    with pytest.raises(DataError, match="could not be downloaded"):
        settle(CLAIMS["fig1_relu"], **{**NOTHING, "data": tmp_path, **insist})


def test_broken_images_are_never_replaced_by_the_standin(cifar_folder: Path) -> None:
    (cifar_folder / "train" / "cat" / "0000.png").write_bytes(b"")
    with pytest.raises(DataError, match="cat"):
        settle(CLAIMS["fig1_relu"], **{**NOTHING, "data": cifar_folder})


def test_a_claim_without_images_needs_none(tmp_path: Path) -> None:
    assert settle(CLAIMS["fig2_architecture"], **{**NOTHING, "data": tmp_path / "nowhere", "scale": "smoke"})[0] == "paper"
