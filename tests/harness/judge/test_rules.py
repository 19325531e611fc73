"""When the rule of each question was fixed, and which words survive many questions."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from date_rules import undated
from records import full_set

from reproductions.harness.claims.claim import discover
from reproductions.harness.judge import rule_dates
from reproductions.harness.judge.many import adjusted, intervals
from reproductions.harness.judge.rows import VerdictRow, judge
from reproductions.harness.records.load import read_records

CLAIM = discover()["fig1_relu"]


def test_every_rule_is_dated() -> None:
    assert list(undated()) == [], "run `python -m tests.date_rules` and commit rules.csv"


def test_no_line_of_the_file_is_there_twice() -> None:
    with rule_dates.RULES.open() as file:
        lines = [tuple(row.values())[:3] for row in csv.DictReader(file)]
    assert len(lines) == len(set(lines))


@pytest.mark.parametrize(
    "change", [{"min_effect": 1.5}, {"paper": 5.0}, {"target": 30.0}, {"seeds": (0, 1)}]
)
def test_a_changed_number_is_another_rule(change: dict[str, object]) -> None:
    question = CLAIM.questions[0]
    changed = replace(question, **change)  # type: ignore[arg-type]
    assert rule_dates.since(CLAIM, question, "paper") is not None
    assert rule_dates.since(CLAIM, changed, "paper") is None


def row_of(root: Path) -> VerdictRow:
    return adjusted(judge(CLAIM, read_records(root)[0]))[0]


def test_a_rule_that_is_younger_than_a_record_is_marked(tmp_path: Path) -> None:
    full_set(tmp_path, started="2026-01-01T00:00:00Z")
    assert row_of(tmp_path).marks == (
        *("survives Holm", "target read by row"),
        "rule younger than its first record",
    )


def test_a_rule_that_is_older_is_not(tmp_path: Path) -> None:
    full_set(tmp_path, started="2099-01-01T00:00:00Z")
    assert row_of(tmp_path).marks == ("survives Holm", "target read by row")
    assert intervals([row_of(tmp_path)]) == 1


def test_a_rule_without_a_day_is_marked(tmp_path: Path) -> None:
    full_set(tmp_path)
    question: Any = CLAIM.questions[0]
    claim = replace(CLAIM, questions=(replace(question, min_effect=1.9),))
    (row,) = adjusted(judge(claim, read_records(tmp_path)[0]))
    assert "rule not dated" in row.marks
