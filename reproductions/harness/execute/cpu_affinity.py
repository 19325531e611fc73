"""Cores of its own for every run: two runs of two threads sharing two cores were 8 times slower."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from alexnet.io import is_locked, locked


@contextmanager
def own_cores(count: int, on_wait: Callable[[], None] = lambda: None) -> Iterator[set[int]]:
    """Hold `count` of this process's cores and pin it to them; all of them if it has fewer.

    Waits, after calling `on_wait`, while other processes of this user hold too many. A process that
    ends frees its cores.
    """
    allowed = os.sched_getaffinity(0)
    wanted = min(count, len(allowed))
    folder = Path(tempfile.gettempdir()) / f"alexnet-cores-{os.getuid()}"
    with ExitStack() as held:
        mine = _take(allowed, wanted, folder, held)
        if len(mine) < wanted:
            on_wait()
        while len(mine) < wanted:
            busy = [core for core in allowed if is_locked(folder / str(core))]
            with locked(folder / str(min(busy, default=min(allowed)))):  # until that one is free
                pass
            mine = _take(allowed, wanted, folder, held)
        os.sched_setaffinity(0, mine)
        try:
            yield mine
        finally:
            os.sched_setaffinity(0, allowed)


def _take(allowed: set[int], wanted: int, folder: Path, held: ExitStack) -> set[int]:
    """Lock `wanted` free cores or none; a waiting process holds none, so two never deadlock."""
    with ExitStack() as trial:
        mine: set[int] = set()
        for core in sorted(allowed):
            if len(mine) < wanted and trial.enter_context(locked(folder / str(core), wait=False)):
                mine.add(core)
        if len(mine) == wanted:
            held.push(trial.pop_all())
            return mine
    return set()
