"""What is asked of Slurm and what its commands say, which small programs replace here."""

from dataclasses import replace
from pathlib import Path

import pytest

from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.launch import slurm
from reproductions.harness.launch.slurm_config import (
    JobResources,
    SlurmConfig,
    read_slurm_config,
    resources_of,
)

(TRAIN, *_) = (
    run for run in planned_runs(discover()["ten_view_gain"], "mini") if run.kind == "train"
)
AVERAGE = replace(TRAIN, kind="ensemble", needs=(TRAIN,))
COUNT = replace(TRAIN, kind="count")
SMALL = planned_runs(discover()["fig1_relu"], "smoke")[0]


def test_flags_go_before_the_file_and_keys_of_sbatch_add_up(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(
        'partition = "gpu"\ncpus = 8\nsbatch.constraint = "h100"\nsbatch.exclusive = true\n'
    )
    site = read_slurm_config(
        path,
        {"partition": "urgent", "cpus": None, "sbatch": {"comment": "ours", "constraint": "a100"}},
    )
    keys = {"constraint": "a100", "exclusive": True, "comment": "ours"}
    assert site == SlurmConfig(partition="urgent", cpus=8, sbatch=keys)
    assert read_slurm_config(None, {"gpus": 0, "sbatch": None}) == SlurmConfig(gpus=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("partitoin = 'gpu'", "partitoin: extra inputs are not permitted; did you mean partition"),
        ("cpus = 'many'", "cpus: input should be a valid integer"),
        ("minutes = 0", "minutes: input should be greater than or equal to 1"),
        ("sbatch = 'constraint'", "sbatch: input should be a valid dict"),
        ("partition =", "cannot be read"),
    ],
)
def test_a_file_that_does_not_fit_ends_with_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=said) as error:
        read_slurm_config(path, {"sbatch": None})
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("scale", "run", "site", "shape"),
    [
        ("paper", TRAIN, SlurmConfig(), JobResources(1, 1, 1, 4)),
        ("mini", TRAIN, SlurmConfig(), JobResources(1, 1, 0, 4)),
        ("paper", TRAIN, SlurmConfig(gpus=4, nodes=2, cpus=8), JobResources(2, 4, 4, 8)),
        ("mini", TRAIN, SlurmConfig(gpus=0, nodes=2), JobResources(2, 1, 0, 4)),
        ("paper", AVERAGE, SlurmConfig(gpus=4, nodes=2), JobResources(1, 1, 1, 4)),
        ("paper", SMALL, SlurmConfig(gpus=0, nodes=2), JobResources(1, 1, 0, 4)),
        ("paper", COUNT, SlurmConfig(gpus=4), JobResources(1, 1, 0, 1)),
    ],
)
def test_what_a_run_gets(
    scale: str, run: PlannedRun, site: SlurmConfig, shape: JobResources
) -> None:
    assert resources_of(replace(run, scale=scale), site) == shape


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


def test_cancel_goes_on_after_a_refusal(program) -> None:
    slurm.cancel([])  # runs nothing
    calls = program("scancel", "")
    slurm.cancel(["12", "7_1"])
    assert calls.read_text() == "12 7_1\n"
    program("scancel", "scancel: error: Kill job error on job id 1: Access/permission denied", 1)
    with pytest.raises(slurm.SlurmError, match="Access/permission denied"):
        slurm.cancel([str(number) for number in range(slurm.JOBS_PER_COMMAND + 1)])
    assert len(calls.read_text().splitlines()) == 3
