"""Run a command and end all it started when the caller is gone: python keeper.py COMMAND.

A step of Slurm outlives its slurmd, detached from it, so that no process group or session finds it.
Linux hands such orphans to the nearest ancestor that has declared itself their reaper: this
process. The caller holds the other end of its standard input, and Linux closes that end however the
caller ends, by kill -9 too.
"""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


def descendants(ancestor: int) -> list[int]:
    """All processes below `ancestor`, from the parent ids in /proc."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # the name in () may hold anything
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # ended meanwhile
            continue
        children.setdefault(parent, []).append(int(folder.name))
    found, queue = [], [ancestor]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def kill_descendants() -> None:
    """Kill every process below this one, and those that they start meanwhile."""
    while below := descendants(os.getpid()):
        for process in below:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue


def main() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this kernel has no subreapers")
    subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    # the kernel buries adopted processes; only now, since a child inherits it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    sys.stdin.buffer.read()  # ends with the caller
    kill_descendants()


if __name__ == "__main__":
    main()
