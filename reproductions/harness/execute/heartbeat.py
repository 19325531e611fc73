"""Heartbeats: a run in progress writes its state every few seconds for other processes."""

import json
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import TypeAdapter

from alexnet.io import write_atomic

PERIOD = 5.0  # seconds between beats
# seconds after which a run that says nothing is taken for dead: shared folders lag, and processes
# get stopped for a while
SILENCE = 60.0


@dataclass(frozen=True)
class Heartbeat:
    """What a run in progress says of itself."""

    epoch: float | None = (
        None  # passes over the training images so far; None before the first row of history
    )
    train_error: float | None = None  # percent
    seconds: float = 0.0  # of training so far, over all attempts
    attempts: int = 1
    time: float = 0.0  # when it said so, seconds since 1970

    @property
    def age(self) -> float:
        """Seconds since then."""
        return max(0.0, time.time() - self.time)

    def seconds_left(self, epochs: float) -> float | None:
        """How long it will train on, if it goes on as it did; None before the first row."""
        return (epochs - self.epoch) * self.seconds / self.epoch if self.epoch else None


BEAT = TypeAdapter(Heartbeat)


def read_beat(path: Path) -> Heartbeat | None:
    """What stands in a beat's file; None if there is none or it is broken.

    Raises OSError if it cannot be read.
    """
    try:
        return BEAT.validate_json(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


class HeartbeatWriter:
    """Write a run's heartbeat from a thread while its block runs, also during long epochs.

    A run that went on from a checkpoint starts from what its last attempt said. The file stays when
    the block ends.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.writing, self.stopped = path, threading.Lock(), threading.Event()
        before = read_beat(path)
        self.beat = replace(before, attempts=before.attempts + 1) if before else Heartbeat()
        self.thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> Self:
        self.write()
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopped.set()
        self.thread.join()

    def update(self, epoch: float, train_error: float, seconds: float) -> None:
        """Write how far the run is."""
        self.beat = replace(self.beat, epoch=epoch, train_error=train_error, seconds=seconds)
        self.write()

    def write(self) -> None:
        """Beat once."""
        with self.writing:
            write_atomic(self.path, json.dumps(asdict(replace(self.beat, time=time.time()))))

    def _go_on(self) -> None:
        while not self.stopped.wait(PERIOD):
            # a shared folder that is away for a moment is no end of the beats
            with suppress(OSError):
                self.write()
