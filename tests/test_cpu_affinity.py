"""Two runs never share a core."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reproductions.harness.execute.cpu_affinity import own_cores

HOLD = """
import sys
from reproductions.harness.execute.cpu_affinity import own_cores
with own_cores(int(sys.argv[1]), lambda: print("waiting", flush=True)) as cores:
    print(sorted(cores), flush=True)
    sys.stdin.readline()
"""
Holder = Callable[[int], subprocess.Popen[str]]


@pytest.fixture
def hold(tmp_path: Path, clean_env: dict[str, str]) -> Holder:
    """Start a process that holds some cores until it reads a line."""
    env, pipe = {**clean_env, "TMPDIR": str(tmp_path)}, subprocess.PIPE
    return lambda count: subprocess.Popen(
        [sys.executable, "-c", HOLD, str(count)], env=env, stdin=pipe, stdout=pipe, text=True
    )


def test_a_run_is_pinned_to_its_cores_for_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = os.sched_getaffinity(0)
    with own_cores(1) as cores:
        assert os.sched_getaffinity(0) == cores == {min(before)}
    assert os.sched_getaffinity(0) == before
    with own_cores(10_000) as cores:
        assert cores == before


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_another_process_takes_other_cores(hold: Holder) -> None:
    with hold(1) as first, hold(1) as second:
        lines = {process.stdout.readline() for process in (first, second)}
        for process in (first, second):
            process.communicate("\n")
    assert len(lines) == 2
    assert "waiting\n" not in lines


def test_a_run_without_a_free_core_waits_until_a_killed_process_frees_its_own(hold: Holder) -> None:
    with hold(len(os.sched_getaffinity(0))) as first:
        first.stdout.readline()
        with hold(1) as second:
            assert second.stdout is not None
            assert second.stdout.readline() == "waiting\n"
            first.kill()
            assert second.stdout.readline().startswith("[")
            second.communicate("\n")
