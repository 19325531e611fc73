"""Tiny ImageNet in the publisher's layout, whole, incomplete, hostile; counts lowered."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data import tiny_imagenet
from alexnet.data.imageset import DataError
from alexnet.data.sources import dataset, open_dataset

WNIDS = ("n01443537", "n01629819", "n09256479")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with `tiny-imagenet-200`: three classes, 4 + 2 images each, one of them grey."""
    monkeypatch.setattr(tiny_imagenet, "CLASSES", 3)
    monkeypatch.setattr(tiny_imagenet, "PER_CLASS", {"train": 4, "test": 2})
    folder, rng = tmp_path / "tiny-imagenet-200", np.random.default_rng(0)
    (folder / "val" / "images").mkdir(parents=True)
    lines = []
    for number, wnid in enumerate(WNIDS):
        (folder / "train" / wnid / "images").mkdir(parents=True)
        files = [folder / "train" / wnid / "images" / f"{wnid}_{k}.JPEG" for k in range(4)]
        names = [f"val_{number + 3 * k}.JPEG" for k in range(2)]
        lines += [f"{name}\t{wnid}\t0\t32\t44\t62\n" for name in names]
        for file in [*files, *(folder / "val" / "images" / name for name in names)]:
            Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(
                file, quality=95
            )
    Image.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8)).save(
        folder / "train" / WNIDS[1] / "images" / f"{WNIDS[1]}_2.JPEG"
    )
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    (folder / "wnids.txt").write_text("\n".join(reversed(WNIDS)))
    (folder / "words.txt").write_text(
        f"n00001740\tentity\n{WNIDS[0]}\tgoldfish, Carassius auratus\n{WNIDS[2]}\tgeyser\n"
    )
    return tmp_path


def test_classes_splits_and_pixels(root: Path) -> None:
    splits = open_dataset("tiny-imagenet", root)
    train, test = splits["train"], splits["test"]
    assert train.meta.classes == test.meta.classes == WNIDS
    assert train.meta.words == ("goldfish, Carassius auratus", WNIDS[1], "geyser")
    np.testing.assert_array_equal(train.labels, np.repeat(range(3), 4))
    np.testing.assert_array_equal(test.labels, [0, 0, 1, 1, 2, 2])
    assert np.ptp(train.images[6], axis=-1).max() == 0  # the grey one
    with Image.open(root / "tiny-imagenet-200" / "val" / "images" / "val_4.JPEG") as picture:
        np.testing.assert_array_equal(test.images[3], np.asarray(picture))
    assert not train.meta.canonical
    assert "validation images as test" in test.meta.source


def test_it_is_packed_once_and_found_also_where_the_root_is_its_folder(root: Path) -> None:
    first = open_dataset("tiny-imagenet", root)["train"].meta
    seen: list[str] = []
    assert (
        open_dataset("tiny-imagenet", root, lambda what, *_: seen.append(what))["train"].meta
        == first
    )
    assert seen == []
    inner = root / "tiny-imagenet-200"
    assert dataset("tiny-imagenet").find(inner) == inner
    assert open_dataset("tiny-imagenet", inner, pack_missing=False) == {}
    assert open_dataset("tiny-imagenet", inner)["train"].meta.fingerprint == first.fingerprint


@pytest.mark.parametrize(
    "name",
    [
        "wnids.txt",
        "val/val_annotations.txt",
        "train/n01443537/images/n01443537_0.JPEG",
        "val/images/val_0.JPEG",
    ],
)
def test_an_incomplete_copy_is_refused(root: Path, name: str) -> None:
    (root / "tiny-imagenet-200" / name).unlink()
    with pytest.raises(DataError, match="unpack") as error:
        open_dataset("tiny-imagenet", root)
    assert "\n" not in str(error.value)
    assert not (root / "prepared").exists()


@pytest.mark.parametrize(
    "line",
    [
        "../../secret.JPEG\tn01443537\t0",
        "val_0.JPEG\tn00000000",
        "val_0.JPEG",
        "val_1.JPEG\tn01443537",
    ],
)
def test_annotations_that_do_not_fit_are_refused(root: Path, line: str) -> None:
    """Names are looked up among the files of val/images, so none leads outside."""
    (root / "secret.JPEG").write_bytes(b"")
    listed = root / "tiny-imagenet-200" / "val" / "val_annotations.txt"
    listed.write_text(listed.read_text() + line + "\n")
    with pytest.raises(DataError, match=r"val_annotations\.txt (has|names) "):
        open_dataset("tiny-imagenet", root)


def test_half_of_it_follows_the_whole(root: Path) -> None:
    assert open_dataset("tiny-imagenet-half", root, pack_missing=False) == {}
    half = open_dataset("tiny-imagenet-half", root)
    assert half["train"].meta.classes == half["test"].meta.classes == (WNIDS[0], WNIDS[2])
    assert half["train"].meta.words == ("goldfish, Carassius auratus", "geyser")
    np.testing.assert_array_equal(half["train"].labels, [0] * 4 + [1] * 4)
    picture = root / "tiny-imagenet-200" / "train" / WNIDS[2] / "images" / f"{WNIDS[2]}_1.JPEG"
    picture.write_bytes((picture.parent / f"{WNIDS[2]}_0.JPEG").read_bytes())
    again = open_dataset("tiny-imagenet-half", root)["train"].meta
    assert again.fingerprint != half["train"].meta.fingerprint


def test_wrong_class_lists_are_refused(root: Path) -> None:
    wnids = root / "tiny-imagenet-200" / "wnids.txt"
    for text in ("n01443537\nn01629819\n", "n01443537\nn01443537\nn01629819\n"):
        wnids.write_text(text)
        with pytest.raises(DataError, match="does not name 3 classes"):
            open_dataset("tiny-imagenet", root)
    wnids.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        open_dataset("tiny-imagenet", root)
