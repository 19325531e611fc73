"""A run as a job: its files, which segments end it, and what an error in it means."""

import time
from dataclasses import replace
from pathlib import Path
from subprocess import CalledProcessError, TimeoutExpired

import pytest
import torch
from records import planned

from reproductions.harness.launch import job as module
from reproductions.harness.launch.job import MOST_WITHOUT_PROGRESS, TrainingJob
from reproductions.harness.launch.job_files import (
    JobEnd,
    JobRequest,
    new_job,
    read_job,
    write_end,
    write_job,
)
from reproductions.harness.records.schema import version_of

RUN = planned("relu", 0, "smoke")
MINUTES = 10.0


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingJob:
    """A segment of the Slurm job 12."""
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    # else the children of later tests would ignore signals
    monkeypatch.setattr(module.os, "register_at_fork", lambda **_: None)
    write_job(tmp_path, RUN, new_job("12", "slurm", tmp_path))
    version = version_of(RUN.family, RUN.metrics)
    request = JobRequest(RUN, RUN.claim, tmp_path, None)
    return TrainingJob(request, "cpu", 1, version, minutes=MINUTES)


def end_of(job: TrainingJob) -> JobEnd | None:
    return read_job(job.request.root, RUN)[1]


def after(job: TrainingJob, minutes: float, rows: int = 0) -> TrainingJob:
    """The next segment after one of so many minutes and rows of history."""
    job = replace(job, began=time.monotonic() - 60 * minutes, rows=rows)
    again: TrainingJob = job.checkpoint().function
    return again


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_job_on_cuda_without_a_gpu_ends_before_it_waits_for_other_processes(
    job: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(module.dist, "init_process_group", lambda *_, **__: pytest.fail("waits"))
    with pytest.raises(ValueError, match="leave --device out or give --device cpu"):
        replace(job, device="cuda")()
    end = end_of(job)
    assert end is not None
    assert end.state == "failed"
    assert end.why.endswith("leave --device out or give --device cpu")
    assert "\n" not in end.why


def test_segments_without_progress_end_the_job(job: TrainingJob) -> None:
    for _ in range(MOST_WITHOUT_PROGRESS - 1):
        job = after(job, MINUTES)
    assert after(job, MINUTES, rows=1).segments_without_progress == 0
    with pytest.raises(SystemExit):
        after(job, MINUTES)
    segments = f"{MOST_WITHOUT_PROGRESS} segments"
    why = f"{segments} ended before a row of history was done; give more --minutes"
    assert end_of(job) == JobEnd("12", "failed", why)


def test_a_segment_that_was_preempted_early_does_not_count(job: TrainingJob) -> None:
    for _ in range(2 * MOST_WITHOUT_PROGRESS):
        job = after(job, MINUTES / 5)
    assert (job.segments_without_progress, end_of(job)) == (0, None)


@pytest.mark.parametrize(
    ("error", "processes", "state"),
    [
        (ValueError("no such thing"), 1, "failed"),
        (RuntimeError("out of memory"), 1, "failed"),
        (module.RefusedError("the code changed"), 1, "refused"),
        (RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer"), 2, None),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), 2, "failed"),
        (CalledProcessError(1, ["scontrol", "requeue", "12"]), 1, None),
        (TimeoutExpired(["scontrol", "requeue", "12"], 60), 1, None),
    ],
)
def test_an_error_fails_the_run_unless_a_process_or_slurm_was_lost(
    job: TrainingJob,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    processes: int,
    state: str | None,
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(module, "discover", fail)
    monkeypatch.setattr(module, "rank_and_world_size", lambda: (0, processes))
    with pytest.raises(type(error)):
        job()
    end = end_of(job)
    assert (end.state if end else None) == state


def test_an_end_is_that_of_its_job_alone(tmp_path: Path) -> None:
    assert read_job(tmp_path, RUN) == (None, None)
    first, second = (new_job(number, "slurm", tmp_path) for number in ("12_3", "13"))
    end = JobEnd("12_3", "failed", "out of memory")
    write_job(tmp_path, RUN, first)
    write_end(tmp_path, RUN, end)
    assert read_job(tmp_path, RUN) == (first, end)
    write_job(tmp_path, RUN, second)
    assert read_job(tmp_path, RUN) == (second, None)


@pytest.mark.parametrize("kind", ["job", "end"])
@pytest.mark.parametrize("text", [b"", b"[]", b"\xff\xfe", b'{"job": "12", "id": "../7"}'])
def test_a_broken_file_is_ignored(tmp_path: Path, kind: str, text: bytes) -> None:
    job = new_job("12", "slurm", tmp_path)
    write_job(tmp_path, RUN, job)
    write_end(tmp_path, RUN, JobEnd("12", "failed", ""))
    (path,) = (tmp_path / ".work" / "jobs").rglob(f"*.{kind}")
    path.write_bytes(text)
    assert read_job(tmp_path, RUN) == (None if kind == "job" else job, None)


def test_the_logs_of_all_processes(tmp_path: Path) -> None:
    logs = {"12_3_0": "first", "12_3_1": "second", "12_3_2": "", "12_30_1": "other"}
    for name, text in logs.items():
        (tmp_path / f"{name}_log.err").write_text(text)
    job = new_job("12_3", "slurm", tmp_path)
    assert [path.name for path in job.logs] == ["12_3_0_log.out", "12_3_0_log.err"]
    assert [path.name for path in job.errors_of_others] == ["12_3_1_log.err"]
