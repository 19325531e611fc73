"""The files of jobs: which job a run has, and how it ended."""

import json
from pathlib import Path

import pytest
from records import planned

from reproductions.harness.launch.job_files import JobEnd, new_job, read_job, write_end, write_job

RUN = planned("relu", 0)


def file(root: Path, kind: str) -> Path:
    (found,) = (root / ".work" / "jobs").rglob(f"*.{kind}")
    return found


def test_an_end_is_that_of_its_job_alone(tmp_path: Path) -> None:
    assert read_job(tmp_path, RUN) == (None, None)
    first, second = (new_job(number, "slurm", tmp_path) for number in ("12_3", "13"))
    end = JobEnd("12_3", "failed", "out of memory")
    write_job(tmp_path, RUN, first)
    write_end(tmp_path, RUN, end)
    assert read_job(tmp_path, RUN) == (first, end)
    write_job(tmp_path, RUN, second)
    assert read_job(tmp_path, RUN) == (second, None)


@pytest.mark.parametrize("change", [{"id": "../7"}, {"id": 12}, {"launcher": "ssh"}, {"folder": 3}])
def test_a_broken_job_is_ignored(tmp_path: Path, change: dict[str, object]) -> None:
    write_job(tmp_path, RUN, new_job("12", "slurm", tmp_path))
    write_end(tmp_path, RUN, JobEnd("12", "failed", ""))
    path = file(tmp_path, "job")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert read_job(tmp_path, RUN) == (None, None)


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff\xfe", b'{"job": "12", "state": "x"}'])
def test_a_broken_end_leaves_the_job(tmp_path: Path, text: bytes) -> None:
    job = new_job("12", "slurm", tmp_path)
    write_job(tmp_path, RUN, job)
    write_end(tmp_path, RUN, JobEnd("12", "failed", ""))
    file(tmp_path, "end").write_bytes(text)
    assert read_job(tmp_path, RUN) == (job, None)


def test_the_logs_of_all_processes(tmp_path: Path) -> None:
    logs = {"12_3_0": "first", "12_3_1": "second", "12_3_2": "", "12_30_1": "other"}
    for name, text in logs.items():
        (tmp_path / f"{name}_log.err").write_text(text)
    job = new_job("12_3", "slurm", tmp_path)
    assert [path.name for path in job.logs] == ["12_3_0_log.out", "12_3_0_log.err"]
    assert [path.name for path in job.errors_of_others] == ["12_3_1_log.err"]
