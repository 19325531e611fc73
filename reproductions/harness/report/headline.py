"""The first lines of the report: what was found, and what Tables 1 and 2 still need."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

from alexnet.data.catalogue import DATASETS
from reproductions.harness.claims.claim import Claim, planned_runs
from reproductions.harness.claims.runs import Key, PlannedRun
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.records.store import Stored
from reproductions.harness.report.order import in_paper_order, short_place
from reproductions.harness.report.paper_tables import CELLS
from reproductions.harness.report.words import kind_of
from reproductions.harness.rule.verdict import DECIDED

AT_MOST = 3  # results that the first line names
GPUS = 8  # what the second line reckons with
IMAGENET = ("imagenet2010", "imagenet2012", "fall2009", "fall2011")


def found_line(rows: Sequence[VerdictRow]) -> str:
    """What was found, as one sentence."""
    asked = [row for row in rows if kind_of(row.question) == "empirical"]
    if not any(row.members for row in asked):
        return "Nothing has been trained yet, so no claim has an answer."
    decided = [row for row in asked if row.verdict.word in DECIDED]
    first = in_paper_order([row for row in decided if row.scale == "paper"])[:AT_MOST]
    named = "; ".join(
        f"{short_place(row.claim.section)} ({row.question.text}): {row.measured_text}, "
        f"paper {row.question.paper_text}, **{row.word}**"
        for row in first
    )
    left = {row.cell for row in asked} - {row.cell for row in first}
    others = [row for row in decided if row.cell in left]
    answered = len({row.cell for row in others})
    questions = f"{'other ' * bool(first)}questions that need training"
    tally = f" ({_tally(others)})" if others else ""
    verb = "is" if answered < 2 else "are"
    rest = f"of {len(left)} {questions} {answered or 'none'} {verb} answered{tally}"
    if named and not left:
        return f"{named}."
    return f"{named}; {rest}." if named else f"{rest[:1].upper()}{rest[1:]}."


def _tally(rows: Sequence[VerdictRow]) -> str:
    """How many rows have which word, and at which scale."""
    counts = Counter(f"{row.verdict.word} at scale {row.scale}" for row in rows)
    return ", ".join(f"{count} {words}" for words, count in sorted(counts.items()))


def imagenet_line(claims: Mapping[str, Claim], stored: Sequence[Stored]) -> str:
    """Whether networks were trained on ImageNet, and what Tables 1 and 2 still need."""
    done = [item for item in stored if _on_imagenet(item)]
    said = f"{len(done)} networks have been trained on ImageNet here"
    said = said if done else "No network has been trained on ImageNet here"
    asked = dict.fromkeys(cell.partition(".")[0] for cell in CELLS)
    names = [name for name in asked if name in claims]
    runs = _missing([claims[name] for name in names], {item.record.key for item in stored})
    if not names:
        return f"{said}."
    if not runs:
        return f"{said}; Tables 1 and 2 below rest on them."
    so = "so Tables 1 and 2 are not reproduced" if not done else "and Tables 1 and 2 need more"
    command = f"`python -m reproductions submit {' '.join(names)} --scale paper`"
    return f"{said}, {so}; {command} {_cost(runs, done)}."


def _on_imagenet(item: Stored) -> bool:
    record = item.record
    trained = record.kind == "train" and record.status == "ok" and record.data is not None
    return trained and record.scale == "paper" and record.data.name in IMAGENET  # type: ignore[union-attr]


def _missing(claims: Sequence[Claim], there: set[Key]) -> list[PlannedRun]:
    """The trainings at scale `paper` without a record, each once."""
    runs = {run.key: run for claim in claims for run in planned_runs(claim, "paper")}
    return [run for key, run in runs.items() if run.kind == "train" and key not in there]


def _cost(runs: Sequence[PlannedRun], done: Sequence[Stored]) -> str:
    """GPU-hours by the median speed of networks trained on ImageNet; without one the epochs."""
    speeds = [
        item.record.cost.images_per_second / item.record.machine.processes
        for item in done
        if item.record.machine.device == "cuda" and item.record.cost.images_per_second
    ]
    epochs = sum(run.recipe["epochs"] for run in runs)
    if not speeds:
        return (
            f"would train the {len(runs)} networks that they need, {epochs:,} epochs in all; no "
            "GPU has been timed yet"
        )
    images = sum(run.recipe["epochs"] * DATASETS[run.dataset or ""].images for run in runs)
    hours = images / statistics.median(speeds) / 3600
    return (
        f"on {GPUS} GPUs for about {hours / GPUS:,.0f} hours would train all {len(runs)} networks"
    )
