"""Half the classes of a data set: which images, under which labels, and when it is another set."""

from pathlib import Path

import numpy as np
import pytest
from test_tiny_imagenet import WNIDS, root  # noqa: F401 - a fixture

from alexnet.data.catalogue import DATASETS, HALVES
from alexnet.data.imageset import fingerprint, statistics
from alexnet.data.sources import dataset, open_dataset


def test_every_second_class_of_the_stand_in() -> None:
    whole, half = (open_dataset(name, Path()) for name in ("synthetic", "synthetic-half"))
    for split, images in (("train", 1_280), ("test", 250)):
        kept = [k for k, label in enumerate(whole[split].labels) if label in (0, 2, 4, 6, 8)]
        assert len(half[split]) == len(kept) == images
        np.testing.assert_array_equal(half[split].images, whole[split].images[kept])
        np.testing.assert_array_equal(
            half[split].labels, [int(whole[split].labels[k]) // 2 for k in kept]
        )
        assert half[split].meta.classes == ("airplane", "bird", "deer", "frog", "ship")
        assert half[split].meta.split == split


def test_it_has_a_mean_and_a_fingerprint_of_its_own() -> None:
    whole, half = (open_dataset(name, Path())["train"] for name in ("synthetic", "synthetic-half"))
    mean, deviation = statistics(half.images)
    np.testing.assert_array_equal(half.mean_image, mean)
    assert half.meta.pixel_std == deviation
    assert not np.array_equal(half.mean_image, whole.mean_image)
    assert (
        half.meta.fingerprint
        == fingerprint(half.images, half.labels, half.meta.classes)
        != whole.meta.fingerprint
    )
    assert (half.meta.name, half.meta.canonical) == ("synthetic-half", False)
    assert half.meta.source == "every second class of synthetic: procedural"


def test_half_of_tiny_imagenet_follows_the_whole(root: Path) -> None:  # noqa: F811
    half = open_dataset("tiny-imagenet-half", root)
    assert half["train"].meta.classes == half["test"].meta.classes == (WNIDS[0], WNIDS[2])
    assert half["train"].meta.words == ("goldfish, Carassius auratus", "geyser")
    np.testing.assert_array_equal(half["train"].labels, [0] * 4 + [1] * 4)
    before = half["train"].meta.fingerprint
    assert open_dataset("tiny-imagenet-half", root)["train"].meta.fingerprint == before
    picture = root / "tiny-imagenet-200" / "train" / WNIDS[2] / "images" / f"{WNIDS[2]}_1.JPEG"
    picture.write_bytes((picture.parent / f"{WNIDS[2]}_0.JPEG").read_bytes())
    assert open_dataset("tiny-imagenet-half", root)["train"].meta.fingerprint != before


def test_nothing_is_packed_when_told_so(root: Path) -> None:  # noqa: F811
    assert open_dataset("tiny-imagenet-half", root, pack_missing=False) == {}
    open_dataset("tiny-imagenet", root)
    assert open_dataset("tiny-imagenet-half", root, pack_missing=False) == {}
    assert dataset("tiny-imagenet-half").locate(root) == root / "tiny-imagenet-200"


@pytest.mark.parametrize("name", HALVES)
def test_a_half_is_listed_with_half_of_the_whole(name: str) -> None:
    half, whole = DATASETS[name], DATASETS[HALVES[name]]
    assert (2 * half.classes, 2 * half.images) == (whole.classes, whole.images)
