"""Packing in chunks: killed for real, on a full disk, with broken images; whole or not at all."""

import collections
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data import prepare
from alexnet.data.decode import decode_square
from alexnet.data.imageset import DataError, ImageSet, open_imageset
from alexnet.data.prepare import Listing, folder_items, pack_listing

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
    return Listing(folder_items(folder, folder.parent, (".png",)), np.arange(COUNT) % 2, ("a", "b"))


def packed(
    tmp_path: Path, listing: Listing, decode: prepare.Decode | None = None, **options: object
) -> ImageSet:
    return pack_listing(
        tmp_path / "set",
        listing,
        SHAPE,
        decode or partial(decode_square, side=SIDE),
        **options,
        **ABOUT,
    )


def expected(listing: Listing) -> np.ndarray:
    return np.stack([np.asarray(Image.open(item.path)) for item in listing.items])


def test_every_image_lies_where_its_label_is(tmp_path: Path, listing: Listing) -> None:
    seen: list[tuple[str, int, int]] = []
    data = packed(tmp_path, listing, progress=lambda *row: seen.append(row))
    np.testing.assert_array_equal(data.images, expected(listing))
    np.testing.assert_array_equal(data.labels, listing.labels)
    assert seen[-1] == ("packing few train", COUNT, COUNT)
    assert [done for _, done, _ in seen] == list(range(PER_CHUNK, COUNT + 1, PER_CHUNK))
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == [
        "images.npy",
        "labels.npy",
        "mean_image.npy",
        "meta.json",
    ]


KILLED = """
import sys, time
from functools import partial
from pathlib import Path
import numpy as np
from alexnet.data import prepare
from alexnet.data.decode import decode_square
prepare.CHUNK_BYTES = int(sys.argv[2])
def slowly(content):
    time.sleep(0.02)
    return decode_square(content, int(sys.argv[3]))
root = Path(sys.argv[1])
items = prepare.folder_items(root / "images", root, (".png",))
listing = prepare.Listing(items, np.arange(len(items)) % 2, ("a", "b"))
prepare.pack_listing(root / "set", listing, (int(sys.argv[3]),) * 2 + (3,), slowly,
                     name="few", split="train", canonical=False, source="test")
"""


def test_a_killed_packing_goes_on_where_it_was(
    tmp_path: Path, listing: Listing, clean_env: dict[str, str]
) -> None:
    arguments = [sys.executable, "-c", KILLED, str(tmp_path), str(prepare.CHUNK_BYTES), str(SIDE)]
    noted = tmp_path / "set.partial" / prepare.DONE
    with subprocess.Popen(arguments, env=clean_env) as process:
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
    decoded: list[bytes] = []
    data = packed(
        tmp_path,
        listing,
        lambda content: (decoded.append(content), decode_square(content, SIDE))[1],
    )
    assert len(decoded) == COUNT - finished * PER_CHUNK
    np.testing.assert_array_equal(data.images, expected(listing))
    assert len(open_imageset(tmp_path / "set", verify=True)) == COUNT
    assert not (tmp_path / "set.partial").exists()


def stopped_before_the_end(
    tmp_path: Path,
    listing: Listing,
    monkeypatch: pytest.MonkeyPatch,
    decode: prepare.Decode | None = None,
) -> None:
    """Decode everything, then stop before the ImageSet is finished."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            packed(tmp_path, listing, decode)


def test_broken_images_are_named_together_and_mending_them_costs_their_chunks_alone(
    tmp_path: Path, listing: Listing
) -> None:
    folder = tmp_path / "images"
    whole = {name: (folder / name).read_bytes() for name in ("03.png", "05.png", "39.png")}
    for name, content in whole.items():
        (folder / name).write_bytes(content[:-30])
    with pytest.raises(
        DataError,
        match=r"^3 of 40 images cannot be packed.*images/03\.png is not a readable image.*39\.png",
    ) as error:
        packed(tmp_path, listing_of(folder))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "set").exists()
    for name, content in whole.items():
        (folder / name).write_bytes(content)
    decoded = collections.Counter[bytes]()
    data = packed(
        tmp_path,
        listing_of(folder),
        lambda content: (decoded.update([content]), decode_square(content, SIDE))[1],
    )
    assert decoded.total() == 3 * PER_CHUNK
    np.testing.assert_array_equal(data.images, expected(listing))


def test_a_file_that_changed_since_is_decoded_again(
    tmp_path: Path, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its chunk had been finished with other pixels before the interruption."""
    stopped_before_the_end(tmp_path, listing, monkeypatch)
    black = tmp_path / "images" / "17.png"
    Image.new("RGB", (SIDE, SIDE)).save(black)
    data = packed(tmp_path, listing_of(black.parent))
    assert data.images[17].max() == 0
    np.testing.assert_array_equal(data.images[18], expected(listing)[18])


def test_chunks_that_another_library_decoded_are_decoded_again(
    tmp_path: Path, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set names one source: it has no pixels of an earlier rule or version."""
    stopped_before_the_end(tmp_path, listing, monkeypatch)
    monkeypatch.setitem(ABOUT, "source", "test, decoded by the next version")
    data = packed(tmp_path, listing, lambda content: 255 - decode_square(content, SIDE))
    np.testing.assert_array_equal(data.images, 255 - expected(listing))


def test_a_full_disk_is_said_before_anything_is_written(
    tmp_path: Path, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000))
    with pytest.raises(DataError, match=r"GB free and .* are needed"):
        packed(tmp_path, listing)
    assert not (tmp_path / "set.partial" / "images.npy").exists()
