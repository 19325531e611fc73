"""Whether a record agrees with the files beside it: history, answers per image, first kernels.

The numbers are computed again whenever a record is read, by the standard library alone: `list`
loads no numpy. What cannot be read here and now is told apart from what is wrong: nobody may take
it for absent.
"""

import csv
import hashlib
import io
import math
import os
import re
import stat
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reproductions.harness.errors import BadDataError

if TYPE_CHECKING:
    from reproductions.harness.records.record import Record

RECORD, CURVE, CORRECT, TIES, KERNELS = (
    "record.json",
    "history.csv",
    "correct.npy",
    "ties.npy",
    "kernels.npy",
)
FILES = (CURVE, CORRECT, TIES, KERNELS)  # what `examine` reads
# an AlexNet's has more columns after these
HISTORY = ("step", "epoch", "images", "train_loss", "train_error", "seconds")
NEAR = 1e-6  # of a number computed again; the rest is rounding
ARRAY = re.compile(
    rb"\{'descr': '([^']+)', 'fortran_order': False, 'shape': \(((?:\d{1,9},? ?)*)\), \}\s*"
)
POINTERS = {
    b"version https://git-lfs.github.com/spec/": (
        "is a pointer of Git LFS and not the file; run `git lfs pull`"
    ),
    b"/annex/objects/": "is a pointer of git-annex and not the file; run `git annex get`",
}
Row = dict[str, float | None]  # of a history, by column; None where a cell is empty


@dataclass(frozen=True)
class Fault:
    """Why a record, or a folder of records, is left out, in one line."""

    where: str  # the file; below the results folder, as `read_records` gives it
    why: str
    unreadable: bool = (
        False  # it may be whole: it cannot be read, or not understood, by this process
    )

    def __str__(self) -> str:
        hint = "" if self.unreadable else ": restore it or move it away"
        return f"{self.where} {self.why}; skipped{hint}"


class EvidenceError(BadDataError):
    """A file of a record is missing, wrong or cannot be read; `fault` says which and why."""

    def __init__(self, where: str, why: str, *, unreadable: bool = False) -> None:
        super().__init__(f"{where} {why}")
        self.fault = Fault(where, why, unreadable)


@contextmanager
def naming(folder: str) -> Iterator[None]:
    """Let an EvidenceError of the block name the record's folder before the file."""
    try:
        yield
    except EvidenceError as error:
        fault = below(error.fault, folder)
        raise EvidenceError(fault.where, fault.why, unreadable=fault.unreadable) from error


def read(path: Path) -> bytes:
    """A file of a record.

    Raises EvidenceError if it is missing, cannot be read, or holds something of git's instead.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise EvidenceError(path.name, "is no file")
        content = path.read_bytes()
    except FileNotFoundError as error:
        linked = path.is_symlink() or path.parent.is_symlink()
        why = "is reached through a broken symlink" if linked else "is missing"
        raise EvidenceError(path.name, why, unreadable=linked) from error
    except OSError as error:
        raise EvidenceError(
            path.name, f"cannot be read ({error.strerror})", unreadable=True
        ) from error
    for start, why in POINTERS.items():
        if content.startswith(start):
            raise EvidenceError(path.name, why, unreadable=True)
    if path.suffix != ".npy" and re.search(rb"^<{7} ", content, re.MULTILINE):
        raise EvidenceError(
            path.name, "holds the marks of a merge conflict; settle it in git", unreadable=True
        )
    return content


def examine(record: "Record", folder: Path) -> list[Fault]:
    """What does not agree in a record's folder; empty if all does.

    `where` is the name of a file in it.
    """
    faults: list[Fault] = []
    try:
        rows = read_history(folder)
        if record.status != "failed":
            faults += [Fault(CURVE, why) for why in _course(record, rows)]
            faults += _compared(record, CURVE, _by_history(record, rows))
            faults += _compared(record, CORRECT, _by_answers(record, folder))
            faults += _compared(record, KERNELS, _by_kernels(record, folder))
            faults += [Fault(RECORD, why) for why in _within(record)]
    except EvidenceError as error:
        faults.append(error.fault)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        why = (
            f"has a config, recipe or metric that no training here has ({type(error).__name__}: "
            f"{error})"
        )
        faults.append(Fault(RECORD, why))
    return faults


def _compared(record: "Record", name: str, found: Mapping[str, float | None]) -> Iterator[Fault]:
    """A fault for each metric that is not what the file `name` says."""
    for metric, value in found.items():
        if metric in record.metrics and not _near(said := record.metrics[metric].value, value):
            yield Fault(RECORD, f"says that {metric} is {said}, and {name} that it is {value}")


def _near(said: float | None, value: float | None) -> bool:
    if said is None or value is None:
        return said is value
    return abs(said - value) <= NEAR * max(1.0, abs(value))


def epochs_to(curve: Sequence[tuple[float, float]], target: float) -> float | None:
    """Where a curve of (epoch, error) first reaches `target`, interpolated; None if it never does.

    The first row has none before it: reaching the target there counts as the epoch of that row.
    """
    for index, (epoch, error) in enumerate(curve):
        if error <= target:
            if index == 0:
                return epoch
            before, above = curve[index - 1]
            return before + (above - target) / (above - error) * (epoch - before)
    return None


def read_history(folder: Path) -> list[Row]:
    """The rows of a record's history.csv. Raises EvidenceError if it is missing or broken."""
    try:
        table = csv.reader(io.StringIO(read(folder / CURVE).decode()), strict=True)
        columns = next(table, [])
        if tuple(columns[: len(HISTORY)]) != HISTORY:
            raise ValueError(f"its columns are {', '.join(columns)[:80]}")
        return [_row(columns, cells) for cells in table]
    except (ValueError, csv.Error) as error:
        why = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise EvidenceError(CURVE, f"is broken ({why})") from error


def mark_of(folder: Path) -> str:
    """Unique to a record: the sha256 of its history, or its path if the history has no rows."""
    return (
        hashlib.sha256(read(folder / CURVE)).hexdigest()
        if read_history(folder)
        else "/".join(folder.parts[-3:])
    )


def _row(columns: Sequence[str], cells: Sequence[str]) -> Row:
    """A row of numbers.

    Raises ValueError if a cell is none, or is empty in one of the first columns.
    """
    named = dict(zip(columns, cells, strict=True))
    row = {name: float(cell) if cell or name in HISTORY else None for name, cell in named.items()}
    if not all(value is None or math.isfinite(value) for value in row.values()):
        raise ValueError(f"the row of step {named['step']} has a value that is not finite")
    return row


def _course(record: "Record", rows: Sequence[Row]) -> Iterator[str]:
    """What is impossible in a training's history, or differs from the totals in its record."""
    images = [int(row["images"] or 0) for row in rows]
    if record.data is None or record.role in ("average", "inspect"):
        if rows:
            yield "has rows, though nothing was trained"
        return
    if record.status != "diverged" and (not rows or sum(images) != record.cost.images):
        yield f"counts {sum(images):,} images, and {RECORD} {record.cost.images:,}"
    if sum(images) > record.cost.images:
        yield f"counts more images than {RECORD}"
    batch, train = int(record.recipe["batch_size"]), record.data.train_images
    yield from _in_order(rows, images, batch, train)
    if rows and record.status != "diverged" and not _is_over(record, rows[-1], -(-train // batch)):
        yield "ends before the training was over"
    if (
        rows
        and record.status != "diverged"
        and abs((rows[-1]["seconds"] or 0) - record.cost.wall_seconds) > 0.001
    ):
        yield f"took {rows[-1]['seconds']} seconds, and by {RECORD} {record.cost.wall_seconds}"


def _in_order(rows: Sequence[Row], images: Sequence[int], batch: int, train: int) -> Iterator[str]:
    """The first row whose updates, epochs, images and seconds do not follow from earlier rows."""
    steps, seen, before = -(-train // batch), 0, {"step": 0.0, "seconds": 0.0}
    for row, count in zip(rows, images, strict=True):
        now = {name: value for name, value in row.items() if value is not None}
        seen += count
        done = int(now["step"])
        follows = now["step"] > before["step"] and now["seconds"] >= before["seconds"]
        counted = seen == done // steps * train + done % steps * batch and _near(
            now["epoch"], done / steps
        )
        if not (follows and counted and 0 <= now["train_error"] <= 100):
            yield f"has a row of step {row['step']:g} that does not follow from those before"
            return
        before = now


def _is_over(record: "Record", last: Row, steps: int) -> bool:
    """Whether a training may end here: at its budget or target, or by a plateau rule."""
    target, recipe = record.recipe.get("target_train_error"), record.recipe
    reached = target is not None and (last["train_error"] or 0) < target
    return (
        reached or bool(recipe.get("plateau_patience")) or last["step"] == recipe["epochs"] * steps
    )


def _by_history(record: "Record", rows: Sequence[Row]) -> dict[str, float | None]:
    """The metrics of a training that its history decides."""
    if not rows or record.status == "diverged":
        return {}
    if record.role in ("tune", "evaluate"):
        target = record.recipe["target_train_error"]
        curve = [(row["epoch"] or 0.0, row["train_error"] or 0.0) for row in rows]
        return {
            "train_error": rows[-1]["train_error"],
            "epochs_to_target": target and epochs_to(curve, target),
        }
    found: dict[str, float | None] = {
        "train_error": error_of_epoch(rows, math.ceil(rows[-1]["epoch"] or 0)),
        "first_epoch_error": error_of_epoch(rows, 1),
    }
    if rows[-1].get("validation_error") is not None:
        found["top1"] = rows[-1]["validation_error"]
    return found


def error_of_epoch(rows: Sequence[Mapping[str, Any]], epoch: int) -> float:
    """The running training error of an epoch, counted from 1, percent: the mean over its images."""
    mine = [row for row in rows if math.ceil(row["epoch"]) == epoch]
    return float(
        sum(row["train_error"] * row["images"] for row in mine) / sum(row["images"] for row in mine)
    )


def _by_answers(record: "Record", folder: Path) -> dict[str, float | None]:
    """The error by the answers per image, under its metric's name; nothing where there are none."""
    metric = "test_error" if record.role == "evaluate" else "top1_ten"
    if metric not in record.metrics or record.data is None:
        return {}
    count = record.data.test_images
    shape, body = read_array(folder / CORRECT, "|u1")
    answers = int.from_bytes(body, "big")
    if (
        shape != (-(-count // 8),)
        or record.metrics[metric].examples != count
        or answers & ((1 << -count % 8) - 1)
    ):
        raise EvidenceError(CORRECT, f"does not hold the answers for {count:,} images")
    return {metric: 100 * (count - answers.bit_count() - _shared(folder, body, count)) / count}


def _shared(folder: Path, answers: bytes, count: int) -> float:
    """Credit of images whose label ties for best: one over the number; 0 without ties.npy."""
    if not os.path.lexists(folder / TIES):
        return 0.0
    shape, body = read_array(folder / TIES, "<u4")
    numbers = array("I", body)
    images, classes = list(numbers[0::2]), numbers[1::2]
    wrong = all(
        image < count and not answers[image >> 3] >> (7 - image % 8) & 1 for image in images
    )
    if (
        shape != (len(images), 2)
        or images != sorted(set(images))
        or not wrong
        or min(classes, default=2) < 2
    ):
        raise EvidenceError(TIES, f"does not hold ties of {CORRECT}")
    return math.fsum(1 / number for number in classes)


def _by_kernels(record: "Record", folder: Path) -> dict[str, float | None]:
    """How far the halves of the first kernels differ in colour, in points; nothing if unreadable.

    That costs a picture and no number: `read_kernels` of arrays.py says it.
    """
    try:
        if "colour_gap" not in record.metrics:
            return {}
        weights = kernels_of(record, folder)
    except EvidenceError:
        return {}
    shares = [] if weights is None else list(map(_colour, weights))
    middle = -(-len(shares) // 2)
    halves = [sum(half) / len(half) for half in (shares[:middle], shares[middle:]) if half]
    return {"colour_gap": 100 * abs(halves[0] - halves[1])} if len(halves) == 2 else {}


def kernels_of(record: "Record", folder: Path) -> list[Sequence[float]] | None:
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


def _colour(kernel: Sequence[float]) -> float:
    """The share of a kernel's energy that is left without its mean over red, green and blue."""
    size = len(kernel) // 3
    planes = [kernel[k * size : (k + 1) * size] for k in range(3)]
    grey = [sum(pixel) / 3 for pixel in zip(*planes, strict=True)]
    colour = sum(
        (value - mean) ** 2 for plane in planes for value, mean in zip(plane, grey, strict=True)
    )
    energy = sum(value**2 for value in kernel)
    return colour / energy if energy else math.nan


def _within(record: "Record") -> Iterator[str]:
    """What contradicts itself in the numbers of a record."""
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
    if record.role in ("tune", "evaluate") and record.status != "diverged":
        reached = record.metrics["epochs_to_target"].value is not None
        if record.recipe["target_train_error"] is not None and reached != (record.status == "ok"):
            yield (
                f"says that its run is {record.status}, and the target was "
                f"{'' if reached else 'not '}reached"
            )
    speed, cost = record.cost.images_per_second, record.cost
    if (
        speed
        and cost.wall_seconds
        and abs(speed - cost.images / cost.wall_seconds) > 0.06 + 0.001 * speed / cost.wall_seconds
    ):
        yield "has an images_per_second that is not images / wall_seconds"


def read_array(path: Path, kind: str) -> tuple[tuple[int, ...], bytes]:
    """Shape and bytes of a small .npy file whose numbers are of a kind ("|u1", "<f4").

    Raises EvidenceError if it is none.
    """
    content = read(path)
    length, start = (2, 10) if content[6:7] == b"\x01" else (4, 12)
    end = start + int.from_bytes(content[8 : 8 + length], "little")
    header = ARRAY.fullmatch(content[start:end])
    if (
        not content.startswith(b"\x93NUMPY")
        or header is None
        or header[1].decode("latin-1") != kind
    ):
        raise EvidenceError(path.name, f"is no array of {kind}")
    shape = tuple(int(size) for size in header[2].split(b",") if size.strip())
    body = content[end:]
    if len(body) != math.prod(shape) * int(kind[-1]):
        raise EvidenceError(
            path.name,
            "is cut short" if len(body) < math.prod(shape) * int(kind[-1]) else "is too long",
        )
    return shape, body


def below(fault: Fault, folder: str) -> Fault:
    """The fault of a file as one of a results folder, where the record is in `folder`."""
    return replace(fault, where=f"{folder}/{fault.where}")
