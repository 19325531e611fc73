"""Which records agree with their evidence, so that only changed files are read again."""

import hashlib
import json
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

from alexnet.io import cache_root, write_atomic
from reproductions.harness.records import files

EXAMINED = (files.CURVE, files.CORRECT, files.TIES, files.KERNELS)  # by `examine`
RULES = ("evidence.py", "files.py", "history.py")
LARGEST = 1 << 24  # bytes; ten thousand records take a tenth


class Checked:
    """Remembers, in the user's cache, the records of a results folder in which nothing was wrong.

    A broken or unreadable file counts as empty. `forget` starts from nothing.
    """

    def __init__(self, root: Path, *, forget: bool = False) -> None:
        self.root = root
        self.before = {} if forget else self._load()
        self.now: dict[str, str] = {}

    def key(self, folder: Path, content: bytes) -> str:
        """Key of a record: record.json, size, times and inode of the other files, and the rules."""
        digest = hashlib.sha256(_rules())
        digest.update(content)
        for name in EXAMINED:
            try:
                found = os.stat(f"{folder}/{name}")  # noqa: PTH116 - a third of a Path's time, and there are hundreds
                known = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
            except OSError as error:
                known = (error.errno or 0, 0, 0, 0)
            digest.update(repr((name, known)).encode())
        return digest.hexdigest()

    def history(self, folder: str, key: str) -> str:
        """The digest of the history in `folder`, if its record was found right under this key."""
        before, _, history = self.before.get(folder, "").partition(" ")
        return history if before == key else ""

    def learn(self, folder: str, key: str, history: str) -> None:
        """Remember that `folder` has no fault under this key, and the digest of its history."""
        self.now[folder] = f"{key} {history}"

    def save(self) -> None:
        """Write what is known now, if that has changed."""
        if self.now != self.before:
            with suppress(OSError, RuntimeError):  # no home folder, or one that cannot be written
                write_atomic(self._file(), json.dumps(self.now))

    def _load(self) -> dict[str, str]:
        with suppress(OSError, ValueError, RuntimeError, RecursionError):
            file = self._file()
            if file.is_file() and file.stat().st_size <= LARGEST:
                found = json.loads(file.read_bytes())
                if isinstance(found, dict) and all(
                    isinstance(value, str) for value in found.values()
                ):
                    return found
        return {}

    def _file(self) -> Path:
        name = hashlib.sha256(os.fsencode(self.root.absolute())).hexdigest()[:16]
        return cache_root() / "checked" / f"{name}.json"


@cache
def _rules() -> bytes:
    """The rules of today, by their source: what others found right is looked at again."""
    try:
        return b"".join(Path(__file__).with_name(name).read_bytes() for name in RULES)
    except OSError:
        return b""
