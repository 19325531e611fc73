"""A record counts only if it agrees with its place, history, answers and kernels."""

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import (
    answers_of,
    colour_gap,
    curve_files,
    history_of,
    make_alexnet,
    make_record,
    write_record,
)

from reproductions.harness.errors import RecordError
from reproductions.harness.records.files import CORRECT, CURVE, KERNELS, RECORD, RESULTS, TIES
from reproductions.harness.records.load import read_records
from reproductions.harness.records.store import write_record as store_record


def kernels(seed: int = 0) -> np.ndarray:
    """conv1's kernels of scale mini."""
    return np.random.default_rng(seed).standard_normal((24, 3, 5, 5)).astype(np.float32)


def cifar(root: Path) -> Path:
    return write_record(root, make_record("relu", 0, epochs=6.1))


def censored(root: Path) -> Path:
    return write_record(root, make_record("tanh", 0, epochs=None))


def alexnet(root: Path) -> Path:
    """Of every metric one that something beside the record decides."""
    metrics = {
        "train_error": 60.0,
        "first_epoch_error": 95.0,
        "top1": 80.0,
        "top5": 55.0,
        "top1_ten": 79.25,
        "top5_ten": 54.0,
        "top1_train": 70.0,
        "gap": 10.0,
        "colour_gap": colour_gap(kernels()),
    }
    record = make_alexnet("original", 0, **metrics)
    return store_record(root, record, **curve_files(record, kernels(), validation=80.0))


def average(root: Path) -> Path:
    return write_record(
        root, make_alexnet("five-cnns", 0, "ensembles", top1_ten=75.0, top5_ten=50.0)
    )


MADE = {"cifar": cifar, "censored": censored, "alexnet": alexnet, "average": average}


def test_every_committed_record_agrees_with_its_evidence() -> None:
    stored, faults = read_records(RESULTS)
    assert (len(stored) > 60, faults) == (True, [])


# record, what is edited in its record.json, the new value, what is said
EDITS: list[tuple[str, str, Any, str]] = [
    ("cifar", "metrics.epochs_to_target.value", 5.1, "is 5.1, and history.csv that it is 6.1"),
    ("cifar", "metrics.test_error.value", 29.0, "is 29.0, and correct.npy that it is 30.0"),
    ("cifar", "status", "censored", "the target was reached"),
    ("cifar", "cost.images_per_second", 1e6, "has an images_per_second"),
    ("censored", "metrics.epochs_to_target.value", 30.0, "and history.csv that it is None"),
    ("alexnet", "metrics.first_epoch_error.value", 94.0, "first_epoch_error is 94.0"),
    ("alexnet", "metrics.top1.value", 79.0, "top1 is 79.0, and history.csv that it is 80.0"),
    ("alexnet", "metrics.gap.value", 11.0, "has a `gap`"),
    ("alexnet", "metrics.top5.value", 81.0, "top5 is above top1"),
    ("alexnet", "metrics.colour_gap.value", 50.0, "colour_gap is 50.0, and kernels.npy"),
    ("average", "metrics.top1_ten.value", 74.0, "and correct.npy that it is 75.0"),
]


@pytest.mark.parametrize(
    ("made", "place", "value", "why"), EDITS, ids=[f"{made}-{place}" for made, place, *_ in EDITS]
)
def test_a_number_edited_by_hand_leaves_the_record_out(
    tmp_path: Path, made: str, place: str, value: object, why: str
) -> None:
    path = MADE[made](tmp_path) / RECORD
    edit(path, place, value)
    stored, (fault,) = read_records(tmp_path)
    assert stored == []
    assert why in str(fault)
    assert str(fault).startswith(str(path.parent.relative_to(tmp_path)))


def edit(path: Path, place: str, value: object) -> None:
    fields = part = json.loads(path.read_text())
    *outer, last = place.split(".")
    for name in outer:
        part = part[name]
    assert part[last] != value
    part[last] = value
    path.write_text(json.dumps(fields))


def first_lines(content: bytes, count: int) -> bytes:
    return b"".join(content.splitlines(keepends=True)[:count])


def as_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


# record, file, its new content (None: deleted), what is said
SPOILT: list[tuple[str, str, Callable[[bytes], bytes | None], str]] = [
    ("cifar", CURVE, lambda old: first_lines(old, 9), "history.csv counts"),
    ("alexnet", CURVE, lambda old: old.replace(b"156,", b"157,", 1), "does not follow"),
    ("cifar", CURVE, lambda old: old[:-9], "history.csv is broken"),
    ("cifar", CURVE, lambda old: re.sub(rb",1\.\d+,", b",nan,", old, count=1), "not finite"),
    ("cifar", CURVE, lambda _: b"\xff\xfe\x00", "history.csv is broken (not UTF-8 text)"),
    ("cifar", CURVE, lambda _: None, "history.csv is missing"),
    ("cifar", CORRECT, lambda _: None, "correct.npy is missing"),
    ("cifar", CORRECT, lambda old: old[:-1], "correct.npy is cut short"),
    ("cifar", CORRECT, lambda old: old[:-600] + bytes(600), "test_error is"),
    ("cifar", CORRECT, lambda old: old.replace(b"(1250,)", b"(9999,)"), "correct.npy is cut short"),
    ("cifar", CORRECT, lambda _: b"\x80\x04\x95 a pickle", "is no array"),
    ("alexnet", KERNELS, lambda _: as_bytes(kernels(1)), "colour_gap is"),
]


@pytest.mark.parametrize(("made", "name", "spoil", "why"), SPOILT)
def test_evidence_that_was_changed_leaves_the_record_out(
    tmp_path: Path, made: str, name: str, spoil: Callable[[bytes], bytes | None], why: str
) -> None:
    path = MADE[made](tmp_path) / name
    assert read_records(tmp_path)[1] == [], "and so it is remembered"
    content = spoil(path.read_bytes())
    assert content != path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)
    stored, (fault,) = read_records(tmp_path)
    assert stored == []
    assert why in str(fault)
    assert not fault.unreadable


def test_a_config_that_no_training_has_is_refused(tmp_path: Path) -> None:
    record = make_record()
    odd = record.model_copy(update={"recipe": {**record.recipe, "batch_size": "many"}})
    with pytest.raises(RecordError, match="has a config, recipe or metric that no training here"):
        store_record(tmp_path, odd, history_of(record), files=answers_of(record))


def with_ties(root: Path, ties: list[list[int]]) -> Path:
    """A record in which half an image more is right than by `answers_of`, with a file of ties."""
    record = make_record("relu", 0, epochs=6.1)
    error = record.metrics["test_error"].model_copy(update={"value": 30.0 - 0.01 * 0.5})
    record = record.model_copy(update={"metrics": {**record.metrics, "test_error": error}})
    files = {TIES: as_bytes(np.array(ties, "<u4").reshape(-1, 2))}
    return store_record(
        root, record, history_of(record), files={**answers_of(make_record()), **files}
    )


def test_ties_of_a_class_with_others_count_in_part(tmp_path: Path) -> None:
    with_ties(tmp_path, [[9_000, 2]])
    assert read_records(tmp_path)[1] == []


@pytest.mark.parametrize("ties", [[[0, 2]], [[10_000, 2]], [[9_000, 3]]])
def test_ties_that_cannot_be_are_refused(tmp_path: Path, ties: list[list[int]]) -> None:
    """Of an image that is right, of no image; another error."""
    with pytest.raises(RecordError, match=r"would not agree with itself: (ties.npy does|record)"):
        with_ties(tmp_path, ties)
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("part", ["claim", "name"])
def test_a_record_elsewhere_than_it_says_is_left_out(tmp_path: Path, part: str) -> None:
    folder = cifar(tmp_path)
    other = {
        "claim": tmp_path / "records" / "other" / folder.parent.name / folder.name,
        "name": folder.with_name(f"{folder.name}-old"),
    }[part]
    other.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(other)
    stored, (fault,) = read_records(tmp_path)
    assert stored == []
    assert "does not belong here" in str(fault)


def test_a_copy_under_another_seed_is_left_out_with_what_it_is_of(tmp_path: Path) -> None:
    """Nobody can say which of the two is the copy."""
    others, folder = (cifar(tmp_path), censored(tmp_path)), alexnet(tmp_path)
    copy = Path(shutil.copytree(folder, folder.with_name(folder.name.replace("seed0", "seed1"))))
    edit(copy / RECORD, "seed", 1)
    for _ in range(2):  # the second time from memory
        stored, faults = read_records(tmp_path)
        assert {item.folder for item in stored} == {*others}
        assert [Path(fault.where).parent.name for fault in faults] == [folder.name, copy.name]
        assert all("one is a copy" in fault.why for fault in faults)


def test_runs_that_diverge_in_their_first_row_are_no_copies(tmp_path: Path) -> None:
    """Their histories are all the same: a header."""
    for arm, seed in (("tanh", 0), ("tanh", 1), ("relu", 0)):
        record = make_record(arm, seed, epochs=None, status="diverged")
        trained = {name: metric for name, metric in record.metrics.items() if name != "test_error"}
        store_record(tmp_path, record.model_copy(update={"metrics": trained}))
    for _ in range(2):
        stored, faults = read_records(tmp_path)
        assert (len(stored), faults) == (3, [])
