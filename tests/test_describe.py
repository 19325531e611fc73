"""Claims and numbers in words."""

import json
from pathlib import Path

from records import full_set, make_record, store
from typer.testing import CliRunner

from reproductions.__main__ import app
from reproductions.harness.claims.claim import discover
from reproductions.harness.records.load import read_records
from reproductions.harness.report.compare import compare_sets
from reproductions.harness.report.describe import describe
from reproductions.harness.report.explain import explain_cell

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


def test_explain_names_both_kinds_of_machine_of_a_row(tmp_path: Path) -> None:
    for seed in range(5):
        hardware = "an Intel" if seed < 2 else "an AMD"
        store(
            tmp_path,
            make_record("relu", seed, hardware=hardware),
            make_record("tanh", seed, epochs=36.0, hardware=hardware),
        )
    command = ["explain", "fig1_relu.speedup", "--json", "--results", str(tmp_path)]
    (row,) = json.loads(CliRunner().invoke(app, command).stdout)
    assert (row["n"], row["planned"]) == (5, 5)
    assert row["kinds"] == [
        {"hardware": "an AMD", "precision": "bf16", "seeds": [2, 3, 4]},
        {"hardware": "an Intel", "precision": "bf16", "seeds": [0, 1]},
    ]
    assert {(record["seed"], record["hardware"]) for record in row["records"]} == {
        (seed, "an Intel" if seed < 2 else "an AMD") for seed in range(5)
    }
    assert all("torch was 2.11.0" in " ".join(record["differs"]) for record in row["records"])


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
