"""A run's precision and compilation: one for all arms of a seed, the checkpoint's, the user's."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from records import make_record, store
from torch import nn
from typer.testing import CliRunner

from alexnet import compile as compiling
from alexnet import precision as measuring
from alexnet.precision import Choice, remembered
from reproductions.__main__ import app
from reproductions.harness.claims.claim import Claim, discover, planned_runs
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.execute import precision
from reproductions.harness.execute.context import RunContext
from reproductions.harness.execute.run import make
from reproductions.harness.launch import submit as dispatch
from reproductions.harness.launch.slurm_config import LaunchOptions, SlurmConfig
from reproductions.harness.plan.claim_plan import prepare
from reproductions.harness.records import provenance
from reproductions.harness.records.load import read_record, read_records
from reproductions.harness.records.schema import Record

FIGURE1 = discover()["fig1_relu"]
FP32 = Choice("fp32", "no native bf16 here")
EMULATED = "this device emulates it, many times slower than fp32"


def planned(variant: str, seed: int = 0) -> PlannedRun:
    runs = planned_runs(FIGURE1, "smoke")
    return next(run for run in runs if (run.variant, run.seed) == (variant, seed))


def first(claim: str) -> PlannedRun:
    return next(run for run in planned_runs(discover()[claim], "smoke") if run.purpose != "sweep")


def stop(_: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without bf16."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)


def choose(run: PlannedRun, context: RunContext, claim: Claim = FIGURE1) -> Choice | None:
    asked = precision.asked(run, claim, replace(context, dirty=provenance.uncommitted()))
    return asked or precision.measured(run, claim, context)


def made(run: PlannedRun, context: RunContext) -> tuple[Record, list[str]]:
    """The record of a run, and the lines on its precision."""
    choices: list[Choice] = []
    folder = make(run, FIGURE1, context, on_choice=choices.append)
    assert folder is not None
    return read_record(folder), [str(choice) for choice in choices]


def stored(context: RunContext, variant: str = "relu", **options: Any) -> None:
    """Store a record of an arm of seed 0, by default in bf16 on this kind of machine."""
    usual = {
        "hardware": context.hardware,
        "scale": "smoke",
        "fingerprint": context.fingerprints["synthetic"],
        "dirty": provenance.uncommitted(),  # as what this tree makes beside it
    }
    store(context.root, make_record(variant, 0, **usual | options))


def test_all_arms_of_a_network_have_one_measured_precision(
    context: RunContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(measuring, "BUDGET", 0)  # seconds: emulated bf16 is slow
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    claims = [discover()[name] for name in ("fig1_relu", "cifar_lrn_gain", "lrn_gain", "ensembles")]
    runs = [(run, claim) for claim in claims for run in planned_runs(claim, "smoke")]
    found: dict[type | None, set[str]] = {}
    for run, claim in runs:
        network = type(run.network_config) if run.kind == "train" else None
        found.setdefault(network, set()).add(str(choose(run, context, claim)))
    assert found.pop(None) == {"None"}, "an ensemble trains nothing"
    assert [len(choices) for choices in found.values()] == [1, 1, 1]
    cache = tmp_path / "alexnet" / "precision.json"
    fast = {key: {"distance": 0.01, "speedup": 2.0} for key in remembered(cache)}
    assert len(fast) == 3
    cache.write_text(json.dumps(fast))
    choices = [choose(run, context, claim) for run, claim in runs if run.kind == "train"]
    assert {choice.precision for choice in choices if choice} == {"bf16"}


@pytest.mark.usefixtures("emulated")
def test_a_seed_is_finished_in_the_precision_that_it_began_in(context: RunContext) -> None:
    """Where this kind of machine made one arm; other seeds, questions and sweeps do not matter."""
    stored(context)
    as_relu = f"same as relu seed 0 on this kind of machine; {EMULATED}"
    assert choose(planned("tanh"), context) == Choice("bf16", as_relu)
    for other in (("tanh", 1), ("tanh-modern", 0), ("tanh-rate0.004", 100)):
        assert choose(planned(*other), context) == FP32
    for asked, note in (("bf16", f"; {EMULATED}"), ("fp32", "")):
        choice = choose(planned("tanh"), replace(context, precision=asked))
        assert choice == Choice(asked, f"set by --precision{note}")


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize(
    "options",
    [{"hardware": "another"}, {"status": "failed"}, {"rate": 1.0}, {"fingerprint": "another"}],
)
def test_a_record_that_makes_no_pair_decides_nothing(
    context: RunContext, options: dict[str, Any]
) -> None:
    stored(context, **options)
    assert choose(planned("tanh"), context) == FP32


@pytest.mark.usefixtures("emulated")
def test_after_a_kill_the_checkpoint_decides_but_for_the_option(context: RunContext) -> None:
    """A run begins alone, in fp32; then its partner is stored in bf16."""
    tanh = planned("tanh")
    tanh = replace(tanh, network_config=replace(tanh.network_config, widths=(8, 8, 16)))
    option = replace(context, root=context.root / "option")
    for on in (context, option):
        with pytest.raises(KeyboardInterrupt):
            make(tanh, FIGURE1, on, stop)
        stored(on)
    record, said = made(tanh, context)
    assert (record.machine.precision, record.cost.attempts) == ("fp32", 2)
    assert said[0].startswith("precision bf16: same as relu seed 0")
    assert said[1:] == [f"precision fp32: {tanh} resumed from a checkpoint in this precision"]
    record, said = made(tanh, replace(option, precision="bf16"))
    assert (record.machine.precision, record.cost.attempts) == ("bf16", 1)
    assert said == [f"precision bf16: set by --precision; {EMULATED}"]


def test_the_options_reach_the_job(tmp_path: Path) -> None:
    work = prepare(discover()["ten_view_gain"], tmp_path, scale="smoke", data=None)
    options = LaunchOptions("slurm", SlurmConfig(), precision="fp32", compiled=True)
    ((request, _), *_), _ = dispatch._choose([work], options)
    job = pickle.loads(pickle.dumps(request.job("cpu", 1)))
    assert (job.request.precision, job.request.compiled) == ("fp32", True)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """The networks that were compiled, by a compiler that leaves them as they are."""
    made: list[nn.Module] = []

    def compile_(net: nn.Module, dynamic: bool, options: dict[str, bool]) -> nn.Module:
        made.append(net)
        return nn.Sequential(net)

    monkeypatch.setattr(compiling.torch, "compile", compile_)
    return made


@pytest.mark.parametrize("claim", ["fig1_relu", "lrn_gain"])
def test_a_compiled_run_has_a_record_and_a_checkpoint_of_its_own(
    claim: str, context: RunContext, calls: list[nn.Module]
) -> None:
    run, compiled = first(claim), replace(context, compiled=True)
    with pytest.raises(KeyboardInterrupt):
        make(run, discover()[claim], compiled, stop)
    one, other = made(run, context)[0], made(run, compiled)[0]
    assert (made(run, context)[0], made(run, compiled)[0]) == (one, other)
    assert (one.cost.attempts, other.cost.attempts, len(calls)) == (1, 2, 2)
    assert (one.machine.precision, other.machine.precision) == ("fp32", "fp32 compiled")
    assert one.id != other.id
    assert other.machine.determinism == "as torch.compile leaves it"
    assert one.metrics == other.metrics


def test_the_command_compiles_and_says_its_precision_once(
    tmp_path: Path, calls: list[nn.Module], emulated: None
) -> None:
    command = "run ten_view_gain --scale smoke --compile --threads 1 --results"
    done = CliRunner().invoke(app, [*command.split(), str(tmp_path)])
    assert done.exit_code == 0, done.output
    records = [item.record for item in read_records(tmp_path / "smoke")[0]]
    assert [record.machine.precision for record in records] == ["fp32 compiled"] * len(calls)
    assert done.output.count("precision") == 1
    assert torch.are_deterministic_algorithms_enabled()
