"""Whatever ends the tests, no daemon and no job of the cluster outlives them."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster import KEEPER

pytestmark = pytest.mark.slurm


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
