"""Claims and numbers in words; differences of two sets of records."""

from pathlib import Path

import pytest
from records import full_set, make_record, store

from reproductions.harness.claims.claim import discover
from reproductions.harness.records.load import read_records
from reproductions.harness.report.compare import compare_sets
from reproductions.harness.report.describe import describe
from reproductions.harness.report.explain import explain_cell
from reproductions.harness.rule import text as wording

CLAIM = discover()["fig1_relu"]


def test_describe_says_what_is_fixed_before_the_runs() -> None:
    text = describe(CLAIM)
    for words in (
        "5 seeds per arm",
        "on seed 100",
        "the paper's is 6×",
        "config.activation: 'relu' → 'tanh'",
        "differs from the paper",
    ):
        assert words in text
    assert "at most 1, tolerance 0 %" in describe(discover()["fig2_architecture"])


def test_explain_lists_every_value_behind_a_number(tmp_path: Path) -> None:
    full_set(tmp_path)
    text = explain_cell(CLAIM, "speedup", read_records(tmp_path)[0], "paper")
    assert "effect 5.9" in text
    assert text.count("training version 1, commit ffffffffff; a processor, bf16") == 10
    assert "(informational): torch was 2.11.0, is " in text
    assert "(10 records)" in text
    assert "tanh seed 3: epochs to 25 % 38.1000" in text
    assert "paper-seed3-" in text


def test_compare_also_sees_sets_of_other_code(tmp_path: Path) -> None:
    full_set(tmp_path / "ours")
    for seed in range(3):
        store(tmp_path / "old", make_record("relu", seed, epochs=12.2 + seed / 10, training=7))
    rows = compare_sets([CLAIM], *(read_records(tmp_path / name)[0] for name in ("ours", "old")))
    relu, tanh = (row for row in rows if row["quantity"] == "epochs to 25 %")
    assert (relu["arm"], tanh["arm"]) == ("relu", "tanh")
    assert relu["theirs against ours [95 %]"].startswith("2.02× [")
    assert tanh["theirs"] == "– (n=0)"
    assert "version: " in relu["differs in"]


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
