"""Decode many images into one ImageSet, in parallel; a kill costs the chunks in work."""

import hashlib
import os
import shutil
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.imageset import DataError, ImageSet, finish, partial_of
from alexnet.io import is_passing, named, write_atomic

Progress = Callable[[str, int, int], None]  # what is being done, images done, images in all
Decode = Callable[[bytes], NDArray[np.uint8]]
DONE = "done.txt"  # the list of finished chunks, a line each
# of pixels; a kill costs each worker one chunk, and those that wait for the disk
CHUNK_BYTES = 1 << 25
NAMED = 5  # broken images named in an error; the others are counted
ENOUGH = 100  # broken images after which the rest is not looked at
# numpy parses a file's header as Python code, which two threads of Python 3.11 may not do at once
PARSER = Lock()


class Item(NamedTuple):
    """Where the bytes of one image lie: a file, or a part of an archive."""

    name: str  # for messages
    path: str
    offset: int
    size: int
    stamp: int  # when the file or the archive was last changed, in ns


@dataclass(frozen=True)
class Listing:
    """The images of one split in packing order, their labels int64 [N] and the class names."""

    items: Sequence[Item]
    labels: NDArray[np.int64]
    classes: Sequence[str]
    words: Sequence[str] = ()

    @cached_property
    def key(self) -> str:
        """Twelve digits of a hash of all files' names, sizes and times, labels and classes."""
        labels = hashlib.sha256(self.labels.astype("<i8").tobytes()).hexdigest()
        about = repr((_digest(self.items), labels, list(self.classes)))
        return hashlib.sha256(about.encode()).hexdigest()[:12]


def folder_items(folder: Path, root: Path, suffixes: Collection[str]) -> list[Item]:
    """The files of a folder with one of the suffixes (lower case), by name.

    Names start below `root`. There are none if the folder is absent.
    """
    if not folder.is_dir():
        return []
    below = folder.relative_to(root)
    ends = tuple(suffixes)
    with os.scandir(folder) as entries:
        chosen = [e for e in entries if e.name.lower().endswith(ends) and e.name[0] != "."]
        found = [(entry.name, entry.stat()) for entry in chosen]
    return [
        Item(f"{below}/{name}", f"{folder}/{name}", 0, stat.st_size, stat.st_mtime_ns)
        for name, stat in sorted(found)
    ]


def pack_listing(
    folder: Path,
    listing: Listing,
    shape: tuple[int, int, int],
    decode: Decode,
    progress: Progress | None = None,
    begin: Callable[[], None] | None = None,
    **about: Any,
) -> ImageSet:
    """Decode a listing into the ImageSet `folder`, from where an interrupted call stopped.

    `decode` gives uint8 of `shape`, or raises ValueError or OSError for bytes that are no such
    image; `begin` is called first in every thread that decodes. `about` is what `finish` asks for.
    Raises DataError naming broken images, and nothing appears under `folder`.
    """
    partial = partial_of(folder)
    chunks = _chunks(listing.items, int(np.prod(shape)))
    images, done = _resume(partial, chunks, (len(listing.items), *shape), about["source"])
    todo = {start: chunk for start, chunk in chunks.items() if start not in done}
    total, count = len(listing.items), sum(len(chunks[start]) for start in done)
    broken: list[str] = []
    for start, found in _decoded(images, todo, decode, begin):
        if not found:
            _note(images, _line(start, chunks[start], about["source"]))
        broken += found
        count += len(chunks[start])
        if progress:
            progress(f"packing {about['name']} {about['split']}", count, total)
        if len(broken) >= ENOUGH:
            break
    if broken:
        raise DataError(_broken_images_line(broken, total))
    data = finish(folder, listing.labels, classes=listing.classes, words=listing.words, **about)
    (folder / DONE).unlink()  # not before: whoever is killed in between starts from nothing
    return data


def _decoded(
    images: Path,
    todo: dict[int, Sequence[Item]],
    decode: Decode,
    begin: Callable[[], None] | None = None,
) -> Iterator[tuple[int, list[str]]]:
    """Decode chunks on every core; each as it is ready, with what is broken in it.

    Stopping early leaves the rest undone.
    """
    # decoding does not hold the interpreter's lock
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), initializer=begin)
    with warnings.catch_warnings():
        # from 179 megapixels on it is an error
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            work = {}
            for start, chunk in todo.items():
                work[pool.submit(_decode_chunk, images, start, chunk, decode)] = start
            for future in as_completed(work):
                yield work[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _chunks(items: Sequence[Item], image_bytes: int) -> dict[int, Sequence[Item]]:
    """The items in runs of about CHUNK_BYTES of pixels, by the index of their first."""
    size = max(1, CHUNK_BYTES // image_bytes)
    return {start: items[start : start + size] for start in range(0, len(items), size)}


def _digest(items: Sequence[Item], source: str = "") -> str:
    lines = "".join(f"{item.name} {item.offset} {item.size} {item.stamp}\n" for item in items)
    return hashlib.sha256((source + lines).encode()).hexdigest()[:12]


def _line(start: int, chunk: Sequence[Item], source: str) -> str:
    return f"{start} {_digest(chunk, source)}"


def _resume(
    partial: Path, chunks: dict[int, Sequence[Item]], shape: tuple[int, ...], source: str
) -> tuple[Path, set[int]]:
    """`images.npy` at full size, and the chunks in it that an earlier call finished."""
    images, noted = partial / "images.npy", partial / DONE
    try:
        old = np.load(images, mmap_mode="r", allow_pickle=False).shape
        lines = set(noted.read_text().split("\n")[:-1])  # a last line without its end was cut short
    except (OSError, ValueError, EOFError) as error:
        if is_passing(error):
            raise named(error, partial) from error
        old, lines = (), set()
    if lines and old != shape:
        raise DataError(
            f"{partial} has images of an interrupted packing of {old[0]:,}, and these sources "
            f"have {shape[0]:,}; name the same sources again, or move it away to pack these"
        )
    if old == shape:
        wanted = {start: _line(start, chunk, source) for start, chunk in chunks.items()}
        valid = {start: line for start, line in wanted.items() if line in lines}
        # what is decoded again is no longer what others noted
        write_atomic(noted, "".join(f"{line}\n" for line in valid.values()))
        return images, set(valid)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    free, needed = shutil.disk_usage(partial).free, int(np.prod(shape))
    if free < needed:
        room = f"{free / 1e9:,.1f} GB free and {needed / 1e9:,.1f} GB are needed"
        raise DataError(f"{partial.parent} has {room}; make room there")
    np.lib.format.open_memmap(images, mode="w+", dtype=np.uint8, shape=shape)
    return images, set()


def _note(images: Path, line: str) -> None:
    """Add a chunk to the list of finished ones once its pixels are on the disk.

    Here, so that no core waits for the disk.
    """
    with images.open("r+b") as file:
        os.fsync(file.fileno())
    with images.with_name(DONE).open("a") as file:
        file.write(f"{line}\n")
        file.flush()
        os.fsync(file.fileno())


def _decode_chunk(images: Path, start: int, chunk: Sequence[Item], decode: Decode) -> list[str]:
    broken = []
    with PARSER:
        place = np.load(images, mmap_mode="r", allow_pickle=False)
    # written, not mapped: a full disk is then an error and no signal
    with images.open("r+b") as file:
        file.seek(place.offset + start * place[0].nbytes)
        for item in chunk:
            try:
                pixels = decode(_content(item))
            except (OSError, ValueError) as error:
                if is_passing(error):
                    raise named(error, item.path) from error
                broken.append(f"{item.name} {error}")
            else:
                file.write(np.ascontiguousarray(pixels).data)
    return broken


def _content(item: Item) -> bytes:
    with Path(item.path).open("rb") as file:
        file.seek(item.offset)
        return file.read(item.size)


def _broken_images_line(broken: Sequence[str], total: int) -> str:
    more = f"; and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
    at_least = "at least " if len(broken) >= ENOUGH else ""
    return (
        f"{at_least}{len(broken)} of {total:,} images cannot be packed, which stops it: "
        f"{'; '.join(broken[:NAMED])}{more}. Replace or delete them and give the command again; "
        "the images that are done are kept"
    )
