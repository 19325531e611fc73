"""Cores of its own for every run: two runs of two threads sharing two cores were 8 times slower."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from alexnet.io import is_locked, locked


@contextmanager
def own_cores(count: int, on_wait: Callable[[], None] = lambda: None) -> Iterator[set[int]]:
    """Reserve `count` of this process's cores, or all if it has fewer, and pin it to them.

    Waits, after calling `on_wait`, while other processes of this user hold too many. The cores of a
    process that ends are free again.
    """
    allowed = os.sched_getaffinity(0)
    count = min(count, len(allowed))
    folder = Path(tempfile.gettempdir()) / f"alexnet-cores-{os.getuid()}"
    with ExitStack() as locks:
        cores = _lock_cores(allowed, count, folder, locks)
        if len(cores) < count:
            on_wait()
        while len(cores) < count:
            busy = [core for core in allowed if is_locked(folder / str(core))]
            with locked(folder / str(min(busy, default=min(allowed)))):  # until that one is free
                pass
            cores = _lock_cores(allowed, count, folder, locks)
        os.sched_setaffinity(0, cores)
        try:
            yield cores
        finally:
            os.sched_setaffinity(0, allowed)


def _lock_cores(allowed: set[int], count: int, folder: Path, locks: ExitStack) -> set[int]:
    """Lock `count` free cores or none; a waiting process locks none, so two never deadlock."""
    with ExitStack() as attempt:
        cores: set[int] = set()
        for core in sorted(allowed):
            if len(cores) < count and attempt.enter_context(locked(folder / str(core), wait=False)):
                cores.add(core)
        if len(cores) == count:
            locks.push(attempt.pop_all())
            return cores
    return set()
