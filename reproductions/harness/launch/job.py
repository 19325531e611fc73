"""One planned run as a job of its own: what submitit pickles, and what happens where the job runs.

At the time limit or on preemption submitit requeues the job, which resumes from the run's last
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
from reproductions.harness.errors import RecordError, SuiteError
from reproductions.harness.execute.context import RunContext, choose_device, set_up
from reproductions.harness.execute.cpu_affinity import own_cores
from reproductions.harness.execute.parents import MissingParentError
from reproductions.harness.execute.run import make
from reproductions.harness.launch.job_files import JobEnd, JobRequest, clear_end, write_end
from reproductions.harness.plan.choose_data import choose_data
from reproductions.harness.records.load import read_record
from reproductions.harness.records.schema import Version, version_of

# segments in a row without a new row of history, after which the job ends: the next would be alike
MOST_WITHOUT_PROGRESS = 3


class RefusedError(SuiteError):
    """A job does not run what it was submitted for. The message says why."""


@dataclass
class TrainingJob:
    """Makes one run, or as much of it as fits in the job's time limit (a segment).

    Pickled by submitit: it holds what was planned; all state is in files.
    """

    request: JobRequest
    device: str | None
    threads: int
    version: Version  # of the code, at submission
    dirty: bool | None = None  # uncommitted code submitted it; used where the job has no git
    share_machine: bool = False  # with other runs: reserves cores
    minutes: float = 0.0  # the time limit of a segment
    segments_without_progress: int = 0
    rows: int = 0  # of history, in this segment
    began: float = 0.0  # this segment, by time.monotonic()

    def __call__(self) -> None:
        """Make the run. Leaves a record, or a file with the reason for none, and then raises."""
        self.began = time.monotonic()
        # On Slurm submitit ignores SIGTERM, and must: Slurm also sends it at the start of the grace
        # time before preemption, and requeues a job only if it still runs at the end of that time.
        if self.share_machine:
            signal.signal(signal.SIGTERM, _exit_on_sigterm)
        os.register_at_fork(after_in_child=_reset_signals)  # else a child requeues the job too
        if submitit.JobEnvironment().global_rank == 0:
            clear_end(self.request.root, self.request.run)
        try:
            # before the processes meet: one with a GPU would wait for one without
            choose_device(self.device)
            _join_process_group()
            claim = self._claim()
            with own_cores(self.threads) if self.share_machine else nullcontext():
                self._make(claim)
        except Exception as error:
            # before the processes meet each has rank 0
            if rank_and_world_size()[0] == 0 and not _is_infrastructure_failure(error):
                refused = isinstance(error, RefusedError | MissingParentError)
                why = " ".join(str(error).split())[:300] or type(error).__name__
                self._write_end("refused" if refused else "failed", why)
            raise

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """The job that submitit requeues at the time limit or on preemption.

        Raises SystemExit if segments are too short for any progress: where this returns None,
        submitit raises a RuntimeError inside the training, which would then be stored as failed.
        """
        # Longer than a quarter of the limit, in seconds: the signal for the limit comes after three
        # quarters, so a shorter segment was preempted.
        reached_limit = time.monotonic() - self.began > 15 * self.minutes
        count = 0 if self.rows else self.segments_without_progress + reached_limit
        if count == MOST_WITHOUT_PROGRESS:
            why = f"{count} segments ended before a row of history was done; give more --minutes"
            self._write_end("failed", why)
            raise SystemExit(1)
        return submitit.helpers.DelayedSubmission(
            replace(self, segments_without_progress=count, rows=0, began=0.0)
        )

    __submitit_checkpoint__ = checkpoint  # submitit 1.5.4 looks for both names

    def _claim(self) -> Claim:
        """The claim that planned the run.

        Raises RefusedError if the claim or the code changed since the submission.
        """
        run, name = self.request.run, self.request.claim_name
        now = version_of(run.family, run.metrics)
        if now != self.version:
            raise RefusedError(
                f"submitted for {self.version}, but the code is of {now}; the next `submit` "
                "sends it again"
            )
        claim = discover().get(name)
        if claim is None or run not in planned_runs(claim, run.scale):
            raise RefusedError(
                f"{name} no longer plans this run; the next `submit` sends what it plans now"
            )
        return claim

    def _make(self, claim: Claim) -> None:
        asked = self.request
        _, images, note = choose_data(claim, scale=asked.run.scale, data=asked.data, pack=False)
        self._log(note)
        device = set_up(self.device, self.threads)
        context = RunContext(
            asked.root, images, device, self.threads, asked.precision, asked.compiled
        )
        folder = make(
            asked.run,
            claim,
            context,
            self._on_row,
            wait=True,
            dirty=self.dirty,
            on_choice=lambda choice: self._log(str(choice)),
        )
        if folder is not None:
            self._log(folder.name)
            if read_record(folder).status == "failed":
                raise RecordError(f"the run failed, see {folder / 'record.json'}")

    def _on_row(self, row: Any) -> None:
        self.rows += 1
        self._log(f"epoch {row.epoch:.1f}, training error {row.train_error:.1f} %")

    def _log(self, text: str) -> None:
        print(f"{self.request.run}: {text}", flush=True)  # noqa: T201 - into the job's log

    def _write_end(self, state: Literal["failed", "refused"], why: str) -> None:
        write_end(
            self.request.root,
            self.request.run,
            JobEnd(submitit.JobEnvironment().job_id, state, why),
        )


@dataclass(frozen=True)
class ReportJob:
    """The job that rebuilds the reports after all others."""

    roots: tuple[Path, ...]

    def __call__(self) -> None:
        """Write each results folder's report, as the command `report` does."""
        from reproductions.harness.report import build as report  # noqa: PLC0415 - pandas is slow to import

        for root in filter(report.has_records, self.roots):
            report.write(root, discover())


def _join_process_group() -> None:
    job = submitit.JobEnvironment()
    if job.num_tasks == 1:
        return
    env = submitit.helpers.TorchDistributedEnvironment()
    if torch.cuda.is_available():
        # a site may show each process its own GPU alone
        torch.cuda.set_device(job.local_rank % torch.cuda.device_count())
    # Slurm's address of the node of rank 0, where there is one: nodes may be unable to resolve each
    # other's names.
    address = os.environ.get("SLURM_LAUNCH_NODE_IPADDR", env.master_addr)
    dist.init_process_group(
        "nccl" if torch.cuda.is_available() else "gloo",
        init_method=f"tcp://{address}:{env.master_port}",
        rank=env.rank,
        world_size=env.world_size,
    )


def _is_infrastructure_failure(error: Exception) -> bool:
    """Whether an error is not the run's: Slurm did not requeue it, or another process ended."""
    lost_process = (
        isinstance(error, RuntimeError)
        and rank_and_world_size()[1] > 1
        and re.search("gloo|NCCL", str(error)) is not None
    )
    return isinstance(error, SubprocessError) or lost_process


def _exit_on_sigterm(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _reset_signals() -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
