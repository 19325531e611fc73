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
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.execute.heartbeat import SILENCE, Heartbeat, read_beat
from reproductions.harness.launch import slurm
from reproductions.harness.launch.job_files import JobEnd, JobFile, read_job, write_end
from reproductions.harness.plan.missing import PlanEntry, plan
from reproductions.harness.records import provenance
from reproductions.harness.records.files import Fault
from reproductions.harness.records.load import read_records
from reproductions.harness.records.paths import root_of
from reproductions.harness.records.store import work_file

ACTIVE = ("queued", "training")  # somebody is at it: it is not sent again
REFRESH_SECONDS = 3.0  # seconds between looks of those who follow
BROKEN = ("failed", "refused", "cancelled", "lost")  # it will not go on by itself


@dataclass(frozen=True)
class RunStatus:
    """A planned run and where it stands."""

    planned: PlanEntry
    root: Path  # its results folder
    state: str  # done, queued, training, interrupted, missing or one of BROKEN
    why: str = ""
    beat: Heartbeat | None = None
    job: JobFile | None = None

    @property
    def row(self) -> dict[str, str | int | float | None]:
        """The run as a row of a table; times in seconds."""
        beat, running = self.beat, self.state == "training"
        budget = self.planned.run.recipe.get("epochs")
        left = beat.seconds_left(budget) if beat and running and budget else None
        return {
            "run": str(self.planned.run),
            "state": self.state,
            "epoch": beat.epoch if beat else None,
            "left at most": None if left is None else round(left),
            "attempts": beat.attempts if beat else None,
            "silent for": round(beat.age) if beat else None,
            "job": f"{self.job.launcher} {self.job.id}" if self.job else None,
            "log": str(self.job.logs[0]) if self.job and self.state != "done" else None,
            "why": self.why,
        }


def run_statuses(root: Path, planned: Iterable[PlanEntry]) -> list[RunStatus]:
    """Where runs stand whose records live under `root`. Asks Slurm once for all of its jobs."""
    planned, beats = list(planned), read_beats(root)
    jobs = {item.run.key: read_job(root, item.run) for item in planned if not item.current}
    waiting = {job.id for job, end in jobs.values() if job and job.launcher == "slurm" and not end}
    said = slurm.states(waiting) if waiting else {}
    found = [
        _standing(
            root, item, beats.get(_stem(item.run), []), *jobs.get(item.run.key, (None, None)), said
        )
        for item in planned
    ]
    for standing in found:
        if standing.state == "cancelled" and standing.job:  # kept, since Slurm soon forgets it
            with suppress(OSError):
                write_end(
                    root, standing.planned.run, JobEnd(standing.job.id, "cancelled", standing.why)
                )
    return found


def _stem(run: PlannedRun) -> str:
    return work_file(Path(), run, "").name.rstrip("-")


def read_beats(root: Path) -> dict[str, list[tuple[bool, Heartbeat]]]:
    """Unfinished runs by the stem of their files: whether their lock is held, and the heartbeat."""
    found: dict[str, list[tuple[bool, Heartbeat]]] = {}
    for path in _beats(root / ".work"):
        beat = read_beat(path)
        if beat is not None:
            found.setdefault(path.stem.rpartition("-")[0], []).append(
                (is_locked(path.with_suffix(".lock")), beat)
            )
    return found


def _beats(folder: Path) -> list[Path]:
    """The files of beats in a folder; none where it is not there.

    Raises OSError if it cannot be read.
    """
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix == ".json" and not path.name.startswith(".")
        )
    except FileNotFoundError:
        return []


def _standing(
    root: Path,
    item: PlanEntry,
    beats: list[tuple[bool, Heartbeat]],
    job: JobFile | None,
    end: JobEnd | None,
    said: Mapping[str, str] | None,
) -> RunStatus:
    """Records come first, then signs of life, then what is known of the run's job."""
    if item.current:
        return RunStatus(item, root, "done")
    alive = next((beat for locked, beat in beats if locked or beat.age < SILENCE), None)
    latest = alive or max((beat for _, beat in beats), key=lambda beat: beat.time, default=None)
    locked = any(locked for locked, _ in beats)
    if job is None:
        state = (
            "training"
            if locked
            else "failed"
            if item.failed
            else "interrupted"
            if latest
            else "missing"
        )
        return RunStatus(
            item, root, state, item.reason if state in ("failed", "missing") else "", latest
        )
    if job.launcher == "local":
        state, why = (
            ("training", "") if locked or _is_alive(job) else _ended(end, "its process is gone")
        )
    elif said is None:
        state, why = _unanswered(end, alive, latest)
    else:
        state, why = _in_slurm(said.get(job.id), end, locked)
    return RunStatus(item, root, state, why, latest, job)


def _ended(end: JobEnd | None, why: str) -> tuple[str, str]:
    return (
        (end.state, end.why)
        if end
        else ("lost", f"{why} and left no record; the next `run` sends it again")
    )


def _unanswered(
    end: JobEnd | None, alive: Heartbeat | None, latest: Heartbeat | None
) -> tuple[str, str]:
    """Slurm does not answer: a run's own signs are all there is."""
    if alive:
        return "training", "Slurm does not answer"
    if end:
        return end.state, end.why
    if latest is None:
        return "queued", "Slurm does not answer"
    return _ended(None, f"it has said nothing for {latest.age:.0f} s, Slurm does not answer")


def _in_slurm(state: str | None, end: JobEnd | None, locked: bool) -> tuple[str, str]:
    """What Slurm's word for a job means for its run."""
    state, _, reason = (state or "").partition(" ")
    if state in slurm.RUNNING:
        return "training", ""
    if state in slurm.QUEUED:
        return "queued", reason
    if end is None and state == "CANCELLED":
        return "cancelled", "by scancel; the next `run` sends it again"
    if locked:
        return "training", "its job is over, its process is not"
    return _ended(end, f"Slurm says {state}" if state else "Slurm no longer knows its job")


def _is_alive(job: JobFile) -> bool:
    """Whether a local job's process is there, and is submitit's: numbers of processes come back."""
    with suppress(OSError):
        return b"submitit" in Path(f"/proc/{job.id}/cmdline").read_bytes()
    return False


def everywhere(claims: Iterable[Claim], results: Path) -> tuple[list[RunStatus], list[Fault]]:
    """All planned runs at every scale, each once; synthetic ones only where records of them are.

    Also what is wrong with the records that were left out.
    """
    found, faults, smoke = list[RunStatus](), list[Fault](), root_of(results, "smoke")
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


def unasked(item: RunStatus) -> bool:
    """Whether this is a sweep run that was never started: it is not missing without --sweep."""
    return item.planned.run.purpose == "sweep" and item.state == "missing"


def follow(claims: list[Claim], results: Path) -> None:
    """Show what is queued or training every few seconds, until nothing is."""
    from rich.live import Live  # noqa: PLC0415 - `status` on its own shows nothing that moves
    from rich.text import Text  # noqa: PLC0415
    from tabulate import tabulate  # noqa: PLC0415

    from reproductions.harness.plan.choose_data import console  # noqa: PLC0415

    with Live(console=console, refresh_per_second=1) as screen:
        while busy := [item for item in everywhere(claims, results)[0] if item.state in ACTIVE]:
            screen.update(
                Text(
                    tabulate(
                        [item.row for item in busy],
                        headers="keys",
                        disable_numparse=True,
                        missingval="–",
                    )
                )
            )
            time.sleep(REFRESH_SECONDS)
        screen.update(Text("nothing is queued or training"))


def cancel(items: Iterable[RunStatus]) -> list[str]:
    """End the jobs of runs that are queued or training; returns those runs.

    Raises SlurmError if Slurm does not take it.
    """
    busy = [(item, item.job) for item in items if item.state in ACTIVE and item.job]
    slurm.cancel([job.id for _, job in busy if job.launcher == "slurm"])
    for item, job in busy:
        if job.launcher == "local" and _is_alive(job):  # its number may be another process's by now
            with suppress(ProcessLookupError):
                os.kill(int(job.id), signal.SIGINT)
        write_end(
            item.root,
            item.planned.run,
            JobEnd(job.id, "cancelled", "by `cancel`; the next `run` sends it again"),
        )
    return [str(item.planned.run) for item, _ in busy]
