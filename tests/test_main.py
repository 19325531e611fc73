"""The command line for real: processes, interruptions, exit statuses, one clear line."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from records import full_set
from typer.testing import CliRunner

from alexnet.data.sources import open_dataset
from reproductions.__main__ import app
from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.execute.context import RunContext, set_up
from reproductions.harness.execute.run import make
from reproductions.harness.records.load import read_records

ROOT = Path(__file__).parents[1]
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
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[int]]:
    """Claims on synthetic images: interrupted in the first run, then finished by two processes."""
    import os

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


def test_ctrl_c_ends_with_one_line_and_status_3(smoke: tuple[Path, list[str], list[int]]) -> None:
    _, said, statuses = smoke
    assert statuses[0] == 3
    assert said[0].strip() == "error: interrupted; run the same command again to resume"


def test_two_processes_at_once_make_every_run_once(
    smoke: tuple[Path, list[str], list[int]],
) -> None:
    results, said, statuses = smoke
    assert set(statuses[1:]) <= {0, 3}, said
    stored, broken = read_records(results / "smoke")
    assert (len(stored), broken) == (PLANNED, [])
    assert {item.repeat for item in stored} == {0}
    assert {item.record.data.name for item in stored if item.record.data} == {"synthetic"}


@pytest.mark.parametrize("name", RUNS)
def test_every_planned_run_has_its_record(
    smoke: tuple[Path, list[str], list[int]], name: str
) -> None:
    assert RUNS[name] <= {item.record.key for item in read_records(smoke[0] / "smoke")[0]}
    assert [item.record.key[:2] for item in read_records(smoke[0])[0]] == [
        ("fig2_architecture", "count")
    ]


def test_the_interrupted_run_went_on(smoke: tuple[Path, list[str], list[int]]) -> None:
    stored, _ = read_records(smoke[0] / "smoke")
    assert max(item.record.cost.attempts for item in stored) == 2
    assert not list((smoke[0] / "smoke" / ".work").glob("alexnet*"))


def test_a_second_call_trains_nothing_and_says_why(
    smoke: tuple[Path, list[str], list[int]], call: Call
) -> None:
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


def test_the_synthetic_is_announced_first_and_judged_none(
    smoke: tuple[Path, list[str], list[int]], call: Call
) -> None:
    """Without images and network, synthetic ones are used, as the first line says; rows stay."""
    results = smoke[0]
    without = call(
        "run",
        "fig1_relu",
        "--threads",
        "1",
        "--results",
        results,
        XDG_CACHE_HOME=str(results / "cache"),
    )
    assert without.returncode == 0, without.stderr
    assert re.match(
        r"fig1_relu: NO REAL IMAGES .*synthetic.*no evidence", without.stdout.splitlines()[0]
    )
    assert "**–**" in (results / "smoke" / "report.md").read_text()
    assert "no evidence" in (results / "smoke" / "report.md").read_text().split("##")[0]
    real = (results / "report.md").read_text()
    assert "synthetic" not in real.split("## Method")[0]


def test_the_same_seed_gives_the_same_bits_in_another_process(
    smoke: tuple[Path, list[str], list[int]], tmp_path: Path
) -> None:
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


def test_status_explain_and_compare_of_a_finished_set(
    smoke: tuple[Path, list[str], list[int]], call: Call
) -> None:
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


def test_a_sweep_is_sent_where_it_is_asked_for(
    smoke: tuple[Path, list[str], list[int]], call: Call, tmp_path: Path
) -> None:
    """A missing sweep run is no work without --sweep, and a job of its own with it."""
    shutil.copytree(smoke[0], tmp_path / "results")
    (lost,) = (tmp_path / "results").glob("smoke/records/fig1_relu/tanh-rate0.004/smoke-seed100-*")
    shutil.rmtree(lost)
    arguments = [
        "run",
        "fig1_relu",
        "--scale",
        "smoke",
        "--launch",
        "local",
        "--device",
        "cpu",
        "--results",
        tmp_path / "results",
    ]
    without = call(*arguments)
    assert (without.returncode, lost.exists()) == (0, False), without.stderr
    assert (
        "1 learning-rate sweep run skipped; add --sweep to make them\nnothing to send"
        in without.stdout
    )
    sent = call(*arguments, "--sweep")
    assert (sent.returncode, lost.exists()) == (0, True), sent.stderr
    assert "plan: 1 runs to make (at most 1 epochs)" in sent.stdout


def test_compare_names_what_differs(tmp_path: Path, call: Call) -> None:
    full_set(tmp_path / "ours")
    full_set(tmp_path / "theirs", hardware="another", fingerprint="copy")
    rows = json.loads(
        call("compare", tmp_path / "theirs", "--results", tmp_path / "ours", "--json").stdout
    )
    assert [row["arm"] for row in rows] == ["relu", "relu", "tanh", "tanh"]
    ratios = [row["theirs against ours [95 %]"] for row in rows]
    assert all(ratio.startswith("1.00× [") for ratio in ratios), ratios
    assert all("hardware: a processor → another" in row["differs in"] for row in rows)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["run", "fig1_rleu"], 2, "no claim is called 'fig1_rleu'; did you mean 'fig1_relu'?"),
        (
            ["run", "fig2_architecture", "--scale", "huge"],
            2,
            "no scale is called 'huge'; there are paper, reduced, mini, smoke",
        ),
        (["run", "fig1_relu", "--scale", "mini"], 2, "has no scale 'mini'; it has paper, smoke"),
        (
            ["run", "fig1_relu", "--scale", "smoke", "--device", "gpu"],
            2,
            "no device is called 'gpu'",
        ),
        (
            ["run", "fig1_relu", "--scale", "smoke", "--seeds", "x"],
            2,
            "is no list of seeds; write it like 0-4 or 0,2",
        ),
        (
            ["run", "fig1_relu", "--scale", "smoke", "--seeds", "0-9"],
            2,
            "the plan has seeds 0, 1, fixed before the runs",
        ),
        (["run", "fig1_relu", "--scale", "paper"], 4, "could not be downloaded"),
        (["run", "all"], 4, "`data prepare` packs them, --scale smoke takes built-in ones"),
        (["submit", "fig1_relu"], 4, "`data prepare` packs them, --scale smoke takes"),
        (["status", "--scale", "huge"], 2, "no scale is called 'huge'"),
        (["explain", "fig1_relu.speedup", "--scale", "mini"], 2, "has no scale 'mini'"),
        *(
            ([*command, "--data", "nowhere"], 4, "--data nowhere: no such folder")
            for command in (
                ["run", "fig2_architecture"],
                ["submit", "fig1_relu", "--scale", "smoke"],
                ["plan"],
                ["data", "verify"],
                ["doctor"],
            )
        ),
        (
            ["run", "fig1_relu", "--scale", "smoke", "--device", "cuda"],
            2,
            "leave --device out or give --device cpu",
        ),
        (
            ["explain", "fig1_relu.speed"],
            2,
            "fig1_relu.speed names no question; choose one of fig1_relu.speedup, ",
        ),
        (["explain", "fig2.parameters"], 2, "did you mean 'fig2_architecture'"),
        (["show", "nothing_like_it"], 2, "no claim is called"),
        (["compare", "nowhere"], 2, "there is no results folder nowhere"),
        (["data", "verify"], 4, "CIFAR-10 is not under"),
        (["data", "destroy"], 2, "say `data verify` or `data prepare`"),
        (["data", "prepare", "mnist"], 2, "no data set is called 'mnist'"),
        (["report", "--check"], 5, "differ from the records; run `nox -s report`"),
    ],
)
def test_bad_input_gets_one_line_and_its_status(
    arguments: list[str], status: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "r" / "records").mkdir(parents=True)
    where = [] if arguments[0] in ("show", "data") else ["--results", str(tmp_path / "r")]
    done = CliRunner().invoke(app, [*arguments, *where])
    assert done.exit_code == status, done.output
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_results_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(
        app, ["run", "fig2_architecture", "--results", str(tmp_path / "file")]
    )
    assert done.exit_code == 3
    assert re.fullmatch(r"error: .*file.*: Not a directory.*\n", done.stderr)


def test_a_dry_run_writes_nothing(tmp_path: Path, cifar_folder: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = CliRunner().invoke(
        app,
        [
            "run",
            "fig1_relu",
            "--dry-run",
            "--data",
            str(cifar_folder),
            "--results",
            str(tmp_path / "r"),
        ],
    )
    assert done.exit_code == 0, done.output
    assert "plan: " in done.stdout
    assert "not packed yet" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_a_broken_record_is_named_and_costs_nothing_else(tmp_path: Path) -> None:
    arguments = ["run", "fig2_architecture", "--results", str(tmp_path)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    record = next(tmp_path.glob("records/*/*/*/record.json"))
    record.write_text("{")
    assert CliRunner().invoke(app, [*arguments, "--dry-run"]).exit_code == 4
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 4
    assert "not a record" in again.stdout
    assert "parameters: 60,965,224, paper 60,000,000: holds" in again.stdout
    assert len(list(tmp_path.glob("records/*/*/*/record.json"))) == 2


def test_list_plan_show_and_doctor(tmp_path: Path) -> None:
    runner = CliRunner()
    listed = json.loads(runner.invoke(app, ["list", "--json", "--results", str(tmp_path)]).stdout)
    claims = sorted(discover().values(), key=lambda claim: claim.kind == "arithmetic")
    assert [(row["claim"], row["kind"]) for row in listed] == [(c.name, c.kind) for c in claims]
    assert all(re.fullmatch(r"\d+ not run", row["verdicts"]) for row in listed)
    rows = json.loads(
        runner.invoke(
            app, ["plan", "fig1_relu", "--json", "--scale", "smoke", "--results", str(tmp_path)]
        ).stdout
    )
    assert len(rows) == sum("-rate" not in variant for _, variant, _, _ in RUNS["fig1_relu"])
    assert any("paper 6×" in row["detects"] for row in rows)
    assert "tanh differs in: config.activation" in runner.invoke(app, ["show", "fig1_relu"]).stdout
    examined = runner.invoke(app, ["doctor", "--results", str(tmp_path)])
    assert examined.exit_code == 0
    assert "can be written" in examined.stdout


def test_a_plan_without_the_images_knows_nothing(cifar_folder: Path, tmp_path: Path) -> None:
    full_set(tmp_path)
    done = CliRunner().invoke(
        app,
        ["plan", "fig1_relu", "--data", str(cifar_folder), "--results", str(tmp_path), "--json"],
    )
    assert {row["why"] for row in json.loads(done.stdout)} == {
        "not known before the images are packed"
    }


def test_run_without_a_claim_lists(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["run", "--results", str(tmp_path)])
    assert done.exit_code == 0
    assert "fig1_relu" in done.stdout
    assert not any(tmp_path.iterdir())


def test_data_prepare_and_verify(cifar_folder: Path) -> None:
    runner = CliRunner()
    assert (
        "not packed yet"
        in runner.invoke(app, ["data", "verify", "--data", str(cifar_folder)]).stdout
    )
    assert "ready" in runner.invoke(app, ["data", "prepare", "--data", str(cifar_folder)]).stdout
    assert "verified" in runner.invoke(app, ["data", "verify", "--data", str(cifar_folder)]).stdout
    packed = next((cifar_folder / "prepared").glob("cifar10-*-train-*")) / "images.npy"
    packed.write_bytes(packed.read_bytes()[:-1] + b"\x07")
    broken = runner.invoke(app, ["data", "verify", "--data", str(cifar_folder)])
    assert broken.exit_code == 4
    assert "does not match its fingerprint" in broken.stderr
