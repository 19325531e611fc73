"""The files of a record's folder: their names, how they are read, and what is wrong with them.

By the standard library alone: `list` loads no numpy. What cannot be read here and now is told apart
from what is wrong: nobody may take it for absent.
"""

import math
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from reproductions.harness.errors import BadDataError

RECORD, CURVE = "record.json", "history.csv"
CORRECT, TIES, KERNELS = "correct.npy", "ties.npy", "kernels.npy"
WEIGHTS = "weights.safetensors"  # the record has its sha256
ARRAY = re.compile(
    rb"\{'descr': '([^']+)', 'fortran_order': False, 'shape': \(((?:\d{1,9},? ?)*)\), \}\s*"
)
POINTERS = {
    b"version https://git-lfs.github.com/spec/": (
        "is a pointer of Git LFS and not the file; run `git lfs pull`"
    ),
    b"/annex/objects/": "is a pointer of git-annex and not the file; run `git annex get`",
}


@dataclass(frozen=True)
class Fault:
    """Why a record, or a folder of records, is left out, in one line."""

    where: str  # the file; below the results folder, as `read_records` gives it
    why: str
    unreadable: bool = False  # the file may be right, but this process cannot read it

    def below(self, folder: str) -> "Fault":
        """The fault of a file as one of a results folder, where the record is in `folder`."""
        return replace(self, where=f"{folder}/{self.where}")

    def __str__(self) -> str:
        hint = "" if self.unreadable else ": restore it or move it away"
        return f"{self.where} {self.why}; skipped{hint}"


class EvidenceError(BadDataError):
    """A file of a record is missing, wrong or cannot be read; `fault` says which and why."""

    def __init__(self, where: str, why: str, *, unreadable: bool = False) -> None:
        super().__init__(f"{where} {why}")
        self.fault = Fault(where, why, unreadable)


@contextmanager
def naming(folder: str) -> Iterator[None]:
    """Let an EvidenceError of the block name the record's folder before the file."""
    try:
        yield
    except EvidenceError as error:
        fault = error.fault.below(folder)
        raise EvidenceError(fault.where, fault.why, unreadable=fault.unreadable) from error


def read(path: Path) -> bytes:
    """A file of a record.

    Raises EvidenceError if it is missing, cannot be read, or holds something of git's instead.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise EvidenceError(path.name, "is no file")
        content = path.read_bytes()
    except FileNotFoundError as error:
        linked = path.is_symlink() or path.parent.is_symlink()
        why = "is reached through a broken symlink" if linked else "is missing"
        raise EvidenceError(path.name, why, unreadable=linked) from error
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
        raise EvidenceError(path.name, why, unreadable=True) from error
    for start, why in POINTERS.items():
        if content.startswith(start):
            raise EvidenceError(path.name, why, unreadable=True)
    if path.suffix != ".npy" and b"\n<<<<<<< " in b"\n" + content:
        why = "holds the marks of a merge conflict; settle it in git"
        raise EvidenceError(path.name, why, unreadable=True)
    return content


def read_array(path: Path, kind: str) -> tuple[tuple[int, ...], bytes]:
    """Shape and bytes of a small .npy file whose numbers are of a kind ("|u1", "<f4").

    Raises EvidenceError if it is none.
    """
    content = read(path)
    length, start = (2, 10) if content[6:7] == b"\x01" else (4, 12)
    end = start + int.from_bytes(content[8 : 8 + length], "little")
    header = ARRAY.fullmatch(content[start:end])
    if not content.startswith(b"\x93NUMPY") or not header or header[1] != kind.encode():
        raise EvidenceError(path.name, f"is no array of {kind}")
    shape = tuple(int(size) for size in header[2].split(b",") if size.strip())
    body = content[end:]
    surplus = len(body) - math.prod(shape) * int(kind[-1])
    if surplus:
        raise EvidenceError(path.name, "is cut short" if surplus < 0 else "is too long")
    return shape, body


REPOSITORY = Path(__file__).parents[3]  # the checkout; of an installed package, where that is
IN_CHECKOUT = (REPOSITORY / "noxfile.py").is_file()
# CUBLAS_WORKSPACE_CONFIG: without it cuBLAS is not deterministic, and torch refuses it
WORKSPACE = ":4096:8"
# The committed records and their report; without a checkout a folder where the command is given.
RESULTS = REPOSITORY / "results" if IN_CHECKOUT else Path("results")


def root_of(results: Path, scale: str) -> Path:
    """Records of synthetic images go to `smoke/` with a report of their own; real rows stay."""
    return results / "smoke" if scale == "smoke" else results
