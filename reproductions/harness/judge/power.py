"""What a plan can see before anything runs: its rows, each with the smallest detectable effect."""

import os
from collections.abc import Mapping
from typing import Any

from alexnet.data.imageset import ImageSet
from reproductions.harness.claims.claim import question_runs
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.plan.claim_plan import ClaimPlan
from reproductions.harness.plan.cost import Estimate, estimates
from reproductions.harness.plan.counted import not_deciding
from reproductions.harness.records import provenance


def plan_rows(work: ClaimPlan) -> list[dict[str, Any]]:
    """One row per planned run: state, reason, expected minutes; and the detectable effect."""
    seconds_of = estimates(work, len(os.sched_getaffinity(0)))
    rows, here = [], provenance.here()
    for item in work.planned:
        time = seconds_of(item.run) if item.current is None else Estimate(0.0, "")
        today = here | of_images(work.images.get(item.run.dataset or "", {}))
        rows.append(
            {
                "run": str(item.run),
                "purpose": item.run.purpose,
                "state": "done" if item.current else "missing",
                "why": item.reason,
                "minutes": time and round(time.seconds / 60, 1),
                "minutes from records of": time and time.machine,
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

    By the spread of the pairs that have records, where there are two; else by what the question
    assumes.
    """
    if not run.of_verdict:
        return ""
    current = [item.current for item in work.planned if item.current]
    counted = [item for item in current if item.record.status == "ok"]
    found = []
    for question in work.claim.questions:
        scaled = question.at(work.scale, work.claim.scales[work.scale])
        keys = {other.key for other in question_runs(work.claim, question, work.scale)}
        if run.key in keys and len(scaled.seeds) > 1:
            arms = [
                [item for item in counted if item.record.variant == arm.name] for arm in scaled.arms
            ]
            found.append(scaled.detects(arms))
    return "; ".join(filter(None, found))
