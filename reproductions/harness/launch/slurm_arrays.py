"""Submit runs to Slurm in arrays, through submitit."""

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

# needs no Slurm on this machine, unlike its executor
from submitit.slurm.slurm import _make_sbatch_string

from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.launch.job_files import JobRequest, new_job, write_job
from reproductions.harness.launch.slurm import SlurmError
from reproductions.harness.launch.slurm_config import (
    JobResources,
    LaunchOptions,
    SlurmConfig,
    resources_of,
)
from reproductions.harness.plan.choose_data import say
from reproductions.harness.records.files import REPOSITORY

# how often submitit may requeue a job at its time limit: a long training has many segments
MAX_SEGMENTS = 100_000
LOGS = ".work/slurm/%A"  # the folder of a job's files; %A is Slurm's id


@dataclass(frozen=True)
class JobArray:
    """Runs with the same resources, submitted as one Slurm array."""

    resources: JobResources
    requests: tuple[JobRequest, ...]

    @property
    def depth(self) -> int:
        """The depth of its runs' chains of parents; an array waits for all of a lower depth."""
        return _depth(self.requests[0].run)

    def device(self, requested: str | None) -> str | None:
        """The device of its jobs: a job with a GPU never trains on the processor."""
        return "cuda" if self.resources.gpus else requested


def _depth(run: PlannedRun) -> int:
    return 1 + max(map(_depth, run.needs), default=-1)


def job_arrays(requests: Sequence[JobRequest], site: SlurmConfig, largest: int) -> list[JobArray]:
    """Group runs by depth and resources, in arrays of at most `largest`; parents come first."""
    groups: dict[tuple[int, JobResources], list[JobRequest]] = {}
    for request in requests:
        key = _depth(request.run), resources_of(request.run, site)
        groups.setdefault(key, []).append(request)
    return [
        JobArray(resources, tuple(group[start : start + largest]))
        for (_, resources), group in sorted(groups.items(), key=lambda item: item[0])
        for start in range(0, len(group), largest)
    ]


def sbatch_options(array: JobArray, site: SlurmConfig, after: Sequence[str]) -> dict[str, Any]:
    """The options of an array for submitit; `after` are ids of jobs to wait for."""
    resources, scale = array.resources, array.requests[0].run.scale
    options: dict[str, Any] = {
        "job_name": re.sub(r"[^A-Za-z0-9_.-]", "_", f"alexnet-{scale}-{resources}"),
        "time": site.minutes,
        "nodes": resources.nodes,
        "ntasks_per_node": resources.processes,
        "cpus_per_task": resources.cpus,
        "gpus_per_node": resources.gpus or None,
        "partition": site.partition,
        "array_parallelism": site.max_parallel or len(array.requests),
        "signal_delay_s": min(120, 60 * site.minutes // 4),
        "dependency": f"afterany:{':'.join(after)}" if after else None,
        # Only some releases of srun take --cpus-per-task from the job. A process that is lost must
        # not leave the others waiting.
        "srun_args": [f"--cpus-per-task={resources.cpus}", "--kill-on-bad-exit=1"],
        # jobs start in the repository: the packages are found there
        "additional_parameters": {"requeue": True, "chdir": str(REPOSITORY), **site.sbatch},
    }
    return {key: value for key, value in options.items() if value is not None}


def sbatch_text(array: JobArray, site: SlurmConfig, results: Path) -> str:
    """The script that submitit would give to sbatch."""
    return _make_sbatch_string(
        "python -u -m submitit.core._submit ...",
        results / LOGS,
        map_count=len(array.requests) if len(array.requests) > 1 else None,
        **sbatch_options(array, site, ()),
    )


def submit_arrays(arrays: Sequence[JobArray], options: LaunchOptions, results: Path) -> None:
    """Submit arrays, then a job that rebuilds the report after all of them.

    An array waits for those of a lower depth; where the site limits the jobs at once, also for the
    array before it. Raises SlurmError if sbatch refuses an array.
    """
    if submitit.SlurmExecutor.affinity() < 0:
        raise SlurmError("srun is not on this machine")
    executor = submitit.SlurmExecutor(results / LOGS, max_num_timeout=MAX_SEGMENTS)
    sent = list[str]()
    for _, level in itertools.groupby(arrays, lambda array: array.depth):
        lower = list(sent)
        for array in level:
            after = {*lower, *(job for request in array.requests for job in request.after)}
            if options.site.max_parallel:
                after.update(sent[-1:])
            sent.append(_submit_array(executor, array, options, sorted(after)))
    _submit_report(executor, arrays, options.site, results, sent)


def _submit_array(executor: Any, array: JobArray, options: LaunchOptions, after: list[str]) -> str:
    site, device, cpus = options.site, array.device(options.device), array.resources.cpus
    runs = [each.job(device, cpus, minutes=site.minutes) for each in array.requests]
    jobs = _submit(executor, runs, sbatch_options(array, site, after))
    for request, job in zip(array.requests, jobs, strict=True):
        write_job(request.root, request.run, new_job(job.job_id, "slurm", job.paths.folder))
    array_id: str = jobs[0].job_id.partition("_")[0]
    waits = f", after {', '.join(after)}" if after else ""
    say(f"  {array_id}: {len(jobs)} runs, {array.resources}{waits}")
    return array_id


def _submit_report(
    executor: Any,
    arrays: Sequence[JobArray],
    site: SlurmConfig,
    results: Path,
    after: Sequence[str],
) -> None:
    from reproductions.harness.launch.job import ReportJob  # noqa: PLC0415 - torch takes seconds to import

    requests = tuple(request for array in arrays for request in array.requests)
    roots = dict.fromkeys((*(request.root for request in requests), results))
    options = sbatch_options(JobArray(JobResources(1, 1, 0, 1), requests[:1]), site, after)
    options["job_name"] = "alexnet-report"
    try:
        (job,) = _submit(executor, [ReportJob(tuple(roots))], options)
    except SlurmError as error:  # the runs are submitted
        say(f"  no job for the report ({error}): run `report` when the others are over")
    else:
        say(f"  {job.job_id}: the report is rebuilt after all of them")


def _submit(executor: Any, jobs: list[Any], options: dict[str, Any]) -> list[Any]:
    """Submit jobs as one array. Raises SlurmError if Slurm refuses them."""
    executor.parameters.clear()
    executor.update_parameters(**options)
    try:
        with _outside_of_jobs(), executor.batch():
            return [executor.submit(job) for job in jobs]
    except (FailedJobError, FailedSubmissionError) as error:
        raise SlurmError(" ".join(str(error).split())[:300]) from error


@contextmanager
def _outside_of_jobs() -> Iterator[None]:
    names = ("SLURM_CONF", "SLURM_CONF_SERVER")
    cluster = {name: os.environ[name] for name in names if name in os.environ}
    with submitit.helpers.clean_env():
        os.environ.update(cluster)
        yield
