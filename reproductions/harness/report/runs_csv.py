"""One flat row per record, plain numbers: runs.csv. `docs/columns.md` explains each column."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from reproductions.harness.records.store import Stored

# before the metrics that the networks of several claims have
ALWAYS = ("train_error", "epochs_to_target", "test_error")


def runs_csv(stored: Sequence[Stored], root: Path) -> str:
    """The text of runs.csv; `root` is the results folder."""
    shared = {name for item in stored if item.record.shared for name in item.record.metrics}
    metrics = [*ALWAYS, *sorted(shared - {*ALWAYS})]
    lines = [about(item, root) | _metrics(item, metrics) for item in stored]
    return pd.DataFrame(lines).to_csv(index=False, lineterminator="\n")


def about(item: Stored, root: Path) -> dict[str, Any]:
    """A record's columns before its metrics."""
    r = item.record
    return {
        "claim": r.claim,
        "question": r.question,
        "variant": r.variant,
        "scale": r.scale,
        "seed": r.seed,
        "kind": r.kind,
        "purpose": r.purpose,
        "status": r.status,
        "learning_rate": r.recipe.get("learning_rate"),
        "data": r.data.name if r.data else None,
        "fingerprint": r.data.fingerprint if r.data else None,
        "canonical": r.data.canonical if r.data else None,
        "hardware": r.machine.hardware,
        "threads": r.machine.threads,
        "precision": r.machine.precision,
        "wall_seconds": r.cost.wall_seconds,
        "images": r.cost.images,
        "images_per_second": r.cost.images_per_second,
        "attempts": r.cost.attempts,
        "training_version": r.version.training,
        "commit": r.code.commit,
        "uncommitted": r.code.dirty,
        "started": r.started,
        "record": str(item.folder.relative_to(root)),
    }


def _metrics(item: Stored, names: Sequence[str]) -> dict[str, float | None]:
    found = item.record.metrics
    return {name: found[name].value if name in found else None for name in names}
