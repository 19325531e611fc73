"""A run as a job: which segments without progress end it, and what an error in it means."""

import time
from dataclasses import replace
from pathlib import Path
from subprocess import CalledProcessError, TimeoutExpired

import pytest
import torch
from records import planned

from reproductions.harness.launch import job as segment
from reproductions.harness.launch.job import MOST_WITHOUT_PROGRESS, TrainingJob
from reproductions.harness.launch.job_files import JobEnd, new_job, read_job, write_job
from reproductions.harness.records.schema import version_of

RUN = planned("relu", 0)
MINUTES = 10.0


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingJob:
    """A segment in a job of submitit's, number 12, that began just now."""
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    # else the tests' own children would be deaf for good
    monkeypatch.setattr(segment.os, "register_at_fork", lambda **_: None)
    write_job(tmp_path, RUN, new_job("12", "slurm", tmp_path))
    return TrainingJob(
        RUN,
        RUN.claim,
        tmp_path,
        None,
        "cpu",
        1,
        version_of("alexnet", ()),
        minutes=MINUTES,
        began=time.monotonic(),
    )


def after(job: TrainingJob, minutes: float, rows: int = 0) -> TrainingJob:
    """What goes on after a segment of so many minutes and rows of history."""
    job = replace(job, began=time.monotonic() - 60 * minutes, rows=rows)
    again: TrainingJob = job.checkpoint().function
    return again


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_job_that_asked_for_a_gpu_ends_in_one_line_without(
    job: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(
        segment, "_join_process_group", lambda: pytest.fail("waits for the other processes")
    )
    with pytest.raises(ValueError, match="leave --device out or give --device cpu"):
        replace(job, device="cuda")()
    end = read_job(job.root, RUN)[1]
    assert end is not None
    assert end.state == "failed"
    assert end.why.endswith("leave --device out or give --device cpu")
    assert "\n" not in end.why


def test_segments_that_get_nowhere_end_the_job(job: TrainingJob) -> None:
    for _ in range(MOST_WITHOUT_PROGRESS - 1):
        job = after(job, MINUTES)
    assert after(job, MINUTES, rows=1).segments_without_progress == 0, (
        "a row of history begins a new count"
    )
    with pytest.raises(SystemExit):
        after(job, MINUTES)
    segments = f"{MOST_WITHOUT_PROGRESS} segments"
    why = f"{segments} ended before a row of history was done; give more --minutes"
    assert read_job(job.root, RUN)[1] == JobEnd("12", "failed", why)


def test_a_segment_that_was_preempted_early_does_not_count(job: TrainingJob) -> None:
    for _ in range(2 * MOST_WITHOUT_PROGRESS):
        job = after(job, MINUTES / 5)
    assert (job.segments_without_progress, read_job(job.root, RUN)[1]) == (0, None)


@pytest.mark.parametrize(
    ("error", "processes", "state"),
    [
        (ValueError("no such thing"), 1, "failed"),
        (RuntimeError("out of memory"), 1, "failed"),
        (segment.RefusedError("the code changed"), 1, "refused"),
        (RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer"), 2, None),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), 2, "failed"),
        (CalledProcessError(1, ["scontrol", "requeue", "12"]), 1, None),
        (TimeoutExpired(["scontrol", "requeue", "12"], 60), 1, None),
    ],
)
def test_what_an_error_says_of_the_run(
    job: TrainingJob,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    processes: int,
    state: str | None,
) -> None:
    """A lost process or an absent Slurm does not fail a run: it is lost and sent again."""

    def fail(_: TrainingJob) -> None:
        raise error

    monkeypatch.setattr(TrainingJob, "_claim", fail)
    monkeypatch.setattr(segment, "rank_and_world_size", lambda: (0, processes))
    with pytest.raises(type(error)):
        job()
    end = read_job(job.root, RUN)[1]
    assert (end.state if end else None) == state
