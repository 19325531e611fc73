"""`submit`: collect the missing runs, print the cost, send them."""

import itertools
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from alexnet.io import locked
from reproductions.harness.claims.runs import Key, PlannedRun, with_needs
from reproductions.harness.launch import slurm
from reproductions.harness.launch.job_files import JobFile, JobRequest
from reproductions.harness.launch.local import run_locally
from reproductions.harness.launch.slurm_arrays import job_arrays, sbatch_text, submit_arrays
from reproductions.harness.launch.slurm_config import LaunchOptions, resources_of
from reproductions.harness.launch.status import ACTIVE, run_statuses, sendable
from reproductions.harness.plan.choose_data import say
from reproductions.harness.plan.claim_plan import ClaimPlan, notes
from reproductions.harness.plan.cost import gpu_hours
from reproductions.harness.plan.missing import sweep_note
from reproductions.harness.records import provenance
from reproductions.harness.report.answers import recorded


def send(works: Sequence[ClaimPlan], options: LaunchOptions) -> bool:
    """Send every missing run once for all claims; returns whether any is in progress now.

    Local runs are over when this returns, Slurm's are queued. Raises ValueError if they would take
    more GPU-hours than allowed, SlurmError if Slurm does not take them.
    """
    results = works[0].results
    # two at once would send all twice
    with nullcontext() if options.dry_run else locked(results / ".work" / "submit.lock"):
        state = provenance.code_notes() if any(work.missing for work in works) else []
        left_out = sum(work.sweeps_left_out for work in works)
        # what the records say of one claim that is trained; of several, `list` says it
        one = works[0] if len(works) == 1 and works[0].missing else None
        said = recorded(one.claim, one.results) if one else []
        say(*notes(works), *state, *said, *sweep_note(left_out))
        chosen, busy = _choose(works, options)
        requests = [request for request, _ in chosen]
        if requests and options.launcher == "slurm":
            _by_slurm(chosen, results, options)
            return True
        if not requests:
            say("nothing to send")
            return busy
        epochs = sum(request.run.recipe.get("epochs", 0) for request in requests)
        say(f"plan: {len(requests)} runs to make (at most {epochs:,} epochs)")
    if not options.dry_run:
        _by_processes(requests, results, options)
    return busy


def _choose(
    works: Sequence[ClaimPlan], options: LaunchOptions
) -> tuple[list[tuple[JobRequest, ClaimPlan]], bool]:
    chosen: dict[object, tuple[JobRequest, ClaimPlan]] = {}
    left: dict[str, set[object]] = {}
    for work in works:
        found = run_statuses(work.root, work.planned)
        jobs = {item.planned.run.key: item.job for item in found if item.state in ACTIVE}
        send_now, others = sendable(found, options.retry_failed)
        for item in send_now:
            run, data = item.planned.run, work.data and work.data.absolute()
            known = (run, work.claim.name, work.root, data, _after(run, jobs))
            request = JobRequest(*known, options.precision, options.compiled)
            chosen.setdefault((work.root, run.key), (request, work))
        for state, items in others.items():
            left.setdefault(state, set()).update(
                (work.root, item.planned.run.key) for item in items
            )
    for state, keys in left.items():
        hint = "; --retry failed sends them again" if state == "failed" else ""
        say(f"left out: {len(keys)} runs that are {state}{hint}")
    return list(chosen.values()), any(state in left for state in ACTIVE)


def _after(run: PlannedRun, jobs: Mapping[Key, JobFile | None]) -> tuple[str, ...]:
    """Slurm's jobs under way that make what a run needs, whole arrays."""
    found = [jobs.get(need.key) for need in with_needs(run.needs)]
    return tuple(
        dict.fromkeys(job.id.partition("_")[0] for job in found if job and job.launcher == "slurm")
    )


def _by_slurm(
    chosen: Sequence[tuple[JobRequest, ClaimPlan]], results: Path, options: LaunchOptions
) -> None:
    site, requests = options.site, [request for request, _ in chosen]
    on_gpus = [(request, work) for request, work in chosen if resources_of(request.run, site).gpus]
    costs = [gpu_hours(work, request.run) for request, work in on_gpus]
    hours = sum(cost for cost, _ in costs)
    measured = all(known for _, known in costs)
    guessed = "" if measured else ", by arithmetic: there is no record from a GPU yet"
    say(f"plan: {len(requests)} runs, about {hours:,.1f} GPU-hours{guessed}")
    if options.max_gpu_hours is not None and hours > options.max_gpu_hours:
        raise ValueError(
            f"about {hours:,.1f} GPU-hours are more than --max-gpu-hours "
            f"{options.max_gpu_hours:g}; nothing was submitted"
        )
    largest = site.max_array or (1000 if options.dry_run else slurm.largest_array())
    parts = job_arrays(requests, site, largest)
    if options.dry_run:
        for part in parts:
            names = ", ".join(str(request.run) for request in part.requests[:3])
            more = ", ..." if len(part.requests) > 3 else ""
            say(f"\n# {len(part.requests)} runs: {names}{more}", sbatch_text(part, site, results))
        return
    submit_arrays(parts, options, results)
    say("submitted; `status` shows how far they are")


def _by_processes(requests: Sequence[JobRequest], results: Path, options: LaunchOptions) -> None:
    gpus = [] if options.device == "cpu" else _gpus()
    if options.device == "cuda" and not gpus:
        from reproductions.harness.execute.context import why_no_cuda  # noqa: PLC0415 - torch takes seconds to import

        raise ValueError(f"{why_no_cuda()}; leave --device out or give --device cpu")
    cores = len(os.sched_getaffinity(0))
    most = min(len(requests), len(gpus) or len(requests))  # a GPU each
    parallel = min(
        options.site.max_parallel or len(gpus) or max(1, cores // (options.threads or 1)), most
    )
    threads = options.threads or max(1, cores // parallel)
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # else the processes would be left behind
    say(f"  {parallel} at once, {threads} threads each{', a GPU each' if gpus else ''}")
    run_locally(requests, results, options.device, threads, gpus, parallel, say)


def _gpus() -> list[int]:
    """The GPUs that this process may use, by the numbers that CUDA_VISIBLE_DEVICES wants."""
    import torch  # noqa: PLC0415 - takes seconds to import

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return list(range(torch.cuda.device_count()))
    names = [name.strip() for name in visible.split(",") if name.strip()]
    # submitit takes numbers alone
    if unlike := [name for name in names if not name.removeprefix("-").isdigit()]:
        raise ValueError(
            f"CUDA_VISIBLE_DEVICES names {unlike[0]}; `submit --local` needs the numbers of GPUs, "
            "such as 0,1"
        )
    # CUDA ignores what follows a -1, too
    return [int(name) for name in itertools.takewhile(str.isdigit, names)]
