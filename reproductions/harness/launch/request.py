"""A run to be sent to Slurm or to a local process, and the job made of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.records.git import git_state
from reproductions.harness.records.paths import REPOSITORY
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
        """The job of this run, which submitit pickles."""
        from reproductions.harness.launch.job import TrainingJob  # noqa: PLC0415 - torch takes seconds to import

        return TrainingJob(
            self.run,
            self.claim_name,
            self.root,
            self.data,
            device,
            threads,
            version_of(self.run.family, self.run.metrics),
            share_machine=share_machine,
            minutes=minutes,
            precision=self.precision,
            compiled=self.compiled,
            dirty=git_state(REPOSITORY).dirty,
        )
