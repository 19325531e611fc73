"""What a sweep of learning rates found."""

import math
import statistics
from dataclasses import dataclass

from reproductions.harness.claims.epoch_ratio import EpochRatio
from reproductions.harness.judge.rows import VerdictRow


@dataclass(frozen=True)
class SweepPoint:
    """A sweep run's epochs to the target (None if not reached) and its last training error."""

    epochs: float | None
    error: float  # percent; infinite if the run diverged

    def __str__(self) -> str:
        if self.epochs is not None:
            return f"{self.epochs:.2f} epochs"
        return "diverged" if math.isinf(self.error) else f"{self.error:.1f} %"


def sweep_table(row: VerdictRow, question: EpochRatio) -> dict[str, dict[float, list[SweepPoint]]]:
    """The tuning runs of an epoch ratio by arm and rate."""
    table: dict[str, dict[float, list[SweepPoint]]] = {arm.name: {} for arm in question.arms}
    for item in row.sweep:
        record = item.record
        error = record.metrics["train_error"].value if record.status != "diverged" else None
        point = SweepPoint(question.epochs(item), math.inf if error is None else error)
        arm, _, _ = record.variant.rpartition("-rate")
        table[arm].setdefault(record.recipe["learning_rate"], []).append(point)
    return {arm: dict(sorted(rates.items())) for arm, rates in table.items()}


def best_rate(rates: dict[float, list[SweepPoint]]) -> float | None:
    """The rate with the fewest mean epochs to the target, else with the lowest training error."""

    def merit(rate: float) -> tuple[float, float]:
        runs = rates[rate]
        epochs = [math.inf if run.epochs is None else run.epochs for run in runs]
        return statistics.fmean(epochs), statistics.fmean(run.error for run in runs)

    return min(rates, key=merit) if rates else None
