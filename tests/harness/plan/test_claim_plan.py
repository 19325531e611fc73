"""What a command plans and says before it does anything."""

from pathlib import Path
from typing import Any

import pytest
from records import make_record, store

from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.cli.train_here import by_seed
from reproductions.harness.judge.power import plan_rows
from reproductions.harness.plan.choose_data import fingerprints_of
from reproductions.harness.plan.claim_plan import prepare
from reproductions.harness.plan.missing import PlanEntry
from reproductions.harness.records import provenance
from reproductions.harness.records.files import root_of

CLAIM = discover()["fig1_relu"]
SMOKE = {"scale": "smoke", "data": None}


def test_the_plan_names_the_effect_it_can_see(tmp_path: Path) -> None:
    work = prepare(CLAIM, tmp_path, **SMOKE, sweep=True)
    sees = {row["run"]: row["detects"] for row in plan_rows(work)}
    assert sees["fig1_relu/tanh/smoke-seed0"].startswith("≥ 3.17×"), "two seeds see little"
    assert sees["fig1_relu/tanh-rate0.004/smoke-seed100"] == ""


@pytest.mark.parametrize(("text", "seeds"), [("0", {0}), ("0-1", {0, 1}), ("1,0", {0, 1})])
def test_seeds_of_the_verdict(tmp_path: Path, text: str, seeds: set[int]) -> None:
    work = prepare(CLAIM, tmp_path, **SMOKE, seeds=text, sweep=True)
    assert {item.run.seed for item in work.planned if item.run.purpose == "verdict"} == seeds
    assert any(item.run.purpose == "sweep" for item in work.planned)


def test_a_sweep_is_planned_where_it_is_asked_for(tmp_path: Path) -> None:
    """With --force too; what is left out is counted while it is missing."""
    work = prepare(CLAIM, tmp_path, **SMOKE, force=True)
    assert {item.run.purpose for item in work.planned} == {"verdict"}
    assert work.sweeps_left_out == 4
    asked = prepare(CLAIM, tmp_path, **SMOKE, sweep=True)
    assert len(asked.planned) == len(work.planned) + 4
    assert asked.sweeps_left_out == 0
    (known,) = fingerprints_of(asked.images).values()
    made = [item.run for item in asked.planned if item.run.purpose == "sweep"][:3]
    store(
        work.root,
        *(make_record(run.variant, run.seed, scale="smoke", fingerprint=known) for run in made),
    )
    assert prepare(CLAIM, tmp_path, **SMOKE).sweeps_left_out == 1


@pytest.mark.parametrize(
    ("how", "device", "lacking"),
    [
        ({"gpu": True}, "cpu", ["relu", "tanh"]),
        ({"gpu": True}, "cuda", ["tanh"]),
        # at scale smoke a job gets a GPU only where it was asked for
        ({"gpu": None}, "cpu", ["tanh"]),
        ({"gpu": None}, "cuda", ["relu", "tanh"]),
        ({"precision": "fp32"}, "cpu", ["relu", "tanh"]),
        ({"precision": "bf16"}, "cpu", ["tanh"]),
        ({"compiled": True}, "cpu", ["relu", "tanh"]),
        ({}, "cpu", ["tanh"]),
    ],
)
def test_the_plan_knows_how_the_runs_will_be_made(
    tmp_path: Path, how: dict[str, Any], device: str, lacking: list[str]
) -> None:
    """On a GPU of unknown name, in the precision asked for, through torch.compile."""
    (known,) = fingerprints_of(prepare(CLAIM, tmp_path, **SMOKE).images).values()
    usual = {
        "scale": "smoke",
        "fingerprint": known,
        "hardware": provenance.cpu_model(),
        "dirty": provenance.uncommitted(),
    }
    record = make_record("relu", 0, **usual)
    store(
        tmp_path / "smoke",
        record.model_copy(update={"machine": record.machine.model_copy(update={"device": device})}),
    )
    work = prepare(CLAIM, tmp_path, **SMOKE, seeds="0", **how)
    assert [
        item.run.variant for item in work.missing if "modern" not in item.run.variant
    ] == lacking


@pytest.mark.parametrize("text", ["", "x", "5", "100", "1-", "-1", "1-0"])
def test_seeds_that_are_not_planned_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="--seeds"):
        prepare(CLAIM, tmp_path, **SMOKE, seeds=text)


def test_synthetic_records_live_apart(tmp_path: Path) -> None:
    work = prepare(CLAIM, tmp_path, **SMOKE)
    assert work.root == tmp_path / "smoke"
    assert root_of(tmp_path, "paper") == tmp_path


@pytest.mark.parametrize(("name", "scale"), [("fig1_relu", "paper"), ("ensembles", "mini")])
def test_runs_are_made_seed_by_seed_over_all_arms(name: str, scale: str) -> None:
    runs = [run for run in planned_runs(discover()[name], scale) if run.purpose != "sweep"]
    order = [item.run for item in by_seed([PlanEntry(run, None, "") for run in runs])]
    assert sorted(map(str, order)) == sorted(map(str, runs))
    for place, run in enumerate(order):
        assert {need.key for need in run.needs} <= {earlier.key for earlier in order[:place]}
    if name == "fig1_relu":
        seeds = [run.seed for run in order]
        assert seeds == sorted(seeds)
