"""Slurm's commands replaced by small programs; tests/slurm has the real ones."""

from pathlib import Path

import pytest

from reproductions.harness.launch import slurm


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a shell script on a PATH that has no Slurm; it notes how it was called."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "echo", "cat"):
        (tools / tool).symlink_to(f"/bin/{tool}")
    monkeypatch.setenv("PATH", str(tools))

    def write(name: str, said: str, status: int = 0) -> Path:
        path, calls = tools / name, tmp_path / f"{name}.calls"
        stream = "2" if status else "1"
        path.write_text(
            f'#!/bin/sh\necho "$@" >> {calls}\ncat >&{stream} <<"END"\n{said}\nEND\nexit {status}\n'
        )
        path.chmod(0o755)
        return calls

    return write


def test_one_id_per_array_and_accounting_for_jobs_that_squeue_forgot(program) -> None:
    squeue = program(
        "squeue", "7_0|RUNNING None\n7_1|PENDING Resources\n7_2|PENDING None\n7_3|COMPLETING None"
    )
    sacct = program("sacct", "7_1|FAILED\n8|CANCELLED by 0\n9_5|OUT_OF_MEMORY\n9_6|CANCELLED+")
    found = slurm.states(["7_0", "7_1", "7_2", "8", "9_5", "9_6", "10"])
    queued = {"7_0": "RUNNING", "7_1": "PENDING Resources", "7_2": "PENDING"}
    assert found == {**queued, "8": "CANCELLED", "9_5": "OUT_OF_MEMORY", "9_6": "CANCELLED"}
    assert squeue.read_text().split()[-1] == "--jobs=7,8,9,10"
    assert sacct.read_text().split()[-1] == "--jobs=8,9,10"


def test_accounting_shows_tasks_that_never_started_in_one_line(program) -> None:
    program("squeue", "slurm_load_jobs error: Invalid job id specified", 1)
    program(
        "sacct",
        "7_[0-2,5%2]|CANCELLED by 0\n7_3|COMPLETED\n8_[4,6-8:2]|CANCELLED by 0\n9_[0-1,...]|FAILED",
    )
    found = slurm.states([f"7_{task}" for task in range(7)] + [f"8_{task}" for task in range(4, 9)])
    assert found == {
        **dict.fromkeys(("7_0", "7_1", "7_2", "7_5", "8_4", "8_6", "8_8"), "CANCELLED"),
        "7_3": "COMPLETED",
    }


@pytest.mark.parametrize(
    ("error", "states"),
    [
        ("slurm_load_jobs error: Invalid job id specified", {}),
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", None),
    ],
)
def test_a_forgotten_job_is_no_error_and_a_lost_controller_no_answer(
    program, error: str, states: dict[str, str] | None
) -> None:
    program("squeue", error, 1)
    program("sacct", "Slurm accounting storage is disabled", 1)
    assert slurm.states(["1"]) == states


@pytest.mark.parametrize(
    ("said", "largest"),
    [("MaxArraySize            = 1001", 1000), ("MaxArraySize = 0", 1), ("", 1000)],
)
def test_the_largest_array(program, said: str, largest: int) -> None:
    program("scontrol", f"MaxJobCount = 10000\n{said}")
    assert slurm.largest_array() == largest


def test_cancel_goes_on_after_a_refusal(program) -> None:
    slurm.cancel([])  # runs nothing
    calls = program("scancel", "")
    slurm.cancel(["12", "7_1"])
    assert calls.read_text() == "12 7_1\n"
    program("scancel", "scancel: error: Kill job error on job id 1: Access/permission denied", 1)
    with pytest.raises(slurm.SlurmError, match="Access/permission denied"):
        slurm.cancel([str(number) for number in range(slurm.JOBS_PER_COMMAND + 1)])
    assert len(calls.read_text().splitlines()) == 3
