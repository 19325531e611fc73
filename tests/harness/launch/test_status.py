"""The state of a run, by its record, its heartbeat, its lock and its job."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import pytest
from records import make_record, planned, write_record

from alexnet.io import locked, write_atomic
from reproductions.harness.execute.heartbeat import STALE_SECONDS, Heartbeat
from reproductions.harness.launch import slurm
from reproductions.harness.launch.job_files import JobEnd, new_job, write_end, write_job
from reproductions.harness.launch.status import RunStatus, cancel, run_statuses, sendable
from reproductions.harness.plan.missing import plan
from reproductions.harness.records.load import read_records
from reproductions.harness.records.store import work_file

RUN = planned("relu", 0)


class Scene:
    """A results folder in which something happened to one run."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, locks: ExitStack) -> None:
        self.root, self.monkeypatch, self.locks = root, monkeypatch, locks
        self.slurm_says({})

    def slurm_says(self, states: dict[str, str] | None) -> None:
        """Set Slurm's answer; its words are tested in test_slurm.py and on the real one."""
        self.monkeypatch.setattr(slurm, "states", lambda jobs: states)

    def heartbeat(self, age: float = 0.0, *, lock: bool = False) -> None:
        stem = str(work_file(self.root, RUN, "0123456789ab"))
        beat = Heartbeat(epoch=2.0, seconds=60.0, time=time.time() - age)
        write_atomic(Path(f"{stem}.json"), json.dumps(asdict(beat)))
        if lock:
            self.locks.enter_context(locked(Path(f"{stem}.lock")))

    def job(self, number: object = "12", launcher: str = "slurm") -> None:
        write_job(self.root, RUN, new_job(str(number), launcher, self.root))  # type: ignore[arg-type]

    def record(self, status: str = "ok") -> None:
        write_record(self.root, make_record(status=status))

    @property
    def status(self) -> RunStatus:
        (found,) = run_statuses(self.root, plan([RUN], read_records(self.root)[0], {}))
        return found

    @property
    def state(self) -> tuple[str, str]:
        return self.status.state, self.status.why


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with ExitStack() as locks:
        yield Scene(tmp_path, monkeypatch, locks)


def test_in_a_terminal(scene: Scene) -> None:
    assert scene.state == ("missing", "no record")
    scene.heartbeat()
    assert scene.state == ("interrupted", "")
    scene.heartbeat(lock=True)
    row = scene.status.row
    assert (row["state"], row["epoch"], row["attempts"]) == ("training", 2.0, 1)
    assert row["left at most"] == round((RUN.recipe["epochs"] - 2) * 30)
    scene.record()
    assert scene.state == ("done", "")


def test_a_failed_record_is_a_failure_until_it_is_sent_again(scene: Scene) -> None:
    scene.record("failed")
    failed = scene.status
    assert (failed.state, failed.why[:9]) == ("failed", "it failed")
    assert sendable([failed], retry_failed=False) == ([], {"failed": [failed]})
    assert sendable([failed], retry_failed=True) == ([failed], {})
    scene.job()
    scene.slurm_says({"12": "PENDING"})
    again = scene.status
    assert again.state == "queued"
    for retry in (True, False):
        assert sendable([again], retry) == ([], {"queued": [again]})


LOST = "and there is no record; the next `submit` sends it again"


@pytest.mark.parametrize(
    ("said", "state", "why"),
    [
        ("PENDING", "queued", ""),
        ("PENDING QOSMaxJobsPerUserLimit", "queued", "QOSMaxJobsPerUserLimit"),
        ("REQUEUED", "queued", ""),
        ("RUNNING", "training", ""),
        ("COMPLETING", "training", ""),
        ("FAILED", "lost", f"Slurm says FAILED, {LOST}"),
        ("NODE_FAIL", "lost", f"Slurm says NODE_FAIL, {LOST}"),
        ("COMPLETED", "lost", f"Slurm says COMPLETED, {LOST}"),
        ("CANCELLED", "cancelled", "by scancel; the next `submit` sends it again"),
        (None, "lost", f"Slurm no longer knows its job, {LOST}"),
    ],
)
def test_states_of_slurm(scene: Scene, said: str | None, state: str, why: str) -> None:
    scene.job()
    scene.slurm_says({"12": said} if said else {})
    assert scene.state == (state, why)
    sent, _ = sendable([scene.status], retry_failed=False)
    assert bool(sent) == (state in ("lost", "cancelled"))


def test_a_cancelled_job_stays_so_when_slurm_forgot_it(scene: Scene) -> None:
    scene.job()
    scene.slurm_says({"12": "CANCELLED"})
    assert scene.status.state == "cancelled"
    scene.slurm_says({})
    assert scene.status.state == "cancelled"
    scene.job(13)
    assert scene.status.state == "lost"


@pytest.mark.parametrize("state", ["failed", "refused"])
def test_the_end_that_a_job_wrote(scene: Scene, state: Literal["failed", "refused"]) -> None:
    scene.job()
    scene.heartbeat()
    write_end(scene.root, RUN, JobEnd("12", state, "why"))
    scene.slurm_says(None)  # is not asked
    assert scene.state == (state, "why")


def test_without_an_answer_of_slurm_heartbeats_decide(scene: Scene) -> None:
    scene.slurm_says(None)
    scene.job()
    assert scene.state == ("queued", "Slurm does not answer")
    scene.heartbeat()
    assert scene.state == ("training", "Slurm does not answer")
    scene.heartbeat(age=2 * STALE_SECONDS)
    assert scene.state == ("lost", f"no heartbeat for 120 s, Slurm does not answer, {LOST}")


def test_a_local_process(scene: Scene) -> None:
    code = "import sys; sys.stdin.read()"
    command = [sys.executable, "-c", code, "submitit"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        scene.job(process.pid, "local")
        assert scene.status.state == "training"
        process.communicate(b"")
    assert scene.state == ("lost", f"its process is gone, {LOST}")


def test_another_process_with_the_id_of_a_local_job_is_not_cancelled(scene: Scene) -> None:
    scene.job(os.getpid(), "local")
    assert scene.status.state == "lost"
    scene.heartbeat(lock=True)  # made in a terminal
    assert scene.status.state == "training"
    assert cancel([scene.status]) == [str(RUN)]  # raises no KeyboardInterrupt here
