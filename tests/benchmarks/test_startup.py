"""Start-up: CPU seconds of the commands that only look up, and of `run` to its first step.

Each is in a process of its own, in turn. Processor time, since other work on the machine lengthens
it least; on an idle machine a user waits no longer. They look at a copy of the committed records;
`run` has none and trains on synthetic images. The first round, which writes bytecode and packs the
images, is not counted.
"""

import resource
import shutil
import subprocess
import sys
from pathlib import Path

from interleaved import THREADS, Race
from table import Row

from reproductions.harness.records.files import RESULTS

ROUNDS = 7
BARS = {"--help": 0.5, "list": 0.5, "status": 0.5, "report": 3.0}  # seconds that each may take
FIRST_STEP = 10.0  # likewise
UNTIL_THE_FIRST_STEP = """
import os, sys
from torch.optim.optimizer import register_optimizer_step_post_hook
from reproductions.__main__ import app
register_optimizer_step_post_hook(lambda *_: os._exit(123))
app(sys.argv[1:])
"""


def lookup_seconds(command: str, results: Path, env: dict[str, str]) -> float:
    """Processor seconds of one command that trains nothing."""
    arguments = [
        "-m",
        "reproductions",
        *command.split(),
        *([] if command == "--help" else ["--results", str(results)]),
    ]
    return processor_seconds(arguments, 0, env)


def training_seconds(results: Path, env: dict[str, str]) -> float:
    """Processor seconds of `run` until the first update of Figure 1's network."""
    plan = [
        "run",
        "fig1_relu",
        "--scale",
        "smoke",
        "--device",
        "cpu",
        "--threads",
        str(THREADS),
        "--results",
        str(results),
    ]
    return processor_seconds(["-c", UNTIL_THE_FIRST_STEP, *plan], 123, env)


def processor_seconds(arguments: list[str], status: int, env: dict[str, str]) -> float:
    """User and system time of one call of Python, which ends with `status`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run([sys.executable, *arguments], capture_output=True, check=False, env=env)
    assert ended.returncode == status, ended.stderr.decode()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def seconds_by_command(results: Path, env: dict[str, str]) -> dict[str, list[float]]:
    """Processor seconds of every command in each round; every round calls all of them in turn."""
    env = {name: value for name, value in env.items() if name != "PYTHONDONTWRITEBYTECODE"}
    rounds = [
        {command: lookup_seconds(command, results, env) for command in BARS}
        for _ in range(ROUNDS + 1)
    ]
    return {command: [seconds[command] for seconds in rounds[1:]] for command in BARS}


def test_startup(race: Race, clean_env: dict[str, str], tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(
        RESULTS, results, ignore=shutil.ignore_patterns(".work", "smoke", "*.safetensors")
    )
    found = race.benchmark.pedantic(seconds_by_command, [results, clean_env])
    for command, seconds in found.items():
        row = Row(
            f"processor time of `{command}`",
            "CPU",
            f"`python -m reproductions {command}`",
            f"{BARS[command]:g} s",
            1,
        )
        race.enter(row, [BARS[command] / each for each in seconds], threads=None)


def test_first_step(race: Race, clean_env: dict[str, str], tmp_path: Path) -> None:
    env = {
        name: value
        for name, value in clean_env.items()
        if name not in {"PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS"}
    }
    seconds = race.benchmark.pedantic(
        lambda: [training_seconds(tmp_path, env) for _ in range(ROUNDS + 1)][1:]
    )
    ours = "`python -m reproductions run fig1_relu`, imports and all"
    row = Row(
        "processor time to the first training step of Figure 1's network",
        "CPU",
        ours,
        f"{FIRST_STEP:g} s",
        1,
    )
    race.enter(row, [FIRST_STEP / each for each in seconds], threads=THREADS)
