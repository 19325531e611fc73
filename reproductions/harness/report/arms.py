"""The arms of a question: the numbers of each, and whether the ablated one has the lower error."""

import statistics
from collections.abc import Sequence

from reproductions.harness.claims.metrics import METRICS
from reproductions.harness.claims.question import Question, by_seed, value_of
from reproductions.harness.claims.questions import Difference
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.records.store import Stored
from reproductions.harness.report.sampling import TEST_ERRORS, noise_floor
from reproductions.harness.rule.effect import effect_of
from reproductions.harness.rule.text import UNITS, interval, number

# What claims on errors or on overfitting read, and what their pages show for each arm.
ERRORS = (*TEST_ERRORS, "top1_train", "gap", "train_error", "first_epoch_error")
SPREAD = "sd (noise floor)"
SHOWN = ("top1", "top1_ten", "top1_train", "gap")


def on_errors(question: Question) -> bool:
    """Whether a question compares two networks' errors or their overfitting."""
    if not isinstance(question, Difference) or question.of == question.minus:
        return False
    return set(question.metrics) <= set(ERRORS)


def arm_rows(row: VerdictRow) -> list[dict[str, str]]:
    """A line for each arm and quantity; of claims on errors also the errors beside the claim."""
    question = row.scaled
    lines = []
    for name in _quantities(row):
        items = {arm.name: row.arm(arm.name) for arm in question.arms}
        values = {
            arm: [value for item in runs if (value := _value(question, item, name)) is not None]
            for arm, runs in items.items()
        }
        if any(values.values()):
            lines += [_line(arm, name, items[arm], values[arm]) for arm in items if items[arm]]
    return lines


def _quantities(row: VerdictRow) -> list[str]:
    """The names of a question's numbers, then those that are shown beside it."""
    own = [name for item in row.members[:1] for name in row.scaled.values(item)]
    return list(dict.fromkeys([*own, *(SHOWN if on_errors(row.question) else ())]))


def _value(question: Question, item: Stored, name: str) -> float | None:
    own = question.values(item)
    return own[name] if name in own else value_of(item, name)


def _line(arm: str, name: str, items: Sequence[Stored], values: Sequence[float]) -> dict[str, str]:
    answers = [found for item in items if (found := item.answers(name))]
    floor = noise_floor(answers) if len(answers) == len(values) else None
    return {
        "Quantity": f"{quantity_text(name)}{_unit(items, name)}",
        "Arm": arm,
        "n": f"{len(values)} of {len(items)}",
        "mean [95 %]": interval(values),
        SPREAD: _spread(values, floor),
        "min–max": f"{min(values):.2f}–{max(values):.2f}" if values else "–",
    }


def quantity_text(name: str) -> str:
    """What a metric is, with its name; any other quantity as it is called."""
    if name not in METRICS:
        return f"`{name}`"
    return f"{METRICS[name].description.rstrip('.')} (`{name}`)"


def _unit(items: Sequence[Stored], name: str) -> str:
    units = {metric.unit for item in items if (metric := item.record.metrics.get(name))}
    return "".join(f",{UNITS.get(unit, f' {unit}')}" for unit in sorted(units))


def _spread(values: Sequence[float], floor: float | None) -> str:
    if len(values) < 2:
        return "–"
    return f"{statistics.stdev(values):.2f}" + ("" if floor is None else f" ({floor:.2f})")


def better_without(row: VerdictRow) -> str:
    """By how much the ablated arm has the lower test error; "" where its interval holds 0.

    Of the test errors that both arms of all seeds have, the question's own counts, else that of
    the central crop.
    """
    if not on_errors(row.question) or not row.members:
        return ""
    assert isinstance(row.scaled, Difference)
    minus, of = row.scaled.arms
    pairs = by_seed([row.arm(minus.name), row.arm(of.name)])
    for metric in dict.fromkeys([row.scaled.metric, "top1", "top1_ten"]):
        both = [(value_of(whole, metric), value_of(without, metric)) for whole, without in pairs]
        found = [x - y for x, y in both if x is not None and y is not None]
        if metric in TEST_ERRORS and found and len(found) == len(pairs):
            effect = effect_of(found)
            limits = effect.interval()
            sure = limits is not None and limits[0] > 0
            return f"by {number(effect.mean)} points of `{metric}`" if sure else ""
    return ""
