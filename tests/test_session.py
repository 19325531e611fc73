"""What a command plans and says before it does anything."""

import json
from pathlib import Path

import pytest
from records import make_record, store

from alexnet.files import locked
from reproductions.harness import session
from reproductions.harness.claim import discover, planned_runs
from reproductions.harness.record import work_file

CLAIM = discover()["fig1_relu"]
SMOKE = {"scale": "smoke", "dataset": None, "data": None}


def test_runs_in_progress_interrupted_and_done(tmp_path: Path) -> None:
    store(tmp_path, make_record("relu", 0), make_record("tanh", 0, epochs=40.0))
    runs = {(run.variant, run.seed): run for run in planned_runs(CLAIM, "paper")}
    for seed, epoch in ((1, 3.4), (2, 7.0)):
        beat = Path(f"{work_file(tmp_path, runs['tanh', seed], 'x')}.json")
        beat.parent.mkdir(exist_ok=True)
        beat.write_text(json.dumps({"epoch": epoch, "train_error": 50.0}))
    with locked(Path(f"{work_file(tmp_path, runs['tanh', 2], 'x')}.lock")):
        rows = {row["run"]: row for row in session.status_rows(CLAIM, tmp_path)}
    assert rows["fig1_relu/relu/paper-seed0"]["state"] == "done"
    assert (rows["fig1_relu/tanh/paper-seed1"]["state"], rows["fig1_relu/tanh/paper-seed1"]["epoch"]) == ("interrupted", 3.4)
    assert (rows["fig1_relu/tanh/paper-seed2"]["state"], rows["fig1_relu/tanh/paper-seed2"]["epoch"]) == ("training", 7.0)
    assert rows["fig1_relu/tanh/paper-seed3"]["why"] == "no record"


def test_the_plan_names_the_effect_it_can_see(tmp_path: Path) -> None:
    work = session.prepare(CLAIM, tmp_path, **SMOKE)
    sees = {row["run"]: row["sees"] for row in session.plan_rows(work)}
    assert sees["fig1_relu/tanh/smoke-seed0"].startswith("≥ 1.")
    assert sees["fig1_relu/tanh-rate0.004/smoke-seed100"] == ""


@pytest.mark.parametrize(("text", "seeds"), [("0", {0}), ("0-1", {0, 1}), ("1,0", {0, 1})])
def test_seeds_of_the_verdict(tmp_path: Path, text: str, seeds: set[int]) -> None:
    work = session.prepare(CLAIM, tmp_path, **SMOKE, seeds=text)
    assert {item.run.seed for item in work.planned if item.run.role == "evaluate"} == seeds
    assert any(item.run.role == "tune" for item in work.planned)


@pytest.mark.parametrize("text", ["", "x", "5", "100", "1-", "-1", "1-0"])
def test_seeds_that_are_not_planned_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="--seeds"):
        session.prepare(CLAIM, tmp_path, **SMOKE, seeds=text)


def test_standin_records_live_apart(tmp_path: Path) -> None:
    work = session.prepare(CLAIM, tmp_path, **SMOKE)
    assert work.root == tmp_path / "smoke"
    assert session.root_of(tmp_path, "paper") == tmp_path
