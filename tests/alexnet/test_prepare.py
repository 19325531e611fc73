"""Packing: killed for real, full disks, broken images; what cannot be read now stays."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from machine import without_privileges
from PIL import Image
from records import keep, make_alexnet, planned

from alexnet.data import cifar10, prepare
from alexnet.data.decode import decode_square
from alexnet.data.imageset import BrokenSetError, DataError, ImageSet, open_imageset
from alexnet.data.prepare import Listing, folder_items, pack_listing
from alexnet.data.sources import open_dataset
from reproductions.harness.execute.parents import load_network
from reproductions.harness.records.load import read_records

COUNT, SIDE, PER_CHUNK = 40, 8, 4
SHAPE = (SIDE, SIDE, 3)
ABOUT = {"name": "few", "split": "train", "canonical": False, "source": "test"}


@pytest.fixture
def listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Listing:
    """40 PNG images of 8×8 pixels in two classes, packed four to a chunk."""
    monkeypatch.setattr(prepare, "CHUNK_BYTES", PER_CHUNK * SIDE * SIDE * 3)
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(5)
    for k in range(COUNT):
        Image.fromarray(rng.integers(0, 256, SHAPE, dtype=np.uint8)).save(folder / f"{k:02}.png")
    return listing_of(folder)


def listing_of(folder: Path) -> Listing:
    items = folder_items(folder, folder.parent, (".png",))
    return Listing(items, np.arange(len(items)) % 2, ("a", "b"))


def packed(
    tmp_path: Path, listing: Listing, decode: prepare.Decode | None = None, **options: object
) -> ImageSet:
    decode = decode or partial(decode_square, side=SIDE)
    return pack_listing(tmp_path / "set", listing, SHAPE, decode, **options, **ABOUT)


class Counting:
    """Decodes, and counts what it decoded."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, content: bytes) -> np.ndarray:
        self.count += 1
        return decode_square(content, SIDE)


def expected(listing: Listing) -> np.ndarray:
    return np.stack([np.asarray(Image.open(item.path)) for item in listing.items])


def test_every_image_lies_where_its_label_is(tmp_path: Path, listing: Listing) -> None:
    seen: list[tuple[str, int, int]] = []
    data = packed(tmp_path, listing, progress=lambda *row: seen.append(row))
    np.testing.assert_array_equal(data.images, expected(listing))
    np.testing.assert_array_equal(data.labels, listing.labels)
    steps = range(PER_CHUNK, COUNT + 1, PER_CHUNK)
    assert seen == [("packing few train", done, COUNT) for done in steps]
    names = {"images.npy", "labels.npy", "mean_image.npy", "meta.json"}
    assert {path.name for path in (tmp_path / "set").iterdir()} == names


KILLED = """
import sys, time
from pathlib import Path
from alexnet.data import prepare
from alexnet.data.decode import decode_square
from test_prepare import PER_CHUNK, SIDE, listing_of, packed
prepare.CHUNK_BYTES = PER_CHUNK * SIDE * SIDE * 3
def slowly(content):
    time.sleep(0.02)
    return decode_square(content, SIDE)
root = Path(sys.argv[1])
packed(root, listing_of(root / "images"), slowly)
"""


def test_a_killed_packing_goes_on_where_it_was(
    tmp_path: Path, listing: Listing, clean_env: dict[str, str]
) -> None:
    arguments = [sys.executable, "-c", KILLED, str(tmp_path)]
    env = {**clean_env, "PYTHONPATH": os.pathsep.join(sys.path)}
    noted = tmp_path / "set.partial" / prepare.DONE
    with subprocess.Popen(arguments, env=env) as process:
        deadline = time.monotonic() + 60
        while not noted.exists() or noted.read_text().count("\n") < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "set").exists()
    finished = noted.read_text().count("\n")
    assert 2 <= finished < COUNT // PER_CHUNK
    with noted.open("a") as file:
        file.write("36 cut-sho")  # a line that the kill cut short does not count
    decode = Counting()
    data = packed(tmp_path, listing, decode)
    assert decode.count == COUNT - finished * PER_CHUNK
    np.testing.assert_array_equal(data.images, expected(listing))
    assert len(open_imageset(tmp_path / "set", verify=True)) == COUNT
    assert not (tmp_path / "set.partial").exists()


def test_broken_images_are_named_together_and_mending_them_costs_their_chunks_alone(
    tmp_path: Path, listing: Listing
) -> None:
    folder = tmp_path / "images"
    whole = {name: (folder / name).read_bytes() for name in ("03.png", "05.png", "39.png")}
    for name, content in whole.items():
        (folder / name).write_bytes(content[:-30])
    said = r"^3 of 40 images cannot be packed.*images/03\.png is not a readable image.*39\.png"
    with pytest.raises(DataError, match=said) as error:
        packed(tmp_path, listing_of(folder))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "set").exists()
    for name, content in whole.items():
        (folder / name).write_bytes(content)
    decode = Counting()
    data = packed(tmp_path, listing_of(folder), decode)
    assert decode.count == 3 * PER_CHUNK
    np.testing.assert_array_equal(data.images, expected(listing))


@pytest.mark.parametrize("change", ["file", "library"])
def test_what_was_decoded_before_a_file_or_the_library_changed_is_decoded_again(
    tmp_path: Path, listing: Listing, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """A set names one source: it has no pixels of an earlier file, rule or version."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            packed(tmp_path, listing)
    decode = Counting()
    if change == "file":
        Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "images" / "17.png")
    else:
        monkeypatch.setitem(ABOUT, "source", "test, decoded by the next version")
    data = packed(tmp_path, listing_of(tmp_path / "images"), decode)
    assert decode.count == (PER_CHUNK if change == "file" else COUNT)
    np.testing.assert_array_equal(data.images, expected(listing))


def test_a_full_disk_is_said_before_anything_is_written(
    tmp_path: Path, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000))
    with pytest.raises(DataError, match=r"GB free and .* are needed"):
        packed(tmp_path, listing)
    assert not (tmp_path / "set.partial" / "images.npy").exists()


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that any user may read and write, with the cache in it."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("XDG_CACHE_HOME", folder)
        yield Path(folder)


def file_of_a_set(root: Path, monkeypatch: pytest.MonkeyPatch, name: str = "images.npy") -> Path:
    """Of CIFAR-10 images that could be packed again."""
    monkeypatch.setattr(cifar10, "COUNTS", {"train": 10, "test": 10})
    for split in ("train", "test"):
        for label in cifar10.CLASSES:
            (root / split / label).mkdir(parents=True)
            Image.new("RGB", (32, 32)).save(root / split / label / "0.png")
    open_dataset("cifar10", root)
    (file,) = (root / "prepared").glob(f"*-train-*/{name}")
    return file


@pytest.mark.parametrize("kind", ["set", "image", "weights"])
def test_what_may_not_be_read_now_stays(
    shared: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "weights":
        folder = keep(shared, make_alexnet("original", 0, "ensembles", top1=80.0))
        (item,) = read_records(shared)[0]
        file = folder / "weights.safetensors"
        run = planned("original", 0, "mini", "ensembles")
    else:
        file = file_of_a_set(shared, monkeypatch)
        if kind == "image":
            shutil.rmtree(shared / "prepared")
            file = shared / "train" / "cat" / "0.png"
    before = file.read_bytes()
    for path in (shared, *shared.rglob("*")):
        path.chmod(0o777)
    file.chmod(0)
    with without_privileges(), pytest.raises(PermissionError) as caught:
        load_network(run, item) if kind == "weights" else open_dataset("cifar10", shared)
    assert Path(str(caught.value.filename)).name in (file.name, file.parent.name)
    file.chmod(0o777)
    assert file.read_bytes() == before
    assert not list(shared.rglob("*.broken-*"))


@pytest.mark.parametrize("name", ["images.npy", "meta.json"])
def test_a_set_that_is_proved_broken_is_moved_aside_and_packed_again(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file_of_a_set(tmp_path, monkeypatch, name)
    whole = file.read_bytes()
    broken, aside = whole[:-1] + bytes([whole[-1] ^ 1]), file.parent.name + ".broken-1"
    file.write_bytes(broken)
    with pytest.raises(BrokenSetError, match="move it away and run `data prepare` again"):
        open_dataset("cifar10", tmp_path, pack_missing=False)
    assert file.read_bytes() == broken, "a command that only looks changes nothing"
    with caplog.at_level(logging.WARNING, "alexnet"):
        open_dataset("cifar10", tmp_path)
    assert file.read_bytes() == whole
    assert (file.parent.with_name(aside) / name).read_bytes() == broken
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith(str(file.parent))
    assert line.endswith(f"moved aside to {aside} and packed again")
