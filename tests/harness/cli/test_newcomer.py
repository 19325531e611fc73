"""A newcomer's commands: the committed answer, a short plan, what is missing in a line."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from records import full_set
from typer.testing import CliRunner

from alexnet.data.sources import open_dataset
from reproductions.__main__ import app
from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.execute import trial
from reproductions.harness.records.files import RESULTS
from reproductions.harness.records.load import read_records

CLAIM = discover()["fig1_relu"]
VERDICTS = sum(run.purpose != "sweep" for run in planned_runs(CLAIM, "paper"))
SWEEPS = len(planned_runs(CLAIM, "paper")) - VERDICTS


def committed(question: str) -> str:
    """What a command should print of a question, from the report in git."""
    rows = json.loads((RESULTS / "report.json").read_text())["rows"]
    row = next(row for row in rows if row["cell"] == f"fig1_relu.{question}")
    number = (
        f"{row['measured']:.2f}× [{row['low']:.2f}, {row['high']:.2f}], paper {row['paper']:g}×"
    )
    rests = f"n {row['n']} of {row['planned']} at scale paper, {row['hardware']}"
    return f"committed records say: {row['cell']}: {number}, {rests}: {row['word']}"


ANSWERS = [committed(question.name) for question in CLAIM.questions]


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], str]:
    """Output of `run fig1_relu`, one seed, without images, network and C compiler."""
    home = tmp_path_factory.mktemp("newcomer")
    (home / "bin").mkdir()
    (home / "bin" / "git").symlink_to(shutil.which("git") or "/usr/bin/git")
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "OMP_NUM_THREADS": "1",
        "XDG_CACHE_HOME": str(home / "cache"),
        "ALEXNET_DATA": "",
        "PATH": str(home / "bin"),
        "PYTHONWARNINGS": "error",
    }
    code = "import sys; from alexnet.data import cifar10; cifar10.HOST = 'localhost.invalid'\n"
    code += "from reproductions.__main__ import app; sys.exit(app(sys.argv[1:]))"
    options = ["run", "fig1_relu", "--seeds", "0", "--threads", "1"]
    command = [sys.executable, "-c", code, *options, "--results", str(home / "results")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return home / "results", done.stdout.splitlines(), done.stderr


def test_a_first_run_says_in_turn_what_is_known_missing_planned_and_found(
    first: tuple[Path, list[str], str],
) -> None:
    results, lines, errors = first
    no_images = r"fig1_relu: NO REAL IMAGES .*this proves that the code runs and is no evidence"
    assert re.match(no_images, lines[0])
    assert lines[1 : 1 + len(ANSWERS)] == ANSWERS
    assert re.match(r"plan: 4 of 4 runs to make, .*\(at most 4 epochs\)", lines[1 + len(ANSWERS)])
    assert "4 learning-rate sweep runs skipped; add --sweep to make them" in lines
    assert re.search(
        r"  fig1_relu/relu/smoke-seed0: epoch 1\.0 of 1, training error [\d.]+ %, [\d,]+ images/s, "
        r"at most 0 s left\n",
        "\n".join(lines),
    )
    assert re.search(
        r"  fig1_relu/relu/smoke-seed0: \d+ % training error (not )?reached.*; record smoke-seed0-",
        "\n".join(lines),
    )
    *_, before, one, smoke_one, other, smoke_other = lines
    assert before.startswith("report: ")
    assert [one, other] == ANSWERS
    for question, line in zip(CLAIM.questions, (smoke_one, smoke_other), strict=True):
        said = rf"this smoke run says: +fig1_relu\.{question.name}: .*, paper 6×: –, no evidence"
        assert re.fullmatch(said, line)
    plain = "response normalisation runs in plain torch, which is slower: no C compiler `cc` found"
    assert errors.splitlines().count(plain) == 1
    stored, broken = read_records(results / "smoke")
    assert ({item.record.purpose for item in stored}, broken) == ({"verdict"}, [])


def test_the_first_command_with_images_names_its_runs_and_epochs(
    cifar_folder: Path, tmp_path: Path
) -> None:
    """Images that no record knows, as those of a first download."""
    lines = invoke(
        "run", "fig1_relu", "--dry-run", "--data", cifar_folder, "--results", tmp_path / "new"
    ).splitlines()
    assert lines[1 : 1 + len(ANSWERS)] == ANSWERS
    epochs = sum(
        run.recipe["epochs"] for run in planned_runs(CLAIM, "paper") if run.purpose != "sweep"
    )
    assert re.match(
        rf"plan: {VERDICTS} of {VERDICTS} runs to make, .*at most {epochs:,} epochs",
        lines[1 + len(ANSWERS)],
    )
    assert f"{SWEEPS} learning-rate sweep runs skipped; add --sweep to make them" in lines


@pytest.mark.parametrize("launch", ["", "--launch local", "--launch slurm --partition x"])
def test_sweep_travels_with_every_launcher(launch: str, tmp_path: Path) -> None:
    command = f"run fig1_relu --scale smoke --dry-run --results {tmp_path} {launch}".split()
    without, with_sweep = invoke(*command), invoke(*command, "--sweep")
    assert re.search(r"^plan: 8 (of 8 )?runs", without, re.MULTILINE)
    assert re.search(r"^plan: 12 (of 12 )?runs", with_sweep, re.MULTILINE)
    assert "4 learning-rate sweep runs skipped; add --sweep to make them" in without
    assert "skipped" not in with_sweep
    assert ANSWERS[0] in without


def test_a_time_is_known_from_records_of_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reproductions.harness.records.provenance.cpu_model", lambda: "a new one")
    done = CliRunner().invoke(app, ["plan", "fig1_relu", "--json", "--results", str(tmp_path)])
    assert "fig1_relu: NO REAL IMAGES" in done.stderr
    said = json.loads(done.stdout)
    assert {row["minutes from records of"] for row in said} == {"AMD EPYC (AVX-512 bf16)"}
    assert all(row["minutes"] > 0 for row in said)


def test_a_time_is_measured_once_where_the_images_are(
    cifar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reproductions.harness.records.provenance.cpu_model", lambda: "a new one")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    open_dataset("cifar10", cifar_folder)
    (tmp_path / "results").mkdir()
    where = "--scale", "paper", "--data", cifar_folder, "--results", tmp_path / "results"
    plan = invoke("plan", "fig1_relu", "--json", *where)
    rows = json.loads(plan[plan.index("[") :])
    (source,) = {row["minutes from records of"] for row in rows}
    assert re.fullmatch(r"none, measured here for \d+\.\d s", source)
    monkeypatch.setattr(trial, "measure_speeds", None)
    said = invoke("run", "fig1_relu", "--dry-run", *where)
    assert f", {source.removeprefix('none, ')} (at most " in said


def test_status_misses_no_sweep_and_shows_those_that_were_made(tmp_path: Path) -> None:
    said = invoke("status", "fig1_relu", "--results", tmp_path)
    assert "tanh-rate" not in said
    assert (
        said.splitlines()[-1]
        == f"{SWEEPS} learning-rate sweep runs skipped; add --sweep to make them"
    )
    full_set(tmp_path)
    done = CliRunner().invoke(app, ["status", "fig1_relu", "--results", str(tmp_path), "--json"])
    states = {row["run"]: row["state"] for row in json.loads(done.stdout)}
    assert states["fig1_relu/tanh-rate0.008/paper-seed100"] == "done"
    assert f"{SWEEPS // 2} learning-rate sweep runs skipped" in done.stderr
