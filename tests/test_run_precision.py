"""A run's precision: one for all arms of a seed, the checkpoint's after a kill, the user's."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from records import make_record, store
from typer.testing import CliRunner

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
from reproductions.harness.records.load import read_record
from reproductions.harness.records.schema import Record

FIGURE1 = discover()["fig1_relu"]
FP32 = Choice("fp32", "no native bf16 here")


def planned(variant: str, seed: int = 0, claim: Claim = FIGURE1) -> PlannedRun:
    return next(r for r in planned_runs(claim, "smoke") if (r.variant, r.seed) == (variant, seed))


def native(monkeypatch: pytest.MonkeyPatch, *, bf16: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": bf16})


def choose(run: PlannedRun, claim: Claim, context: RunContext) -> Choice | None:
    asked = precision.asked(run, claim, context, dirty=provenance.uncommitted())
    return asked or precision.measured(run, claim, context)


def made(run: PlannedRun, context: RunContext) -> tuple[Record, list[str]]:
    """The record of a run, and the lines on its precision."""
    choices: list[Choice] = []
    folder = make(run, FIGURE1, context, on_choice=choices.append)
    assert folder is not None
    return read_record(folder), [str(choice) for choice in choices]


def test_all_arms_of_a_network_have_one_measured_precision(
    context: RunContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    native(monkeypatch, bf16=True)
    monkeypatch.setattr(measuring, "BUDGET", 0)  # seconds: emulated bf16 is slow
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = ("fig1_relu", "cifar_lrn_gain", "lrn_gain", "depth", "dropout", "ensembles")
    claims = [discover()[name] for name in names]
    runs = [(run, claim) for claim in claims for run in planned_runs(claim, "smoke")]
    found: dict[type | None, set[str]] = {}
    for run, claim in runs:
        network = type(run.network_config) if run.kind == "train" else None
        found.setdefault(network, set()).add(str(choose(run, claim, context)))
    assert found.pop(None) == {"None"}, "an ensemble trains nothing"
    assert [len(choices) for choices in found.values()] == [1, 1, 1]
    cache = tmp_path / "alexnet" / "precision.json"
    assert len(remembered(cache)) == 3, (
        "Figure 1's net, the net of locally connected layers, and the original AlexNet"
    )
    fast = {key: {"distance": 0.01, "speedup": 2.0} for key in remembered(cache)}
    cache.write_text(json.dumps(fast))
    choices = [choose(run, claim, context) for run, claim in runs if run.kind == "train"]
    assert {choice.precision for choice in choices if choice} == {"bf16"}


def stored(context: RunContext, variant: str = "relu", **options: Any) -> None:
    """Store a record of an arm of seed 0, by default in bf16 on this kind of machine."""
    usual = {
        "hardware": context.hardware,
        "scale": "smoke",
        "fingerprint": context.fingerprints["synthetic"],
    }
    code = {"dirty": provenance.uncommitted()}  # as what this tree makes beside it
    store(context.root, make_record(variant, 0, **{**usual, **code, **options}))


EMULATED = "this device emulates it, many times slower than fp32"


def test_a_seed_is_finished_in_the_precision_that_it_began_in(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where this kind of machine made one arm; other seeds, questions and sweeps do not matter."""
    native(monkeypatch, bf16=False)
    stored(context)
    as_relu = f"same as relu seed 0 on this kind of machine; {EMULATED}"
    assert choose(planned("tanh"), FIGURE1, context) == Choice("bf16", as_relu)
    assert choose(planned("tanh", 1), FIGURE1, context) == FP32
    assert choose(planned("tanh-modern"), FIGURE1, context) == FP32
    assert choose(planned("tanh-rate0.004", 100), FIGURE1, context) == FP32


@pytest.mark.parametrize(
    "options",
    [
        {"hardware": "another"},
        {"status": "failed"},
        {"rate": 1.0},
        {"fingerprint": "another"},
        {"precision": "exact"},
    ],
)
def test_a_record_that_makes_no_pair_decides_nothing(
    context: RunContext, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another machine, failed, outdated, of other images, or of no precision that there is."""
    native(monkeypatch, bf16=False)
    stored(context, **options)
    assert choose(planned("tanh"), FIGURE1, context) == FP32


def test_the_option_decides_whatever_the_other_arm_has(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    native(monkeypatch, bf16=False)
    stored(context, precision="fp32")
    for asked, note in (("bf16", f"; {EMULATED}"), ("fp32", "")):
        choice = choose(planned("tanh"), FIGURE1, replace(context, precision=asked))
        assert choice == Choice(asked, f"set by --precision{note}")


def test_after_a_kill_the_checkpoint_decides_but_for_the_option(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run begins alone, in fp32; then its partner is stored in bf16."""

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    native(monkeypatch, bf16=False)
    tanh = planned("tanh")
    small = replace(tanh.network_config, widths=(8, 8, 16))
    tanh = replace(tanh, network_config=small)
    for on in (context, replace(context, root=context.root / "option")):
        with pytest.raises(KeyboardInterrupt):
            make(tanh, FIGURE1, on, stop)
        stored(on)
    record, said = made(tanh, context)
    assert (record.machine.precision, record.cost.attempts) == ("fp32", 2)
    assert said[0].startswith("precision bf16: same as relu seed 0")
    assert said[1:] == [f"precision fp32: {tanh} resumed from a checkpoint in this precision"]
    record, said = made(tanh, replace(context, root=context.root / "option", precision="bf16"))
    assert (record.machine.precision, record.cost.attempts) == ("bf16", 1)
    assert said == [f"precision bf16: set by --precision; {EMULATED}"]


def test_the_options_reach_the_job(tmp_path: Path) -> None:
    work = prepare(discover()["ten_view_gain"], tmp_path, scale="smoke", data=None)
    options = LaunchOptions("slurm", SlurmConfig(), precision="fp32", compiled=True)
    ((request, _), *_), _ = dispatch._choose([work], options)
    job = pickle.loads(pickle.dumps(request.job("cpu", 1)))
    assert (job.precision, job.compiled) == ("fp32", True)


def test_an_unknown_precision_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    for more in ([], ["--launch", "local"], ["--launch", "slurm"]):
        done = CliRunner().invoke(
            app,
            ["run", "fig1_relu", "--precision", "fp16", "--results", str(tmp_path / "r"), *more],
        )
        assert (done.exit_code, done.stderr) == (2, "error: --precision fp16: say fp32 or bf16\n")
    assert not (tmp_path / "r").exists()
