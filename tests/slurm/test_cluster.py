"""The cluster itself, and submitit on it: what the tests of the launcher stand on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import submitit
from cluster import KEEPER, Cluster

pytestmark = pytest.mark.slurm


def submit(slurm: Cluster, folder: Path, script: str, *options: str) -> str:
    """The id of a batch job that runs a shell script and prints into folder/out."""
    out = slurm.run(
        "sbatch",
        "--parsable",
        f"--output={folder / 'out'}",
        "--open-mode=append",
        *options,
        f"--wrap={script}",
    )
    return out.strip()


def ended(slurm: Cluster, *jobs: str) -> None:
    slurm.wait_for(lambda: all(slurm.states()[job] == "COMPLETED" for job in jobs))


def executor(folder: Path, **parameters: object) -> submitit.AutoExecutor:
    made = submitit.AutoExecutor(folder=folder / "%A", cluster="slurm")
    made.update_parameters(timeout_min=5, **parameters)
    return made


def test_a_job_runs_and_ends(slurm, tmp_path):
    job = submit(slurm, tmp_path, "echo on $SLURMD_NODENAME")
    ended(slurm, job)
    assert (tmp_path / "out").read_text() == "on node1\n"


def test_an_array_through_submitit_returns_its_results(slurm, tmp_path):
    def square(n):
        return n * n, os.environ["SLURM_ARRAY_TASK_ID"]

    jobs = executor(tmp_path, slurm_array_parallelism=2).map_array(square, [3, 4, 5])
    names = [job.job_id for job in jobs]
    ended(slurm, *names)
    assert [job.results() for job in jobs] == [[(9, "0")], [(16, "1")], [(25, "2")]]
    assert names == [f"{names[0].partition('_')[0]}_{k}" for k in range(3)]


def test_a_job_over_two_nodes_sees_both_nodes_and_both_ranks(slurm, tmp_path):
    def where():
        seen = submitit.JobEnvironment()
        return seen.global_rank, seen.num_tasks, seen.hostnames, os.environ["SLURMD_NODENAME"]

    job = executor(tmp_path, nodes=2, tasks_per_node=1).submit(where)
    ended(slurm, job.job_id)
    assert job.results() == [(rank, 2, ["node1", "node2"], f"node{rank + 1}") for rank in range(2)]


def test_gpus_are_handed_out_once(slurm, tmp_path):
    """Five jobs of one GPU on four GPUs: the last one waits."""
    script = "echo $SLURMD_NODENAME $SLURM_JOB_GPUS $CUDA_VISIBLE_DEVICES; sleep 600"
    jobs = [submit(slurm, tmp_path, script, "--gpus-per-node=1") for _ in range(5)]
    slurm.wait_for(
        lambda: (
            (tmp_path / "out").exists() and len((tmp_path / "out").read_text().splitlines()) == 4
        )
    )
    assert sorted((tmp_path / "out").read_text().splitlines()) == [
        "node1 0 0",
        "node1 1 1",
        "node2 0 0",
        "node2 1 1",
    ]
    assert slurm.states()[jobs[4]] == "PENDING"
    assert slurm.describe(jobs[4])["Reason"] in {"Resources", "Priority"}


def test_a_killed_node_is_noticed_and_comes_back(slurm, tmp_path):
    job = submit(
        slurm, tmp_path, "echo $SLURMD_NODENAME; sleep 600", "--nodelist=node1", "--no-requeue"
    )
    slurm.wait_for((tmp_path / "out").exists)
    slurm.kill_node("node1")
    slurm.wait_for(lambda: slurm.nodes()["node1"].startswith("DOWN"))
    assert slurm.states()[job] == "NODE_FAIL"
    assert slurm.nodes()["node2"] == "IDLE"
    slurm.restart_node("node1")
    ended(slurm, submit(slurm, tmp_path, "echo again", "--nodelist=node1"))


def test_nothing_outlives_the_keeper_of_a_killed_process(tmp_path):
    """A child that detaches itself, as a step does, ends when its keeper's parent is killed."""
    detached = (
        f"setsid sh -c 'echo $$ > {tmp_path / 'new'}; mv {tmp_path / 'new'} {tmp_path / 'id'}; "
        "exec sleep 600' & "
    )
    caller = (
        f"import subprocess as s; s.Popen({[sys.executable, str(KEEPER), 'sh', '-c', detached]!r}, "
        "stdin=s.PIPE).wait()"
    )
    with subprocess.Popen([sys.executable, "-c", caller]) as process:
        wait_until((tmp_path / "id").exists)
        step = Path("/proc") / (tmp_path / "id").read_text().strip()
        assert step.exists()
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not step.exists())


def wait_until(condition, timeout=10.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
