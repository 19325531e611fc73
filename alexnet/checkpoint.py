"""Checkpoints: a training's state in a file that says whose it is and carries a checksum.

A file has three lines and then what `torch.save` writes: a mark, the sha256 of all that follows,
and JSON about the training. What is broken or another training's is moved aside, never deleted; a
file that cannot be read now is left as it is, and the error is raised.
"""

import dataclasses
import errno
import hashlib
import io
import json
import logging
import os
import pickle
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import torch

from alexnet.distributed import broadcast, rank_and_world_size
from alexnet.io import move_aside, write_atomic

if TYPE_CHECKING:
    from alexnet.training import Training

MARK = b"AlexNet checkpoint 1\n"
PART = 1 << 22  # bytes that are read at once
HEAD = 1 << 20  # bytes of the JSON, at most
# files of its size that must find room before a training starts: one, its successor, the weights of
# its record
ROOM = 3


class BrokenError(Exception):
    """The file is no whole checkpoint of the training that is asked for.

    `seconds` of training are in it, where it says so.
    """

    def __init__(self, why: str, seconds: float | None = None) -> None:
        super().__init__(why)
        self.seconds = seconds


@dataclass
class Checkpoint:
    """Where a training keeps its state, and how often.

    Of several processes the first writes, all read.
    """

    path: Path
    # what the trainer cannot know, such as a run's name
    belongs_to: Mapping[str, Any] = field(default_factory=dict)
    interval: float = 60.0  # seconds between two files, at least
    say: Callable[[str], None] = logging.getLogger("alexnet").warning  # one line
    clock: Callable[[], float] = time.monotonic
    # uncommitted code made a part of it: this process, or one that it goes on from
    dirty: bool = False
    # when, by the clock; None before this process has done so
    written: float | None = field(default=None, init=False)
    step: int = field(default=0, init=False)  # that the file holds

    def resume(self, run: "Training", **made_of: Any) -> bool:
        """Continue `run` from the file, if there is one; `made_of` is what decides the training.

        A file that is broken or of another training is moved aside and said in one line, and the
        training starts. Raises OSError if the file cannot be read or kept in memory now, or there
        is no room to write one.
        """
        self.belongs_to = _as_json({**self.belongs_to, **made_of})
        resumed = self._resumed(run)
        if broadcast(run.step) != run.step:
            why = "the processes of this training read different checkpoints"
            raise OSError(errno.ESTALE, why, str(self.path))
        if not resumed and rank_and_world_size()[0] == 0:
            self._find_room(run)
        self.step = run.step
        return resumed

    def row_done(self, run: "Training") -> None:
        """Write the file if the last one is old enough.

        The first row of a process counts: then nothing can go wrong later.
        """
        if self.written is None or self.clock() - self.written >= self.interval:
            self._write(run)

    def finish(self, run: "Training") -> None:
        """Write the last state, if that has not been done."""
        if self.step != run.step:
            self._write(run)

    def _resumed(self, run: "Training") -> bool:
        try:
            state = read(self.path, next(run.net.parameters()).device, self.belongs_to)
            restore(run, state)
        except FileNotFoundError:
            return False
        except BrokenError as error:
            if rank_and_world_size()[0] == 0:
                aside = move_aside(self.path)
                lost = "" if error.seconds is None else f" ({_duration(error.seconds)} of training)"
                self.say(
                    f"{self.path}: {error}{lost}; renamed to {aside.name}, training restarts from "
                    "the beginning"
                )
            return False
        if state.get("dirty") and not self.dirty and rank_and_world_size()[0] == 0:
            self.say(f"{self.path}: uncommitted code made a part of this training")
        self.dirty = self.dirty or bool(state.get("dirty"))
        return True

    def _find_room(self, run: "Training") -> None:
        # a velocity for each weight
        size = ROOM * 2 * sum(p.numel() * p.element_size() for p in run.net.parameters())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.path.parent).free
        if free < size:
            needs = f"a training with its checkpoints needs {size / 1e9:.1f}"
            why = f"{free / 1e9:.1f} GB are free, and {needs}"
            raise OSError(errno.ENOSPC, why, str(self.path.parent))

    def _write(self, run: "Training") -> None:
        if rank_and_world_size()[0] == 0:
            began = time.perf_counter()
            about = {
                "belongs_to": self.belongs_to,
                "step": run.step,
                "seconds": run.history[-1].seconds if run.history else 0,
            }
            write(self.path, {**state_of(run), "dirty": self.dirty}, about)
            run.checkpoint_seconds += time.perf_counter() - began
        self.written, self.step = self.clock(), run.step


def write(path: Path, state: Any, about: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    line = json.dumps(about).encode() + b"\n"
    digest = hashlib.sha256(line)
    digest.update(buffer.getbuffer())
    write_atomic(path, [MARK, digest.hexdigest().encode() + b"\n", line, buffer.getbuffer()])


def read(
    path: Path, device: torch.device | str = "cpu", belongs_to: Mapping[str, Any] | None = None
) -> Any:
    """The state in a checkpoint.

    Raises BrokenError if it is not whole or `belongs_to` is another, else OSError.
    """
    with path.open("rb") as file:
        about = _checked(file)
        theirs = about.get("belongs_to")
        if belongs_to is not None and theirs != belongs_to:
            raise BrokenError(
                f"belongs to another run: {_first_difference(theirs, belongs_to)}", _seconds(about)
            )
        file.seek(0)
        for _ in range(3):
            file.readline(HEAD)
        try:  # its bytes are what was written: whatever is raised is no fault of the file
            return torch.load(io.BytesIO(file.read()), weights_only=True, map_location=device)
        except pickle.UnpicklingError as error:
            raise BrokenError("contains objects that no checkpoint has") from error
        except (MemoryError, RuntimeError) as error:
            cause = (str(error).splitlines() or ["out of memory"])[0][:200]
            why = f"cannot be taken into memory ({cause})"
            raise OSError(errno.ENOMEM, why, os.fspath(path)) from error


def _checked(file: BinaryIO) -> dict[str, Any]:
    """What the JSON of a checkpoint says, if the checksum is right."""
    mark, said, line = file.readline(len(MARK)), file.readline(65), file.readline(HEAD)
    if mark != MARK:
        raise BrokenError("is not a checkpoint in the current format")
    digest = hashlib.sha256(line)
    while part := file.read(PART):
        digest.update(part)
    try:
        about = json.loads(line)
    except ValueError:
        about = None
    if digest.hexdigest().encode() + b"\n" != said or not isinstance(about, dict):
        raise BrokenError("does not match its checksum", _seconds(about))
    return about


def _seconds(about: Any) -> float | None:
    found = about.get("seconds") if isinstance(about, dict) else None
    return float(found) if isinstance(found, int | float) else None


def state_of(run: "Training") -> dict[str, Any]:
    """What it takes to go on to the same bits."""
    return {
        "net": run.net.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "history": [dataclasses.asdict(row) for row in run.history],
        "precision": run.precision,
        "attempts": run.attempts,
        "checkpoint_seconds": run.checkpoint_seconds,
    }


def restore(run: "Training", state: Mapping[str, Any]) -> None:
    """Put a training where its state says.

    Raises BrokenError, and changes nothing, if that is another network's.
    """
    from alexnet.training import Row  # noqa: PLC0415 - which imports this module

    try:
        history = [Row(**row) for row in state["history"]]
        precision, attempts = state["precision"], state["attempts"] + 1
        seconds = float(state["checkpoint_seconds"])
        own = {name: tensor.shape for name, tensor in run.net.state_dict().items()}
        if own != {name: tensor.shape for name, tensor in state["net"].items()}:
            raise BrokenError("was saved from another network")
        run.optimizer.load_state_dict(state["optimizer"])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise BrokenError("does not fit this optimizer or history") from error
    run.net.load_state_dict(state["net"])
    run.history, run.precision = history, precision
    run.attempts, run.checkpoint_seconds = attempts, seconds


def _as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """What a training belongs to, as it is read from a file; configs and recipes field by field."""

    def plain(item: Any) -> Any:
        if not dataclasses.is_dataclass(item) or isinstance(item, type):
            raise TypeError(f"a checkpoint cannot tell {item} from others; use a dataclass")
        return dataclasses.asdict(item)

    found: dict[str, Any] = json.loads(json.dumps(value, default=plain))
    return found


def _first_difference(theirs: Any, ours: Mapping[str, Any]) -> str:
    """The first field in which two trainings differ, with both values where they are short."""
    if not isinstance(theirs, dict):
        return "it does not name its run"
    name = min(key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key))
    old, new = theirs.get(name), ours.get(name)
    if isinstance(old, dict) and isinstance(new, dict):
        return f"{name}.{_first_difference(old, new)}"
    return f"{name} is {str(old)[:60]!r} and not {str(new)[:60]!r}"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"
