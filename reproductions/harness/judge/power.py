"""What a plan can see before anything runs: its rows, each with the smallest detectable effect."""

import math
import os
import statistics
from collections.abc import Mapping
from typing import Any

from alexnet.data.imageset import ImageSet
from reproductions.harness.claims.claim import (
    Exact,
    PlannedRun,
    SpeedUp,
    Trained,
    Value,
    at_scale,
    question_runs,
)
from reproductions.harness.judge.rows import epochs_of, values_of
from reproductions.harness.judge.verdict import detectable
from reproductions.harness.plan.claim_plan import VERDICT, ClaimPlan
from reproductions.harness.plan.cost import estimates
from reproductions.harness.plan.counted import not_deciding
from reproductions.harness.records import provenance

ASSUMED_SPREAD = 0.1  # of log(epochs to the target) over seeds, where an arm has no records yet
# Likewise of a metric in percent: the standard deviation of ten-crop top-1 in the first mini
# records was 0.26 to 0.54 (n = 3 each).
ASSUMED_POINTS = 0.5


def plan_rows(work: ClaimPlan) -> list[dict[str, Any]]:
    """One row per planned run: state, reason, expected minutes; and the detectable effect."""
    seconds_of = estimates(work, len(os.sched_getaffinity(0)))
    rows, here = [], provenance.here()
    for item in work.planned:
        seconds = seconds_of(item.run) if item.current is None else 0.0
        today = here | of_images(work.images.get(item.run.dataset or "", {}))
        rows.append(
            {
                "run": str(item.run),
                "role": item.run.role,
                "state": "done" if item.current else "missing",
                "why": item.reason,
                "minutes": None if seconds is None else round(seconds / 60, 1),
                "detects": detects(work, item.run),
                "differs (informational)": "; ".join(
                    not_deciding(item.current.record, item.run, today) if item.current else ()
                ),
            }
        )
    return rows


def of_images(splits: Mapping[str, ImageSet]) -> dict[str, Any]:
    """Informational fields that a record would have of its images; none if they are not open."""
    canonical = all(images.meta.canonical for images in splits.values())
    return (
        {"data.source": splits["train"].meta.source, "data.canonical": canonical} if splits else {}
    )


def detects(work: ClaimPlan, run: PlannedRun) -> str:
    """The smallest effect that each question of the run tells from none in four of five attempts.

    By the spread over the seeds of the run's arm, where it has two records; else by what is assumed
    at the top of this file.
    """
    asked = [q for q in work.claim.questions if not isinstance(q, Exact) and run.role in VERDICT]
    mine = [
        q
        for q in asked
        if run.key in {other.key for other in question_runs(work.claim, q, work.scale)}
    ]
    return "; ".join(filter(None, (_detects(work, question, run) for question in mine)))


def _detects(work: ClaimPlan, question: Trained, run: PlannedRun) -> str:
    scaled = at_scale(work.claim, question, work.scale)
    n, current = len(scaled.seeds), [item.current for item in work.planned if item.current]
    items = [s for s in current if s.record.key[:3] == run.key[:3] and s.record.status == "ok"]
    if n < 2 or isinstance(scaled, Value):
        return ""
    if isinstance(scaled, SpeedUp):
        logs = [math.log(e) for e in epochs_of(items, scaled.target) if e is not None]
        ratio = math.exp(detectable(statistics.stdev(logs) if len(logs) > 1 else ASSUMED_SPREAD, n))
        return f"≥ {ratio:.2f}× (paper {scaled.paper:g}×)"
    values, arms = values_of(items, scaled.metric), len(scaled.variants)
    if arms == 1:
        values = [
            more - less
            for less, more in zip(values, values_of(items, scaled.metrics[1]), strict=True)
        ]
    least = detectable(
        statistics.stdev(values) if len(values) > 1 else ASSUMED_POINTS, n, arms=arms
    )
    return (
        f"{scaled.name} ≥ {least:.2f} "
        f"{scaled.unit}{'' if scaled.paper is None else f' (paper {scaled.paper:g})'}"
    )
