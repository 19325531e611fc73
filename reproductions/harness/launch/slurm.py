"""What Slurm says of jobs, with and without accounting. Submits nothing: submitit does."""

import os
import re
import subprocess
from collections.abc import Collection, Iterable

from reproductions.harness.errors import SuiteError

QUEUED = {
    "PENDING",
    "CONFIGURING",
    "REQUEUED",
    "REQUEUE_FED",
    "REQUEUE_HOLD",
    "SPECIAL_EXIT",
    "SUSPENDED",
    "STOPPED",
    "RESIZING",
}
RUNNING = {"RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT"}
# seconds that a question may take: a busy controller answers late, and one that is gone never
PATIENCE = 20
# else the tasks of an array that ended before they began are cut at 64 characters
WHOLE = {"SLURM_BITSTR_LEN": "0"}
MANY = 200  # jobs in one question: a command line has an end


class SlurmError(SuiteError):
    """Slurm did not answer, or refused. The message is its own first line."""

    prefix = "Slurm: "


def call(*command: str) -> str:
    """The output of one of Slurm's commands.

    Raises SlurmError if it fails, is not here, or says nothing for PATIENCE seconds.
    """
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
            env={**os.environ, **WHOLE},
        )
        return done.stdout
    except FileNotFoundError as error:
        raise SlurmError(f"{command[0]} is not on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise SlurmError(f"{command[0]} gave no answer in {PATIENCE} seconds") from error
    except subprocess.CalledProcessError as error:
        raise SlurmError(
            (error.stderr.strip() or f"{command[0]} failed").splitlines()[0]
        ) from error


def states(jobs: Collection[str]) -> dict[str, str] | None:
    """Slurm's state of each known job ("12" or "12_3"); None if Slurm does not answer.

    A state is its word, "RUNNING"; of a job that is queued also what it waits for, "PENDING
    Resources". The controller forgets a job some minutes after its end (MinJobAge); accounting,
    where a site has it, knows it longer.
    """
    found: dict[str, str] = {}
    try:
        for some in _parts(_arrays(jobs)):
            found |= _queue(some)
    except SlurmError:
        return None
    for some in _parts(_arrays(set(jobs) - found.keys())):
        try:
            said = call(
                "sacct",
                "--noheader",
                "--parsable2",
                "--allocations",
                "--format=JobID,State",
                f"--jobs={','.join(some)}",
            )
        except SlurmError:
            break  # a site without accounting
        found = {**_pairs(said), **found}
    return {job: found[job] for job in jobs if job in found}


def _arrays(jobs: Iterable[str]) -> list[str]:
    """The jobs themselves, an array once."""
    return sorted({job.partition("_")[0] for job in jobs}, key=int)


def _parts(jobs: list[str]) -> Iterable[list[str]]:
    return (jobs[start : start + MANY] for start in range(0, len(jobs), MANY))


def _queue(jobs: list[str]) -> dict[str, str]:
    try:
        said = call(
            "squeue",
            "--noheader",
            "--array",
            "--states=all",
            "--format=%i|%T %r",
            f"--jobs={','.join(jobs)}",
        )
    except SlurmError as error:
        if "Invalid job id" in str(error):  # it knows none of them any more
            return {}
        raise
    return _pairs(said)


def _pairs(said: str) -> dict[str, str]:
    """Lines of "job|STATE and more" as job: STATE, with the reason for queued ones."""
    lines = (line.partition("|") for line in said.splitlines())
    return {one: _word(state) for job, _, state in lines if state for one in _tasks(job)}


def _word(said: str) -> str:
    state, _, reason = said.partition(" ")
    return said if state == "PENDING" and reason not in ("", "None") else state.rstrip("+")


def _tasks(job: str) -> Iterable[str]:
    """The tasks in one line of accounting, "12_[0-8:2,11%4]": array tasks that never started."""
    array, bracket, tasks = job.partition("_[")
    if not bracket:
        return [job]
    parts = re.findall(r"(\d+)(?:-(\d+))?(?::(\d+))?", tasks.partition("%")[0])
    ranges = (
        range(int(first), int(last or first) + 1, int(step or 1)) for first, last, step in parts
    )
    return (f"{array}_{task}" for some in ranges for task in some)


def largest_array() -> int:
    """How many tasks one Slurm array may have: MaxArraySize − 1, since it counts from 0."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", call("scontrol", "show", "config"))
    return max(int(found[1]) - 1, 1) if found else 1000


def cancel(jobs: Collection[str]) -> None:
    """End jobs, queued or running. Raises SlurmError if some are not ended, after trying all."""
    errors = []
    for some in _parts(sorted(jobs)):
        try:
            call("scancel", *some)
        except SlurmError as error:
            errors.append(error)
    if errors:
        raise errors[0]
