"""Numbers as people read them."""

from pathlib import Path

import pytest
from records import full_set, make_record, store

from reproductions.harness.claims.claim import discover
from reproductions.harness.judge.rows import VerdictRow, judge
from reproductions.harness.records.load import read_records
from reproductions.harness.rule import text as wording


def row_of(root: Path) -> VerdictRow:
    return next(
        row
        for row in judge(discover()["fig1_relu"], read_records(root)[0])
        if row.question.name == "speedup"
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "–"),
        ([2.5], "2.50"),
        ([1.0, 3.0], "2.00 [-10.71, 14.71]"),
        ([6.0, 6.0, 6.0], "6.00 [6.00, 6.00]"),
    ],
)
def test_interval(values: list[float], text: str) -> None:
    """For 1 and 3: t(0.975, 1) = 12.706, sd √2, so 2 ± 12.706."""
    assert wording.interval(values) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (60965224.0, "60,965,224"), (1.4518, "1.452"), (0, "0")]
)
def test_count(value: float | None, text: str) -> None:
    assert wording.count(value) == text


def test_a_measured_ratio_has_its_interval_and_a_bound_has_none(tmp_path: Path) -> None:
    full_set(tmp_path / "whole")
    assert row_of(tmp_path / "whole").measured_text == "5.99× [5.75, 6.24]"
    for seed in range(5):
        store(
            tmp_path / "censored",
            make_record("relu", seed, epochs=6.0),
            make_record("tanh", seed, epochs=None),
        )
    assert row_of(tmp_path / "censored").measured_text == "at least 10.00× (no interval)"
    assert row_of(tmp_path).measured_text == "–"
    assert row_of(tmp_path).question.paper_text == "6×"
