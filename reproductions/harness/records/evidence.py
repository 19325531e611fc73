"""Whether a record agrees with the files beside it: history, answers per image, first kernels.

The numbers are computed again whenever a record is read.
"""

import math
import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from operator import mul
from pathlib import Path
from statistics import fmean

from alexnet.version import TRAINING
from reproductions.harness.records.files import (
    CORRECT,
    CURVE,
    KERNELS,
    RECORD,
    TIES,
    EvidenceError,
    read_array,
)
from reproductions.harness.records.history import Row, error_of_epoch, read_history
from reproductions.harness.records.schema import Record
from reproductions.harness.rule.curves import epochs_to, points, target_curve

NEAR = 1e-6  # of a number computed again; the rest is rounding


def examine(record: Record, folder: Path) -> None:
    """Compare a record with the files in its folder.

    Raises EvidenceError for the first that does not agree; its `where` is the name of the file.
    """
    try:
        rows = read_history(folder)
        if record.status != "failed":
            for where, why in _disagreements(record, folder, rows):
                raise EvidenceError(where, why)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        why = "has a config, recipe or metric that no training here has"
        raise EvidenceError(RECORD, f"{why} ({type(error).__name__}: {error})") from error


def _disagreements(record: Record, folder: Path, rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    yield from ((CURVE, why) for why in _course(record, rows))
    yield from _compared(record, CURVE, _by_history(record, rows))
    yield from _compared(record, CORRECT, _by_answers(record, folder))
    yield from _compared(record, KERNELS, _by_kernels(record, folder))
    for why in (*_metrics_alone(record), *_status_alone(record), *_speed_alone(record)):
        yield RECORD, why


def _compared(
    record: Record, name: str, found: Mapping[str, float | None]
) -> Iterator[tuple[str, str]]:
    for metric, value in found.items():
        if metric in record.metrics and not _near(said := record.metrics[metric].value, value):
            yield RECORD, f"says that {metric} is {said}, and {name} that it is {value}"


def _near(said: float | None, value: float | None) -> bool:
    if said is None or value is None:
        return said is value
    return abs(said - value) <= NEAR * max(1.0, abs(value))


def _course(record: Record, rows: Sequence[Row]) -> Iterator[str]:
    """What is impossible in a training's history, or differs from the totals in its record."""
    images = [int(row["images"]) for row in rows]
    if record.data is None or record.kind != "train":
        if rows:
            yield "has rows, though nothing was trained"
        return
    if record.status != "diverged" and (not rows or sum(images) != record.cost.images):
        yield f"counts {sum(images):,} images, and {RECORD} {record.cost.images:,}"
    if sum(images) > record.cost.images:
        yield f"counts more images than {RECORD}"
    batch, train = int(record.recipe["batch_size"]), record.data.train_images
    yield from _in_order(rows, images, batch, train)
    if rows and record.status != "diverged":
        seconds = rows[-1]["seconds"]
        if not _is_over(record, rows, -(-train // batch)):
            yield "ends before the training was over"
        if abs(seconds - record.cost.wall_seconds) > 0.001:
            yield f"took {seconds} seconds, and by {RECORD} {record.cost.wall_seconds}"


def _in_order(rows: Sequence[Row], images: Sequence[int], batch: int, train: int) -> Iterator[str]:
    """The first row whose updates, epochs, images and seconds do not follow from earlier rows."""
    steps, seen, before = -(-train // batch), 0, {"step": 0.0, "seconds": 0.0}
    for row, count in zip(rows, images, strict=True):
        seen += count
        done = int(row["step"])
        follows = row["step"] > before["step"] and row["seconds"] >= before["seconds"]
        counted = seen == done // steps * train + done % steps * batch and _near(
            row["epoch"], done / steps
        )
        if not (follows and counted and 0 <= row["train_error"] <= 100):
            yield f"has a row of step {row['step']:g} that does not follow from those before"
            return
        before = row


def _is_over(record: Record, rows: Sequence[Row], steps: int) -> bool:
    """Whether a training may end here: at its budget or target, or by a plateau rule."""
    recipe = record.recipe
    target = recipe.get("target_train_error")
    read = [] if target is None else _target_curve(record, rows)[-1:]
    reached = any(error < target for _, error in read if target)
    spent = rows[-1]["step"] == recipe["epochs"] * steps
    return reached or spent or bool(recipe.get("plateau_patience"))


def _target_curve(record: Record, rows: Sequence[Row]) -> list[tuple[float, float]]:
    """(epoch, error) by which the run's target is read."""
    images = record.data.train_images if record.data else 0
    return target_curve(points(rows), images, record.recipe["target_window"])


def _by_history(record: Record, rows: Sequence[Row]) -> dict[str, float | None]:
    if not rows or record.status == "diverged":
        return {}
    if record.question:
        target = record.recipe["target_train_error"]
        curve = _target_curve(record, rows)
        return {
            "train_error": rows[-1]["train_error"],
            "epochs_to_target": target and epochs_to(curve, target),
        }
    found: dict[str, float | None] = {
        "train_error": error_of_epoch(rows, math.ceil(rows[-1]["epoch"])),
        "first_epoch_error": error_of_epoch(rows, 1),
    }
    if "validation_error" in rows[-1]:
        found["top1"] = rows[-1]["validation_error"]
    return found


def _by_answers(record: Record, folder: Path) -> dict[str, float | None]:
    """The error by the answers per image, under its metric's name; nothing where there are none."""
    metric = answered_metric(record)
    if metric is None or record.data is None:
        return {}
    count = record.data.test_images
    shape, body = read_array(folder / CORRECT, "|u1")
    answers = int.from_bytes(body, "big")
    padding = answers & ((1 << -count % 8) - 1)
    if shape != (-(-count // 8),) or record.metrics[metric].examples != count or padding:
        raise EvidenceError(CORRECT, f"does not hold the answers for {count:,} images")
    return {metric: 100 * (count - answers.bit_count() - _tie_credit(folder, body, count)) / count}


def answered_metric(record: Record) -> str | None:
    """The error whose answers per image are stored beside a record; None where it has none."""
    # a network of other people's is evaluated in one crop
    metric = "top1_ten" if record.family in TRAINING else "top1"
    metric = "test_error" if record.question else metric
    return metric if metric in record.metrics else None


def _tie_credit(folder: Path, answers: bytes, count: int) -> float:
    """Credit of images whose label ties for best: one over the number; 0 without ties.npy."""
    if not os.path.lexists(folder / TIES):
        return 0.0
    shape, body = read_array(folder / TIES, "<u4")
    numbers = array("I", body)
    images, classes = list(numbers[0::2]), numbers[1::2]
    wrong = [k < count and not answers[k >> 3] >> (7 - k % 8) & 1 for k in images]
    in_order = shape == (len(images), 2) and images == sorted(set(images))
    if not (in_order and all(wrong) and min(classes, default=2) >= 2):
        raise EvidenceError(TIES, f"does not hold ties of {CORRECT}")
    return math.fsum(1 / number for number in classes)


def _by_kernels(record: Record, folder: Path) -> dict[str, float | None]:
    """How far the halves of the first kernels differ in colour, in points; nothing if unreadable.

    That costs a picture and no number: `read_kernels` of arrays.py says it.
    """
    try:
        if "colour_gap" not in record.metrics:
            return {}
        weights = kernels_of(record, folder)
    except EvidenceError:
        return {}
    shares = list(map(colour_share, weights or ()))
    if len(shares) < 2:
        return {}
    middle = -(-len(shares) // 2)
    return {"colour_gap": 100 * abs(fmean(shares[:middle]) - fmean(shares[middle:]))}


def kernels_of(record: Record, folder: Path) -> list[Sequence[float]] | None:
    """conv1's kernels, a list of weights each, by red, green, blue; None where there is no file.

    Raises EvidenceError if they are not of the record's network or not finite.
    """
    if not os.path.lexists(folder / KERNELS):
        return None
    shape, body = read_array(folder / KERNELS, "<f4")
    config = record.config
    wanted = (config["conv_widths"][0], 3, config["conv_kernels"][0], config["conv_kernels"][0])
    if shape != wanted:
        raise EvidenceError(KERNELS, f"has the shape {shape} and not {wanted}")
    weights, size = array("f", body), len(body) // 4 // shape[0]
    if not all(map(math.isfinite, weights)):
        raise EvidenceError(KERNELS, "has values that are not finite")
    return [weights[start : start + size] for start in range(0, len(weights), size)]


def colour_share(kernel: Sequence[float]) -> float:
    """The share of a kernel's energy that is left without its mean over red, green and blue."""
    size = len(kernel) // 3
    sums = [
        sum(pixel) for pixel in zip(*(kernel[k * size :][:size] for k in range(3)), strict=True)
    ]
    energy, grey = sum(map(mul, kernel, kernel)), sum(map(mul, sums, sums)) / 3
    return 1 - grey / energy if energy else math.nan


def _metrics_alone(record: Record) -> Iterator[str]:
    values = {
        name: metric.value for name, metric in record.metrics.items() if metric.value is not None
    }
    if {"gap", "top1", "top1_train"} <= values.keys() and not _near(
        values["gap"], values["top1"] - values["top1_train"]
    ):
        yield "has a `gap` that is not top1 − top1_train"
    for one, five in (("top1", "top5"), ("top1_ten", "top5_ten")):
        if {one, five} <= values.keys() and values[five] > values[one] + NEAR:
            yield f"says that {five} is above {one}"
    for name, metric in record.metrics.items():
        if metric.unit == "percent" and not -NEAR <= values.get(name, 0.0) <= 100 + NEAR:
            yield f"says that {name} is {values[name]} percent"


def _status_alone(record: Record) -> Iterator[str]:
    if record.question and record.status != "diverged":
        reached = record.metrics["epochs_to_target"].value is not None
        if record.recipe["target_train_error"] is not None and reached != (record.status == "ok"):
            was = "was" if reached else "was not"
            yield f"says that its run is {record.status}, and the target {was} reached"


def _speed_alone(record: Record) -> Iterator[str]:
    """A throughput, which is rounded, that its images and seconds contradict."""
    cost = record.cost
    if cost.images_per_second and cost.wall_seconds:
        rounding = 0.06 + 0.001 * cost.images_per_second / cost.wall_seconds
        if abs(cost.images_per_second - cost.images / cost.wall_seconds) > rounding:
            yield "has an images_per_second that is not images / wall_seconds"
