"""Train runs side by side in processes of this machine, through submitit."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit

from reproductions.harness.launch.job_files import JobRequest, new_job, write_job
from reproductions.harness.launch.status import run_statuses
from reproductions.harness.plan.missing import plan
from reproductions.harness.records import provenance
from reproductions.harness.records.load import read_records

POLL_SECONDS = 0.2
YEAR = 60 * 24 * 365  # in minutes: by default submitit ends a local job after two


@dataclass(frozen=True)
class _Process:
    request: JobRequest
    job: Any  # submitit's
    gpu: int | None


def run_locally(
    requests: Sequence[JobRequest],
    results: Path,
    device: str | None,
    threads: int,
    gpus: Sequence[int],
    parallel: int,
    log: Callable[[str], None],
) -> None:
    """Train runs in processes, at most `parallel` at once, each with its own cores and GPU.

    Returns when all have ended. Ctrl-C ends them too; their checkpoints stay.
    """
    executor = submitit.LocalExecutor(results / ".work" / "local" / "%j")
    waiting, running = list(requests), list[_Process]()
    free = list[int | None](gpus[:parallel]) or [None] * parallel
    try:
        while waiting or running:
            for process in [process for process in running if process.job.done()]:
                running.remove(process)
                free.append(process.gpu)
                counts = f"({len(waiting)} to start, {len(running)} running)"
                log(f"  {process.request.run}: {_outcome(process.request)} {counts}")
            request = _next_ready(waiting, running) if free else None
            if request is None:
                time.sleep(POLL_SECONDS)
                continue
            waiting.remove(request)
            # at once: Ctrl-C ends only the processes in this list
            running.append(_start(executor, request, free.pop(0), device, threads))
            job = running[-1].job
            write_job(request.root, request.run, new_job(job.job_id, "local", job.paths.folder))
    except BaseException:
        _terminate(running)
        raise


def _next_ready(waiting: Sequence[JobRequest], running: Sequence[_Process]) -> JobRequest | None:
    requests = [*waiting, *(process.request for process in running)]
    unfinished = {request.run.key for request in requests}
    for request in waiting:
        if not unfinished & {need.key for need in request.run.needs}:
            return request
    return None


def _start(
    executor: Any, request: JobRequest, gpu: int | None, device: str | None, threads: int
) -> _Process:
    visible = [] if gpu is None else [gpu]
    executor.update_parameters(timeout_min=YEAR, gpus_per_node=len(visible), visible_gpus=visible)
    job = request.job("cuda" if visible else device, threads, share_machine=True)
    return _Process(request, executor.submit(job), gpu)


def _terminate(running: Sequence[_Process]) -> None:
    # not by cancel(): its SIGINT after the terminal's own keeps submitit from killing the rest
    for process in running:
        process.job._process.terminate()  # noqa: SLF001
    for process in running:
        process.job._process.wait()  # noqa: SLF001 - submitit's wait() needs a result


def _outcome(request: JobRequest) -> str:
    stored = read_records(request.root, request.run)[0]
    planned = plan([request.run], stored, {}, dirty=provenance.uncommitted())
    (status,) = run_statuses(request.root, planned)
    return f"{status.state}{f': {status.why}' if status.why else ''}"
