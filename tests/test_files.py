"""Files whole or not at all; locks that die with their process."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alexnet.files import locked, write_atomic


@contextmanager
def small_disk(limit: int) -> Iterator[None]:
    """The kernel refuses to let any file of this process grow beyond `limit` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_atomic(path, "ä")
    assert path.read_bytes() == "ä".encode()
    write_atomic(path, b"\x00")
    assert path.read_bytes() == b"\x00"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")
    with small_disk(1000), pytest.raises(OSError, match="too large"):
        write_atomic(path, b"x" * 2000)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_excludes_another_process_and_dies_with_it(tmp_path: Path, clean_env: dict[str, str]) -> None:
    path = tmp_path / "lock"
    hold = f"""
from pathlib import Path; from alexnet.files import locked
with locked(Path({str(path)!r})) as mine:
    print(mine, flush=True); input()
"""
    holder = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean_env)
    assert holder.stdout
    assert holder.stdout.readline() == "True\n"
    with locked(path, wait=False) as mine:
        assert not mine
    holder.kill()
    holder.communicate()
    with locked(path, wait=False) as mine:
        assert mine
