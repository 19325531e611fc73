"""One planned run as a job of its own: what submitit pickles, and what happens where the job runs.

At the time limit or on preemption submitit requeues the job, which goes on from the run's last
checkpoint.
"""

import os
import re
import signal
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import SubprocessError
from typing import Any, Literal

import submitit
import torch
import torch.distributed as dist

from alexnet.distributed import rank_and_world_size
from reproductions.harness.claims.claim import Claim, discover, planned_runs
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.errors import RecordError, SuiteError
from reproductions.harness.execute.context import RunContext, choose_device, set_up
from reproductions.harness.execute.cpu_affinity import own_cores
from reproductions.harness.execute.parents import MissingParentError
from reproductions.harness.execute.run import make
from reproductions.harness.launch.job_files import JobEnd, clear_end, write_end
from reproductions.harness.plan.choose_data import choose_data
from reproductions.harness.records.load import read_record
from reproductions.harness.records.schema import Version, version_of

MOST_WITHOUT_PROGRESS = (
    3  # segments in a row that end before the first new row of history: the next would end so too
)


class RefusedError(SuiteError):
    """A job does not run what it was submitted for. The message says why."""


@dataclass
class TrainingJob:
    """Makes one run, or a part of it as long as the job's time limit.

    Holds names and paths alone: all state is in files.
    """

    run: PlannedRun
    claim_name: str  # the claim
    root: Path  # results folder of the run's scale
    data: Path | None
    device: str | None
    threads: int
    version: Version  # of the code that decides the result, at submission
    share_machine: bool = False  # with other runs of ours: takes cores of its own
    minutes: float = 0.0  # the time limit of a segment
    precision: str | None = None  # insisted on
    compiled: bool = False  # through torch.compile
    dirty: bool | None = (
        None  # whether uncommitted code submitted it: for where it runs without git
    )
    segments_without_progress: int = 0
    rows: int = 0  # of history, by this segment
    began: float = 0.0  # this segment, by time.monotonic()

    def __call__(self) -> None:
        """Make the run. Leaves a record, or a file that says why there is none and raises."""
        self.began = time.monotonic()
        if self.share_machine:
            signal.signal(signal.SIGTERM, _leave)
        # Else submitit ignores it, as it must: Slurm sends it, too, when a time of grace begins
        # before a job is preempted, and requeues at its end what is still there; what has left by
        # then has failed. After `scancel` the kill comes anyway.
        os.register_at_fork(after_in_child=_deaf)  # else a child would requeue the job too
        if submitit.JobEnvironment().global_rank == 0:
            clear_end(self.root, self.run)
        try:
            # before they meet: who has a GPU would wait for who has none
            choose_device(self.device)
            _join()
            claim = self._claim()
            with own_cores(self.threads) if self.share_machine else nullcontext():
                self._make(claim)
        except Exception as error:
            # before they meet all are first
            if rank_and_world_size()[0] == 0 and not _came_from_elsewhere(error):
                why = " ".join(str(error).split())[:300] or type(error).__name__
                self._end(
                    "refused" if isinstance(error, RefusedError | MissingParentError) else "failed",
                    why,
                )
            raise

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What runs after the requeue. Ends the job where segments are too short to get anywhere.

        By SystemExit: for None submitit raises a RuntimeError in the midst of the training, which
        would be its failure.
        """
        # A quarter of its time, in seconds: one that was preempted says nothing; the signal comes
        # at three quarters or later.
        whole = time.monotonic() - self.began > 15 * self.minutes
        segments_without_progress = 0 if self.rows else self.segments_without_progress + whole
        if segments_without_progress == MOST_WITHOUT_PROGRESS:
            self._end(
                "failed",
                f"{MOST_WITHOUT_PROGRESS} segments ended before a row of history was done; "
                "give more --minutes",
            )
            raise SystemExit(1)
        return submitit.helpers.DelayedSubmission(
            replace(self, segments_without_progress=segments_without_progress, rows=0, began=0.0)
        )

    __submitit_checkpoint__ = checkpoint  # submitit 1.5.4 looks for both names

    def _claim(self) -> Claim:
        """The claim that asked.

        Raises RefusedError if it or the code is no longer what was submitted.
        """
        now = version_of(self.run.family, self.run.metrics)
        if now != self.version:
            raise RefusedError(
                f"submitted for {self.version}, but the code is of {now}; the next `run` sends it "
                "again"
            )
        claim = discover().get(self.claim_name)
        if claim is None or self.run not in planned_runs(claim, self.run.scale):
            raise RefusedError(
                f"{self.claim_name} no longer plans this run; the next `run` sends what it plans "
                "now"
            )
        return claim

    def _make(self, claim: Claim) -> None:
        _, images, note = choose_data(
            claim, scale=self.run.scale, dataset=None, data=self.data, pack=False
        )
        self._say(note)
        bench = RunContext(
            self.root,
            images,
            set_up(self.device, self.threads),
            self.threads,
            self.precision,
            self.compiled,
        )
        folder = make(
            self.run,
            claim,
            bench,
            self._tell,
            wait=True,
            dirty=self.dirty,
            on_choice=lambda choice: self._say(str(choice)),
        )
        if folder is not None:
            self._say(folder.name)
            if read_record(folder).status == "failed":
                raise RecordError(f"the run failed, see {folder / 'record.json'}")

    def _tell(self, row: Any) -> None:
        self.rows += 1
        self._say(f"epoch {row.epoch:.1f}, training error {row.train_error:.1f} %")

    def _say(self, text: str) -> None:
        print(f"{self.run}: {text}", flush=True)  # noqa: T201 - into the job's log

    def _end(self, state: Literal["failed", "refused"], why: str) -> None:
        write_end(self.root, self.run, JobEnd(submitit.JobEnvironment().job_id, state, why))


@dataclass(frozen=True)
class ReportJob:
    """The job that rebuilds the reports when all others are over."""

    roots: tuple[Path, ...]

    def __call__(self) -> None:
        """Write each results folder's report, the bytes that `report` writes."""
        from reproductions.harness.report import build as report  # noqa: PLC0415 - pandas is slow to import

        for root in filter(report.has_records, self.roots):
            report.write(root, discover())


def _join() -> None:
    """Meet the other processes of this job, if it has any."""
    here = submitit.JobEnvironment()
    if here.num_tasks == 1:
        return
    there = submitit.helpers.TorchDistributedEnvironment()
    if torch.cuda.is_available():
        # a site may show each process its own GPU alone
        torch.cuda.set_device(here.local_rank % torch.cuda.device_count())
    # Slurm gives the address of the node that rank 0 is on; a node's name need not be one that
    # others can resolve.
    address = os.environ.get("SLURM_LAUNCH_NODE_IPADDR", there.master_addr)
    dist.init_process_group(
        "nccl" if torch.cuda.is_available() else "gloo",
        init_method=f"tcp://{address}:{there.master_port}",
        rank=there.rank,
        world_size=there.world_size,
    )


def _came_from_elsewhere(error: Exception) -> bool:
    """Whether an error does not fail the run: submitit's requeue without Slurm, a lost process."""
    lost = (
        isinstance(error, RuntimeError)
        and rank_and_world_size()[1] > 1
        and re.search("gloo|NCCL", str(error))
    )
    return isinstance(error, SubprocessError) or bool(lost)


def _leave(*_: object) -> None:
    raise SystemExit(143)  # 128 + SIGTERM, as a shell would say it


def _deaf() -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
