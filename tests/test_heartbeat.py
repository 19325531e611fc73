"""The heartbeat of a run in progress."""

import shutil
import time
from pathlib import Path

import pytest

from reproductions.harness.execute import heartbeat as module
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
