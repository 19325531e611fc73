"""Planned runs against records, with the reason for every run that must be made."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reproductions.harness.claims.runs import Key, PlannedRun
from reproductions.harness.plan.counted import (
    ANY,
    Answers,
    Way,
    block_kind,
    differences,
    earliest_first,
    first_on,
    kind_to_complete,
    why_not,
)
from reproductions.harness.records.schema import Record
from reproductions.harness.records.store import Stored

WEIGHTS_ABSENT = "its weights are needed and are not here"


@dataclass(frozen=True)
class PlanEntry:
    """A planned run with its answer: a current record, or the reason why there is none."""

    run: PlannedRun
    current: Stored | None
    reason: str
    failed: bool = False  # the only record that fits says that the run failed


def plan(
    runs: Sequence[PlannedRun],
    stored: Sequence[Stored],
    fingerprints: Mapping[str, str],
    hardware: str | None = None,
    *,
    blocks: Sequence[Sequence[PlannedRun]] = (),
    way: Way = ANY,
    dirty: bool = False,
) -> list[PlanEntry]:
    """Match every planned run with its record by the rule of counted.py.

    `blocks` are the runs that must share a kind of machine; a run outside of all of them is a block
    of its own. Where no kind has a whole block, its missing runs are those that `hardware`, or
    where that is None the kind with the most of them, still lacks of what is made that `way`. A run
    whose record is there is planned again if a missing run needs its weights and this machine's
    were not kept. `dirty`: the code at hand is not committed, so records of such code answer too.
    """
    by_key: dict[Key, list[Stored]] = {}
    for item in earliest_first(stored):
        by_key.setdefault(item.record.key, []).append(item)
    answers = {
        run.key: [
            s for s in by_key.get(run.key, []) if not why_not(s, run, fingerprints, dirty=dirty)
        ]
        for run in runs
    }
    current, lacking = _choose(_whole_blocks(runs, blocks), answers, hardware, way, dirty=dirty)
    planned = {}
    for run in runs:
        found = None if run.key in lacking else current[run.key]
        reason = "" if found else _reason(run, by_key.get(run.key, []), fingerprints, dirty=dirty)
        failed = any(
            s.record.status == "failed" and not differences(s.record, run, fingerprints)
            for s in by_key.get(run.key, [])
        )
        planned[run.key] = PlanEntry(run, found, reason, failed and not found)
    for run in reversed(runs):  # what needs another stands behind it
        for need in run.needs if planned[run.key].current is None else ():
            if (
                need.key in planned
                and planned[need.key].current
                and not with_weights(need, stored, fingerprints, hardware, dirty=dirty)
            ):
                planned[need.key] = PlanEntry(need, None, WEIGHTS_ABSENT)
    return [planned[run.key] for run in runs]


def _whole_blocks(
    runs: Sequence[PlannedRun], blocks: Sequence[Sequence[PlannedRun]]
) -> list[Sequence[PlannedRun]]:
    """The blocks of these runs, and every other run alone."""
    asked = {run.key for run in runs}
    found = [block for block in blocks if {run.key for run in block} <= asked]
    inside = {run.key for block in found for run in block}
    return [*found, *([run] for run in runs if run.key not in inside)]


def _choose(
    blocks: Sequence[Sequence[PlannedRun]],
    answers: Answers,
    hardware: str | None,
    way: Way,
    *,
    dirty: bool,
) -> tuple[dict[Key, Stored], set[Key]]:
    """The record of each run, and the runs that a block lacks."""
    current: dict[Key, Stored] = {}
    lacking: set[Key] = set()
    for block in blocks:
        kind = block_kind(block, answers) or kind_to_complete(
            block, answers, hardware, way, dirty=dirty
        )
        for run in block:
            item = first_on(answers[run.key], kind) if kind else None
            if item is None:
                lacking.add(run.key)
            else:
                current.setdefault(run.key, item)
    return current, lacking


def _reason(
    run: PlannedRun, items: Sequence[Stored], fingerprints: Mapping[str, str], *, dirty: bool
) -> str:
    """Why a run must be made: what its records lack, or which machines have only the other arm."""
    reasons = [reason for s in items for reason in why_not(s, run, fingerprints, dirty=dirty)]
    reasons += [
        f"done only on {', '.join(s.record.made_on)}"
        f"{', committed' * (dirty and not s.record.code.dirty)}, where the other arm is "
        "missing: a seed needs both arms on one kind of machine"
        for s in items
        if not why_not(s, run, fingerprints, dirty=dirty)
    ]
    return "; ".join(dict.fromkeys(reasons)) or "no record"


def with_weights(
    run: PlannedRun,
    stored: Sequence[Stored],
    fingerprints: Mapping[str, str],
    hardware: str | None,
    *,
    dirty: bool = False,
) -> Stored | None:
    """The record whose weights a child run loads: current, of this hardware, weights present.

    So an average and its networks are of one kind of machine. A run that diverged has no weights to
    keep and comes back as it is.
    """
    answers = [
        s
        for s in stored
        if s.record.key == run.key and not why_not(s, run, fingerprints, dirty=dirty)
    ]
    mine = [s for s in earliest_first(answers) if hardware in (None, s.record.machine.hardware)]
    return next((s for s in mine if s.weights or s.record.status == "diverged"), None)


def sweep_note(left_out: int) -> list[str]:
    """The line on runs of sweeps that are missing and left out; none where there are none."""
    if not left_out:
        return []
    runs = f"learning-rate sweep run{'s' * (left_out > 1)}"
    return [f"{left_out} {runs} skipped; add --sweep to make them"]


def expected_seconds(
    run: PlannedRun, stored: Sequence[Stored], images: int, hardware: str, threads: int
) -> float | None:
    """A run's time by records of its kind: median epochs and median speed on this hardware.

    Speed is taken to grow with the number of threads, and AlexNets of a scale to be alike on all
    images. None without a record of such networks from this class of hardware; 0 for a count, and
    an average, which trains nothing, takes what others of it took.
    """
    if run.kind == "count":
        return 0.0
    alike = [
        s.record
        for s in stored
        if s.record.scale == run.scale and (s.record.claim == run.claim or _alike(s.record, run))
    ]
    if run.kind == "ensemble":
        took = [
            r.cost.wall_seconds
            for r in alike
            if r.key[:2] == run.key[:2] and r.machine.hardware == hardware
        ]
        return statistics.median(took) if took else None
    here = [
        record
        for record in alike
        if record.cost.images
        and record.machine.hardware == hardware
        and record.cost.images_per_second
    ]
    if not here:
        return None
    speed = statistics.median(
        (r.cost.images_per_second or 0.0) * threads / r.machine.threads for r in here
    )
    return float(expected_epochs(run, stored) * images / speed)


def expected_epochs(run: PlannedRun, stored: Sequence[Stored]) -> float:
    """The median epochs of a network's records at this scale; without any its recipe's budget."""
    same = [
        r.cost.images / r.data.train_images
        for r in (item.record for item in stored)
        if r.key[:3] == run.key[:3] and r.cost.images and r.data
    ]
    return statistics.median(same) if same else float(run.recipe["epochs"])


def _alike(record: Record, run: PlannedRun) -> bool:
    """Whether both are trainings of one family that all claims share."""
    both = record.kind == run.kind == "train" and record.shared and run.shared
    return both and record.family == run.family
