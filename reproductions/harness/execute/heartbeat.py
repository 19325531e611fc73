"""Heartbeats: a run in progress writes its state every few seconds for other processes."""

import json
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter

from alexnet.io import write_atomic

PERIOD_SECONDS = 5.0
# older than this, a heartbeat is no sign of life: shared folders lag, and processes get stopped for
# a while
STALE_SECONDS = 60.0


@dataclass(frozen=True)
class Heartbeat:
    """How far a run in progress is."""

    # passes over the training images so far; None before the first row of history
    epoch: float | None = None
    train_error: float | None = None  # percent
    seconds: float = 0.0  # of training so far, over all attempts
    attempts: int = 1
    time: float = 0.0  # when it was written, seconds since 1970

    @property
    def age(self) -> float:
        """Seconds since it was written."""
        return max(0.0, time.time() - self.time)

    def seconds_left(self, epochs: float) -> float | None:
        """The time to train the rest of `epochs` at the same speed; None before the first row."""
        return (epochs - self.epoch) * self.seconds / self.epoch if self.epoch else None


_FORMAT = TypeAdapter(Heartbeat)


def read_heartbeat(path: Path) -> Heartbeat | None:
    """The heartbeat in a file; None if there is no file or it is broken.

    Raises OSError if it cannot be read.
    """
    try:
        return _FORMAT.validate_json(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


class HeartbeatWriter:
    """Write a run's heartbeat from a thread while its block runs, also during long epochs.

    A resumed run continues from the heartbeat of its last attempt. The file stays when the block
    ends.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.writing, self.stopped = path, threading.Lock(), threading.Event()
        before = read_heartbeat(path)
        self.heartbeat = replace(before, attempts=before.attempts + 1) if before else Heartbeat()
        self.thread = threading.Thread(target=self._write_repeatedly, daemon=True)

    def __enter__(self) -> Self:
        self.write()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.thread.join()

    def update(self, epoch: float, train_error: float, seconds: float) -> None:
        """Set how far the run is, and write it."""
        self.heartbeat = replace(
            self.heartbeat, epoch=epoch, train_error=train_error, seconds=seconds
        )
        self.write()

    def write(self) -> None:
        """Write the heartbeat once."""
        with self.writing:
            now = replace(self.heartbeat, time=time.time())
            write_atomic(self.path, json.dumps(asdict(now)))

    def _write_repeatedly(self) -> None:
        while not self.stopped.wait(PERIOD_SECONDS):
            # keep writing after a shared folder was away for a moment
            with suppress(OSError):
                self.write()
