"""What is measured of a trained network: the metrics that claims ask of its run."""

import math

from alexnet.version import TRAINING
from reproductions.harness.claims.claim import Claim, asked_runs, discover
from reproductions.harness.claims.epoch_ratio import SPEED_METRICS
from reproductions.harness.claims.metrics import OF_NETWORKS, MetricSpec
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.execute.trained import Trained
from reproductions.harness.records.schema import Metric


def measure(trained: Trained, claim: Claim) -> dict[str, Metric]:
    """The metrics of a run; of one that diverged those of its history, if its question needs them.

    Raises RuntimeError, which fails the run and keeps its checkpoint, for a metric that gives no
    finite number.
    """
    if trained.diverged:
        found = [OF_NETWORKS[name] for name in SPEED_METRICS if trained.alone]
    else:
        found = metrics_of(trained.run, claim)
    return {spec.name: _measured(spec, trained) for spec in found}


def metrics_of(run: PlannedRun, claim: Claim) -> list[MetricSpec]:
    """What is measured of a run: what all claims ask of it, and what a record always has."""
    table, asked = dict(OF_NETWORKS), {*_always(run), *run.metrics}
    for other in {**discover(), claim.name: claim}.values():
        planned = asked_runs(other, run.scale) if run.scale in other.scales else []
        mine = [name for each in planned if each.key == run.key for name in each.metrics]
        asked.update(mine)
        table |= {spec.name: spec for spec in other.own_metrics if spec.name in mine}
    return [spec for name, spec in table.items() if name in asked]


def _always(run: PlannedRun) -> tuple[str, ...]:
    """The training error, and the error by the answers that are stored for each image."""
    if run.shared:
        return "train_error", "top1_ten" if run.family in TRAINING else "top1"
    return (*SPEED_METRICS, "test_error") if run.of_verdict else SPEED_METRICS


def _measured(spec: MetricSpec, trained: Trained) -> Metric:
    try:
        value = spec.measure(trained)
        if not (value is None and spec.may_lack):
            value = float(value)  # type: ignore[arg-type]  # None is an error as any other
    except Exception as error:
        raise RuntimeError(f"the metric {spec.name}: {type(error).__name__}: {error}") from error
    if value is not None and not math.isfinite(value):
        raise RuntimeError(f"the metric {spec.name} is {value} and not a finite number")
    examples = trained.count(spec.over)
    return Metric(value=value, unit=spec.unit, split=spec.split, examples=examples)
