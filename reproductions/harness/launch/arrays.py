"""Send runs to Slurm in arrays or to local processes side by side; both through submitit."""

import itertools
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

# needs no Slurm on this machine, unlike its executor
from submitit.slurm.slurm import _make_sbatch_string

from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.launch import slurm
from reproductions.harness.launch.job_files import new_job, write_job
from reproductions.harness.launch.slurm_config import JobResources, SlurmConfig, resources_of
from reproductions.harness.launch.status import ACTIVE, RunStatus, run_statuses
from reproductions.harness.plan.missing import plan
from reproductions.harness.records import provenance
from reproductions.harness.records.git import git_state
from reproductions.harness.records.load import read_records
from reproductions.harness.records.paths import REPOSITORY
from reproductions.harness.records.schema import version_of

# how often submitit may requeue a job at its time limit: a long training has many segments
SEGMENTS = 100_000
POLL = 0.2  # seconds between looks at local processes
A_YEAR = 60 * 24 * 365  # minutes: submitit ends a local job after two unless it is told otherwise


@dataclass(frozen=True)
class JobRequest:
    """A run to be sent, with what its job needs to know."""

    run: PlannedRun
    claim_name: str
    root: Path
    data: Path | None
    # Slurm's jobs, under way since an earlier submission, that make what it needs
    after: tuple[str, ...] = ()
    precision: str | None = None  # insisted on
    compiled: bool = False  # through torch.compile

    def segment(
        self, device: str | None, threads: int, *, share_machine: bool = False, minutes: float = 0.0
    ) -> Any:
        """The job of this run."""
        from reproductions.harness.launch.job import TrainingJob  # noqa: PLC0415 - torch takes seconds to import

        version = version_of(self.run.family, self.run.metrics)
        return TrainingJob(
            self.run,
            self.claim_name,
            self.root,
            self.data,
            device,
            threads,
            version,
            share_machine=share_machine,
            minutes=minutes,
            precision=self.precision,
            compiled=self.compiled,
            dirty=git_state(REPOSITORY).dirty,
        )


def sendable(
    items: Iterable[RunStatus], retry_failed: bool
) -> tuple[list[RunStatus], dict[str, list[RunStatus]]]:
    """The runs to send: neither done, queued, training nor failed; and the others, by state."""
    send, left = list[RunStatus](), dict[str, list[RunStatus]]()
    for item in items:
        failed = item.state == "failed" or item.planned.failed
        if item.state in ACTIVE:
            left.setdefault(item.state, []).append(item)
        elif failed and not retry_failed:
            left.setdefault("failed", []).append(item)
        elif item.state != "done":
            send.append(item)
    return send, left


@dataclass(frozen=True)
class JobArray:
    """Runs of one shape sent to Slurm together, after the arrays that they depend on."""

    shape: JobResources
    orders: tuple[JobRequest, ...]

    @property
    def depth(self) -> int:
        """How deep a run's chain of parents is: all arrays of a depth precede those of the next."""
        return _depth(self.orders[0].run)

    def device(self, asked: str | None) -> str | None:
        """The device of its jobs: one that has a GPU never trains on the processor."""
        return "cuda" if self.shape.gpus else asked


def _depth(run: PlannedRun) -> int:
    return 1 + max(map(_depth, run.needs), default=-1)


def arrays(orders: Sequence[JobRequest], site: SlurmConfig, largest: int) -> list[JobArray]:
    """Runs by resources, in chunks of at most `largest`; runs with parents come last."""
    waves: dict[tuple[int, JobResources], list[JobRequest]] = {}
    for order in orders:
        waves.setdefault((_depth(order.run), resources_of(order.run, site)), []).append(order)
    return [
        JobArray(shape, tuple(wave[start : start + largest]))
        for (_, shape), wave in sorted(waves.items(), key=lambda item: item[0])
        for start in range(0, len(wave), largest)
    ]


@contextmanager
def _outside_of_jobs() -> Iterator[None]:
    """The environment without Slurm's limits of the current job, but with Slurm's own settings."""
    where = {
        name: os.environ[name] for name in ("SLURM_CONF", "SLURM_CONF_SERVER") if name in os.environ
    }
    with submitit.helpers.clean_env():
        os.environ.update(where)
        yield


def parameters(
    array: JobArray, site: SlurmConfig, after: Sequence[str], repository: Path
) -> dict[str, Any]:
    """What submitit tells sbatch of an array."""
    shape = array.shape
    told: dict[str, Any] = {
        "job_name": re.sub(r"[^A-Za-z0-9_.-]", "_", f"alexnet-{array.orders[0].run.scale}-{shape}"),
        "time": site.minutes,
        "nodes": shape.nodes,
        "ntasks_per_node": shape.processes,
        "cpus_per_task": shape.cpus,
        "gpus_per_node": shape.gpus or None,
        "partition": site.partition,
        "account": site.account,
        "qos": site.qos,
        "array_parallelism": site.max_parallel or len(array.orders),
        "signal_delay_s": min(120, 60 * site.minutes // 4),
        "dependency": f"afterany:{':'.join(after)}" if after else None,
        # Only some releases of srun take --cpus-per-task from the job. A process that is lost must
        # not leave the others waiting.
        "srun_args": [f"--cpus-per-task={shape.cpus}", "--kill-on-bad-exit=1"],
        "additional_parameters": {"requeue": True, "chdir": str(repository), **site.sbatch},
    }
    return {key: value for key, value in told.items() if value is not None}


def logs_of(results: Path) -> Path:
    """Where submitit keeps what belongs to a job, by Slurm's pattern for its number."""
    return results / ".work" / "slurm" / "%A"


def sbatch_text(array: JobArray, site: SlurmConfig, results: Path, repository: Path) -> str:
    """The script that submitit would give to sbatch."""
    several = len(array.orders) if len(array.orders) > 1 else None
    told = parameters(array, site, (), repository)
    return _make_sbatch_string(
        "python -u -m submitit.core._submit ...", logs_of(results), map_count=several, **told
    )


def to_slurm(
    items: Sequence[JobArray],
    site: SlurmConfig,
    results: Path,
    device: str | None,
    say: Callable[[str], None],
    repository: Path,
) -> list[str]:
    """Submit arrays and, to run after them all, the job that collects the report.

    Returns the ids of the arrays.

    A bound on jobs at once holds over all arrays: each waits for the one before it. Raises
    SlurmError if sbatch refuses.
    """
    from reproductions.harness.launch.job import ReportJob  # noqa: PLC0415 - torch takes seconds to import

    if submitit.SlurmExecutor.affinity() < 0:
        raise slurm.SlurmError("srun is not on this machine")
    executor, sent = submitit.SlurmExecutor(logs_of(results), max_num_timeout=SEGMENTS), list[str]()
    for _, level in itertools.groupby(items, lambda array: array.depth):
        before = list(sent)
        for array in level:
            earlier = {job for order in array.orders for job in order.after}
            after = sorted({*before, *earlier, *(sent[-1:] if site.max_parallel else [])})
            on = array.device(device)
            segments = [
                order.segment(on, array.shape.cpus, minutes=site.minutes) for order in array.orders
            ]
            jobs = _submit(executor, segments, parameters(array, site, after, repository))
            for order, job in zip(array.orders, jobs, strict=True):
                write_job(order.root, order.run, new_job(job.job_id, "slurm", job.paths.folder))
            sent.append(jobs[0].job_id.partition("_")[0])
            waits = f", after {', '.join(after)}" if after else ""
            say(f"  {sent[-1]}: {len(jobs)} runs, {array.shape}{waits}")
    roots = tuple(
        dict.fromkeys((*(order.root for array in items for order in array.orders), results))
    )
    collector = JobArray(JobResources(1, 1, 0, 1), items[0].orders)
    try:
        told = {**parameters(collector, site, sent, repository), "job_name": "alexnet-report"}
        report = _submit(executor, [ReportJob(roots)], told)
    except slurm.SlurmError as error:  # all else was taken
        say(f"  no job for the report, `report` does the same by hand: {error}")
    else:
        say(f"  {report[0].job_id}: the report is rebuilt after all of them")
    return sent


def _submit(executor: Any, jobs: list[Any], told: dict[str, Any]) -> list[Any]:
    """Give jobs to Slurm as one array. Raises SlurmError if it does not take them."""
    executor.parameters.clear()
    executor.update_parameters(**told)
    try:
        with _outside_of_jobs(), executor.batch():
            return [executor.submit(job) for job in jobs]
    except (FailedJobError, FailedSubmissionError) as error:
        raise slurm.SlurmError(" ".join(str(error).split())[:300]) from error


def to_processes(
    orders: Sequence[JobRequest],
    results: Path,
    device: str | None,
    threads: int,
    gpus: Sequence[int],
    parallel: int,
    say: Callable[[str], None],
) -> None:
    """Run in separate processes, at most `parallel` at once, each with its own cores and GPU.

    Ends when all are over. Ctrl-C ends them too; what they did is not lost.
    """
    executor = submitit.LocalExecutor(results / ".work" / "local" / "%j")
    waiting, running = list(orders), list[tuple[JobRequest, Any, int | None]]()
    free = list[int | None](gpus[:parallel]) or [None] * parallel
    try:
        while waiting or running:
            for item in [item for item in running if item[1].done()]:
                running.remove(item)
                free.append(item[2])
                say(
                    f"  {item[0].run}: {_outcome(item[0])} ({len(waiting)} to start, "
                    f"{len(running)} at work)"
                )
            unfinished = {
                order.run.key for order in [*waiting, *(order for order, _, _ in running)]
            }
            ready = next(
                (
                    order
                    for order in waiting
                    if not unfinished & {need.key for need in order.run.needs}
                ),
                None,
            )
            if ready is None or not free:
                time.sleep(POLL)
                continue
            waiting.remove(ready)
            gpu = free.pop(0)
            visible = [] if gpu is None else [gpu]
            executor.update_parameters(
                timeout_min=A_YEAR, gpus_per_node=len(visible), visible_gpus=visible
            )
            job = executor.submit(
                ready.segment("cuda" if visible else device, threads, share_machine=True)
            )
            running.append((ready, job, gpu))  # at once: what is not among them survives a Ctrl-C
            write_job(ready.root, ready.run, new_job(job.job_id, "local", job.paths.folder))
    except BaseException:
        # not by cancel(): its SIGINT after the terminal's own keeps submitit from killing the rest
        for _, job, _ in running:
            job._process.terminate()  # noqa: SLF001
        for _, job, _ in running:
            job._process.wait()  # noqa: SLF001 - submitit has no other way to wait for a process that leaves no result
        raise


def _outcome(order: JobRequest) -> str:
    planned = plan(
        [order.run], read_records(order.root, order.run)[0], {}, dirty=provenance.uncommitted()
    )
    (item,) = run_statuses(order.root, planned)
    return f"{item.state}{f': {item.why}' if item.why else ''}"
