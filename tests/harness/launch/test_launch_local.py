"""Runs side by side on this machine: how many, in which order, and that nothing is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.launch.job_files import JobRequest, read_job
from reproductions.harness.launch.local import run_locally
from reproductions.harness.launch.slurm_arrays import job_arrays
from reproductions.harness.launch.slurm_config import SlurmConfig

RUNS = planned_runs(discover()["ensembles"], "smoke")


@dataclass(frozen=True)
class Shell(JobRequest):
    """A run that is a line of shell: what is tested is when it starts."""

    line: str = ""

    def job(
        self, device: str | None, threads: int, *, share_machine: bool = False, minutes: float = 0.0
    ) -> Any:
        return partial(subprocess.run, ["sh", "-c", self.line], check=True)


def shells(root: Path, runs: list[PlannedRun], line: str) -> list[Shell]:
    return [
        Shell(run, run.claim, root, None, line=line.format(name=run.variant, log=root / "log"))
        for run in runs
    ]


def send(orders: list[Shell], root: Path, parallel: int) -> list[str]:
    said: list[str] = []
    run_locally(orders, root, "cpu", 1, [], parallel, said.append)
    assert len(said) == len(orders)
    return (root / "log").read_text().splitlines()


def test_two_at_once_and_never_three(tmp_path: Path) -> None:
    """Each waits until two have started: so two are at work together."""
    runs = [run for run in RUNS if not run.needs][:4]
    line = "echo + >> {log}; until [ $(grep -c + {log}) -ge 2 ]; do :; done; echo - >> {log}"
    lines = send(shells(tmp_path, runs, line), tmp_path, 2)
    at_work = [lines[: k + 1].count("+") - lines[: k + 1].count("-") for k in range(len(lines))]
    assert (max(at_work), at_work[-1], lines.count("+")) == (2, 0, len(runs))
    assert all(read_job(tmp_path, run)[0] for run in runs)


def test_a_run_waits_for_what_it_needs(tmp_path: Path) -> None:
    average = next(run for run in RUNS if run.needs)
    line = "echo '+{name}' >> {log}; echo '-{name}' >> {log}"
    lines = send(shells(tmp_path, [average, *average.needs[:2]], line), tmp_path, 3)
    assert lines.index(f"+{average.variant}") == len(lines) - 2


def test_on_slurm_a_wave_for_each_depth_in_parts() -> None:
    orders = [JobRequest(run, run.claim, Path(), None) for run in reversed(RUNS)]
    parts = job_arrays(orders, SlurmConfig(gpus=0), 2)
    keys = [[order.run.key for order in part.requests] for part in parts]
    assert sorted(key for some in keys for key in some) == sorted(run.key for run in RUNS)
    assert max(map(len, keys)) <= 2
    made: set[object] = set()
    for part in parts:
        assert all(need.key in made for order in part.requests for need in order.run.needs)
        made |= {order.run.key for order in part.requests}


def session_of(leader: int) -> list[Path]:
    """Living processes of the session that this one leads."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state not in "ZX":
                found.append(stat)
    return found


def ctrl_c(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does


@pytest.mark.parametrize(
    ("stop", "when"), [(ctrl_c, "*.json"), (subprocess.Popen.terminate, "jobs/**/*.job")]
)
def test_stopped_it_leaves_no_process_and_goes_on(
    clean_env: dict[str, str],
    tmp_path: Path,
    stop: Callable[[subprocess.Popen[str]], None],
    when: str,
) -> None:
    """Ctrl-C while it trains; a kill of the parent alone while its first run starts."""
    results = tmp_path / "results"
    options = "run ten_view_gain --scale smoke --launch local --max-parallel 1 --device cpu"
    command = [sys.executable, "-m", "reproductions", *options.split(), "--results", str(results)]
    env = {**clean_env, "TMPDIR": str(tmp_path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=env, start_new_session=True, **pipes) as process:  # type: ignore[call-overload]
        deadline = time.monotonic() + 120
        while not list((results / "smoke" / ".work").glob(when)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        stop(process)
        said = process.communicate(timeout=60)
    assert process.returncode == 3, said
    assert said[1].splitlines()[-1] == "error: interrupted; run the same command again to resume"
    killed = time.monotonic()
    while left := session_of(process.pid):  # the kernel takes a moment for what submitit kills
        assert time.monotonic() < killed + 5, left
