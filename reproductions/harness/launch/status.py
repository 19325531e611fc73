"""The status of every planned run, from files and Slurm, with or without accounting."""

import os
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from alexnet.io import is_locked
from reproductions.harness.claims.claim import Claim, blocks, planned_runs
from reproductions.harness.execute.heartbeat import STALE_SECONDS, Heartbeat, read_heartbeat
from reproductions.harness.launch import slurm
from reproductions.harness.launch.job_files import JobEnd, JobFile, read_job, write_end
from reproductions.harness.plan.missing import PlanEntry, plan
from reproductions.harness.records import provenance
from reproductions.harness.records.files import Fault, root_of
from reproductions.harness.records.load import read_records
from reproductions.harness.records.store import work_file

ACTIVE = ("queued", "training")  # not to be sent again
BROKEN = ("failed", "refused", "cancelled", "lost")  # does not resume by itself
REFRESH_SECONDS = 3.0  # of `status --watch`


@dataclass(frozen=True)
class RunStatus:
    """The state of a planned run."""

    planned: PlanEntry
    root: Path  # its results folder
    state: str  # done, interrupted, missing, or one of ACTIVE or BROKEN
    why: str = ""
    heartbeat: Heartbeat | None = None
    job: JobFile | None = None

    @property
    def row(self) -> dict[str, str | int | float | None]:
        """The run as a row of a table; times in seconds."""
        heartbeat, job = self.heartbeat, self.job
        epochs = self.planned.run.recipe.get("epochs") if self.state == "training" else None
        left = heartbeat.seconds_left(epochs) if heartbeat and epochs else None
        return {
            "run": str(self.planned.run),
            "state": self.state,
            "epoch": heartbeat.epoch if heartbeat else None,
            "left at most": None if left is None else round(left),
            "attempts": heartbeat.attempts if heartbeat else None,
            "silent for": round(heartbeat.age) if heartbeat else None,
            "job": f"{job.launcher} {job.id}" if job else None,
            "log": str(job.logs[0]) if job and self.state != "done" else None,
            "why": self.why,
        }


def run_statuses(root: Path, planned: Iterable[PlanEntry]) -> list[RunStatus]:
    """The states of runs whose records are under `root`. Asks Slurm once for all of its jobs."""
    planned, signs = list(planned), read_signs(root)
    jobs = {entry.run.key: read_job(root, entry.run) for entry in planned if not entry.current}
    open_jobs = {
        job.id for job, end in jobs.values() if job and job.launcher == "slurm" and not end
    }
    in_slurm = slurm.states(open_jobs) if open_jobs else {}
    found = []
    for entry in planned:
        if entry.current:
            found.append(RunStatus(entry, root, "done"))
            continue
        job, end = jobs[entry.run.key]
        sign = signs.get(work_file(Path(), entry.run, "").name.rstrip("-"), Signs())
        state, why = _state(entry, sign, job, end, in_slurm)
        found.append(RunStatus(entry, root, state, why, sign.heartbeat, job))
        if state == "cancelled" and job:  # written down, since Slurm soon forgets it
            with suppress(OSError):
                write_end(root, entry.run, JobEnd(job.id, "cancelled", why))
    return found


@dataclass(frozen=True)
class Signs:
    """What the work files of an unfinished run show."""

    heartbeat: Heartbeat | None = None
    locked: bool = False  # a process holds the run's lock
    alive: bool = False  # locked, or the heartbeat is recent


def read_signs(root: Path) -> dict[str, Signs]:
    """The signs of unfinished runs, by the stem of their work files.

    A run has several heartbeats where attempts differ in machine or precision; one that is alive
    comes first, then the latest. Raises OSError if a file cannot be read.
    """
    found: dict[str, list[Signs]] = {}
    for path in _heartbeat_files(root / ".work"):
        heartbeat = read_heartbeat(path)
        if heartbeat is not None:
            locked = is_locked(path.with_suffix(".lock"))
            signs = Signs(heartbeat, locked, locked or heartbeat.age < STALE_SECONDS)
            found.setdefault(path.stem.rpartition("-")[0], []).append(signs)
    return {stem: _joined(signs) for stem, signs in found.items()}


def _joined(signs: list[Signs]) -> Signs:
    shown = max(signs, key=lambda one: (one.alive, one.heartbeat.time if one.heartbeat else 0.0))
    return Signs(shown.heartbeat, any(one.locked for one in signs), shown.alive)


def _heartbeat_files(folder: Path) -> list[Path]:
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    return [path for path in paths if path.suffix == ".json" and not path.name.startswith(".")]


def _state(
    entry: PlanEntry,
    signs: Signs,
    job: JobFile | None,
    end: JobEnd | None,
    in_slurm: Mapping[str, str] | None,
) -> tuple[str, str]:
    """The state of a run without a record, and the reason: by its job, its work files, Slurm."""
    if job is None:
        return _state_without_job(entry, signs)
    if job.launcher == "local":
        running = signs.locked or _is_alive(job)
        return ("training", "") if running else _ended(end, "its process is gone")
    if in_slurm is None:
        return _state_without_slurm(signs, end)
    return _state_in_slurm(in_slurm.get(job.id), signs, end)


def _state_without_job(entry: PlanEntry, signs: Signs) -> tuple[str, str]:
    if signs.locked:
        return "training", ""
    if entry.failed:
        return "failed", entry.reason
    return ("interrupted", "") if signs.heartbeat else ("missing", entry.reason)


def _state_without_slurm(signs: Signs, end: JobEnd | None) -> tuple[str, str]:
    """Slurm does not answer: heartbeats decide."""
    if signs.alive:
        return "training", "Slurm does not answer"
    if end:
        return end.state, end.why
    if signs.heartbeat is None:
        return "queued", "Slurm does not answer"
    return _ended(None, f"no heartbeat for {signs.heartbeat.age:.0f} s, Slurm does not answer")


def _state_in_slurm(said: str | None, signs: Signs, end: JobEnd | None) -> tuple[str, str]:
    state, _, reason = (said or "").partition(" ")
    if state in slurm.RUNNING:
        return "training", ""
    if state in slurm.QUEUED:
        return "queued", reason
    if end is None and state == "CANCELLED":
        return "cancelled", "by scancel; the next `submit` sends it again"
    if signs.locked:
        return "training", "its job has ended, but its process is still running"
    return _ended(end, f"Slurm says {state}" if state else "Slurm no longer knows its job")


def _ended(end: JobEnd | None, why: str) -> tuple[str, str]:
    if end:
        return end.state, end.why
    return "lost", f"{why}, and there is no record; the next `submit` sends it again"


def _is_alive(job: JobFile) -> bool:
    """Whether a local job's process exists and is submitit's: process ids are used again."""
    with suppress(OSError):
        return b"submitit" in Path(f"/proc/{job.id}/cmdline").read_bytes()
    return False


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


def all_run_statuses(claims: Iterable[Claim], results: Path) -> tuple[list[RunStatus], list[Fault]]:
    """All planned runs at every scale, each once; scale smoke only where it has records.

    Also what is wrong with the records that were left out.
    """
    claims, smoke = list(claims), root_of(results, "smoke")
    found, faults = list[RunStatus](), list[Fault]()
    for root in (results, smoke) if os.path.lexists(smoke) else (results,):
        stored, left_out = read_records(root)
        planned: dict[object, PlanEntry] = {}
        for claim in claims:
            for scale in claim.scales:
                if root_of(results, scale) == root:
                    runs, together = planned_runs(claim, scale), blocks(claim, scale)
                    items = plan(runs, stored, {}, blocks=together, dirty=provenance.uncommitted())
                    planned |= {item.run.key: item for item in items}
        found += run_statuses(root, planned.values())
        faults += left_out if root == results else [fault.below(smoke.name) for fault in left_out]
    return found, faults


def follow(claims: list[Claim], results: Path) -> None:
    """Show what is queued or training every few seconds, until nothing is."""
    from rich.live import Live  # noqa: PLC0415 - only `status --watch` needs these
    from rich.text import Text  # noqa: PLC0415
    from tabulate import tabulate  # noqa: PLC0415

    from reproductions.harness.plan.choose_data import console  # noqa: PLC0415

    with Live(console=console, refresh_per_second=1) as screen:
        while rows := [i.row for i in all_run_statuses(claims, results)[0] if i.state in ACTIVE]:
            table = tabulate(rows, headers="keys", disable_numparse=True, missingval="–")
            screen.update(Text(table))
            time.sleep(REFRESH_SECONDS)
        screen.update(Text("nothing is queued or training"))


def cancel(items: Iterable[RunStatus]) -> list[str]:
    """End the jobs of runs that are queued or training; returns those runs.

    Raises SlurmError if Slurm refuses.
    """
    active = [(item, item.job) for item in items if item.state in ACTIVE and item.job]
    slurm.cancel([job.id for _, job in active if job.launcher == "slurm"])
    for item, job in active:
        if job.launcher == "local" and _is_alive(job):
            with suppress(ProcessLookupError):
                os.kill(int(job.id), signal.SIGINT)
        end = JobEnd(job.id, "cancelled", "by `cancel`; the next `submit` sends it again")
        write_end(item.root, item.planned.run, end)
    return [str(item.planned.run) for item, _ in active]
