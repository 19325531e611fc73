"""What is there and what is missing: planned runs against records, with the reason for every run that must be made."""

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from reproductions.harness import provenance
from reproductions.harness.claim import PlannedRun
from reproductions.harness.record import Machine, Record, Stored

Key = tuple[str, str, str, int]  # claim, variant, scale, seed
NOT_KEPT = "its weights are needed and not kept here"


@dataclass(frozen=True)
class Planned:
    """A planned run with its answer: a current record, or the reason why there is none."""

    run: PlannedRun
    current: Stored | None
    reason: str
    failed: bool = False  # the only record that fits says that the run failed


def code_of(run: PlannedRun) -> dict[str, str]:
    """Digests of the definitions that decide a run's result, by "module:name"; a count is decided by its claim's own file."""
    counted = (f"reproductions.{run.claim}:CLAIM",)
    return _used(counted if run.role == "inspect" else provenance.ENTRIES[run.role])


@cache
def _used(entries: tuple[str, ...]) -> dict[str, str]:
    """Once per process, which goes on with the code that it loaded."""
    return provenance.definitions_used(entries)


def differences(record: Record, run: PlannedRun, fingerprints: Mapping[str, str]) -> list[str]:
    """Why a record does not answer a planned run today; empty if it does. Data sets without a fingerprint are not looked at."""
    reasons = [
        f"{name} was {old!r}, is {new!r}"
        for part in ("config", "recipe")
        if getattr(record, part) != getattr(run, part)
        for name, old, new in _apart(dict(_flat(part, getattr(record, part))), dict(_flat(part, getattr(run, part))))
    ]
    before, now, machine = record.code.definitions, code_of(run), record.machine
    if _line(before, machine, machine.versions.get("triton", "")) != _line(now, machine, provenance.triton()):
        changed = [name.replace(":", ".") for name, _, _ in _apart(before, now)] or ["the kernels for GPUs"]
        reasons.append(f"code changed: {', '.join(changed[:3])}{' and more' if len(changed) > 3 else ''}")
    if not reasons and record.declaration != run.declaration:
        reasons.append("made under another declaration of the claim")
    if record.data and run.dataset and fingerprints.get(run.dataset, record.data.fingerprint) != record.data.fingerprint:
        reasons.append(f"made from another copy of the data ({record.data.source})")
    reasons += [
        f"made from networks of another copy of {part.dataset}"
        for part in record.made_from
        if fingerprints.get(part.dataset, part.fingerprint) != part.fingerprint
    ][:1]
    return reasons


def _line(code: dict[str, str], machine: Machine, kernels: str) -> str:
    return provenance.line(provenance.code_hash(code), machine.device, kernels)


def _apart(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The names under which two mappings have other values, with both values."""
    names = sorted(old.keys() | new.keys()) if old != new else []
    return [(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A config's numbers by their place in it, such as "config.members.0.recipe.epochs"."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        yield from _flat(name, dict(enumerate(value)))
    else:
        yield name, value


def plan(
    runs: Sequence[PlannedRun], stored: Sequence[Stored], fingerprints: Mapping[str, str], hardware: str | None = None
) -> list[Planned]:
    """Match every planned run with its record. The runs of a question need records of one cohort, since nothing else is pooled.

    A cohort that answers a whole question counts, whatever machine it was made on. Otherwise the records of this machine's
    `hardware` count, or, where that is None, those of the cohort that answers the most. A run whose record is there is planned
    again if a missing run needs its weights and this machine's were not kept.
    """
    by_key: dict[Key, list[Stored]] = {}
    for item in stored:
        by_key.setdefault(item.record.key, []).append(item)
    planned: dict[Key, Planned] = {}
    for group in dict.fromkeys(map(_group, runs)):
        mine = [run for run in runs if _group(run) == group]
        answers = {run.key: [s for s in by_key.get(run.key, []) if not _why_not(s, run, fingerprints)] for run in mine}
        cohort = _best_cohort(answers, hardware)
        for run in mine:
            current = next((s for s in answers[run.key] if s.record.cohort == cohort), None)
            reasons = [reason for s in by_key.get(run.key, []) for reason in _why_not(s, run, fingerprints)]
            reasons += [f"there only by {s.record.machine.hardware}, {s.record.machine.precision}" for s in answers[run.key]]
            failed = any(
                s.record.status == "failed" and not differences(s.record, run, fingerprints) for s in by_key.get(run.key, [])
            )
            reason = "" if current else "; ".join(dict.fromkeys(reasons)) or "no record"
            planned[run.key] = Planned(run, current, reason, failed and not current)
    for run in reversed(runs):  # what needs another stands behind it
        for need in run.needs if planned[run.key].current is None else ():
            if need.key in planned and planned[need.key].current and not kept(need, stored, fingerprints, hardware):
                planned[need.key] = Planned(need, None, NOT_KEPT)
    return [planned[run.key] for run in runs]


def _group(run: PlannedRun) -> tuple[object, ...]:
    """What runs share whose records are judged together, and so must be of one cohort."""
    return run.question, run.claim, provenance.ENTRIES.get(run.role)


def kept(run: PlannedRun, stored: Sequence[Stored], fingerprints: Mapping[str, str], hardware: str | None) -> Stored | None:
    """The record whose weights a run that needs this one takes: current, of this hardware, with its weights beside it.

    So one cohort goes from the first training to the verdict. A run that diverged has no weights to keep and comes back as it is.
    """
    answers = [s for s in stored if s.record.key == run.key and not _why_not(s, run, fingerprints)]
    mine = [s for s in answers if hardware in (None, s.record.machine.hardware)]
    return next((s for s in mine if s.weights or s.record.status == "diverged"), None)


def _why_not(item: Stored, run: PlannedRun, fingerprints: Mapping[str, str]) -> list[str]:
    reasons = differences(item.record, run, fingerprints)
    return reasons or ([f"it failed: {item.record.failure}"] if item.record.status == "failed" else [])


def _best_cohort(answers: dict[Key, list[Stored]], hardware: str | None) -> tuple[str, ...] | None:
    counts = Counter(cohort for found in answers.values() for cohort in {s.record.cohort for s in found})
    whole = sorted(cohort for cohort, count in counts.items() if count == len(answers))
    if whole:
        return whole[0]
    usable = {c: n for c, n in counts.items() if hardware is None or c[3] in ("", hardware)}
    return min(usable, key=lambda cohort: (-usable[cohort], cohort)) if usable else None


def expected_seconds(run: PlannedRun, stored: Sequence[Stored], images: int, hardware: str, threads: int) -> float | None:
    """How long a run takes by the records of its kind: their median number of epochs, and their median speed on this hardware.

    Speed is taken to grow with the number of threads, and AlexNets of a scale to be alike on all images. None without a record of
    such networks from this class of hardware; 0 for a count, and an average, which trains nothing, takes what others of it took.
    """
    if run.role == "inspect":
        return 0.0
    alike = [
        s.record
        for s in stored
        if s.record.scale == run.scale and (s.record.claim == run.claim or s.record.role == run.role == "train")
    ]
    if run.role == "average":
        took = [r.cost.wall_seconds for r in alike if r.key[:2] == run.key[:2] and r.machine.hardware == hardware]
        return statistics.median(took) if took else None
    alike = [record for record in alike if record.cost.images]
    here = [record for record in alike if record.machine.hardware == hardware and record.cost.images_per_second]
    if not here:
        return None
    speed = statistics.median((r.cost.images_per_second or 0.0) * threads / r.machine.threads for r in here)
    same = [r.cost.images / r.data.train_images for r in alike if r.key[:2] == run.key[:2] and r.data]
    epochs = statistics.median(same) if same else run.recipe["epochs"]
    return float(epochs * images / speed)
