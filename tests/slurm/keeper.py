"""Run a command; kill all processes below it when the caller ends: python keeper.py COMMAND.

A step of Slurm is detached from its slurmd and outlives it. Linux gives such orphans to the nearest
ancestor that is a subreaper: this process. The caller holds the other end of standard input, which
the kernel closes when the caller ends, also by SIGKILL.
"""

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


def descendants(ancestor: int) -> list[int]:
    """All processes below `ancestor`, from the parent ids in /proc."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile
            # after the name in parentheses, which may contain anything
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found = [ancestor]
    for process in found:
        found += children.get(process, [])
    return found[1:]


def kill_descendants() -> None:
    """Kill every process below this one, and those that they start meanwhile."""
    while below := descendants(os.getpid()):
        for process in below:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def main() -> None:
    """Run the command of the command line until standard input ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this kernel has no subreapers")
    subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    # the kernel reaps adopted processes; set after the start of the child, which would inherit it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    sys.stdin.buffer.read()  # ends with the caller
    kill_descendants()


if __name__ == "__main__":
    main()
