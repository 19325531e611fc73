"""Records: what is written is read back, nothing is overwritten, nothing broken is believed."""

import json
import stat
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
from reproductions.harness.records.store import Stored, folder_of


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


def test_a_repeat_stands_beside_the_first(tmp_path: Path) -> None:
    first = write_record(tmp_path, make_record(wall=1.0))
    second = write_record(tmp_path, make_record(wall=2.0))
    third = write_record(tmp_path, make_record(wall=3.0))
    assert [second.name, third.name] == [f"{first.name}-r2", f"{first.name}-r3"]
    stored, _ = read_records(tmp_path)
    assert [(item.repeat, item.record.cost.wall_seconds) for item in stored] == [
        (0, 1.0),
        (2, 2.0),
        (3, 3.0),
    ]


def test_a_full_disk_loses_nothing_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    write_record(tmp_path, make_record(seed=0))
    with small_disk(500), pytest.raises(RecordError, match=r"cannot write the record .* too large"):
        write_record(tmp_path, make_record(seed=1))
    stored, broken = read_records(tmp_path)
    assert ([item.record.seed for item in stored], broken) == ([0], [])
    assert not list(tmp_path.rglob("*.partial"))


def test_a_results_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(RecordError, match="Not a directory"):
        write_record(tmp_path / "results", make_record())


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\x80\x81", b"[]", b"null", b'{"schema_version": 1}'],
    ids=["empty", "cut", "binary", "list", "null", "fields missing"],
)
def test_what_is_no_record_is_named_and_left_out(tmp_path: Path, content: bytes) -> None:
    folder = write_record(tmp_path, make_record())
    write_record(tmp_path, make_record(seed=1))
    (folder / "record.json").write_bytes(content)
    stored, broken = read_records(tmp_path)
    assert [item.record.seed for item in stored] == [1]
    assert [fault.where for fault in broken] == [
        str((folder / "record.json").relative_to(tmp_path))
    ]
    assert not broken[0].unreadable


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 1),
        ("version", {"training": "new", "metrics": {}}),
        ("seed", -1),
        ("status", "great"),
        ("scale", "full"),
        ("surprise", 1),
        ("seed", "0 "),
        ("cost", None),
    ],
)
def test_the_schema_is_enforced_on_reading(tmp_path: Path, field: str, value: object) -> None:
    path = write_record(tmp_path, make_record()) / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    stored, broken = read_records(tmp_path)
    assert stored == []
    assert "is not a record" in str(broken[0])


def test_a_record_that_was_moved_or_edited_is_found_out(tmp_path: Path) -> None:
    path = write_record(tmp_path, make_record()) / "record.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 3'))
    _, broken = read_records(tmp_path)
    assert "its content belongs in" in str(broken[0])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_cannot_be_stored(value: float) -> None:
    with pytest.raises(ValidationError):
        Metric(value=value, unit="percent")


def test_a_missing_number_needs_a_status() -> None:
    with pytest.raises(ValidationError, match="status is ok but a metric is null"):
        make_record(epochs=None, status="ok")
    assert make_record(epochs=None, status="censored").metrics["epochs_to_target"].value is None


@pytest.mark.parametrize("lost", ["epochs_to_target", "train_error", "data"])
def test_a_trained_run_has_its_data_and_metrics(tmp_path: Path, lost: str) -> None:
    path = write_record(tmp_path, make_record()) / "record.json"
    fields = json.loads(path.read_text())
    if lost == "data":
        fields["data"] = None
    else:
        del fields["metrics"][lost]
    path.write_text(json.dumps(fields))
    assert read_records(tmp_path)[0] == []


def test_a_broken_history_is_named(tmp_path: Path) -> None:
    folder = write_record(tmp_path, make_record())
    (folder / "history.csv").write_text("step,epoch\n1,x\n")
    with pytest.raises(RecordError, match=r"history\.csv is broken"):
        Stored(make_record(), folder).history()


def test_records_are_readable_by_others(tmp_path: Path) -> None:
    path = write_record(tmp_path, make_record()) / "record.json"
    assert path.stat().st_mode & stat.S_IRUSR
    assert path.read_bytes().endswith(b"}\n")
