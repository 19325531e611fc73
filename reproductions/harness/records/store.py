"""Records on disk, one folder for each run, written once and never changed.

A folder `records/<claim>/<variant>/<scale>-seed<k>-<id>/` has `record.json` (schema.py),
`history.csv` (history.py) and, where a split was evaluated, `correct.npy` (one bit per image, in
the split's order) and `ties.npy`, if classes tied (arrays.py); of an AlexNet also `kernels.npy`,
conv1's weights, and `weights.safetensors`, all of them, which git ignores: a record that came by
git has none; of one run `examples.json` and `examples.jpg` (examples.py). The id comes from
everything that tells two runs of the same seed apart, so records made from other data, by other
code or on other hardware are side by side.
"""

import csv
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from alexnet.io import move, write_atomic
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.errors import RecordError
from reproductions.harness.records.evidence import answered_metric, examine
from reproductions.harness.records.files import (
    CORRECT,
    CURVE,
    RECORD,
    WEIGHTS,
    EvidenceError,
    read_array,
)
from reproductions.harness.records.history import HISTORY, Row, read_history
from reproductions.harness.records.schema import Record
from reproductions.harness.rule.effect import Answers


@dataclass(frozen=True)
class Stored:
    """A record with its place and, read when asked for, its history."""

    record: Record
    folder: Path

    @property
    def repeat(self) -> int:
        """0 for the first record of its id; a forced repeat has 2, 3, ..."""
        _, _, last = self.folder.name.rpartition("-r")
        return int(last) if last.isdigit() else 0

    @property
    def weights(self) -> Path | None:
        """The file of its weights, None where it is not here."""
        path = self.folder / WEIGHTS
        try:
            return path if self.record.weights and stat.S_ISREG(path.stat().st_mode) else None
        except FileNotFoundError:
            return None

    def history(self) -> list[Row]:
        """The rows of history.csv, read once; RecordError if they cannot be read."""
        return self._history

    @cached_property
    def _history(self) -> list[Row]:
        try:
            return read_history(self.folder)
        except EvidenceError as error:
            raise RecordError(
                f"{self.folder}/{error}; move the folder away and run again"
            ) from error

    def histories(self) -> list[list[Row]]:
        """Its own history, or of an average those of its networks, where they are here."""
        if self.record.kind != "ensemble":
            return [self.history()]
        root = self.folder.parents[2]
        parents = [replace(self, folder=root / part.record) for part in self.record.made_from]
        return [parent.history() for parent in parents if parent.folder.is_dir()]

    def answers(self, metric: str) -> Answers | None:
        """Which test images it has right by an error that it stored per image, else None.

        Images whose label ties for the best class count as wrong.
        """
        if metric != answered_metric(self.record) or self.record.data is None:
            return None
        images = self.record.data.test_images
        _, body = read_array(self.folder / CORRECT, "|u1")
        return Answers(int.from_bytes(body, "big") >> (-images % 8), images)


def work_file(root: Path, run: PlannedRun, identity: str) -> Path:
    """The stem of an unfinished run's checkpoint (.pt), heartbeat (.json) and lock (.lock)."""
    return root / ".work" / f"{run.claim}-{run.variant}-{run.scale}-seed{run.seed}-{identity}"


def folder_of(root: Path, record: Record) -> Path:
    """Where a record belongs under a results folder."""
    name = f"{record.scale}-seed{record.seed}-{record.id}"
    return root / "records" / record.claim / record.variant / name


def check_storable(root: Path, run: PlannedRun) -> None:
    """Raise RecordError if the run's record could not be stored: before days of training."""
    folder = root / "records" / run.claim / run.variant
    try:
        folder.mkdir(parents=True, exist_ok=True)
        Path(tempfile.mkdtemp(prefix=".", suffix=".partial", dir=folder)).rmdir()
    except OSError as error:
        raise RecordError(
            f"no record can be written to {folder}: {error.strerror}; fix this and run the same "
            "command again"
        ) from error


def write_record(
    root: Path,
    record: Record,
    history: Iterable[Sequence[float | int | None]] = (),
    *,
    columns: Sequence[str] = HISTORY,
    files: Mapping[str, bytes] | None = None,
    weights: Path | None = None,
) -> Path:
    """Store a record; its folder appears only when complete.

    A record that is there already is left, the new one gets "-r2".

    `files` are further ones by name, `weights` is a file under `root` that is moved into the
    folder. Raises RecordError if the folder cannot be written (no permission, disk full) or the
    record does not agree with its files; then nothing of it is left.
    """
    final = folder_of(root, record)
    partial = final.with_name(f".{final.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        write_atomic(partial / RECORD, record.model_dump_json(indent=1) + "\n")
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows([columns, *history])
        write_atomic(partial / CURVE, table.getvalue())
        for name, content in (files or {}).items():
            write_atomic(partial / name, content)
        examine(record, partial)
        if weights:
            move(weights, partial / WEIGHTS)
        return _settle(partial, final)
    except (EvidenceError, OSError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, EvidenceError):
            why = f"the record {final} would not agree with itself: {error}; please report this"
            raise RecordError(why) from error
        raise RecordError(
            f"cannot write the record {final}: {error.strerror}; fix this and run the same command "
            "again"
        ) from error


def _settle(partial: Path, final: Path) -> Path:
    target, repeat = final, 2
    while True:
        try:
            # fails where a folder with files in it is there, so nothing is ever overwritten
            partial.rename(target)
            return target
        except OSError:
            if not target.is_dir():
                raise
            target = final.with_name(f"{final.name}-r{repeat}")
            repeat += 1
