"""Signs of life of a run in progress."""

import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from reproductions.harness.execute import heartbeat as heart
from reproductions.harness.execute.heartbeat import Heartbeat, HeartbeatWriter, read_heartbeat


def test_it_says_how_far_the_run_is_and_the_next_attempt_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    with HeartbeatWriter(path) as first:
        assert read_heartbeat(path) == Heartbeat(time=read_heartbeat(path).time)
        first.update(1.5, 40.0, 30.0)
    said = read_heartbeat(path)
    assert (said.epoch, said.train_error, said.seconds, said.attempts) == (1.5, 40.0, 30.0, 1)
    assert said.age < 60
    assert said.seconds_left(4.5) == 60.0
    assert Heartbeat().seconds_left(4.5) is None
    with HeartbeatWriter(path):
        again = read_heartbeat(path)
    assert (again.epoch, again.attempts) == (1.5, 2)


def test_a_folder_that_is_away_for_a_moment_does_not_stop_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heart, "PERIOD_SECONDS", 0.01)
    folder = tmp_path / "shared"
    with HeartbeatWriter(folder / "run.json") as beating:
        shutil.rmtree(folder)
        folder.touch()  # no folder can be made here: every write fails
        failing = time.monotonic() + 0.1
        while time.monotonic() < failing:
            assert beating.thread.is_alive()
        folder.unlink()
        deadline = time.monotonic() + 20
        while read_heartbeat(folder / "run.json") is None:
            assert time.monotonic() < deadline


@pytest.mark.parametrize(
    "change",
    [
        {"time": "noon"},
        {"time": None},
        {"epoch": "two"},
        {"attempts": 1.5},
        {"seconds": []},
        {"seconds": "x"},
    ],
)
def test_a_beat_that_makes_no_sense_is_none(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps({**asdict(Heartbeat(time=1.0)), **change}))
    assert read_heartbeat(path) is None


@pytest.mark.parametrize("text", [b"", b"[]", b"3", b"{", b"\xff"])
def test_a_broken_file_is_no_beat(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "run.json").write_bytes(text)
    assert read_heartbeat(tmp_path / "run.json") is None
