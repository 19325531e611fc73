"""What a sweep of learning rates found, and how sure it is."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reproductions.harness.claims.epoch_ratio import TO_TARGET, EpochRatio
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.records.store import Stored
from reproductions.harness.rule.curves import pass_means, points
from reproductions.harness.rule.verdict import DECIDED


@dataclass(frozen=True)
class SweepPoint:
    """A tuning run: its epochs to the target, None if not reached, and its last training error."""

    epochs: float | None
    error: float  # percent, over the last whole pass; infinite if the run diverged
    sampling: float = 0.0  # the standard error of that mean over the images of a pass, points
    epochs_sampling: float = 0.0  # the same in epochs, by the slope of the curve's last pass

    def __str__(self) -> str:
        if self.epochs is not None:
            return f"{self.epochs:.2f} epochs"
        return "diverged" if math.isinf(self.error) else f"{self.error:.1f} %"


Tried = Mapping[float, Sequence[SweepPoint]]  # the tuning runs of an arm by rate


def sweep_table(
    row: VerdictRow, question: EpochRatio, *, to_target: bool = False
) -> dict[str, dict[float, list[SweepPoint]]]:
    """The tuning runs of an epoch ratio by arm and rate: of the grid, or those run `to_target`."""
    table: dict[str, dict[float, list[SweepPoint]]] = {arm.name: {} for arm in question.arms}
    for item in row.sweep:
        if item.record.variant.endswith(TO_TARGET) == to_target:
            arm, _, _ = item.record.variant.rpartition("-rate")
            rates = table[arm].setdefault(item.record.recipe["learning_rate"], [])
            rates.append(_point(item, question))
    return {arm: dict(sorted(rates.items())) for arm, rates in table.items()}


def _point(item: Stored, question: EpochRatio) -> SweepPoint:
    data = item.record.data
    if item.record.status == "diverged" or data is None:
        return SweepPoint(None, math.inf)
    means = pass_means(points(item.history()), data.train_images)
    error = means[-1][1] if means else item.record.metrics["train_error"].value
    assert error is not None
    sampling = math.sqrt(error * (100 - error) / data.train_images)
    before = [value for epoch, value in means if epoch <= means[-1][0] - 0.99]
    slope = before[-1] - error if before else 0.0  # points per epoch
    late = sampling / slope if slope > 0 else 0.0
    return SweepPoint(question.epochs(item), error, sampling, late)


def best_rate(rates: Tried) -> float | None:
    """The rate with the fewest mean epochs to the target, else with the lowest training error."""
    return min(rates, key=lambda rate: _merit(rates[rate])) if rates else None


def _merit(runs: Sequence[SweepPoint]) -> tuple[float, float]:
    epochs = [math.inf if run.epochs is None else run.epochs for run in runs]
    return statistics.fmean(epochs), statistics.fmean(run.error for run in runs)


def level_with(rates: Tried, best: float) -> list[float]:
    """The rates that the best one does not beat by more than the sampling error of both."""
    return [rate for rate in rates if rate != best and _is_level(rates[best], rates[rate])]


def _is_level(best: Sequence[SweepPoint], other: Sequence[SweepPoint]) -> bool:
    (epochs, error), (other_epochs, other_error) = _merit(best), _merit(other)
    if math.isfinite(epochs) or math.isfinite(other_epochs):
        late = [run.epochs_sampling for run in (*best, *other)]
        return other_epochs - epochs < _of_means(late)
    return other_error - error < _of_means([run.sampling for run in (*best, *other)])


def _of_means(errors: Sequence[float]) -> float:
    """The standard error of a difference of two means of equally many runs."""
    return math.sqrt(sum(error**2 for error in errors)) / (len(errors) / 2)


def sweep_notes(row: VerdictRow, question: EpochRatio) -> list[str]:
    """What a reader should know of the chosen rates, a sentence each."""
    sweep = question.sweep
    assert sweep is not None
    tried, settled = sweep_table(row, question), sweep_table(row, question, to_target=True)
    notes = []
    for arm in question.arms:
        rates, ran = tried[arm.name], settled[arm.name]
        if (best := best_rate(rates)) is None:
            continue
        if open_ := _open_questions(rates, best, sweep.rates):
            notes.append(f"Of the rates of {arm.name}, {', and '.join(open_)}{_decided_by(ran)}")
            best = best_rate(ran) or best
        if best != (used := arm.recipe.learning_rate):
            notes.append(f"The rate used for {arm.name} is {used:g}; its best here is {best:g}.")
    asked = len(question.arms) * len(sweep.rates) * len(sweep.seeds) + len(sweep.to_target)
    if len(row.sweep) < asked:
        notes.append(f"{asked - len(row.sweep)} of {asked} tuning runs have no record.")
    return notes


def unsettled(row: VerdictRow) -> bool:
    """Whether the sweep of a row with a word leaves open which learning rate is the best."""
    question = row.scaled
    if not (row.sweep and row.verdict.word in DECIDED and isinstance(question, EpochRatio)):
        return False
    tried, settled = sweep_table(row, question), sweep_table(row, question, to_target=True)
    assert question.sweep is not None
    return any(
        (best := best_rate(rates)) is not None
        and not _is_settled(rates, best, settled[arm], question.sweep.rates)
        for arm, rates in tried.items()
    )


def _is_settled(rates: Tried, best: float, settled: Tried, grid: Sequence[float]) -> bool:
    """Whether nothing is left open of a best rate, or runs to the target have decided it.

    They have if they hold all rates that were level, one of them is the best by more than the
    sampling error, and it is not the outermost of all that were tried.
    """
    if not _open_questions(rates, best, grid):
        return True
    winner = best_rate(settled)
    if winner is None or not {best, *level_with(rates, best)} <= settled.keys():
        return False
    everywhere = (*grid, *settled)
    return not level_with(settled, winner) and min(everywhere) < winner < max(everywhere)


def _open_questions(rates: Tried, best: float, grid: Sequence[float]) -> list[str]:
    """What the grid leaves open of a best rate."""
    level = [f"{rate:g}" for rate in level_with(rates, best)]
    found = [f"{best:g} is level with {' and '.join(level)}"] if level else []
    return found + [f"{best:g} is on the edge of the grid"] * (best in (grid[0], grid[-1]))


def _decided_by(settled: Tried) -> str:
    """How a sentence on open rates ends."""
    if not settled:
        return "; no runs to the target have decided it yet."
    runs = ", ".join(f"{rate:g}: {', '.join(map(str, found))}" for rate, found in settled.items())
    return f". Runs to the target took ({runs})."
