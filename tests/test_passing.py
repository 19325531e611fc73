"""A file that cannot be read now stays; one that is proved broken is moved aside."""

import errno
import io
import logging
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from machine import without_privileges
from PIL import Image
from records import keep, make_alexnet, planned

from alexnet.data import cifar10, imagenet, prepare
from alexnet.data.imageset import BrokenSetError
from alexnet.data.prepare import Listing, folder_items, pack_listing
from alexnet.data.sources import open_dataset
from reproductions.harness.execute.parents import load_network
from reproductions.harness.records.load import read_records

ABOUT = {"name": "few", "split": "train", "canonical": False, "source": "the tests"}


@pytest.fixture(autouse=True)
def _small_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "COUNTS", {"train": 30, "test": 20})
    monkeypatch.setattr(prepare, "CHUNK_BYTES", 2 * 8 * 8 * 3)  # two images


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that any user may read and write, with the cache in it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        monkeypatch.setenv("XDG_CACHE_HOME", folder)
        yield Path(folder)


@dataclass
class Place:
    """A file that a command made or reads and now cannot read, and the command."""

    file: Path
    read: Callable[[], object]


def pictures(folder: Path, count: int = 4, side: int = 8) -> Listing:
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        Image.fromarray(np.full((side, side, 3), 9 * k, np.uint8)).save(folder / f"{k}.png")
    return Listing(folder_items(folder, folder.parent, (".png",)), np.arange(count) % 2, ("a", "b"))


def decode(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def a_packed_set(root: Path, name: str = "images.npy") -> Place:
    """As `run` and `data prepare` open it, where it could be packed again."""
    for split, count in (("train", 3), ("test", 2)):
        for label in cifar10.CLASSES:
            pictures(root / split / label, count, side=32)
    open_dataset("cifar10", root)
    (file,) = (root / "prepared").glob(f"*-train-*/{name}")
    return Place(file, lambda: open_dataset("cifar10", root))


def an_image(root: Path) -> Place:
    listing = pictures(root / "images")
    return Place(
        root / "images" / "2.png",
        lambda: pack_listing(root / "set", listing, (8, 8, 3), decode, **ABOUT),
    )


def a_tar(root: Path) -> Place:
    (root / "n01440764.tar").write_bytes(bytes(10240))
    return Place(
        root / "n01440764.tar",
        lambda: imagenet.prepare_imagenet("imagenet2012", root, [root / "n01440764.tar"]),
    )


def weights(root: Path) -> Place:
    folder = keep(root, make_alexnet("original", 0, "ensembles", top1=80.0))
    (item,) = read_records(root)[0]
    run = planned("original", 0, "mini", "ensembles")
    return Place(folder / "weights.safetensors", lambda: load_network(run, item))


@pytest.mark.parametrize("make", [a_packed_set, an_image, a_tar, weights])
def test_what_may_not_be_read_now_stays(shared: Path, make: Callable[[Path], Place]) -> None:
    place = make(shared)
    before = place.file.read_bytes()
    for path in shared.rglob("*"):
        path.chmod(0o777)
    place.file.chmod(0)
    with without_privileges(), pytest.raises(PermissionError) as caught:
        place.read()
    assert Path(str(caught.value.filename)).name in (place.file.name, place.file.parent.name)
    place.file.chmod(0o777)
    assert place.file.read_bytes() == before
    assert not list(shared.rglob("*.broken-*"))


@pytest.mark.parametrize("kind", [errno.ENOMEM, errno.EIO])
def test_a_set_that_cannot_be_mapped_now_stays(
    tmp_path: Path, kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = a_packed_set(tmp_path)

    def fails(*_: object, **__: object) -> None:
        raise OSError(kind, os.strerror(kind))

    with monkeypatch.context() as patch:
        patch.setattr(mmap, "mmap", fails)
        with pytest.raises(OSError, match=os.strerror(kind)) as caught:
            place.read()
    assert str(caught.value.filename) == str(place.file.parent)
    assert place.file.is_file()
    assert not list(tmp_path.rglob("*.broken-*"))
    place.read()


@pytest.mark.parametrize("name", ["images.npy", "meta.json"])
def test_a_set_that_is_proved_broken_is_moved_aside_and_packed_again(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    place = a_packed_set(tmp_path, name)
    whole = place.file.read_bytes()
    place.file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    broken, aside = place.file.read_bytes(), place.file.parent.name + ".broken-1"
    with pytest.raises(BrokenSetError, match="move it away and run `data prepare` again"):
        open_dataset("cifar10", tmp_path, pack_missing=False)
    assert place.file.read_bytes() == broken, "a command that only looks changes nothing"
    with caplog.at_level(logging.WARNING, "alexnet"):
        place.read()
    assert place.file.read_bytes() == whole
    assert (place.file.parent.with_name(aside) / name).read_bytes() == broken
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith(str(place.file.parent))
    assert line.endswith(f"moved aside to {aside} and packed again")
