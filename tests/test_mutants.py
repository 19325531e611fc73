"""Do the golden runs notice?

Each patch in `tests/mutants/` is a small edit of the code, applied to a copy of it.

A patch begins with lines of its own: `Moves:` are the versions whose numbers it must move (`none`
for an edit that changes no number; `refused` where no record can be stored, since it would not
agree with itself), `Runs:` the golden runs that are made. A patch that no longer fits is written
again with the code that it changes.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATCHES = sorted((ROOT / "tests" / "mutants").glob("*.patch"))


def header(patch: Path, name: str) -> list[str]:
    """The values of a line before the diff, separated by commas."""
    found = re.search(rf"^{name}: (.+)$", patch.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"{patch.name} has no line {name}:"
    return found[1].split(", ")


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the golden runs need, without records."""
    folder = tmp_path_factory.mktemp("code")
    for name in ("alexnet", "reproductions"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests" / "golden").mkdir(parents=True)
    for name in ("tests/golden.py", "tests/golden/runs.json"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.mark.parametrize("patch", PATCHES, ids=lambda path: path.stem)
def test_golden_runs_see_what_moves_a_number_and_nothing_else(
    patch: Path, code: Path, tmp_path: Path
) -> None:
    mutant = tmp_path / "mutant"
    shutil.copytree(code, mutant)
    applied = subprocess.run(
        ["git", "apply", str(patch)], cwd=mutant, capture_output=True, text=True, check=False
    )
    assert applied.returncode == 0, f"{patch.name} no longer fits, write it again: {applied.stderr}"
    options = [word for name in header(patch, "Runs") for word in ("--only", name)]
    command = [sys.executable, "tests/golden.py", "--check", *options]
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "ALEXNET_DATA")
    }
    done = subprocess.run(
        command, cwd=mutant, capture_output=True, text=True, env=clean, check=False
    )
    versions = {line.partition(":")[0] for line in done.stdout.splitlines() if ": " in line}
    if "would not agree with itself" in done.stderr:
        versions.add("refused")
    expected = set(header(patch, "Moves")) - {"none"}
    assert versions == expected, done.stdout
    assert done.returncode == bool(expected), done.stderr  # a crash ends with 1 too
    assert expected or done.stdout == "no number moved\n"
