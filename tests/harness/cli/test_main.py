"""The command line for real: processes, interruptions, exit statuses, one clear line."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alexnet.data.sources import open_dataset
from reproductions.__main__ import app
from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.cli.examine import examine
from reproductions.harness.execute.context import RunContext, set_up
from reproductions.harness.execute.run import make
from reproductions.harness.records.files import REPOSITORY
from reproductions.harness.records.load import read_records
from reproductions.harness.records.provenance import git_state

ROOT = Path(__file__).parents[3]
# of each kind one; first and last share a network
CLAIMS = ("lrn_gain", "fig1_relu", "fig2_architecture", "ten_view_gain")
SMOKE = ["run", *CLAIMS, "--scale", "smoke", "--sweep", "--threads", "1"]
RUNS = {
    name: {run.key for run in planned_runs(discover()[name], "smoke")}
    for name in CLAIMS
    if name != "fig2_architecture"
}
PLANNED = len(set.union(*RUNS.values()))

Call = Callable[..., subprocess.CompletedProcess[str]]
Smoke = tuple[Path, list[str], list[int]]  # results, what each process said, its status


# As `python -m reproductions`, but no test downloads.
OFFLINE = """
import sys
from alexnet.data import cifar10
from reproductions.__main__ import app
cifar10.HOST = "localhost.invalid"
sys.exit(app(sys.argv[1:]))
"""


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", OFFLINE, *map(str, arguments)]


@pytest.fixture
def call(clean_env: dict[str, str], tmp_path: Path) -> Call:
    """Run a command to its end."""

    def run(*arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
        whole = {**clean_env, **env}
        return subprocess.run(
            command(*arguments),
            capture_output=True,
            text=True,
            check=False,
            env=whole,
            cwd=tmp_path,
        )

    return run


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    """Claims on synthetic images: interrupted in the first run, then finished by two processes."""
    results = tmp_path_factory.mktemp("smoke")
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "XDG_CACHE_HOME": str(results / "cache"),
        "ALEXNET_DATA": "",
    }
    arguments = command(*SMOKE, "--results", results)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    first = subprocess.Popen(arguments, env=env, **pipes)  # type: ignore[call-overload]
    for line in first.stdout:
        if "epoch 1.0" in line:
            first.send_signal(signal.SIGINT)
            break
    said = [first.communicate(timeout=60)[1]]
    statuses = [first.returncode]
    both = [subprocess.Popen(arguments, env=env, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    for process in both:
        said.append("".join(process.communicate(timeout=240)))
        statuses.append(process.returncode)
    return results, said, statuses


def test_ctrl_c_ends_with_one_line_and_status_3_and_the_run_goes_on(smoke: Smoke) -> None:
    results, said, statuses = smoke
    assert statuses[0] == 3
    assert said[0].strip() == "error: interrupted; run the same command again to resume"
    assert max(item.record.cost.attempts for item in read_records(results / "smoke")[0]) == 2
    assert not list((results / "smoke" / ".work").glob("alexnet*"))


def test_synthetic_images_are_no_evidence(smoke: Smoke) -> None:
    assert "**–**" in (smoke[0] / "smoke" / "report.md").read_text()
    assert "no evidence" in (smoke[0] / "smoke" / "report.md").read_text().split("##")[0]
    assert "synthetic" not in (smoke[0] / "report.md").read_text().split("## Method")[0]


def test_two_processes_at_once_make_every_run_once(smoke: Smoke) -> None:
    results, said, statuses = smoke
    assert set(statuses[1:]) <= {0, 3}, said
    stored, broken = read_records(results / "smoke")
    assert (len(stored), broken) == (PLANNED, [])
    assert set.union(*RUNS.values()) == {item.record.key for item in stored}
    assert {item.record.data.name for item in stored if item.record.data} == {"synthetic"}


def test_a_second_call_trains_nothing_and_says_why(smoke: Smoke, call: Call) -> None:
    results = smoke[0]
    before = {
        path: path.read_bytes()
        for path in results.rglob("*")
        if path.is_file() and "cache" not in path.parts
    }
    again = call(*SMOKE, "--results", results)
    assert again.returncode == 0, again.stderr
    for runs in RUNS.values():
        assert f"nothing to do: all {len(runs)} runs have current records" in again.stdout
    assert " images/s" not in again.stdout, "that would be a row of training"
    assert {path: path.read_bytes() for path in before} == before


def test_the_same_seed_gives_the_same_bits_in_another_process(smoke: Smoke, tmp_path: Path) -> None:
    """A repeated run equals another process's, interrupted or not, in all but the seconds."""
    item = next(i for i in read_records(smoke[0] / "smoke")[0] if i.record.cost.attempts == 2)
    run = next(r for r in planned_runs(discover()["lrn_gain"], "smoke") if r.key == item.record.key)
    bench = RunContext(
        tmp_path, {"synthetic": open_dataset("synthetic", Path())}, set_up("cpu", 1), 1
    )
    folder = make(run, discover()["lrn_gain"], bench)
    assert folder is not None
    (again,), _ = read_records(tmp_path)
    assert again.record.id == item.record.id
    histories = [
        [{k: v for k, v in row.items() if "seconds" not in k} for row in stored.history()]
        for stored in (again, item)
    ]
    assert histories[0] == histories[1]
    assert make(run, discover()["lrn_gain"], bench) == folder
    repeat = make(run, discover()["lrn_gain"], bench, force=True)
    assert repeat is not None
    assert repeat.name == f"{folder.name}-r2"


def test_status_explain_and_compare_of_a_finished_set(smoke: Smoke, call: Call) -> None:
    results = smoke[0]
    rows = json.loads(call("status", "fig1_relu", "--results", results, "--json").stdout)
    assert {row["state"] for row in rows if "/smoke-" in row["run"]} == {"done"}
    assert all("/smoke-" in row["run"] for row in rows), "only what was begun is shown"
    named = ("status", "fig1_relu", "--scale", "paper", "--results", results, "--json")
    assert {row["state"] for row in json.loads(call(*named).stdout)} == {"missing"}
    explained = call("explain", "fig1_relu.speedup", "--results", results / "smoke").stdout
    assert "formula: exp of the mean over seeds of log(epochs" in explained
    assert explained.count("relu seed") == 2
    compared = json.loads(
        call("compare", results / "smoke", "--results", results / "smoke", "--json").stdout
    )
    assert {row["differs in"] for row in compared} == {"nothing recorded"}


def invoke(command: str, *more: object):
    return CliRunner().invoke(app, [*command.split(), *map(str, more)])


SMOKE_RUN = "run fig1_relu --scale smoke"


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("run fig1_rleu", 2, "no claim is called 'fig1_rleu'; did you mean 'fig1_relu'?"),
        (
            "run all --scale huge",
            2,
            "no scale is called 'huge'; there are paper, reduced, mini, sm",
        ),
        ("run fig1_relu --scale mini", 2, "has no scale 'mini'; it has paper, smoke"),
        (f"{SMOKE_RUN} --device gpu", 2, "no device is called 'gpu'"),
        (f"{SMOKE_RUN} --device cuda", 2, "leave --device out or give --device cpu"),
        (f"{SMOKE_RUN} --precision fp16", 2, "--precision fp16: say fp32 or bf16"),
        (f"{SMOKE_RUN} --seeds x", 2, "is no list of seeds; write it like 0-4 or 0,2"),
        ("run fig1_relu --scale paper", 4, "could not be downloaded"),
        ("run all", 4, "`data prepare` packs them, --scale smoke takes built-in ones"),
        ("submit fig1_relu", 4, "`data prepare` packs them, --scale smoke takes"),
        ("submit fig1_relu --scale smoke --data nowhere", 4, "--data nowhere: no such folder"),
        ("data verify --data nowhere", 4, "--data nowhere: no such folder"),
        ("explain fig1_relu.speed", 2, "names no question; choose one of fig1_relu.speedup, "),
        ("show nothing_like_it", 2, "no claim is called"),
        ("compare nowhere", 2, "there is no results folder nowhere"),
        ("data verify", 4, "CIFAR-10 is not under"),
        ("data destroy", 2, "say `data verify` or `data prepare`"),
        ("data prepare mnist", 2, "no data set is called 'mnist'"),
        ("report --check", 5, "differ from the records; run `nox -s report`"),
    ],
)
def test_bad_input_gets_one_line_and_its_status(
    command: str, status: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "r" / "records").mkdir(parents=True)
    where = [] if command.startswith(("show", "data")) else ["--results", tmp_path / "r"]
    done = invoke(command, *where)
    assert done.exit_code == status, done.output
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_results_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = invoke("run fig2_architecture --results", tmp_path / "file")
    assert done.exit_code == 3
    assert re.fullmatch(r"error: .*file.*: Not a directory.*\n", done.stderr)


def test_a_dry_run_writes_nothing(tmp_path: Path, cifar_folder: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    where = ("--data", cifar_folder, "--results", tmp_path / "r")
    done = invoke("run fig1_relu --dry-run", *where)
    assert done.exit_code == 0, done.output
    assert "plan: " in done.stdout
    assert "not packed yet" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_a_broken_record_is_named_and_costs_nothing_else(tmp_path: Path) -> None:
    command = f"run fig2_architecture --results {tmp_path}"
    assert invoke(command).exit_code == 0
    record = next(tmp_path.glob("records/*/*/*/record.json"))
    record.write_text("{")
    assert invoke(command, "--dry-run").exit_code == 4
    again = invoke(command)
    assert again.exit_code == 4
    assert "not a record" in again.stdout
    assert "parameters: 60,965,224, paper 60,000,000: holds" in again.stdout
    assert len(list(tmp_path.glob("records/*/*/*/record.json"))) == 2


def test_list_plan_show_and_doctor(tmp_path: Path) -> None:
    listed = json.loads(invoke("list --json --results", tmp_path).stdout)
    assert [row["claim"] for row in listed] == list(discover())
    assert all(re.fullmatch(r"\d+ not run", row["verdicts"]) for row in listed)
    rows = json.loads(invoke("plan fig1_relu --json --scale smoke --results", tmp_path).stdout)
    assert len(rows) == sum("-rate" not in variant for _, variant, _, _ in RUNS["fig1_relu"])
    assert any("paper 6×" in row["detects"] for row in rows)
    assert "tanh differs in: config.activation" in invoke("show fig1_relu").stdout
    examined = invoke("doctor --results", tmp_path)
    assert examined.exit_code == 0
    assert "can be written" in examined.stdout
    # of the code, not of the results
    (git,) = (row for row in examine(tmp_path, tmp_path) if row["what"] == "git")
    assert git["state"] == ("ok" if git_state(REPOSITORY).commit else "missing")


def test_run_without_a_claim_lists(tmp_path: Path) -> None:
    done = invoke("run --results", tmp_path)
    assert done.exit_code == 0
    assert "fig1_relu" in done.stdout
    assert not any(tmp_path.iterdir())


def test_data_prepare_and_verify(cifar_folder: Path) -> None:
    assert "not packed yet" in invoke("data verify --data", cifar_folder).stdout
    assert "ready" in invoke("data prepare --data", cifar_folder).stdout
    assert "verified" in invoke("data verify --data", cifar_folder).stdout
    packed = next((cifar_folder / "prepared").glob("cifar10-*-train-*")) / "images.npy"
    packed.write_bytes(packed.read_bytes()[:-1] + b"\x07")
    broken = invoke("data verify --data", cifar_folder)
    assert broken.exit_code == 4
    assert "does not match its fingerprint" in broken.stderr
