"""Slurm's states of jobs, with and without accounting; submitit submits them."""

import os
import re
import subprocess
from collections.abc import Collection, Iterable, Iterator

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
TIMEOUT_SECONDS = 20  # of a command: a busy controller answers late, one that is down never
# without it sacct cuts the list of an array's tasks at 64 characters
ENVIRONMENT = {"SLURM_BITSTR_LEN": "0"}
JOBS_PER_COMMAND = 200  # the length of a command line is limited


class SlurmError(SuiteError):
    """Slurm did not answer, or refused. The message is its own first line."""

    prefix = "Slurm: "


def call(*command: str) -> str:
    """The output of one of Slurm's commands.

    Raises SlurmError if it fails, is not installed, or takes more than TIMEOUT_SECONDS.
    """
    name, env = command[0], {**os.environ, **ENVIRONMENT}
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS, env=env
        ).stdout
    except FileNotFoundError as error:
        raise SlurmError(f"{name} is not on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise SlurmError(f"{name} gave no answer in {TIMEOUT_SECONDS} seconds") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"{name} failed"]
        raise SlurmError(lines[0]) from error


def states(jobs: Collection[str]) -> dict[str, str] | None:
    """Slurm's state of each known job ("12" or "12_3"); None if Slurm does not answer.

    A state is Slurm's word, "RUNNING"; that of a queued job has the reason too, "PENDING
    Resources". The controller forgets a job some minutes after its end (MinJobAge); accounting,
    where a site has it, knows it longer.
    """
    found: dict[str, str] = {}
    try:
        for ids in _chunks(_array_ids(jobs)):
            found |= _squeue(ids)
    except SlurmError:
        return None
    try:
        for ids in _chunks(_array_ids(set(jobs) - found.keys())):
            found = {**_sacct(ids), **found}
    except SlurmError:  # a site without accounting
        pass
    return {job: found[job] for job in jobs if job in found}


def _array_ids(jobs: Iterable[str]) -> list[str]:
    return sorted({job.partition("_")[0] for job in jobs}, key=int)


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), JOBS_PER_COMMAND):
        yield ids[start : start + JOBS_PER_COMMAND]


def _squeue(ids: list[str]) -> dict[str, str]:
    options = ("--noheader", "--array", "--states=all", "--format=%i|%T %r")
    try:
        return _parsed(call("squeue", *options, f"--jobs={','.join(ids)}"))
    except SlurmError as error:
        if "Invalid job id" in str(error):  # it has forgotten all of them
            return {}
        raise


def _sacct(ids: list[str]) -> dict[str, str]:
    options = ("--noheader", "--parsable2", "--allocations", "--format=JobID,State")
    return _parsed(call("sacct", *options, f"--jobs={','.join(ids)}"))


def _parsed(output: str) -> dict[str, str]:
    """Lines of "ID|STATE REASON" as ID: STATE, with the reason where the job is queued."""
    found: dict[str, str] = {}
    for line in output.splitlines():
        job, _, text = line.partition("|")
        state, _, reason = text.partition(" ")
        if state != "PENDING" or reason in ("", "None"):
            text = state.rstrip("+")  # sacct cuts long words so
        if text:
            found |= dict.fromkeys(_tasks(job), text)
    return found


def _tasks(job: str) -> list[str]:
    """The tasks in one line of accounting, "12_[0-8:2,11%4]": array tasks that never started."""
    array, bracket, tasks = job.partition("_[")
    if not bracket:
        return [job]
    found = []
    ranges = re.findall(r"(\d+)(?:-(\d+))?(?::(\d+))?", tasks.partition("%")[0])
    for first, last, step in ranges:
        numbers = range(int(first), int(last or first) + 1, int(step or 1))
        found += [f"{array}_{number}" for number in numbers]
    return found


def largest_array() -> int:
    """The number of tasks that one array may have: MaxArraySize − 1, since it counts from 0."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", call("scontrol", "show", "config"))
    return max(int(found[1]) - 1, 1) if found else 1000


def cancel(jobs: Collection[str]) -> None:
    """End jobs, queued or running. Raises SlurmError if some are not ended, after trying all."""
    errors = []
    for ids in _chunks(sorted(jobs)):
        try:
            call("scancel", *ids)
        except SlurmError as error:
            errors.append(error)
    if errors:
        raise errors[0]
