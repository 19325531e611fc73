"""Start-up: processor seconds of the commands that look things up and train nothing, each in a process of its own, in turn.

Processor time, since other work on the machine lengthens it least; on an idle machine it is what a user waits for. They look at a
copy of the committed records. The first round, which writes Python's bytecode, is not counted.
"""

import resource
import shutil
import subprocess
import sys
from pathlib import Path

from interleaved import Race
from table import Row

from reproductions.harness.places import RESULTS

ROUNDS = 7
BARS = {"--help": 0.5, "list": 0.5, "status": 0.5, "report": 3.0}  # seconds that each may take


def processor_seconds(command: str, results: Path, env: dict[str, str]) -> float:
    """User and system time of one call."""
    arguments = [*command.split(), *([] if command == "--help" else ["--results", str(results)])]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "reproductions", *arguments], capture_output=True, check=True, env=env)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def seconds_by_command(results: Path, env: dict[str, str]) -> dict[str, list[float]]:
    """Processor seconds of every command in each round; every round calls all of them in turn."""
    env = {name: value for name, value in env.items() if name != "PYTHONDONTWRITEBYTECODE"}
    rounds = [{command: processor_seconds(command, results, env) for command in BARS} for _ in range(ROUNDS + 1)]
    return {command: [seconds[command] for seconds in rounds[1:]] for command in BARS}


def test_startup(race: Race, clean_env: dict[str, str], tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(RESULTS, results, ignore=shutil.ignore_patterns(".work", "smoke", "*.safetensors"))
    found = race.benchmark.pedantic(seconds_by_command, [results, clean_env])
    for command, seconds in found.items():
        row = Row(f"processor time of `{command}`", "CPU", f"`python -m reproductions {command}`", f"{BARS[command]:g} s", 1)
        race.enter(row, [BARS[command] / each for each in seconds])
