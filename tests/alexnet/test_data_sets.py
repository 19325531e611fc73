"""CIFAR-10 and Tiny ImageNet in the publishers' layouts, whole, incomplete, hostile."""

import hashlib
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from pictures import WNIDS
from PIL import Image

from alexnet.data import cifar10
from alexnet.data.imageset import DataError, statistics
from alexnet.data.sources import data_root, dataset, open_dataset

CIFAR10 = dataset("cifar10")


def test_a_folder_of_images(cifar_folder: Path) -> None:
    splits = open_dataset("cifar10", cifar_folder)
    assert {name: len(split) for name, split in splits.items()} == {"train": 30, "test": 20}
    train = splits["train"]
    np.testing.assert_array_equal(train.labels, np.repeat(np.arange(10), 3))
    with Image.open(cifar_folder / "train" / "bird" / "0001.png") as picture:
        np.testing.assert_array_equal(train.images[7], np.asarray(picture))
    assert not train.meta.canonical
    assert "Pillow" in train.meta.source


def test_packing_happens_once_and_again_when_the_source_changes(cifar_folder: Path) -> None:
    assert open_dataset("cifar10", cifar_folder, pack_missing=False) == {}
    assert not (cifar_folder / "prepared").exists()
    first = open_dataset("cifar10", cifar_folder)["train"].meta.fingerprint
    reports: list[str] = []
    open_dataset("cifar10", cifar_folder, lambda what, *_: reports.append(what))
    assert reports == []
    picture = cifar_folder / "train" / "cat" / "0000.png"
    Image.new("RGB", (32, 32)).save(picture)
    os.utime(picture, ns=(1, 1))
    assert open_dataset("cifar10", cifar_folder)["train"].meta.fingerprint != first


def test_a_read_only_root_is_packed_into_the_cache(
    cifar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # tests may run as root, who may write anywhere
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert len(open_dataset("cifar10", cifar_folder)["test"]) == 20
    assert not (cifar_folder / "prepared").exists()
    assert list((tmp_path / "cache" / "alexnet" / "prepared").glob("cifar10-*-test-*/images.npy"))


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 cut short"])
def test_a_broken_image_is_named(cifar_folder: Path, content: bytes) -> None:
    broken = cifar_folder / "train" / "frog" / "0002.png"
    broken.write_bytes(content)
    with pytest.raises(DataError, match=r"frog/0002\.png is not a readable image"):
        open_dataset("cifar10", cifar_folder)


def test_an_image_of_another_size_is_named(cifar_folder: Path) -> None:
    Image.new("RGB", (64, 48)).save(cifar_folder / "test" / "deer" / "0000.png")
    with pytest.raises(DataError, match=r"deer/0000\.png is 64×48"):
        open_dataset("cifar10", cifar_folder)


def test_every_second_class_under_labels_mean_and_fingerprint_of_its_own() -> None:
    whole, half = (open_dataset(name, Path()) for name in ("synthetic", "synthetic-half"))
    assert np.bincount(whole["train"].labels).tolist() == [256] * 10
    for split, images in (("train", 1_280), ("test", 250)):
        even = np.flatnonzero(whole[split].labels % 2 == 0)
        assert len(half[split]) == images
        np.testing.assert_array_equal(half[split].images, whole[split].images[even])
        np.testing.assert_array_equal(half[split].labels, whole[split].labels[even] // 2)
        assert half[split].meta.classes == ("airplane", "bird", "deer", "frog", "ship")
    mean, deviation = statistics(half["train"].images)
    np.testing.assert_array_equal(half["train"].mean_image, mean)
    assert half["train"].meta.pixel_std == deviation
    assert half["train"].meta.fingerprint != whole["train"].meta.fingerprint


def test_an_incomplete_copy_is_refused(cifar_folder: Path) -> None:
    (cifar_folder / "train" / "ship" / "0000.png").unlink()
    with pytest.raises(DataError, match="ship holds 2 images, CIFAR-10 has 3"):
        open_dataset("cifar10", cifar_folder)
    with pytest.raises(DataError, match="ship holds 2"):
        CIFAR10.verify(cifar_folder)


@pytest.fixture
def publishers_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with `cifar-10-batches-py` of 4 + 2 images, their md5s in place of the real ones."""
    folder = tmp_path / "root" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    files: dict[str, tuple[tuple[str, str], ...]] = {}
    for split, names in (("train", ("data_batch_1", "data_batch_2")), ("test", ("test_batch",))):
        listed = []
        for k, name in enumerate(names):
            data = np.arange(2 * 3072, dtype=np.int64).reshape(2, 3072) % (200 + k)
            content = pickle.dumps({b"data": data.astype(np.uint8), b"labels": [k, 9]})
            (folder / name).write_bytes(content)
            listed.append((name, hashlib.md5(content).hexdigest()))
        files[split] = tuple(listed)
    monkeypatch.setattr(cifar10, "FILES", files)
    return folder.parent


def archive_of(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder as the publisher's tar.gz in a root of its own, its md5 accepted."""
    archive = root.parent / "archived" / "cifar-10-python.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(root / "cifar-10-batches-py", "cifar-10-batches-py")
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(cifar10, "ARCHIVE", (archive.name, md5))
    return archive.parent


def test_the_publishers_files(publishers_files: Path) -> None:
    splits = open_dataset("cifar10", publishers_files)
    assert len(splits["train"]) == 4
    assert splits["train"].meta.canonical
    np.testing.assert_array_equal(splits["train"].labels, [0, 9, 1, 9])
    # The publisher stores 1,024 red values, then green, then blue, row by row.
    assert splits["train"].images[0, 1, 2].tolist() == [
        34 % 200,
        (1024 + 34) % 200,
        (2048 + 34) % 200,
    ]


def test_the_publishers_archive_gives_the_same(
    publishers_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = open_dataset("cifar10", publishers_files)["train"].meta.fingerprint
    root = archive_of(publishers_files, monkeypatch)
    assert open_dataset("cifar10", root)["train"].meta.fingerprint == unpacked
    CIFAR10.verify(root)
    assert sorted(path.name for path in root.iterdir()) == ["cifar-10-python.tar.gz", "prepared"]


def test_a_wrong_checksum_is_refused_before_anything_is_unpickled(publishers_files: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {publishers_files}/exploded",)

    (publishers_files / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match=r"test_batch has md5 .* truncated or altered"):
        open_dataset("cifar10", publishers_files)
    assert not (publishers_files / "exploded").exists()


def test_a_missing_or_truncated_file_is_named(publishers_files: Path) -> None:
    batch = publishers_files / "cifar-10-batches-py" / "data_batch_2"
    batch.write_bytes(batch.read_bytes()[:-10])
    with pytest.raises(DataError, match="data_batch_2 has md5"):
        open_dataset("cifar10", publishers_files)
    batch.unlink()
    with pytest.raises(DataError, match="lacks data_batch_2"):
        open_dataset("cifar10", publishers_files)


def test_absent_data_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=f"not under {tmp_path}.*--data or ALEXNET_DATA"):
        open_dataset("cifar10", tmp_path)
    with pytest.raises(DataError, match="could not be downloaded"):
        CIFAR10.download(tmp_path)
    with pytest.raises(ValueError, match="no data set is called 'mnist'"):
        open_dataset("mnist", tmp_path)
    monkeypatch.setenv("ALEXNET_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="is not a folder"):
        data_root()
    assert data_root(tmp_path) == tmp_path


def test_classes_splits_and_pixels(tiny_images: Path) -> None:
    splits = open_dataset("tiny-imagenet", tiny_images)
    train, test = splits["train"], splits["test"]
    assert train.meta.classes == test.meta.classes == WNIDS
    assert train.meta.words == ("goldfish, Carassius auratus", WNIDS[1], "geyser")
    np.testing.assert_array_equal(train.labels, np.repeat(range(3), 4))
    np.testing.assert_array_equal(test.labels, [0, 0, 1, 1, 2, 2])
    assert np.ptp(train.images[6], axis=-1).max() == 0  # the grey one
    with Image.open(tiny_images / "tiny-imagenet-200" / "val" / "images" / "val_4.JPEG") as picture:
        np.testing.assert_array_equal(test.images[3], np.asarray(picture))
    assert not train.meta.canonical
    assert "validation images as test" in test.meta.source


def test_it_is_packed_once_and_found_also_where_the_root_is_its_folder(tiny_images: Path) -> None:
    first = open_dataset("tiny-imagenet", tiny_images)["train"].meta
    seen: list[str] = []
    again = open_dataset("tiny-imagenet", tiny_images, lambda what, *_: seen.append(what))
    assert again["train"].meta == first
    assert seen == []
    inner = tiny_images / "tiny-imagenet-200"
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
def test_an_incomplete_tiny_imagenet_is_refused(tiny_images: Path, name: str) -> None:
    (tiny_images / "tiny-imagenet-200" / name).unlink()
    with pytest.raises(DataError, match="unpack") as error:
        open_dataset("tiny-imagenet", tiny_images)
    assert "\n" not in str(error.value)
    assert not (tiny_images / "prepared").exists()


@pytest.mark.parametrize(
    "line",
    [
        "../../secret.JPEG\tn01443537\t0",
        "val_0.JPEG\tn00000000",
        "val_0.JPEG",
        "val_1.JPEG\tn01443537",
    ],
)
def test_annotations_that_do_not_fit_are_refused(tiny_images: Path, line: str) -> None:
    """Names are looked up among the files of val/images, so none leads outside."""
    (tiny_images / "secret.JPEG").write_bytes(b"")
    listed = tiny_images / "tiny-imagenet-200" / "val" / "val_annotations.txt"
    listed.write_text(listed.read_text() + line + "\n")
    with pytest.raises(DataError, match=r"val_annotations\.txt (has|names) "):
        open_dataset("tiny-imagenet", tiny_images)


def test_half_of_it_follows_the_whole(tiny_images: Path) -> None:
    assert open_dataset("tiny-imagenet-half", tiny_images, pack_missing=False) == {}
    half = open_dataset("tiny-imagenet-half", tiny_images)
    assert half["train"].meta.classes == half["test"].meta.classes == (WNIDS[0], WNIDS[2])
    assert half["train"].meta.words == ("goldfish, Carassius auratus", "geyser")
    np.testing.assert_array_equal(half["train"].labels, [0] * 4 + [1] * 4)
    picture = (
        tiny_images / "tiny-imagenet-200" / "train" / WNIDS[2] / "images" / f"{WNIDS[2]}_1.JPEG"
    )
    picture.write_bytes((picture.parent / f"{WNIDS[2]}_0.JPEG").read_bytes())
    again = open_dataset("tiny-imagenet-half", tiny_images)["train"].meta
    assert again.fingerprint != half["train"].meta.fingerprint


def test_wrong_class_lists_are_refused(tiny_images: Path) -> None:
    wnids = tiny_images / "tiny-imagenet-200" / "wnids.txt"
    for text in ("n01443537\nn01629819\n", "n01443537\nn01443537\nn01629819\n"):
        wnids.write_text(text)
        with pytest.raises(DataError, match="does not name 3 classes"):
            open_dataset("tiny-imagenet", tiny_images)
    wnids.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        open_dataset("tiny-imagenet", tiny_images)
