"""Where a run stands, by its record, its signs of life and its job."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pytest
from records import make_record, planned, write_record

from alexnet.io import locked, write_atomic
from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.execute.heartbeat import STALE_SECONDS, Heartbeat
from reproductions.harness.launch import slurm, status
from reproductions.harness.launch.job_files import JobEnd, new_job, read_job, write_end, write_job
from reproductions.harness.launch.status import (
    RunStatus,
    cancel,
    everywhere,
    run_statuses,
    sendable,
)
from reproductions.harness.plan.missing import plan
from reproductions.harness.records.load import read_records
from reproductions.harness.records.store import work_file

RUN = planned("relu", 0)


class Scene:
    """A results folder in which something happened to one run."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, held: ExitStack) -> None:
        self.root, self.monkeypatch, self.held = root, monkeypatch, held
        self.slurm_says({})

    def slurm_says(self, said: dict[str, str] | None) -> None:
        """What Slurm knows; its words are tested in test_slurm_states.py and on the real one."""
        self.monkeypatch.setattr(slurm, "states", lambda jobs: said)

    def beat(self, age: float = 0.0, *, held: bool = False) -> None:
        stem = str(work_file(self.root, RUN, "0123456789ab"))
        write_atomic(
            Path(f"{stem}.json"),
            json.dumps(asdict(Heartbeat(epoch=2.0, seconds=60.0, time=time.time() - age))),
        )
        if held:
            self.held.enter_context(locked(Path(f"{stem}.lock")))

    def job(self, number: object = "12", launcher: str = "slurm") -> None:
        write_job(self.root, RUN, new_job(str(number), launcher, self.root))  # type: ignore[arg-type]

    def end(self, state: str = "failed", number: str = "12") -> None:
        write_end(self.root, RUN, JobEnd(number, state, "why"))  # type: ignore[arg-type]

    def record(self, status: str = "ok") -> None:
        write_record(self.root, make_record(status=status))

    def stands(self) -> RunStatus:
        (found,) = run_statuses(self.root, plan([RUN], read_records(self.root)[0], {}))
        return found


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with ExitStack() as held:
        yield Scene(tmp_path, monkeypatch, held)


def test_in_a_terminal(scene: Scene) -> None:
    assert (scene.stands().state, scene.stands().why) == ("missing", "no record")
    scene.beat()
    assert scene.stands().state == "interrupted"
    scene.beat(held=True)
    found = scene.stands()
    assert (found.state, found.row["epoch"], found.row["attempts"]) == ("training", 2.0, 1)
    assert found.row["left at most"] == round((RUN.recipe["epochs"] - 2) * 30)
    scene.record()
    assert scene.stands().state == "done"


def test_a_failed_record_is_a_failure(scene: Scene) -> None:
    scene.record("failed")
    found = scene.stands()
    assert (found.state, found.why[:9]) == ("failed", "it failed")
    assert sendable([found], retry_failed=False) == ([], {"failed": [found]})
    assert sendable([found], retry_failed=True) == ([found], {})
    scene.job()
    scene.slurm_says({"12": "PENDING"})
    again = scene.stands()
    assert again.state == "queued"
    for retry in (True, False):
        assert sendable([again], retry) == ([], {"queued": [again]})


@pytest.mark.parametrize(
    ("said", "state", "why"),
    [
        ("PENDING", "queued", ""),
        ("PENDING QOSMaxJobsPerUserLimit", "queued", "QOSMaxJobsPerUserLimit"),
        ("REQUEUED", "queued", ""),
        ("RUNNING", "training", ""),
        ("COMPLETING", "training", ""),
        (
            "FAILED",
            "lost",
            "Slurm says FAILED, and there is no record; the next `run` sends it again",
        ),
        (
            "NODE_FAIL",
            "lost",
            "Slurm says NODE_FAIL, and there is no record; the next `run` sends it again",
        ),
        (
            "COMPLETED",
            "lost",
            "Slurm says COMPLETED, and there is no record; the next `run` sends it again",
        ),
        ("CANCELLED", "cancelled", "by scancel; the next `run` sends it again"),
        (
            None,
            "lost",
            "Slurm no longer knows its job, and there is no record; the next `run` sends it again",
        ),
    ],
)
def test_what_slurm_says(scene: Scene, said: str | None, state: str, why: str) -> None:
    scene.job()
    scene.slurm_says({"12": said} if said else {})
    assert (scene.stands().state, scene.stands().why) == (state, why)
    assert (sendable([scene.stands()], retry_failed=False)[0] != []) == (
        state in ("lost", "cancelled")
    )


def test_a_cancelled_job_stays_so_when_slurm_forgot_it(scene: Scene) -> None:
    scene.job()
    scene.slurm_says({"12": "CANCELLED"})
    scene.stands()
    scene.slurm_says({})
    assert scene.stands().state == "cancelled"
    scene.job(13)
    assert scene.stands().state == "lost"


def test_a_copy_that_outlives_its_job_is_not_sent_again(scene: Scene) -> None:
    scene.job()
    scene.beat(held=True)
    scene.slurm_says({"12": "NODE_FAIL"})
    assert (scene.stands().state, scene.stands().why) == (
        "training",
        "its job has ended, but its process is still running",
    )


@pytest.mark.parametrize("state", ["failed", "refused"])
def test_what_the_run_said_of_its_end(scene: Scene, state: str) -> None:
    scene.job()
    scene.beat()
    scene.end(state)
    scene.slurm_says(None)  # is not asked
    assert (scene.stands().state, scene.stands().why) == (state, "why")


def test_without_an_answer(scene: Scene) -> None:
    scene.slurm_says(None)
    scene.job()
    assert scene.stands().state == "queued"
    scene.beat()
    assert scene.stands().state == "training"
    scene.beat(age=2 * STALE_SECONDS)
    found = scene.stands()
    assert found.state == "lost"
    assert "no heartbeat for 120 s, Slurm does not answer" in found.why


def test_a_local_process(scene: Scene) -> None:
    code = "import sys; sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "submitit"], stdin=subprocess.PIPE
    ) as process:
        scene.job(process.pid, "local")
        assert scene.stands().state == "training"
        process.communicate(b"")
    assert scene.stands().state == "lost"
    scene.job(os.getpid(), "local")  # the number is another program's by now
    assert scene.stands().state == "lost"


def test_cancel_spares_the_process_that_got_the_number(scene: Scene) -> None:
    """The run is held by a terminal, and its former job's number is this process's."""
    scene.job(os.getpid(), "local")
    scene.beat(held=True)
    assert scene.stands().state == "training"
    assert cancel([scene.stands()]) == [str(RUN)]  # no KeyboardInterrupt here


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"time": "noon"}',
        '{"id": "x", "launcher": "slurm", "folder": "", "submitted": 1, "time": ""}',
    ],
)
def test_broken_files_are_no_signs(scene: Scene, text: str) -> None:
    scene.job()
    scene.beat()
    for path in (*scene.root.glob(".work/*.json"), *scene.root.glob(".work/jobs/**/*.job")):
        path.write_text(text)
    assert (scene.stands().state, read_job(scene.root, RUN)) == ("missing", (None, None))
    assert status.read_signs(scene.root) == {}


def test_a_new_folder_misses_everything_and_broken_records_are_named(tmp_path: Path) -> None:
    claims = [discover()["fig1_relu"]]
    rows, warnings = everywhere(claims, tmp_path / "new")
    assert ({row.state for row in rows}, warnings) == ({"missing"}, [])
    assert {str(row.planned.run) for row in rows} == {
        str(run) for run in planned_runs(claims[0], "paper")
    }
    folder = write_record(tmp_path, make_record())
    (folder / "record.json").write_text("{}")
    rows, (warning,) = everywhere(claims, tmp_path)
    assert {row.state for row in rows} == {"missing"}
    assert str(warning).startswith(f"{folder.relative_to(tmp_path)}/record.json is not a record")
