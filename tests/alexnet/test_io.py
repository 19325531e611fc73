"""Files whole or not at all, moved and moved aside; locks that die with their process."""

import subprocess
import sys
from pathlib import Path

import pytest
from machine import small_disk

from alexnet.io import locked, move, move_aside, write_atomic


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")
    with small_disk(1000), pytest.raises(OSError, match="too large"):
        write_atomic(path, b"x" * 2000)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_moves_across_file_systems_whole_or_not_at_all(
    tmp_path: Path, elsewhere: Path
) -> None:
    source, target = elsewhere / "source", tmp_path / "target"
    source.write_bytes(b"x" * 2000)
    target.write_text("old")
    with small_disk(1000), pytest.raises(OSError, match="too large"):
        move(source, target)
    assert (source.stat().st_size, target.read_text()) == (2000, "old")
    move(source, target)
    assert target.read_bytes() == b"x" * 2000
    assert [*elsewhere.iterdir(), *tmp_path.iterdir()] == [target]


def test_what_is_moved_aside_is_never_lost(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    for number in (1, 2):
        path.write_text(f"broken {number}")
        assert move_aside(path) == tmp_path / f"weights.broken-{number}"
    path.mkdir()
    move_aside(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "weights.broken-1",
        "weights.broken-2",
        "weights.broken-3",
    ]
    assert (tmp_path / "weights.broken-1").read_text() == "broken 1"


def test_a_lock_excludes_another_process_and_dies_with_it(
    tmp_path: Path, clean_env: dict[str, str]
) -> None:
    path = tmp_path / "lock"
    hold = f"""
from pathlib import Path; from alexnet.io import locked
with locked(Path({str(path)!r})) as mine:
    print(mine, flush=True); input()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", hold],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_env,
    )
    assert holder.stdout
    assert holder.stdout.readline() == "True\n"
    with locked(path, wait=False) as mine:
        assert not mine
    holder.kill()
    holder.communicate()
    with locked(path, wait=False) as mine:
        assert mine
