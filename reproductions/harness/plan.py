"""What is there and what is missing: planned runs against records, with the reason for every run that must be made."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from alexnet.data.imageset import ImageSet
from reproductions.harness import provenance
from reproductions.harness.claim import PlannedRun, digest
from reproductions.harness.record import Record, Stored


@dataclass(frozen=True)
class Planned:
    """A planned run with its answer: a current record, or the reason why there is none."""

    run: PlannedRun
    current: Stored | None
    reason: str


@cache
def code_of(role: str) -> dict[str, str]:
    """Digests of the definitions that decide a run's result, by "module:name"."""
    return provenance.definitions_used(provenance.ENTRIES[role])


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
    old_code, new_code = record.code.definitions, code_of(run.role)
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


def plan(runs: Iterable[PlannedRun], stored: Sequence[Stored], fingerprint: str | None) -> list[Planned]:
    """Match every planned run with its records; the first current one counts, whatever machine it was made on."""
    by_key: dict[tuple[str, str, str, int], list[Stored]] = {}
    for item in stored:
        by_key.setdefault(item.record.key, []).append(item)
    planned = []
    for run in runs:
        reasons, current = [], None
        for item in by_key.get(run.key, []):
            found = differences(item.record, run, fingerprint)
            if not found and item.record.status == "failed":
                found = [f"it failed: {item.record.failure}"]
            if not found:
                current = item
                break
            reasons += found
        planned.append(Planned(run, current, "" if current else "; ".join(dict.fromkeys(reasons)) or "no record"))
    return planned


def expected_seconds(run: PlannedRun, stored: Sequence[Stored], images: int, hardware: str, threads: int) -> float | None:
    """How long a run takes by the records of its kind: their median speed on this hardware and median number of epochs.

    None without a record from this class of hardware with this number of threads.
    """
    speeds = [
        s.record.cost.images_per_second
        for s in stored
        if s.record.machine.hardware == hardware and s.record.machine.threads == threads and s.record.cost.images_per_second
    ]
    if not speeds or run.role == "inspect":
        return 0.0 if run.role == "inspect" else None
    same = [s.record.cost.images / images for s in stored if s.record.variant == run.variant and s.record.scale == run.scale]
    epochs = statistics.median(same) if same else run.recipe["epochs"]
    return float(epochs * images / statistics.median(speeds))
