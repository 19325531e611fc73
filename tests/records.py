"""Finished records for the tests that judge and report: real ones in everything but their numbers."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from reproductions.harness.claim import PlannedRun, discover, planned_runs
from reproductions.harness.examples import COLUMNS, NEAREST, Example, Examples, Guess, example_files
from reproductions.harness.record import Code, Cost, Data, Machine, Metric, Record, Version, version_of, write_record


def planned(variant: str, seed: int, scale: str = "paper", claim: str = "fig1_relu") -> PlannedRun:
    """A run of today's plan."""
    return next(r for r in planned_runs(discover()[claim], scale) if (r.variant, r.seed) == (variant, seed))


def make_record(
    variant: str = "relu",
    seed: int = 0,
    *,
    epochs: float | None = 6.5,
    status: str | None = None,
    scale: str = "paper",
    fingerprint: str = "0123456789ab",
    canonical: bool = True,
    hardware: str = "a processor",
    precision: str = "bf16",
    training: int | None = None,
    dirty: bool = False,
    started: str = "2026-01-01T00:00:00Z",
    rate: float | None = None,
    declaration: str | None = None,
    wall: float = 90.0,
) -> Record:
    """A record that answers today's plan, except where told otherwise."""
    run = planned(variant, seed, scale)
    metrics = {"train_error": Metric(value=24.5, unit="percent", split="train", examples=10_000)}
    metrics["epochs_to_target"] = Metric(value=epochs, unit="epochs", split="train", examples=10_000)
    if run.role == "evaluate":
        metrics["test_error"] = Metric(value=30.0 + seed / 10, unit="percent", split="test", examples=10_000)
    version = version_of(run.role, metrics)
    data: dict[str, Any] = {"name": "cifar10", "source": "the tests", "train_images": 50_000, "test_images": 10_000}
    return Record(
        claim=run.claim,
        question=run.question,
        variant=variant,
        scale=scale,  # type: ignore[arg-type]
        seed=seed,
        role=run.role,
        status=status or ("ok" if epochs is not None else "censored"),  # type: ignore[arg-type]
        metrics=metrics,
        config=run.config,
        recipe=run.recipe if rate is None else {**run.recipe, "learning_rate": rate},
        declaration=run.declaration if declaration is None else declaration,
        data=Data(**data, fingerprint=fingerprint, canonical=canonical),
        version=version if training is None else Version(training=training, metrics=version.metrics),
        code=Code(commit="f" * 40, dirty=dirty),
        machine=Machine(
            hardware=hardware,
            device="cpu",
            threads=2,
            precision=precision,
            determinism="bitwise",
            versions={"python": "3.11.0", "torch": "2.11.0", "numpy": "2.0.0", "system": "Linux"},
        ),
        cost=Cost(wall_seconds=wall, images=320_000, images_per_second=3_000.0, peak_memory_bytes=10**9, attempts=1),
        started=started,
    )


def make_alexnet(
    variant: str,
    seed: int,
    claim: str = "dropout",
    *,
    hardware: str = "a processor",
    run: PlannedRun | None = None,
    **metrics: float,
) -> Record:
    """A record of an AlexNet, or of an average, at scale mini; without metrics it diverged. `run` where its name is not enough."""
    run = run or planned(variant, seed, "mini", claim)
    like = make_record()
    return like.model_copy(
        update={
            "claim": run.claim, "question": "", "variant": run.variant, "scale": run.scale, "seed": run.seed, "role": run.role,
            "status": "ok" if metrics else "diverged", "config": run.config, "recipe": run.recipe, "declaration": run.declaration,
            "metrics": {name: Metric(value=v, unit="percent", split="test", examples=10_000) for name, v in metrics.items()},
            "data": like.data and like.data.model_copy(update={"name": run.dataset, "train_images": 100_000}),
            "version": version_of(run.role, metrics),
            "machine": like.machine.model_copy(update={"hardware": hardware}),
        }
    )  # fmt: skip


def example_files_of(labels: list[str], side: int = 32) -> dict[str, bytes]:
    """Examples whose second guess, at 30 %, is right in every other image; two neighbours alike by features, one by pixels."""
    others = [f"other {k}" for k in range(NEAREST)]
    images = []
    for k, label in enumerate(labels):
        names = [others[0], label if k % 2 == 0 else others[1], *others[2:5]]
        best = tuple(Guess(name=n, probability=p) for n, p in zip(names, (0.5, 0.3, 0.1, 0.05, 0.0), strict=True))
        by_features, by_pixels = (label, others[0], label, *others[1:4]), (*others[:5], label)
        images.append(Example(label=label, best=best, by_features=by_features, by_pixels=by_pixels))
    levels = np.linspace(20, 230, len(labels) * COLUMNS).round().astype(np.uint8).reshape(len(labels), COLUMNS, 1, 1, 1)
    pictures = np.broadcast_to(levels, (len(labels), COLUMNS, side, side, 3))  # even grey, which JPEG keeps
    return example_files(Examples(views=10, among=10_000, images=tuple(images)), pictures)


def keep(root: Path, record: Record) -> Path:
    """Write the record of an AlexNet with a file of weights beside it, which nothing reads."""
    file = root / "weights"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(record.id.encode())
    digits = hashlib.sha256(file.read_bytes()).hexdigest()
    return write_record(root, record.model_copy(update={"weights": digits}), curve(2.0), weights=file)


def curve(epochs: float) -> list[tuple[float, ...]]:
    """A history that falls in a straight line from 75 % to 25 % at `epochs`, five rows an epoch, and one row beyond."""
    count = int(epochs * 5) + 1
    return [(k * 78, k / 5, 10_000, 1.0, 75 - 50 * (k / 5) / epochs, k * 3.0) for k in range(1, count + 1)]


def store(root: Path, *records: Record) -> None:
    """Write records with histories that fit them."""
    for record in records:
        epochs = record.metrics["epochs_to_target"].value
        write_record(root, record, curve(epochs or 60.0))


RELU, TANH = (6.1, 6.3, 5.9, 6.2, 6.0), (36.5, 37.0, 35.2, 38.1, 36.0)


def full_set(root: Path, **options: Any) -> None:
    """Five seeds per arm that confirm the claim, and a sweep."""
    for seed, (fast, slow) in enumerate(zip(RELU, TANH, strict=True)):
        store(root, make_record("relu", seed, epochs=fast, **options), make_record("tanh", seed, epochs=slow, **options))
    for run in planned_runs(discover()["fig1_relu"], options.get("scale", "paper")):
        if run.role == "tune" and run.question == "speedup":
            used = planned(run.variant.split("-rate")[0], 0).recipe["learning_rate"]
            store(root, make_record(run.variant, run.seed, epochs=7.0 if run.recipe["learning_rate"] == used else None, **options))
