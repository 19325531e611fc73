"""Atomic writes and moves, locks that end with their process, and the cache folder."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file beside `path` to write to, which takes its place in the end; on any error it goes."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_atomic(path: Path, content: str | bytes | Sequence[bytes | memoryview]) -> None:
    """Write `content`, or its parts, to `path`, which on any error stays as it was."""
    if isinstance(content, str):
        content = content.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.writelines([content] if isinstance(content, bytes) else content)


def is_passing(error: BaseException) -> bool:
    """Whether an error is not the file's fault: no permission, no memory, a disk that fails."""
    if isinstance(error, OSError):
        return error.errno not in (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL)
    return isinstance(error, MemoryError)


def named(error: BaseException, path: Path | str) -> BaseException:
    """The error with the name of its file, which reading does not give it."""
    if isinstance(error, OSError) and error.errno and not error.filename:
        return OSError(error.errno, error.strerror, str(path))
    return error


def is_there(path: Path) -> bool:
    """Whether there is anything under a name. Raises OSError where that cannot be said."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def move(source: Path, target: Path) -> None:
    """Rename a file to `target`, also onto another file system; `target` is whole or as it was.

    Raises OSError if the file cannot be moved; then `source` stays.
    """
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with source.open("rb") as old, replacing(target) as new:
            shutil.copyfileobj(old, new, 1 << 20)
        source.unlink()


def move_aside(path: Path) -> Path:
    """Rename a broken file or folder to `<name>.broken-1` (or -2, ...) and return the new path."""
    names = (path.with_name(f"{path.name}.broken-{number}") for number in count(1))
    aside = next(name for name in names if not os.path.lexists(name))
    path.rename(aside)
    return aside


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock on `path` now.

    Changes nothing; False where there is no such file.
    """
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold an exclusive lock on the file `path`.

    Yields False at once if another process holds it and `wait` is False.

    The kernel releases the lock when its process ends, however it ends, so no stale lock can exist.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def cache_root() -> Path:
    """The cache folder: `$XDG_CACHE_HOME/alexnet`, by default `~/.cache/alexnet`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alexnet"
