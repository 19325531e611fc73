"""Records: what is written is read back, nothing is overwritten, nothing broken counts."""

import json
from pathlib import Path

import numpy as np
import pytest
from machine import small_disk
from pydantic import ValidationError
from records import history_of, make_record, write_record

from reproductions.harness.errors import RecordError
from reproductions.harness.records.history import HISTORY
from reproductions.harness.records.load import read_records
from reproductions.harness.records.schema import Metric
from reproductions.harness.records.store import folder_of

ABSENT = "no such field"


def test_round_trip(tmp_path: Path) -> None:
    record = make_record()
    folder = write_record(tmp_path, record)
    assert folder == folder_of(tmp_path, record)
    (stored,), broken = read_records(tmp_path)
    assert (stored.record, broken) == (record, [])
    assert stored.history() == [dict(zip(HISTORY, row, strict=True)) for row in history_of(record)]
    assert np.unpackbits(np.load(folder / "correct.npy"), count=10_000).sum() == 7_000
    assert not list(tmp_path.rglob("*.partial"))


def test_what_tells_records_apart_is_in_the_folder_name() -> None:
    record = make_record()
    folders = {
        folder_of(Path(), changed).name
        for changed in (
            record,
            make_record(fingerprint="another copy"),
            make_record(hardware="another processor"),
            make_record(precision="fp32"),
            make_record(training=7),
            make_record(rate=0.5),
        )
    }
    assert len(folders) == 6
    for same in (
        make_record(wall=99.0),
        make_record(declaration="another rule"),
        make_record(dirty=True),
    ):
        assert folder_of(Path(), same) == folder_of(Path(), record)


def test_a_repeat_has_a_folder_of_its_own(tmp_path: Path) -> None:
    first, *later = (write_record(tmp_path, make_record(wall=wall)) for wall in (1.0, 2.0, 3.0))
    assert [folder.name for folder in later] == [f"{first.name}-r2", f"{first.name}-r3"]
    stored = [(item.repeat, item.record.cost.wall_seconds) for item in read_records(tmp_path)[0]]
    assert stored == [(0, 1.0), (2, 2.0), (3, 3.0)]


def test_a_full_disk_loses_nothing_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    write_record(tmp_path, make_record(seed=0))
    with small_disk(500), pytest.raises(RecordError, match=r"cannot write the record .* too large"):
        write_record(tmp_path, make_record(seed=1))
    stored, broken = read_records(tmp_path)
    assert ([item.record.seed for item in stored], broken) == ([0], [])
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("version", {"training": "new", "metrics": {}}, "is not a record (version.training: "),
        ("seed", "0 ", "is not a record (seed: "),
        ("seed", 3, "its content belongs in"),
        ("status", "great", "is not a record (status: "),
        ("surprise", 1, "is not a record (surprise: "),
        ("data", None, "a trained run without data"),
        ("metrics", {}, "a trained run without its metrics"),
        ("schema_version", ABSENT, "names no schema version"),
        ("schema_version", 2.5, "no whole number"),
        ("schema_version", 0, "is of schema 0"),
        ("schema_version", 10**30, "newer version"),
    ],
)
def test_the_schema_is_enforced_on_reading(
    tmp_path: Path, field: str, value: object, why: str
) -> None:
    path = write_record(tmp_path, make_record()) / "record.json"
    fields = {**json.loads(path.read_text()), field: value}
    path.write_text(json.dumps({k: v for k, v in fields.items() if v != ABSENT}))
    stored, (fault,) = read_records(tmp_path)
    assert stored == []
    assert why in str(fault)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_cannot_be_stored(value: float) -> None:
    with pytest.raises(ValidationError):
        Metric(value=value, unit="percent")


def test_a_missing_number_needs_a_status() -> None:
    with pytest.raises(ValidationError, match="status is ok but a metric is null"):
        make_record(epochs=None, status="ok")
    assert make_record(epochs=None, status="censored").metrics["epochs_to_target"].value is None
