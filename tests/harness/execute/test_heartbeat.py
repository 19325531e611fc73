"""What a run leaves and takes while it trains: its heartbeat and its cores."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reproductions.harness.execute import heartbeat as module
from reproductions.harness.execute.cpu_affinity import own_cores
from reproductions.harness.execute.heartbeat import Heartbeat, HeartbeatWriter, read_heartbeat


def test_it_shows_how_far_the_run_is_over_all_attempts(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    with HeartbeatWriter(path) as writer:
        first = read_heartbeat(path)
        assert first == Heartbeat(time=first.time)
        writer.update(1.5, 40.0, 30.0)
    found = read_heartbeat(path)
    assert found == Heartbeat(1.5, 40.0, 30.0, attempts=1, time=found.time)
    assert found.age < 60
    assert found.seconds_left(4.5) == 60.0
    assert Heartbeat().seconds_left(4.5) is None
    with HeartbeatWriter(path):
        again = read_heartbeat(path)
    assert (again.epoch, again.attempts) == (1.5, 2)


def test_it_goes_on_after_its_folder_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PERIOD_SECONDS", 0.01)
    folder = tmp_path / "shared"
    with HeartbeatWriter(folder / "run.json"):
        shutil.rmtree(folder)
        folder.touch()  # no folder can be made here: every write fails
        time.sleep(0.1)
        folder.unlink()
        deadline = time.monotonic() + 20
        while read_heartbeat(folder / "run.json") is None:
            assert time.monotonic() < deadline


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
