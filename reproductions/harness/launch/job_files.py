"""A run to be sent; small files beside the records: its job, and the job's end without a record."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, TypeAdapter

from alexnet.io import write_atomic
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.records.files import REPOSITORY
from reproductions.harness.records.provenance import git_state
from reproductions.harness.records.schema import version_of

if TYPE_CHECKING:
    from reproductions.harness.launch.job import TrainingJob


@dataclass(frozen=True)
class JobRequest:
    """A run to be sent, with what its job needs to know."""

    run: PlannedRun
    claim_name: str
    root: Path  # results folder of the run's scale
    data: Path | None
    # ids of Slurm jobs, submitted earlier, that train what it depends on
    after: tuple[str, ...] = ()
    precision: str | None = None  # of --precision
    compiled: bool = False  # through torch.compile

    def job(
        self, device: str | None, threads: int, *, share_machine: bool = False, minutes: float = 0.0
    ) -> "TrainingJob":
        """The job of this run, with the versions of today's code; submitit pickles it."""
        from reproductions.harness.launch.job import TrainingJob  # noqa: PLC0415 - torch takes seconds to import

        version = version_of(self.run.family, self.run.metrics)
        dirty = git_state(REPOSITORY).dirty
        return TrainingJob(self, device, threads, version, dirty, share_machine, minutes)


@dataclass(frozen=True)
class JobFile:
    """The job that a run was given to: of Slurm, or a process of this machine."""

    # of Slurm, "12" or "12_3"; of a local run the process id
    id: Annotated[str, Field(pattern=r"^\d+(_\d+)?$")]
    launcher: Literal["slurm", "local"]
    folder: str  # of submitit's files, the logs among them
    submitted: float  # seconds since 1970

    @property
    def logs(self) -> list[Path]:
        """The standard output and standard error of its first process."""
        return [Path(self.folder) / f"{self.id}_0_log.{kind}" for kind in ("out", "err")]

    @property
    def errors_of_others(self) -> list[Path]:
        """Standard error of its other processes: one of them may have stopped the first."""
        found = Path(self.folder).glob(f"{self.id}_*_log.err")
        return [path for path in sorted(found) if path not in self.logs and path.stat().st_size]


@dataclass(frozen=True)
class JobEnd:
    """The end of a job that left no record."""

    job: str  # its id: the end says nothing of another job of the same run
    state: Literal["failed", "refused", "cancelled"]
    why: str


JOB, END = TypeAdapter(JobFile), TypeAdapter(JobEnd)


def _file(root: Path, run: PlannedRun, kind: str) -> Path:
    return root / ".work" / "jobs" / run.claim / run.variant / f"{run.scale}-seed{run.seed}.{kind}"


def write_job(root: Path, run: PlannedRun, job: JobFile) -> None:
    """Write down the job of a run."""
    write_atomic(_file(root, run, "job"), json.dumps(asdict(job)))


def new_job(job_id: str, launcher: Literal["slurm", "local"], folder: Path) -> JobFile:
    """A job that was submitted just now."""
    return JobFile(job_id, launcher, str(folder), time.time())


def write_end(root: Path, run: PlannedRun, end: JobEnd) -> None:
    """Write down that a run's job ended without a record."""
    write_atomic(_file(root, run, "end"), json.dumps(asdict(end)))


def clear_end(root: Path, run: PlannedRun) -> None:
    """Delete the end of a job that was started again under its id."""
    _file(root, run, "end").unlink(missing_ok=True)


def read_job(root: Path, run: PlannedRun) -> tuple[JobFile | None, JobEnd | None]:
    """The job of a run and its end; None where there is none or its file is broken.

    Raises OSError if a file cannot be read: the run may be in progress.
    """
    job: JobFile | None = None
    end: JobEnd | None = None
    try:
        job = JOB.validate_json(_file(root, run, "job").read_bytes())
        end = END.validate_json(_file(root, run, "end").read_bytes())
    except (FileNotFoundError, ValueError):
        pass
    return job, end if job and end and end.job == job.id else None
