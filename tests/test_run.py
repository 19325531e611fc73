"""From a planned run to its record: which records make a run unnecessary."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from records import git_tree
from typer.testing import CliRunner

from alexnet.config import AlexNetConfig
from alexnet.training import Row
from reproductions.__main__ import app
from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.execute import run as running
from reproductions.harness.execute.context import RunContext
from reproductions.harness.execute.metrics import MEASURES
from reproductions.harness.execute.run import make
from reproductions.harness.records.load import read_records, records_of
from reproductions.harness.records.store import folder_of

NAMES = pytest.mark.parametrize("name", ["ten_view_gain", "fig1_relu"])


def first(name: str) -> PlannedRun:
    return next(run for run in planned_runs(discover()[name], "smoke") if run.purpose != "sweep")


@NAMES
def test_another_machines_record_does_not_save_the_work(name: str, context: RunContext) -> None:
    """Otherwise one arm would stay the other machine's, and the two would never be compared."""
    claim, run = discover()[name], first(name)
    made = make(run, claim, context)
    assert made is not None
    (item,), _ = read_records(context.root)
    machine = item.record.machine.model_copy(update={"hardware": "another"})
    changed = {"machine": machine, "started": "2020-01-01T00:00:00Z"}
    theirs = item.record.model_copy(update=changed)
    folder = shutil.move(made, folder_of(context.root, theirs))
    (folder / "record.json").write_text(theirs.model_dump_json())
    assert make(run, claim, context) == made
    hardware = {item.record.machine.hardware for item in read_records(context.root)[0]}
    assert hardware == {"another", context.hardware}
    assert make(run, claim, context) == made, "though the other machine's is the earlier one"


def test_a_copy_of_another_runs_record_does_not_save_the_work(context: RunContext) -> None:
    """The plan skips both, so both are made again."""
    claim, one = discover()["ten_view_gain"], first("ten_view_gain")
    two = replace(one, seed=1)
    folder = make(one, claim, context)
    assert folder is not None
    copy = Path(shutil.copytree(folder, folder.with_name(folder.name.replace("seed0", "seed1"))))
    path = copy / "record.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    for run in (one, two):
        stored, (fault,) = read_records(context.root, run)
        assert stored == records_of(context.root, run) == []
        assert fault.why.endswith("one is a copy")
    made = make(two, claim, context)
    assert made == copy.with_name(f"{copy.name}-r2")
    assert [item.folder for item in read_records(context.root)[0]] == [made]


@NAMES
def test_a_record_of_other_code_does_not_save_the_work(
    name: str, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A committed run is never compared with one of uncommitted code, and the plan lacks it."""
    folders = []
    for dirty in (False, True, True):
        monkeypatch.setattr(running, "git_state", lambda _, dirty=dirty: git_tree(dirty))
        folders.append(make(first(name), discover()[name], context))
    assert folders[0] != folders[1] == folders[2]


@pytest.mark.parametrize(("setting", "attempts"), [("AVX2", 2), ("COMPATIBLE", 1)])
def test_a_checkpoint_is_resumed_only_with_the_same_arithmetic(
    setting: str, attempts: int, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, run = discover()["ten_view_gain"], first("ten_view_gain")

    def stop(_: Row) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("MKL_CBWR", "AVX2")
    with pytest.raises(KeyboardInterrupt):
        make(run, claim, context, stop)
    monkeypatch.setenv("MKL_CBWR", setting)
    make(run, claim, context)
    (item,), _ = read_records(context.root)
    assert item.record.cost.attempts == attempts


def test_a_run_that_fails_has_a_record_and_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More memory is needed than a machine can address."""
    monkeypatch.setitem(MEASURES, AlexNetConfig, lambda *_: torch.empty(1 << 60))
    command = ["run", "ten_view_gain", "--scale", "smoke", "--results", str(tmp_path)]
    done = CliRunner().invoke(app, [*command, "--seeds", "0", "--threads", "1"])
    assert done.exit_code == 3
    assert ": failed; record " in done.output
    (item,), _ = read_records(tmp_path / "smoke")
    assert item.record.status == "failed"
    assert "memory" in str(item.record.failure)
