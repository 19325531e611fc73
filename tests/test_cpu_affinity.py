"""Two runs never share a core."""

import os
import subprocess
import sys

import pytest

from reproductions.harness.execute.cpu_affinity import own_cores

HOLD = """
import sys
from reproductions.harness.execute.cpu_affinity import own_cores
with own_cores(int(sys.argv[1]), lambda: print("waiting", flush=True)) as mine:
    print(sorted(mine), flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch: pytest.MonkeyPatch, clean_env: dict[str, str]) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    clean_env["TMPDIR"] = str(tmp_path)


def holder(count: int, env: dict[str, str]) -> subprocess.Popen[str]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", HOLD, str(count)], env=env, **pipes)  # type: ignore[call-overload]


def test_a_run_is_kept_on_its_cores_and_set_free() -> None:
    before = os.sched_getaffinity(0)
    with own_cores(1) as mine:
        assert os.sched_getaffinity(0) == mine == {min(before)}
    assert os.sched_getaffinity(0) == before
    with own_cores(10_000) as mine:
        assert mine == before


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_another_process_takes_other_cores(clean_env: dict[str, str]) -> None:
    first, second = holder(1, clean_env), holder(1, clean_env)
    assert first.stdout
    assert second.stdout
    cores = {first.stdout.readline(), second.stdout.readline()}
    for process in (first, second):
        process.communicate("\n")
    assert len(cores) == 2
    assert "waiting\n" not in cores


def test_who_finds_no_core_waits_until_a_killed_process_frees_its_own(
    clean_env: dict[str, str],
) -> None:
    everything = len(os.sched_getaffinity(0))
    first = holder(everything, clean_env)
    assert first.stdout
    first.stdout.readline()
    second = holder(1, clean_env)
    assert second.stdout
    assert second.stdout.readline() == "waiting\n"
    first.kill()
    first.communicate()
    assert second.stdout.readline().startswith("[")
    second.communicate("\n")
