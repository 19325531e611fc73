"""One record per run: what was measured, of what, by which code, on which kind of machine.

Written once, never changed.

A record is a folder `records/<claim>/<variant>/<scale>-seed<k>-<id>/` with `record.json`,
`history.csv` and, where a split was evaluated, `correct.npy` (one bit per image, in the split's
order) and `ties.npy`, if classes tied (see arrays.py); of an AlexNet also `kernels.npy`, conv1's
weights, and `weights.safetensors`, all of them, which git ignores: a record that came by git has
none; of one run `examples.json` and `examples.jpg` (see examples.py). The id comes from everything
that tells two runs of the same seed apart, so records made from other data, by other code or on
other hardware stand side by side.
"""

import csv
import io
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from alexnet import version
from alexnet.io import move, write_atomic
from reproductions.harness.claims.claim import PlannedRun, digest
from reproductions.harness.errors import BAD_DATA, SuiteError
from reproductions.harness.records.cache import Checked
from reproductions.harness.records.evidence import (
    CURVE,
    HISTORY,
    RECORD,
    EvidenceError,
    Fault,
    below,
    examine,
    mark_of,
    read,
    read_history,
)

WEIGHTS = "weights.safetensors"  # in a record's folder; the record has its sha256
# of metrics by name (alexnet/version.py); a trained network's others are "errors", counts are
# "counts"
GROUPS = {
    "retrieval_features": "retrieval",
    "retrieval_pixels": "retrieval",
    "retrieval_codes": "codes",
    "colour_gap": "colour",
}
# behind the precision of a record that was trained through torch.compile: of a kind of its own
COMPILED = " compiled"
FAMILIES = {
    "tune": "cifar",
    "evaluate": "cifar",
    "unshared": "cifar",
    "train": "alexnet",
    "average": "alexnet",
}


class RecordError(SuiteError):
    """A record is broken or cannot be written. The message says which and what to do."""


class UnreadableError(RecordError):
    """Records are there that cannot be read now, or not by this version.

    Nothing may count them as missing.
    """

    status = BAD_DATA


class RecordModel(BaseModel):
    """A part of a record: no unknown fields, immutable, no NaN or infinity (missing is null)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Metric(RecordModel):
    """A number with its unit and what it was measured on.

    `value` is null where the run gives none.
    """

    value: float | None
    unit: str
    split: str | None = None
    examples: int | None = Field(default=None, ge=0)


class Data(RecordModel):
    """The images of a run."""

    name: str
    fingerprint: str  # digest of both splits' fingerprints
    canonical: bool
    source: str
    train_images: int
    test_images: int


class ParentRun(RecordModel):
    """A run from whose weights another was made."""

    record: str  # its folder below `records/`
    dataset: str
    fingerprint: str  # of its data
    weights: str | None  # sha256 of the file; None of a network that diverged


class Version(RecordModel):
    """Versions of the code that made a record (`alexnet/version.py`); they decide if it counts."""

    training: int | None  # of its family of networks; null for what is only counted
    metrics: dict[str, int]  # of each group of metrics that it holds


class Code(RecordModel):
    """Where the code of a record can be found: shown, and decides nothing."""

    commit: str | None
    dirty: bool | None  # whether the tree had uncommitted changes outside of claim files


def version_of(role: str, metrics: Iterable[str]) -> Version:
    """Today's versions of what decides a run of this role and these metrics of it."""
    groups = {"counts" if role == "inspect" else GROUPS.get(name, "errors") for name in metrics}
    training = version.TRAINING[FAMILIES[role]] if role in FAMILIES else None
    return Version(
        training=training, metrics={name: version.METRICS[name] for name in sorted(groups)}
    )


class Machine(RecordModel):
    """What the run ran on, in words that name no host and no user."""

    hardware: str  # the class: processor or accelerator model
    device: Literal["cpu", "cuda"]
    threads: int
    processes: int = 1  # that trained together, each with so many threads
    precision: str
    determinism: str
    versions: dict[str, str]


class Cost(RecordModel):
    """What the run took."""

    wall_seconds: float
    images: int
    images_per_second: float | None
    peak_memory_bytes: int | None  # of the process so far, or of the GPU
    attempts: int = Field(ge=1)


class Record(RecordModel):
    """One run."""

    schema_version: Literal[3] = 3
    claim: str
    question: str
    variant: str
    scale: Literal["paper", "reduced", "mini", "smoke"]
    seed: int = Field(ge=0)
    role: Literal["tune", "evaluate", "train", "average", "unshared", "inspect"]
    status: Literal["ok", "diverged", "censored", "failed"]
    failure: str | None = None
    metrics: dict[str, Metric]
    config: dict[str, Any]
    recipe: dict[str, Any]
    declaration: str
    data: Data | None
    version: Version
    code: Code
    machine: Machine
    cost: Cost
    started: str  # UTC, to the second; of the last attempt
    weights: str | None = None  # sha256 of the weights that were kept beside it
    made_from: tuple[ParentRun, ...] = ()  # all of its own kind of machine

    @model_validator(mode="after")
    def _is_whole(self) -> "Record":
        if self.status == "ok" and any(metric.value is None for metric in self.metrics.values()):
            raise ValueError("status is ok but a metric is null")
        if self.role != "inspect" and self.data is None:
            raise ValueError("a trained run without data")
        if (
            self.role in ("tune", "evaluate")
            and self.status != "failed"
            and not {"train_error", "epochs_to_target"} <= self.metrics.keys()
        ):
            raise ValueError("a trained run without its metrics")
        return self

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What it shares with the run that planned it."""
        return self.claim, self.variant, self.scale, self.seed

    @property
    def kind(self) -> tuple[str, str]:
        """The kind of machine and the precision: both arms of a seed must share them.

        Counts are the same everywhere.
        """
        return (self.machine.hardware, self.machine.precision) if self.data else ("any", "exact")

    @property
    def id(self) -> str:
        """Digest of everything that tells it from another record of the same run."""
        fingerprint = self.data.fingerprint if self.data else None
        made = [self.config, self.recipe, fingerprint, self.version.model_dump(), *self.kind]
        return digest([*made, self.status == "failed", *self.origins])[:8]

    @property
    def origins(self) -> tuple[str, ...]:
        """The contents of the other data sets, if any, whose networks it was made from."""
        own = self.data.fingerprint if self.data else None
        return tuple(sorted({part.fingerprint for part in self.made_from} - {own}))


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

    def history(self) -> list[dict[str, float]]:
        """The rows of history.csv; RecordError if they cannot be read."""
        try:
            return [
                {name: row[name] or 0.0 for name in HISTORY} for row in read_history(self.folder)
            ]
        except EvidenceError as error:
            raise RecordError(
                f"{self.folder}/{error}; move the folder away and run again"
            ) from error


def work_file(root: Path, run: PlannedRun, identity: str) -> Path:
    """The stem of an unfinished run's checkpoint (.pt), heartbeat (.json) and lock (.lock)."""
    return root / ".work" / f"{run.claim}-{run.variant}-{run.scale}-seed{run.seed}-{identity}"


def folder_of(root: Path, record: Record) -> Path:
    """Where a record belongs under a results folder."""
    return (
        root
        / "records"
        / record.claim
        / record.variant
        / f"{record.scale}-seed{record.seed}-{record.id}"
    )


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
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(history)
    try:
        partial.mkdir(parents=True)
        write_atomic(partial / RECORD, record.model_dump_json(indent=1) + "\n")
        write_atomic(partial / CURVE, table.getvalue())
        for name, content in (files or {}).items():
            write_atomic(partial / name, content)
        for fault in examine(record, partial):
            raise RecordError(
                f"the record {final} would not agree with itself: {fault.where} {fault.why}; "
                "please report this"
            )
        if weights:
            move(weights, partial / WEIGHTS)
        return _settle(partial, final)
    except RecordError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise RecordError(
            f"cannot write the record {final}: {error.strerror}; fix this and run the same "
            "command again"
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


def read_record(folder: Path) -> Record:
    """The record in a folder.

    Raises EvidenceError if there is none, it cannot be read or it is broken.
    """
    return _record(read(folder / RECORD))


def read_records(
    root: Path, run: PlannedRun | None = None, *, recheck: bool = False
) -> tuple[list[Stored], list[Fault]]:
    """All records under a results folder, or one run's, sorted by path; and faults of the others.

    A record counts only if it agrees with its place and with the files beside it, and is no copy of
    another. What was found to agree before is not computed again while no file has changed, unless
    `recheck` asks for it.
    """
    faults: list[Fault] = []
    stored, checked = [], None if recheck else Checked(root)
    histories: dict[str, list[Stored]] = {}
    for folder in _folders(root, faults):
        name = folder.relative_to(root)
        try:
            content = read(folder / RECORD)
            record = _record(content)
            _in_its_place(record, folder)
            key = checked.key(folder, content) if checked else ""
            history = checked.history(name, key) if checked else ""
            if not history:
                for fault in examine(record, folder):
                    raise EvidenceError(fault.where, fault.why, unreadable=fault.unreadable)
                history = mark_of(folder)
            if checked:
                checked.learn(name, key, history)
            stored.append(Stored(record, folder))
            histories.setdefault(history, []).append(stored[-1])
        except EvidenceError as error:
            faults.append(below(error.fault, str(name)))
    if checked:
        checked.save()
    copies = {
        item.folder: same
        for same in histories.values()
        for item in same
        if len({s.record.key for s in same}) > 1
    }
    faults += [_copied(item, copies[item.folder], root) for item in stored if item.folder in copies]
    stored = [item for item in stored if item.folder not in copies]
    if run:  # what is a copy shows only beside all others
        return [item for item in stored if item.record.key == run.key], [
            fault for fault in faults if may_be_of(fault, run)
        ]
    return stored, faults


def _copied(item: Stored, same: Sequence[Stored], root: Path) -> Fault:
    """Two runs never take the same time to the last digit: such a record is a renamed copy."""
    other = next(s for s in same if s.record.key != item.record.key)
    where = f"{item.folder.relative_to(root)}/{CURVE}"
    return Fault(
        where, f"is that of {other.folder.relative_to(root)} to the last digit: one is a copy"
    )


def records_of(root: Path, run: PlannedRun) -> list[Stored]:
    """The records of a run.

    Raises UnreadableError if there may be one that cannot be read: it is not to be made again.
    """
    stored, faults = read_records(root, run)
    for fault in faults:
        if fault.unreadable:
            raise UnreadableError(
                f"{root}/{fault.where} {fault.why}, and may hold the record of {run}; fix this "
                "first"
            )
    return stored


def may_be_of(fault: Fault, run: PlannedRun) -> bool:
    """Whether a record of the run can be in what a fault names."""
    parts = fault.where.split("/")
    return parts[1:3] == [run.claim, run.variant][: len(parts) - 1] and (
        len(parts) < 4 or parts[3].startswith(f"{run.scale}-seed{run.seed}-")
    )


def _record(content: bytes) -> Record:
    """The record in the bytes of record.json.

    Raises EvidenceError if it is none, or one of another version.
    """
    try:
        record = Record.model_validate_json(content)
    except ValidationError as error:
        raise _misfit(content, error) from error
    if "schema_version" not in record.model_fields_set:
        raise EvidenceError(RECORD, "names no schema version; restore it, or move its folder away")
    return record


def _misfit(content: bytes, error: ValidationError) -> EvidenceError:
    """Why record.json is no record of this version."""
    known = Record.model_fields["schema_version"].default
    first = error.errors()[0]
    why = f"is not a record ({'.'.join(map(str, first['loc']))}: {first['msg']})"
    try:
        version = json.loads(content).get("schema_version", known)
    except (ValueError, AttributeError, RecursionError) as broken:
        utf8 = isinstance(broken, UnicodeDecodeError)
        return EvidenceError(
            RECORD, f"is not a record ({'not UTF-8 text' if utf8 else first['msg']})"
        )
    if isinstance(version, bool) or not isinstance(version, int):
        why = f"has a schema version that is no whole number ({str(version)[:40]!r})"
    elif version > known:
        why = f"was made by a newer version of this suite (schema {version}); update it"
        return EvidenceError(RECORD, why, unreadable=True)
    elif version < known:
        why = f"is of schema {version}, which this version does not read"
    return EvidenceError(RECORD, why)


def _in_its_place(record: Record, folder: Path) -> None:
    """Raise EvidenceError for a record that another folder should hold."""
    right = folder_of(Path(), record)
    name, repeat = folder.name.removeprefix(right.name), folder.name.removeprefix(f"{right.name}-r")
    if folder.parts[-3:-1] != right.parts[1:3] or not (name == "" or repeat.isdecimal()):
        raise EvidenceError(RECORD, f"does not belong here: its content belongs in {right}")


def _folders(root: Path, faults: list[Fault]) -> Iterator[Path]:
    """The folders that should hold records; what cannot be listed is added to the faults."""
    for claim in _listed(root / "records", root, faults):
        for variant in _listed(claim, root, faults):
            yield from _listed(variant, root, faults)


def _listed(folder: Path, root: Path, faults: list[Fault]) -> list[Path]:
    """The folders in a folder by name, without hidden ones; none where it is not there."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and _leads_to_folder(entry)
            )
            return [folder / name for name in names]
    except (FileNotFoundError, NotADirectoryError) as error:
        if not os.path.lexists(folder):
            return []
        why = "is not a folder" if isinstance(error, NotADirectoryError) else "is a broken symlink"
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    faults.append(Fault(str(folder.relative_to(root)), why, unreadable=True))
    return []


def _leads_to_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry is a folder, or a link of which that cannot be said."""
    try:
        return entry.is_dir() or (entry.is_symlink() and not os.path.exists(entry.path))  # noqa: PTH110 - an entry is no Path
    except OSError:
        return True
