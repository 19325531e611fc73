"""Planned runs against records, with the reason for every run that must be made."""

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reproductions.harness.claims.claim import SCALES, Claim, planned_runs
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
    why_made,
)
from reproductions.harness.records.files import RESULTS
from reproductions.harness.records.load import read_records
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
    examined = {
        run.key: [(s, why_made(s, run, fingerprints, dirty=dirty)) for s in by_key.get(run.key, [])]
        for run in runs
    }
    answers = {key: [s for s, why in found if not why] for key, found in examined.items()}
    current, lacking = _choose(_whole_blocks(runs, blocks), answers, hardware, way, dirty=dirty)
    planned = {}
    for run in runs:
        found = None if run.key in lacking else current[run.key]
        reason = "" if found else _reason(examined[run.key], dirty=dirty)
        failed = any(
            s.record.status == "failed" and not differences(s.record, run, fingerprints)
            for s, _ in examined[run.key]
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


def _reason(examined: Sequence[tuple[Stored, list[str]]], *, dirty: bool) -> str:
    reasons = [reason for _, why in examined for reason in why]
    reasons += [
        f"done only on {', '.join(s.record.made_on)}"
        f"{', committed' * (dirty and not s.record.code.dirty)}, where the other arm is "
        "missing: a seed needs both arms on one kind of machine"
        for s, why in examined
        if not why
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
        if s.record.key == run.key and not why_made(s, run, fingerprints, dirty=dirty)
    ]
    mine = [s for s in earliest_first(answers) if hardware in (None, s.record.machine.hardware)]
    return next((s for s in mine if s.weights or s.record.status == "diverged"), None)


def sweep_note(left_out: int) -> list[str]:
    """The line on runs of sweeps that are missing and left out; none where there are none."""
    if not left_out:
        return []
    runs = f"learning-rate sweep run{'s' * (left_out > 1)}"
    return [f"{left_out} {runs} skipped; add --sweep to make them"]


def begun_scales(claim: Claim, begun: Collection[Key]) -> list[str]:
    """The scales at which some run of the claim is among those begun, the most faithful first."""
    scales = [scale for scale in SCALES if scale in claim.scales]
    return [s for s in scales if any(run.key in begun for run in planned_runs(claim, s))]


def recorded_scale(claim: Claim, results: Path) -> str:
    """The most faithful scale with records in `results`, or else with committed ones.

    Where there are none it is the scale that asks least of a machine, on real images.
    """
    for folder in (results, RESULTS):
        keys = {item.record.key for item in read_records(folder)[0]}
        if found := begun_scales(claim, keys):
            return found[0]
    return [scale for scale in claim.scales if scale != "smoke"][-1]


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
