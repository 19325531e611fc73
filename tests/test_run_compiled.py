"""Runs with `--compile`: their own records and checkpoints, and the option in a job."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from alexnet import compile as compiling
from alexnet.data.imageset import ImageSet
from reproductions.__main__ import app
from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.execute.context import RunContext, set_up
from reproductions.harness.execute.run import make
from reproductions.harness.launch import submit as dispatch
from reproductions.harness.launch.slurm_config import LaunchOptions, SlurmConfig
from reproductions.harness.plan.claim_plan import prepare
from reproductions.harness.records.load import read_record


class Stop(Exception):  # noqa: N818
    pass


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
def benches(splits: dict[str, ImageSet], tmp_path: Path) -> tuple[RunContext, RunContext]:
    """Plain and compiled, with one results folder."""
    plain = RunContext(tmp_path, {"synthetic": splits}, set_up("cpu", 1), 1)
    return plain, RunContext(tmp_path, {"synthetic": splits}, plain.device, 1, compiled=True)


def first(claim: str) -> PlannedRun:
    return next(run for run in planned_runs(discover()[claim], "smoke") if run.purpose != "sweep")


@pytest.mark.parametrize("claim", ["fig1_relu", "cifar_lrn_gain", "lrn_gain"])
def test_a_compiled_run_is_of_a_kind_of_its_own(
    claim: str, benches: tuple[RunContext, RunContext], calls: list[nn.Module]
) -> None:
    run, folders = first(claim), []
    for bench in benches:
        folders += [make(run, discover()[claim], bench), make(run, discover()[claim], bench)]
    plain, plain_again, compiled, compiled_again = folders
    assert (plain_again, compiled_again) == (plain, compiled), "what is there is not made again"
    assert len(calls) == 1
    one, other = (read_record(folder) for folder in (plain, compiled) if folder)
    assert (one.machine.precision, other.machine.precision) == ("fp32", "fp32 compiled")
    assert one.made_on != other.made_on
    assert one.id != other.id
    assert other.machine.determinism == "as torch.compile leaves it"
    assert one.metrics == other.metrics


def test_a_checkpoint_made_otherwise_is_left(
    benches: tuple[RunContext, RunContext], calls: list[nn.Module]
) -> None:
    run, claim = first("lrn_gain"), discover()["lrn_gain"]
    plain, compiled = benches

    def stop(_: Any) -> None:
        raise Stop

    with pytest.raises(Stop):
        make(run, claim, compiled, stop)
    folder = make(run, claim, plain)
    assert folder is not None
    assert read_record(folder).cost.attempts == 1
    folder = make(run, claim, compiled)
    assert folder is not None
    assert read_record(folder).cost.attempts == 2


def test_an_average_of_compiled_networks_says_so_once(
    benches: tuple[RunContext, RunContext], calls: list[nn.Module]
) -> None:
    claim = discover()["ensembles"]
    average = next(run for run in planned_runs(claim, "smoke") if run.kind == "ensemble")
    for run in (*average.needs, average):
        folder = make(run, claim, benches[1])
        assert folder is not None
        assert read_record(folder).machine.precision == "fp32 compiled"
    assert len(calls) == len(average.needs)


def test_the_option_reaches_the_job(tmp_path: Path) -> None:
    work = prepare(discover()["ten_view_gain"], tmp_path, scale="smoke", dataset=None, data=None)
    chosen, _ = dispatch._choose([work], LaunchOptions("slurm", SlurmConfig(), compiled=True))
    job = pickle.loads(pickle.dumps(chosen[0][0].job("cpu", 1)))
    assert job.compiled is True


def test_the_option_reaches_the_run(tmp_path: Path, calls: list[nn.Module]) -> None:
    command = [
        "run",
        "ten_view_gain",
        "--scale",
        "smoke",
        "--seeds",
        "0",
        "--results",
        str(tmp_path),
        "--compile",
        "--threads",
        "1",
    ]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    (record,) = tmp_path.rglob("record.json")
    assert json.loads(record.read_text())["machine"]["precision"] == "fp32 compiled"
    assert len(calls) == 1
    assert torch.are_deterministic_algorithms_enabled()
