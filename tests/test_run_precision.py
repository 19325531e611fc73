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
from alexnet.data.imageset import ImageSet
from alexnet.precision import Choice, remembered
from reproductions.__main__ import app
from reproductions.harness.claims.claim import Claim, blocks, discover, planned_runs
from reproductions.harness.claims.runs import PlannedRun, as_data
from reproductions.harness.cli import session
from reproductions.harness.execute import precision
from reproductions.harness.execute import run as running
from reproductions.harness.execute.context import RunContext, set_up
from reproductions.harness.execute.run import make
from reproductions.harness.launch import submit as dispatch
from reproductions.harness.launch.slurm_config import LaunchOptions, SlurmConfig
from reproductions.harness.plan.claim_plan import prepare
from reproductions.harness.plan.missing import plan
from reproductions.harness.records import provenance
from reproductions.harness.records.load import read_record, read_records
from reproductions.harness.records.schema import Record

FIGURE1 = discover()["fig1_relu"]
FP32 = Choice("fp32", "no native bf16 here")


def planned(variant: str, seed: int = 0, claim: Claim = FIGURE1) -> PlannedRun:
    return next(r for r in planned_runs(claim, "smoke") if (r.variant, r.seed) == (variant, seed))


@pytest.fixture
def bench(splits: dict[str, ImageSet], tmp_path: Path) -> RunContext:
    return RunContext(tmp_path / "results", {"synthetic": splits}, set_up("cpu", 1), 1)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of measurements, not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "alexnet" / "precision.json"


def native(monkeypatch: pytest.MonkeyPatch, *, bf16: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": bf16})


def choose(run: PlannedRun, claim: Claim, bench: RunContext) -> Choice | None:
    return precision.asked(run, claim, bench, dirty=provenance.uncommitted()) or precision.measured(
        run, claim, bench
    )


def made(run: PlannedRun, bench: RunContext) -> tuple[Record, list[str]]:
    """The record of a run, and what was said of its precision."""
    said: list[Choice] = []
    folder = make(run, FIGURE1, bench, on_choice=said.append)
    assert folder is not None
    return read_record(folder), [str(choice) for choice in said]


def test_all_arms_ask_one_network_once(
    bench: RunContext, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a claim's arms are; they have the same answer, that of the measurement."""
    native(monkeypatch, bf16=True)
    monkeypatch.setattr(measuring, "BUDGET", 0)  # seconds: emulated bf16 is slow
    claims = [
        discover()[name] for name in ("fig1_relu", "cifar_lrn_gain", "lrn_gain", "depth", "dropout")
    ]
    runs = [(run, claim) for claim in claims for run in planned_runs(claim, "smoke")]
    said: dict[type, set[str]] = {}
    for run, claim in runs:
        words = said.setdefault(type(run.network_config), set())
        words.add(str(choose(run, claim, bench)))
    assert sorted(map(len, said.values())) == [1, 1, 1]
    assert len(remembered(cache)) == 3, (
        "Figure 1's net, the net of locally connected layers, and the original AlexNet"
    )
    assert len({run.variant for run, _ in runs if run.family == "alexnet"}) > 5

    fast = {key: {"distance": 0.01, "speedup": 2.0} for key in remembered(cache)}
    cache.write_text(json.dumps(fast))
    assert {choice.precision for run, claim in runs if (choice := choose(run, claim, bench))} == {
        "bf16"
    }


def test_what_trains_nothing_has_no_precision(bench: RunContext) -> None:
    claim = discover()["ensembles"]
    average = next(run for run in planned_runs(claim, "smoke") if run.kind == "ensemble")
    assert choose(average, claim, bench) is None


def stored(bench: RunContext, variant: str = "relu", **options: Any) -> None:
    """A record of an arm of seed 0, in bf16 by this kind of machine unless told otherwise."""
    usual = {
        "hardware": bench.hardware,
        "scale": "smoke",
        "fingerprint": bench.fingerprints["synthetic"],
    }
    code = {"dirty": provenance.uncommitted()}  # as what this tree makes beside it
    store(bench.root, make_record(variant, 0, **{**usual, **code, **options}))


EMULATED = "this device emulates it, many times slower than fp32"


def test_a_seed_is_finished_in_the_precision_that_it_began_in(
    bench: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where this kind of machine made one arm; other seeds, questions and sweeps do not matter."""
    native(monkeypatch, bf16=False)
    stored(bench)
    as_relu = f"same as relu seed 0 on this kind of machine; {EMULATED}"
    assert choose(planned("tanh"), FIGURE1, bench) == Choice("bf16", as_relu)
    assert choose(planned("tanh", 1), FIGURE1, bench) == FP32
    assert choose(planned("tanh-modern"), FIGURE1, bench) == FP32
    assert choose(planned("tanh-rate0.004", 100), FIGURE1, bench) == FP32


def test_it_is_the_precision_in_which_the_plan_lacks_the_run(
    bench: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there in bf16, its partner in fp32: it is made again beside it.

    The arms of another question do not matter.
    """
    native(monkeypatch, bf16=False)
    stored(bench, "tanh", started="2025-01-01T00:00:00Z")
    stored(bench, "relu", precision="fp32")
    stored(bench, "relu-modern", started="2026-02-01T00:00:00Z")
    pair = next(block for block in blocks(FIGURE1, "smoke") if planned("tanh") in block)

    def lacking() -> list[PlannedRun]:
        there = read_records(bench.root)[0]
        items = plan(pair, there, {}, bench.hardware, blocks=[pair], dirty=provenance.uncommitted())
        return [item.run for item in items if not item.current]

    assert lacking() == [planned("tanh")]
    record, said = made(planned("tanh"), bench)
    assert (record.machine.precision, said) == (
        "fp32",
        ["precision fp32: same as relu seed 0 on this kind of machine"],
    )
    assert lacking() == []
    assert made(planned("tanh"), bench) == (record, [])


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
    bench: RunContext, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another machine, failed, outdated, of other images, or of no precision that there is."""
    native(monkeypatch, bf16=False)
    stored(bench, **options)
    assert choose(planned("tanh"), FIGURE1, bench) == FP32


def test_who_insists_has_it_so(bench: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the other arm is in: the plan makes that again."""
    native(monkeypatch, bf16=False)
    stored(bench, precision="fp32")
    assert choose(planned("tanh"), FIGURE1, replace(bench, precision="bf16")) == Choice(
        "bf16", f"set by --precision; {EMULATED}"
    )
    assert choose(planned("tanh"), FIGURE1, replace(bench, precision="fp32")) == Choice(
        "fp32", "set by --precision"
    )


def test_runs_that_make_no_pair_are_not_all_that_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is there is planned again at the end."""
    work = prepare(FIGURE1, tmp_path, scale="smoke", dataset=None, data=None, seeds="0")
    here = RunContext(work.root, work.images, set_up("cpu", 1), 1)

    def make_otherwise(run: PlannedRun, *_: object, **__: object) -> Path:
        stored(here, run.variant, precision="fp32" if "relu" in run.variant else "bf16")
        return next((work.root / "records" / run.claim / run.variant).iterdir())

    monkeypatch.setattr(running, "make", make_otherwise)
    assert not session._make_missing(work, "cpu", 1)
    assert "where the other arm is missing" in capsys.readouterr().out


class StopHereError(Exception):
    """Stands for a kill."""


def test_after_a_kill_the_checkpoint_decides_unless_one_insists(
    bench: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun alone, in fp32; then its partner comes, in bf16."""

    def stop(_: object) -> None:
        raise StopHereError

    native(monkeypatch, bf16=False)
    tanh = planned("tanh")
    small = replace(tanh.network_config, widths=(8, 8, 16))
    tanh = replace(tanh, config=as_data(small), network_config=small)
    for on in (bench, replace(bench, root=bench.root / "insisted")):
        with pytest.raises(StopHereError):
            make(tanh, FIGURE1, on, stop)
        stored(on)
    record, said = made(tanh, bench)
    assert (record.machine.precision, record.cost.attempts) == ("fp32", 2)
    assert said[0].startswith("precision bf16: same as relu seed 0")
    assert said[1:] == [f"precision fp32: {tanh} resumed from a checkpoint in this precision"]
    record, said = made(tanh, replace(bench, root=bench.root / "insisted", precision="bf16"))
    assert (record.machine.precision, record.cost.attempts) == ("bf16", 1)
    assert said == [f"precision bf16: set by --precision; {EMULATED}"]


def test_the_option_travels_with_a_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To what submitit pickles, to the job's log and to the record."""
    claim = discover()["ten_view_gain"]
    work = prepare(claim, tmp_path, scale="smoke", dataset=None, data=None, seeds="0")
    for asked in (None, "fp32"):
        chosen, _ = dispatch._choose([work], LaunchOptions("slurm", SlurmConfig(), precision=asked))
        (segment,) = (order.job("cpu", 1) for order, _ in chosen)
        assert pickle.loads(pickle.dumps(segment)).precision == asked
    segment._make(claim)
    assert f"{segment.run}: precision fp32: set by --precision\n" in capsys.readouterr().out
    (item,), _ = read_records(work.root)
    assert item.record.machine.precision == "fp32"


def test_the_command_says_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native(monkeypatch, bf16=False)
    arguments = [
        "run",
        "ten_view_gain",
        "--scale",
        "smoke",
        "--threads",
        "1",
        "--results",
        str(tmp_path),
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert len(read_records(tmp_path / "smoke")[0]) == 2
    assert done.output.count("precision") == 1
    assert "  precision fp32: no native bf16 here\n" in done.output


def test_an_unknown_precision_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    for more in ([], ["--launch", "local"], ["--launch", "slurm"]):
        done = CliRunner().invoke(
            app,
            ["run", "fig1_relu", "--precision", "fp16", "--results", str(tmp_path / "r"), *more],
        )
        assert (done.exit_code, done.stderr) == (2, "error: --precision fp16: say fp32 or bf16\n")
    assert not (tmp_path / "r").exists()
