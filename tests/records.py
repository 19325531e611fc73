"""Finished records for tests of judge and report, with history and answers that fit."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.records import store as records
from reproductions.harness.records.arrays import array_files
from reproductions.harness.records.examples import (
    COLUMNS,
    NEAREST,
    Example,
    Examples,
    Guess,
    example_files,
)
from reproductions.harness.records.history import HISTORY
from reproductions.harness.records.provenance import GitState
from reproductions.harness.records.schema import (
    Code,
    Cost,
    Data,
    Machine,
    Metric,
    Record,
    Version,
    version_of,
)

# of a history: step, epoch, images, loss, error, seconds
Row = tuple[int, float, int, float, float, float]


def planned(variant: str, seed: int, scale: str = "paper", claim: str = "fig1_relu") -> PlannedRun:
    """A run of today's plan."""
    return next(
        r for r in planned_runs(discover()[claim], scale) if (r.variant, r.seed) == (variant, seed)
    )


CIFAR10 = Data(
    name="cifar10",
    source="the tests",
    train_images=50_000,
    test_images=10_000,
    fingerprint="0123456789ab",
    canonical=True,
)
MACHINE = Machine(
    hardware="a processor",
    device="cpu",
    threads=2,
    precision="bf16",
    determinism="bitwise",
    versions={"python": "3.11.0", "torch": "2.11.0", "numpy": "2.0.0", "system": "Linux"},
)


def percent(split: str, **values: float) -> dict[str, Metric]:
    """Errors on 10,000 images."""
    about: dict[str, Any] = {"unit": "percent", "split": split, "examples": 10_000}
    return {name: Metric(value=value, **about) for name, value in values.items()}


def record_of(
    run: PlannedRun, status: str, metrics: dict[str, Metric], wall: float = 90.0, **fields: Any
) -> Record:
    """A record of a planned run; `fields` of the record, of its data or of its machine."""
    names = ("claim", "question", "variant", "scale", "seed", "kind", "purpose", "config", "recipe")
    usual: dict[str, Any] = {name: getattr(run, name) for name in (*names, "declaration")}
    usual |= {"version": version_of(run.family, metrics), "started": "2026-01-01T00:00:00Z"}
    usual["code"] = Code(commit="f" * 40, dirty=fields.pop("dirty", False))
    cost: dict[str, Any] = {"images": 320_000, "images_per_second": 3_000.0, "attempts": 1}
    usual["cost"] = Cost(wall_seconds=wall, peak_memory_bytes=10**9, **cost)
    for name, part in (("data", CIFAR10), ("machine", MACHINE)):
        own = {key: fields.pop(key) for key in part.model_fields_set & fields.keys()}
        usual[name] = part.model_copy(update=own)
    return settled(Record(status=status, metrics=metrics, **usual | fields))  # type: ignore[arg-type]


def make_record(
    variant: str = "relu",
    seed: int = 0,
    *,
    epochs: float | None = 6.5,
    status: str | None = None,
    scale: str = "paper",
    training: int | None = None,
    rate: float | None = None,
    **fields: Any,
) -> Record:
    """A record that answers today's plan, except where told otherwise by options as above."""
    run = planned(variant, seed, scale)
    metrics = percent("train", train_error=0.0)
    metrics["epochs_to_target"] = Metric(
        value=epochs, unit="epochs", split="train", examples=10_000
    )
    if run.purpose == "verdict":
        metrics |= percent("test", test_error=30.0 + seed / 10)
    if training is not None:
        version = version_of(run.family, metrics)
        fields["version"] = Version(training=training, metrics=version.metrics)
    if rate is not None:
        fields["recipe"] = {**run.recipe, "learning_rate": rate}
    status = status or ("ok" if epochs is not None else "censored")
    return record_of(run, status, metrics, **fields)


def make_alexnet(
    variant: str,
    seed: int,
    claim: str = "dropout",
    *,
    hardware: str = "a processor",
    run: PlannedRun | None = None,
    **metrics: float,
) -> Record:
    """A record of an AlexNet, or of an average, at scale mini; without metrics it diverged.

    `run` where its name is not enough.
    """
    run = run or planned(variant, seed, "mini", claim)
    return record_of(
        run,
        "ok" if metrics else "diverged",
        percent("test", **metrics),
        question="",
        name=run.dataset,
        train_images=100_000,
        hardware=hardware,
    )


def example_files_of(labels: list[str], side: int = 32) -> dict[str, bytes]:
    """The second guess (30 %) is right in every other image; two neighbours match by features."""
    others = [f"other {k}" for k in range(NEAREST)]
    images = []
    for k, label in enumerate(labels):
        names = [others[0], label if k % 2 == 0 else others[1], *others[2:5]]
        best = tuple(
            Guess(name=n, probability=p)
            for n, p in zip(names, (0.5, 0.3, 0.1, 0.05, 0.0), strict=True)
        )
        by_features, by_pixels = (label, others[0], label, *others[1:4]), (*others[:5], label)
        images.append(Example(label=label, best=best, by_features=by_features, by_pixels=by_pixels))
    levels = (
        np.linspace(20, 230, len(labels) * COLUMNS)
        .round()
        .astype(np.uint8)
        .reshape(len(labels), COLUMNS, 1, 1, 1)
    )
    # even grey, which JPEG keeps
    pictures = np.broadcast_to(levels, (len(labels), COLUMNS, side, side, 3))
    return example_files(Examples(views=10, among=10_000, images=tuple(images)), pictures)


def colour_gap(weights: np.ndarray) -> float:
    """How far the halves of conv1's kernels [maps, 3, S, S] differ in colour, in points."""
    wide = weights.astype(float)
    colour = wide - wide.mean(1, keepdims=True)
    share = (colour**2).sum((1, 2, 3)) / (wide**2).sum((1, 2, 3))
    middle = len(share) // 2
    return float(100 * abs(share[:middle].mean() - share[middle:].mean()))


def keep(root: Path, record: Record) -> Path:
    """Write the record of an AlexNet with a file of weights beside it, which nothing reads."""
    file = root / "weights"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(record.id.encode())
    digits = hashlib.sha256(file.read_bytes()).hexdigest()
    return write_record(root, record.model_copy(update={"weights": digits}), 2.0, weights=file)


def settled(record: Record) -> Record:
    """A record whose images, speed and last training error match `write_record`'s history."""
    rows = history_of(record)
    if not rows:
        idle = record.cost.model_copy(update={"images": 0, "images_per_second": None})
        return record if record.status == "failed" else record.model_copy(update={"cost": idle})
    images = sum(row[2] for row in rows)
    cost = {"images": images, "images_per_second": round(images / record.cost.wall_seconds, 1)}
    metrics = dict(record.metrics)
    if record.question:
        metrics["train_error"] = metrics["train_error"].model_copy(update={"value": rows[-1][4]})
    return record.model_copy(
        update={"cost": record.cost.model_copy(update=cost), "metrics": metrics}
    )


def history_of(record: Record, epochs: float | None = None) -> list[Row]:
    """A history that a record can have.

    An AlexNet's error falls in a straight line from 75 to 25 % at `epochs`.
    """
    if record.status == "failed" or record.data is None or record.kind == "ensemble":
        return []
    if record.question:
        return rows_of(record, *_of_cifar(record))
    first, last = (_value(record, name) for name in ("first_epoch_error", "train_error"))

    def error_at(epoch: float) -> float:
        if epochs is not None:
            return max(75 - 50 * epoch / epochs, 20.0)
        return (90.0 if first is None else first) if epoch <= 1 else 50.0 if last is None else last

    return rows_of(record, error_at, 5 * record.recipe["epochs"])


def _of_cifar(record: Record) -> tuple[Callable[[float], float], int]:
    """The error by epoch, and how many rows there are until target or budget are reached."""
    target, reached = record.recipe["target_train_error"], _value(record, "epochs_to_target")
    if reached is None:
        return lambda _: 75.0, 3 if record.status == "diverged" else 5 * record.recipe["epochs"]
    assert record.data is not None
    steps = -(-record.data.train_images // record.recipe["batch_size"])
    count = next(k for k in range(1, 1000) if round(steps * k / 5) / steps > reached)
    return lambda epoch: 75 - (75 - target) * epoch / reached, count


def rows_of(record: Record, error_at: Callable[[float], float], count: int) -> list[Row]:
    """`count` rows, five an epoch, that end at the record's seconds."""
    assert record.data is not None
    rows: list[Row] = []
    train, batch, seen = record.data.train_images, record.recipe["batch_size"], 0
    steps = -(-train // batch)
    loss = 1 + crc32(repr(record.key).encode()) / 1e12  # no two runs have the same history
    for k in range(1, count + 1):
        step = round(steps * k / 5)
        if rows and rows[-1][0] == step:
            continue
        images = step // steps * train + step % steps * batch
        seconds = record.cost.wall_seconds * k / count
        rows.append((step, step / steps, images - seen, loss, error_at(step / steps), seconds))
        seen = images
    return rows


def _value(record: Record, name: str) -> float | None:
    return record.metrics[name].value if name in record.metrics else None


def answers_of(record: Record) -> dict[str, bytes]:
    """The file of answers per image that give a record's error."""
    error = _value(record, "test_error" if record.question else "top1_ten")
    if error is None or record.data is None:
        return {}
    count = record.data.test_images
    return array_files(np.arange(count) < round(count * (1 - error / 100)), None)


def write_record(
    root: Path,
    record: Record,
    epochs: float | None = None,
    files: Any = None,
    weights: Path | None = None,
) -> Path:
    """Store a record with a history, as `history_of` makes it, and answers that fit it."""
    whole = {**answers_of(record), **(files or {})}
    return records.write_record(
        root, record, history_of(record, epochs), files=whole, weights=weights
    )


def curve_files(record: Record, kernels: Any, validation: float) -> dict[str, Any]:
    """History with AlexNet's columns, answers and kernels, as arguments of `write_record`."""
    rows = [
        (*row, 0.01, validation if float(row[1]).is_integer() else None)
        for row in history_of(record)
    ]
    columns = (*HISTORY, "learning_rate", "validation_error")
    return {
        "history": rows,
        "columns": columns,
        "files": {**answers_of(record), **array_files(None, kernels)},
    }


def git_tree(dirty: bool | None) -> GitState:
    """A clean or changed checkout of this project; None: no checkout."""
    return GitState(None if dirty is None else "f" * 40, ("alexnet/io.py",) * bool(dirty))


def store(root: Path, *made: Record) -> None:
    """Write records with histories that fit them."""
    for record in made:
        write_record(root, record)


RELU, TANH = (6.1, 6.3, 5.9, 6.2, 6.0), (36.5, 37.0, 35.2, 38.1, 36.0)


def full_set(root: Path, **options: Any) -> None:
    """Five seeds per arm that confirm the claim, and a sweep."""
    for seed, (fast, slow) in enumerate(zip(RELU, TANH, strict=True)):
        store(root, make_record("relu", seed, epochs=fast, **options))
        store(root, make_record("tanh", seed, epochs=slow, **options))
    for run in planned_runs(discover()["fig1_relu"], options.get("scale", "paper")):
        if run.purpose == "sweep" and run.question == "speedup":
            used = planned(run.variant.split("-rate")[0], 0).recipe["learning_rate"]
            epochs = 7.0 if run.recipe["learning_rate"] == used else None
            store(root, make_record(run.variant, run.seed, epochs=epochs, **options))
