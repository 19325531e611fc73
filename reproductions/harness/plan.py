"""What is there and what is missing: planned runs against records, with the reason for every run that must be made."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from alexnet.data.imageset import ImageSet
from reproductions.harness import provenance
from reproductions.harness.claim import PlannedRun, digest
from reproductions.harness.record import Record, Stored

Key = tuple[str, str, str, int]  # claim, variant, scale, seed


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


def fingerprint_of(splits: Mapping[str, ImageSet]) -> str | None:
    """One digest for the content of all splits, None where there are none."""
    return digest(sorted((name, split.meta.fingerprint) for name, split in splits.items())) if splits else None


def differences(record: Record, run: PlannedRun, fingerprint: str | None) -> list[str]:
    """Why a record does not answer a planned run today; empty if it does. `fingerprint` None: the data are not looked at."""
    reasons = [
        f"{part}.{name} was {old.get(name)!r}, is {new.get(name)!r}"
        for part, old, new in (("config", record.config, run.config), ("recipe", record.recipe, run.recipe))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    old_code, new_code = record.code.definitions, code_of(run)
    changed = [
        name.replace(":", ".") for name in sorted(old_code.keys() | new_code.keys()) if old_code.get(name) != new_code.get(name)
    ]
    if changed:
        reasons.append(f"code changed: {', '.join(changed[:3])}{' and more' if len(changed) > 3 else ''}")
    if not reasons and record.declaration != run.declaration:
        reasons.append("made under another declaration of the claim")
    if fingerprint and record.data and record.data.fingerprint != fingerprint:
        reasons.append(f"made from another copy of the data ({record.data.source})")
    return reasons


def plan(
    runs: Sequence[PlannedRun], stored: Sequence[Stored], fingerprint: str | None, hardware: str | None = None
) -> list[Planned]:
    """Match every planned run with its record. The runs of a question need records of one cohort, since nothing else is pooled.

    A cohort that answers a whole question counts, whatever machine it was made on. Otherwise the records of this machine's
    `hardware` count, or, where that is None, those of the cohort that answers the most.
    """
    by_key: dict[Key, list[Stored]] = {}
    for item in stored:
        by_key.setdefault(item.record.key, []).append(item)
    planned: dict[Key, Planned] = {}
    for question in dict.fromkeys(run.question for run in runs):
        mine = [run for run in runs if run.question == question]
        answers = {run.key: [s for s in by_key.get(run.key, []) if not _why_not(s, run, fingerprint)] for run in mine}
        cohort = _best_cohort(answers, hardware)
        for run in mine:
            current = next((s for s in answers[run.key] if s.record.cohort == cohort), None)
            reasons = [reason for s in by_key.get(run.key, []) for reason in _why_not(s, run, fingerprint)]
            reasons += [f"there only by {s.record.machine.hardware}, {s.record.machine.precision}" for s in answers[run.key]]
            failed = any(
                s.record.status == "failed" and not differences(s.record, run, fingerprint) for s in by_key.get(run.key, [])
            )
            reason = "" if current else "; ".join(dict.fromkeys(reasons)) or "no record"
            planned[run.key] = Planned(run, current, reason, failed and not current)
    return [planned[run.key] for run in runs]


def _why_not(item: Stored, run: PlannedRun, fingerprint: str | None) -> list[str]:
    reasons = differences(item.record, run, fingerprint)
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

    Speed is taken to grow with the number of threads. None without a record of such networks from
    this class of hardware; 0 for a count.
    """
    if run.role == "inspect":
        return 0.0
    alike = [s.record for s in stored if s.record.key[0] == run.claim and s.record.scale == run.scale and s.record.cost.images]
    here = [record for record in alike if record.machine.hardware == hardware and record.cost.images_per_second]
    if not here:
        return None
    speed = statistics.median((r.cost.images_per_second or 0.0) * threads / r.machine.threads for r in here)
    same = [r.cost.images / r.data.train_images for r in alike if r.variant == run.variant and r.data]
    epochs = statistics.median(same) if same else run.recipe["epochs"]
    return float(epochs * images / speed)
