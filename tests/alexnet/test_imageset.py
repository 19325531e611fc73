"""The packed format: what goes in comes out, and nothing broken is opened."""

import json
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.imageset import (
    DataError,
    ImageSet,
    fingerprint,
    open_imageset,
    pack,
    rgb_covariance,
)

pytestmark = pytest.mark.numerical


@pytest.fixture
def packed(tmp_path: Path) -> ImageSet:
    images = np.random.default_rng(0).integers(0, 256, (12, 4, 5, 3), dtype=np.uint8)
    labels = np.arange(12) % 3
    return pack(
        tmp_path / "set",
        images,
        labels,
        name="n",
        split="train",
        classes="abc",
        canonical=True,
        source="s",
    )


def test_round_trip(packed: ImageSet, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 4, 5, 3), dtype=np.uint8)
    again = open_imageset(tmp_path / "set", verify=True)
    np.testing.assert_array_equal(again.images, images)
    np.testing.assert_array_equal(again.labels, np.arange(12) % 3)
    np.testing.assert_allclose(again.mean_image, images.astype(float).mean(0), rtol=1e-6)
    assert again.meta == packed.meta
    assert again.meta.pixel_std == pytest.approx(
        (images - images.astype(float).mean(0)).std(), rel=1e-6
    )
    assert len(again) == 12


def test_the_fingerprint_sees_pixels_labels_shape_and_classes() -> None:
    images, labels = np.zeros((2, 2, 3, 3), np.uint8), np.zeros(2, np.int64)
    turned, bright = images.reshape(2, 3, 2, 3), images + np.uint8(1)
    same = (images, labels, "ab"), (images, labels.astype(np.int32), "ab")
    others = (bright, labels, "ab"), (turned, labels, "ab"), (images, labels, "ac")
    prints = [fingerprint(*each) for each in (*same, *others, (images, labels + 1, "ab"))]
    assert len({*prints}) == 5
    assert prints[0] == prints[1]


def test_the_covariance_of_the_colours() -> None:
    """Against numpy over all pixels, and by hand for two; more pixels than one part holds."""
    images = np.random.default_rng(2).integers(0, 256, (70, 40, 50, 3), dtype=np.uint8) // [1, 2, 5]
    found = rgb_covariance(images.astype(np.uint8))
    np.testing.assert_allclose(
        found, np.cov(images.reshape(-1, 3).T, bias=True), rtol=1e-12, atol=1e-9
    )
    two = np.array([[[[0, 10, 4]], [[2, 0, 4]]]], dtype=np.uint8)
    assert rgb_covariance(two) == ((1.0, -5.0, 0.0), (-5.0, 25.0, 0.0), (0.0, 0.0, 0.0))


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "mean_image.npy", "meta.json"])
@pytest.mark.parametrize("change", [None, lambda old: old[: len(old) // 2], lambda _: b"\x80" * 99])
def test_broken_files_are_named(packed: ImageSet, tmp_path: Path, name: str, change) -> None:
    path = tmp_path / "set" / name
    content = path.read_bytes()
    path.unlink()
    if change:
        path.write_bytes(change(content))
    with pytest.raises(DataError, match=r"not a whole ImageSet .*data prepare"):
        open_imageset(tmp_path / "set")


def test_another_mean_image_is_found(packed: ImageSet, tmp_path: Path) -> None:
    np.save(tmp_path / "set" / "mean_image.npy", packed.mean_image + 1)
    with pytest.raises(DataError, match="another mean image"):
        open_imageset(tmp_path / "set")


def test_one_altered_pixel_is_found(packed: ImageSet, tmp_path: Path) -> None:
    path = tmp_path / "set" / "images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="does not match its fingerprint"):
        open_imageset(tmp_path / "set")
    assert len(open_imageset(tmp_path / "set", verify=False)) == 12


@pytest.mark.parametrize(
    ("field", "value"), [("format", 99), ("count", 11), ("classes", ["a"]), ("shape", [4, 4, 3])]
)
def test_meta_that_does_not_fit_is_refused(
    packed: ImageSet, tmp_path: Path, field: str, value: object
) -> None:
    path = tmp_path / "set" / "meta.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(DataError):
        open_imageset(tmp_path / "set")
