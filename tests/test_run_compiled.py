"""Runs with `--compile`: their own records and checkpoints."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from alexnet import compile as compiling
from reproductions.__main__ import app
from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.execute.context import RunContext
from reproductions.harness.execute.run import make
from reproductions.harness.records.load import read_record, read_records
from reproductions.harness.records.schema import Record


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """The networks that were compiled, by a compiler that leaves them as they are."""
    made: list[nn.Module] = []

    def compile_(net: nn.Module, dynamic: bool, options: dict[str, bool]) -> nn.Module:
        made.append(net)
        return nn.Sequential(net)

    monkeypatch.setattr(compiling.torch, "compile", compile_)
    return made


@pytest.fixture
def compiled(context: RunContext) -> RunContext:
    return replace(context, compiled=True)


def first(claim: str) -> PlannedRun:
    return next(run for run in planned_runs(discover()[claim], "smoke") if run.purpose != "sweep")


def made(claim: str, run: PlannedRun, context: RunContext) -> Record:
    folder = make(run, discover()[claim], context)
    assert folder is not None
    return read_record(folder)


@pytest.mark.parametrize("claim", ["fig1_relu", "lrn_gain"])
def test_a_compiled_run_has_a_record_of_its_own(
    claim: str, context: RunContext, compiled: RunContext, calls: list[nn.Module]
) -> None:
    run = first(claim)
    one, other = made(claim, run, context), made(claim, run, compiled)
    assert (made(claim, run, context), made(claim, run, compiled)) == (one, other)
    assert len(calls) == 1
    assert (one.machine.precision, other.machine.precision) == ("fp32", "fp32 compiled")
    assert one.id != other.id
    assert other.machine.determinism == "as torch.compile leaves it"
    assert one.metrics == other.metrics


def test_a_compiled_checkpoint_is_left_to_compiled_runs(
    context: RunContext, compiled: RunContext, calls: list[nn.Module]
) -> None:
    run = first("lrn_gain")

    def stop(_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(run, discover()["lrn_gain"], compiled, stop)
    assert made("lrn_gain", run, context).cost.attempts == 1
    assert made("lrn_gain", run, compiled).cost.attempts == 2


def test_an_average_of_compiled_networks_says_so_once(
    compiled: RunContext, calls: list[nn.Module]
) -> None:
    runs = planned_runs(discover()["ensembles"], "smoke")
    average = next(run for run in runs if run.kind == "ensemble")
    for run in (*average.needs, average):
        assert made("ensembles", run, compiled).machine.precision == "fp32 compiled"
    assert len(calls) == len(average.needs)


def test_the_option_reaches_the_run(tmp_path: Path, calls: list[nn.Module]) -> None:
    command = "run ten_view_gain --scale smoke --seeds 0 --compile --threads 1 --results"
    done = CliRunner().invoke(app, [*command.split(), str(tmp_path)])
    assert done.exit_code == 0, done.output
    (item,), _ = read_records(tmp_path / "smoke")
    assert item.record.machine.precision == "fp32 compiled"
    assert len(calls) == 1
    assert torch.are_deterministic_algorithms_enabled()
