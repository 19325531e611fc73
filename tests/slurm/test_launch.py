"""The suite on a real Slurm: what is submitted, interrupted in every way, finished, and said of it.

A copy of the checkout gets two claims of its own: one that takes long enough to be interrupted, one
with many short runs.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cluster import Cluster

pytestmark = pytest.mark.slurm
ROOT = Path(__file__).parents[2]
SLOW = '''"""Long enough to be interrupted."""

from dataclasses import replace

from alexnet.config import AlexNetConfig, AlexNetRecipe
from reproductions.harness import Claim, Scale, Value, Variant

RECIPE = replace(AlexNetRecipe.original().smoke(), epochs=EPOCHS, lr_milestones=())
NET = Variant("net", replace(AlexNetConfig.original().smoke(), dropout=DROPOUT), RECIPE)
QUESTION = Value(name="error", text="an error", arm=NET, metric="top1", paper=50.0, seeds=SEEDS)
CLAIM = Claim(section="a test", questions=(QUESTION,), scales={"paper": Scale("synthetic")})
'''
EPOCHS = 40  # of the slow claim: some twenty seconds
LONG = 8 * EPOCHS  # longer than a segment
RUN = "alexnet-synthetic/net/paper-seed0"


class Checkout:
    """A copy of the packages whose code and claims a test may change, and its command line."""

    def __init__(self, folder: Path, cache: Path) -> None:
        # with a space: paths are quoted everywhere
        self.folder, self.results = (folder, folder / "our results")
        for package in ("alexnet", "reproductions"):
            shutil.copytree(
                ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
            )
        self.cache = cache
        self.claim("slow", EPOCHS, "(0,)")

    def claim(self, name: str, epochs: int, seeds: str, *, dropout: bool = True) -> None:
        """Add a claim to the checkout, or change it."""
        text = SLOW.replace("EPOCHS", str(epochs)).replace("SEEDS", seeds)
        text = text.replace("DROPOUT", str(dropout))
        (self.folder / "reproductions" / f"{name}.py").write_text(text)

    def call(
        self, *arguments: object, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """A command, as a user gives it in a shell of the cluster."""
        env = {
            **os.environ,
            "PYTHONPATH": str(self.folder),
            "XDG_CACHE_HOME": str(self.cache),
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        options = [*map(str, arguments), "--results", str(self.results)]
        command = [sys.executable, "-m", "reproductions", *options]
        done = subprocess.run(
            command, env=env, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def submit(self, claim: str = "slow", *more: object) -> str:
        """Submit a claim's missing runs; the first run's job."""
        self.call("run", claim, "--launch", "slurm", "--gpus", 0, "--cpus", 1, *more)
        return self.row()["job"].removeprefix("slurm ")

    def rows(self, claim: str = "slow") -> list[dict[str, Any]]:
        return json.loads(self.call("status", claim, "--json", check=False).stdout)  # type: ignore[no-any-return]

    def row(self, claim: str = "slow") -> dict[str, Any]:
        return self.rows(claim)[0]

    def beats(self) -> list[dict[str, Any]]:
        """What runs in progress say, without asking a process of its own."""
        return [json.loads(path.read_bytes()) for path in (self.results / ".work").glob("*.json")]

    def epoch(self) -> float:
        """How far the slow run says it is."""
        return max((beat["epoch"] or 0.0 for beat in self.beats()), default=0.0)

    def gets_on(self) -> Callable[[], bool]:
        """Whether it has come further than now, by more than an epoch."""
        before = self.epoch()
        return lambda: self.epoch() > before + 1

    def records(self, name: str = "record.json") -> list[Path]:
        return sorted((self.results / "records").glob(f"*/*/*/{name}"))


@pytest.fixture
def checkout(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path / "checkout", tmp_path_factory.getbasetemp() / "cache")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of the slow run made on this machine without Slurm."""
    alone = Checkout(
        tmp_path_factory.mktemp("alone") / "checkout", tmp_path_factory.getbasetemp() / "cache"
    )
    alone.call("run", "slow", "--threads", 1)
    return alone.records()[0].parent


def history(record: Path) -> list[list[str]]:
    """The rows of a record's history without its columns of seconds, the header first."""
    rows = [line.split(",") for line in (record / "history.csv").read_text().splitlines()]
    kept = [k for k, name in enumerate(rows[0]) if "seconds" not in name]
    return [[row[k] for k in kept] for row in rows]


def only_record(checkout: Checkout, uninterrupted: Path) -> dict[str, Any]:
    """The one record, which has the bits of the uninterrupted run in everything but the seconds."""
    (path,) = checkout.records()
    assert path.parent.name == uninterrupted.name
    record, alone = (json.loads(file.read_text()) for file in (path, uninterrupted / "record.json"))
    assert record["metrics"] == alone["metrics"]
    assert history(path.parent) == history(uninterrupted)
    for name in ("correct.npy", "kernels.npy"):
        np.testing.assert_array_equal(np.load(path.parent / name), np.load(uninterrupted / name))
    assert list((checkout.results / ".work").glob("*.pt")) == []
    return record  # type: ignore[no-any-return]


def steps_of(job: str, rank: int = 0) -> list[int]:
    """The processes of a job that train as number `rank` of several, without srun."""
    found, wanted = [], {f"SLURM_JOB_ID={job}".encode(), f"SLURM_PROCID={rank}".encode()}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            trains = b"submitit.core._submit" in words and words[0].rpartition(b"/")[2].startswith(
                b"python"
            )
            if trains and wanted <= set((folder / "environ").read_bytes().split(b"\0")):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def finished(slurm: Cluster, job: str) -> Callable[[], bool]:
    return lambda: slurm.states().get(job) == "COMPLETED"


def begun(slurm: Cluster, checkout: Checkout, *options: object) -> str:
    """A job that trains."""
    job = checkout.submit("slow", *options)
    slurm.wait_for(checkout.gets_on(), 60)
    return job


FORKING = """
import multiprocessing, os, time
if "SLURM_JOB_ID" in os.environ:
    for _ in range(2):
        fork = multiprocessing.get_context("fork")
        fork.Process(target=time.sleep, args=(600,), daemon=True).start()
"""


def signal_its_children_too(slurm: Cluster, job: str) -> None:
    """Slurm signals every process of a step; forked children inherit submitit's handler."""
    slurm.run("scancel", "--signal=USR2", job)


def kill_its_node(slurm: Cluster, job: str) -> None:
    slurm.kill_node(slurm.describe(job)["NodeList"])


def take_its_place(slurm: Cluster, job: str) -> None:
    """With a job of more priority."""
    there = ("--partition=urgent", f"--nodelist={slurm.describe(job)['NodeList']}", "--exclusive")
    slurm.run("sbatch", "--parsable", *there, "--output=/dev/null", "--wrap=true")


@pytest.mark.parametrize(
    "disturb", [Cluster.requeue, signal_its_children_too, kill_its_node, take_its_place]
)
def test_disturbed_in_mid_epoch_it_goes_on_once_and_ends_with_the_same_bits(
    slurm: Cluster, checkout: Checkout, uninterrupted: Path, disturb: Callable[[Cluster, str], None]
) -> None:
    claim = checkout.folder / "reproductions" / "slow.py"
    claim.write_text(claim.read_text() + FORKING)
    job = begun(slurm, checkout)
    assert checkout.row()["state"] == "training"
    disturb(slurm, job)
    slurm.wait_for(lambda: slurm.describe(job)["Restarts"] == "1", 90)
    assert checkout.row()["state"] in ("queued", "training")
    slurm.wait_for(finished(slurm, job), 180)
    assert slurm.describe(job)["Restarts"] == "1"
    assert only_record(checkout, uninterrupted)["cost"]["attempts"] == 2
    assert checkout.row()["state"] == "done"


def test_killed_it_is_lost_then_sent_again(
    slurm: Cluster, checkout: Checkout, uninterrupted: Path
) -> None:
    """Without accounting Slurm says FAILED, which does not mean that the run failed."""
    job = begun(slurm, checkout)
    os.kill(steps_of(job)[0], signal.SIGKILL)
    slurm.wait_for(lambda: slurm.states()[job] == "FAILED")
    said = checkout.call("status", "slow", check=False)
    assert said.returncode == 3
    assert "1 runs will not go on by themselves" in said.stderr
    assert checkout.row()["state"] == "lost"
    again = checkout.submit()
    assert again != job
    slurm.wait_for(finished(slurm, again), 120)
    assert only_record(checkout, uninterrupted)["cost"]["attempts"] == 2


def test_cancelled_in_mid_epoch_it_goes_on_when_asked(
    slurm: Cluster, checkout: Checkout, uninterrupted: Path
) -> None:
    for by in ("scancel", "`cancel`"):
        job = begun(slurm, checkout)
        if by == "scancel":
            slurm.cancel(job)
        else:
            assert RUN in checkout.call("cancel", "slow").stdout
        slurm.wait_for(lambda job=job: slurm.states()[job] == "CANCELLED")
        row = checkout.row()
        why = f"by {by}; the next `submit` sends it again"
        assert (row["state"], row["why"]) == ("cancelled", why)
    slurm.wait_for(finished(slurm, checkout.submit()), 120)
    assert only_record(checkout, uninterrupted)["cost"]["attempts"] == 3


def test_at_its_time_limit_it_goes_on_in_another_segment(
    slurm: Cluster, checkout: Checkout
) -> None:
    """Limits are whole minutes, the signal comes up to 30 s early: two leave time to start."""
    checkout.claim("slow", LONG, "(0,)")
    job = checkout.submit("slow", "--minutes", 2)
    slurm.wait_for(lambda: slurm.describe(job)["Restarts"] != "0", 200)
    slurm.wait_for(finished(slurm, job), 600)
    (path,) = checkout.records()
    record = json.loads(path.read_text())
    assert record["cost"]["attempts"] == 1 + int(slurm.describe(job)["Restarts"]) > 1
    epochs = [row[1] for row in history(path.parent)[1:]]
    assert len(epochs) == len(set(epochs)) == 5 * LONG  # every row once


def test_code_of_another_version_than_was_submitted_is_not_run(
    slurm: Cluster, checkout: Checkout
) -> None:
    job = checkout.submit("slow", "--sbatch", "hold")
    assert checkout.row()["state"] == "queued"
    version = checkout.folder / "alexnet" / "version.py"
    before = version.read_text()
    version.write_text(before.replace('"alexnet": 1', '"alexnet": 2'))
    slurm.run("scontrol", "release", job)
    slurm.wait_for(lambda: slurm.states()[job] == "FAILED", 60)
    row = checkout.row()
    assert row["state"] == "refused"
    assert row["why"].startswith("submitted for training=1 ")
    assert "but the code is of training=2 " in row["why"]
    assert checkout.records() == []
    assert "but the code is of training=2 " in checkout.call("logs", RUN).stdout
    version.write_text(before)
    assert checkout.submit("slow", "--sbatch", "hold") != job


def test_two_nodes_train_what_one_does(slurm: Cluster, checkout: Checkout, tmp_path: Path) -> None:
    """Processes draw their own dropout masks, so no dropout; bf16 rounds half batches otherwise."""
    checkout.claim("slow", 2, "(0,)", dropout=False)
    job = checkout.submit("slow", "--nodes", 2)
    slurm.wait_for(finished(slurm, job), 180)
    (two,) = checkout.records()
    checkout.results = tmp_path / "alone"
    checkout.call("run", "slow", "--threads", 1)
    (one,) = checkout.records()
    records = [json.loads(path.read_text()) for path in (one, two)]
    assert [record["machine"]["processes"] for record in records] == [1, 2]
    counts = [{k: m["examples"] for k, m in record["metrics"].items()} for record in records]
    assert counts[0] == counts[1]
    rows = [history(path.parent)[1:] for path in (one, two)]
    assert [row[2] for row in rows[0]] == [row[2] for row in rows[1]], "images per row"
    # later rows amplify it
    np.testing.assert_allclose(*([float(row[3]) for row in some[:5]] for some in rows), rtol=2e-3)
    assert len(np.load(two.parent / "correct.npy")) == len(np.load(one.parent / "correct.npy"))


def test_one_of_several_processes_that_is_killed_ends_the_others(
    slurm: Cluster, checkout: Checkout
) -> None:
    checkout.claim("slow", LONG, "(0,)")
    job = begun(slurm, checkout, "--nodes", 2)
    (follower,) = steps_of(job, 1)
    os.kill(follower, signal.SIGKILL)
    slurm.wait_for(lambda: slurm.states()[job] == "FAILED", 60)
    assert steps_of(job) == []
    assert (checkout.row()["state"], checkout.records()) == ("lost", [])


def test_many_runs_few_at_once_and_none_twice(slurm: Cluster, checkout: Checkout) -> None:
    before = slurm.states().keys()
    checkout.claim("slow", 1, "tuple(range(40))")
    checkout.submit("slow", "--max-parallel", 4)
    again = checkout.call("run", "slow", "--launch", "slurm", "--gpus", 0, "--cpus", 1)
    assert "nothing to send" in again.stdout
    most = 0

    def over() -> bool:
        nonlocal most
        states = [state for job, state in slurm.states().items() if job not in before]
        most = max(most, states.count("RUNNING"))
        return set(states) == {"COMPLETED"}

    slurm.wait_for(over, 400)
    assert most == 4
    assert len(checkout.records()) == 40
    text = "".join(path.read_text() for path in checkout.records())
    assert os.uname().nodename not in text
    written = {path: path.read_bytes() for path in checkout.results.glob("report.*")}
    assert written, "the last job rebuilds the report"
    checkout.call("report")
    assert written == {path: path.read_bytes() for path in checkout.results.glob("report.*")}


def test_a_thousand_runs_are_submitted_in_parts(slurm: Cluster, checkout: Checkout) -> None:
    checkout.claim("slow", 1, "tuple(range(1000))")
    site = checkout.folder / "site.toml"
    site.write_text('max_array = 300\nsbatch.hold = true\nsbatch.comment = "of a test"\n')
    sent = checkout.call("run", "slow", "--launch", "slurm", "--gpus", 0, "--site", site)
    parts = re.findall(r"^  \d+: (\d+) runs, ", sent.stdout, re.MULTILINE)
    assert parts == ["300", "300", "300", "100"]
    assert [row["state"] for row in checkout.rows()] == ["queued"] * 1000
    assert "cancelled: " in checkout.call("cancel", "slow").stdout
    assert {row["state"] for row in checkout.rows()} == {"cancelled"}


def test_what_it_would_cost_and_what_would_be_submitted(slurm: Cluster, checkout: Checkout) -> None:
    before = slurm.states().keys()
    on_gpu = ("run", "slow", "--launch", "slurm", "--gpus", 1)
    dry = checkout.call(
        *on_gpu, "--sbatch", "account=vision", "--sbatch", "constraint=h100", "--dry-run"
    )
    assert "#SBATCH --gpus-per-node=1" in dry.stdout
    assert "#SBATCH --account=vision" in dry.stdout
    assert "#SBATCH --constraint=h100" in dry.stdout
    assert not checkout.results.exists()
    capped = checkout.call(*on_gpu, "--max-gpu-hours", 0, check=False)
    assert capped.returncode == 2
    assert "more than --max-gpu-hours 0; nothing was submitted" in capped.stderr
    nowhere = ("run", "slow", "--launch", "slurm", "--gpus", 0, "--partition", "nowhere")
    refused = checkout.call(*nowhere, check=False)
    assert refused.returncode == 3
    assert "invalid partition" in refused.stderr.lower()
    assert not slurm.states().keys() - before


def test_accounting_remembers_what_the_controller_forgot(
    slurm_with_accounting: Cluster, checkout: Checkout
) -> None:
    """Jobs that ended before a restart with a clean state are known to accounting alone."""
    slurm = slurm_with_accounting
    checkout.claim("slow", 1, "(0, 1)")
    task = checkout.submit("slow", "--sbatch", "hold")
    array = task.partition("_")[0]
    assert checkout.row()["why"] == "JobHeldUser"
    slurm.cancel(array)
    slurm.wait_for(
        lambda: "CANCELLED" in slurm.run("sacct", "-X", "-n", f"--jobs={array}", "--format=State")
    )
    slurm.wait_for(lambda: task not in slurm.states(), 120)
    assert [row["state"] for row in checkout.rows()] == ["cancelled", "cancelled"]


def test_the_whole_suite_goes_through_slurm(slurm: Cluster, checkout: Checkout) -> None:
    """The README's sequence: submit everything, look, read the report."""
    (checkout.folder / "reproductions" / "slow.py").unlink()
    whole = ("run", "all", "--scale", "smoke", "--launch", "slurm", "--cpus", 1)
    before = slurm.states().keys()
    checkout.call(*whole)

    def over() -> bool:
        return {slurm.states()[job] for job in slurm.states().keys() - before} == {"COMPLETED"}

    slurm.wait_for(over, 900)
    rows = [row for row in checkout.rows("all") if re.search("/smoke-|/count/", row["run"])]
    assert {row["state"] for row in rows} == {"done"}
    again = checkout.call(*whole)
    assert "nothing to send" in again.stdout
    for results in (checkout.results, checkout.results / "smoke"):
        checkout.results = results
        assert "is what the records say" in checkout.call("report", "--check").stdout
