"""CIFAR-10 from image folders, the publisher's layout and archives, whole, broken, hostile."""

import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data import cifar10
from alexnet.data.catalogue import DATASETS
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


def archive_of(
    root: Path, monkeypatch: pytest.MonkeyPatch, extra: tuple[str, bytes] | None = None
) -> Path:
    """The folder as the publisher's tar.gz in a root of its own, its md5 accepted."""
    archive = root.parent / "archived" / "cifar-10-python.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(root / "cifar-10-batches-py", "cifar-10-batches-py")
        if extra:
            member = tarfile.TarInfo(extra[0])
            member.size = len(extra[1])
            tar.addfile(member, io.BytesIO(extra[1]))
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


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_is_opened_by_its_name(name: str, tmp_path: Path) -> None:
    images = dataset(name)
    assert images.name == name
    if images.find(tmp_path) is None:
        with pytest.raises(DataError, match=r"is not under|are not prepared under") as error:
            images.open(tmp_path)
        assert "\n" not in str(error.value)
    else:
        assert set(images.open(tmp_path)) == {"train", "test"}
