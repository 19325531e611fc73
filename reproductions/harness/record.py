"""One record per run: what was measured, of what, by which code, on which kind of machine. Written once, never changed.

A record is a folder `records/<claim>/<variant>/<scale>-seed<k>-<id>/` with `record.json`, `history.csv` and, where a split was
evaluated, `correct.npy` (one bit per image, in the split's order; see arrays.py); of an AlexNet also `kernels.npy`, conv1's
weights, and `weights.safetensors`, all of them, which git ignores: a record that came by git has none; of one run `examples.json`
and `examples.jpg` (see examples.py). The id comes from everything that tells two runs of the same seed apart, so records made from
other data, by other code or on other hardware stand side by side.
"""

import csv
import io
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from alexnet import version
from alexnet.files import write_atomic
from reproductions.harness.claim import PlannedRun, digest

WEIGHTS = "weights.safetensors"  # in a record's folder; the record has its sha256
GROUPS = {  # of metrics by name (alexnet/version.py); a trained network's others are "errors", counts are "counts"
    "retrieval_features": "retrieval",
    "retrieval_pixels": "retrieval",
    "retrieval_codes": "codes",
    "colour_gap": "colour",
}
FAMILIES = {"tune": "cifar", "evaluate": "cifar", "unshared": "cifar", "train": "alexnet", "average": "alexnet"}
HISTORY = ("step", "epoch", "images", "train_loss", "train_error", "seconds")  # an AlexNet's has more columns after these


class RecordError(Exception):
    """A record is broken or cannot be written. The message says which and what to do."""


class Part(BaseModel):
    """A part of a record: no unknown fields, no later changes, no NaN or infinity (missing is null)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Metric(Part):
    """A number with its unit and what it was measured on. `value` is null where the run gives none."""

    value: float | None
    unit: str
    split: str | None = None
    examples: int | None = Field(default=None, ge=0)


class Data(Part):
    """The images of a run."""

    name: str
    fingerprint: str  # digest of both splits' fingerprints
    canonical: bool
    source: str
    train_images: int
    test_images: int


class Source(Part):
    """A run from whose weights another was made."""

    record: str  # its folder below `records/`
    dataset: str
    fingerprint: str  # of its data
    weights: str | None  # sha256 of the file; None of a network that diverged


class Version(Part):
    """The versions of the code that made a record (`alexnet/version.py`): they decide whether it answers a run."""

    training: int | None  # of its family of networks; null for what is only counted
    metrics: dict[str, int]  # of each group of metrics that it holds


class Code(Part):
    """Where the code of a record can be found: shown, and decides nothing."""

    commit: str | None
    dirty: bool | None  # whether the tree had uncommitted changes outside of claim files


def version_of(role: str, metrics: Iterable[str]) -> Version:
    """Today's versions of what decides a run of this role and these metrics of it."""
    groups = {"counts" if role == "inspect" else GROUPS.get(name, "errors") for name in metrics}
    training = version.TRAINING[FAMILIES[role]] if role in FAMILIES else None
    return Version(training=training, metrics={name: version.METRICS[name] for name in sorted(groups)})


class Machine(Part):
    """What the run ran on, in words that name no host and no user."""

    hardware: str  # the class: processor or accelerator model
    device: Literal["cpu", "cuda"]
    threads: int
    processes: int = 1  # that trained together, each with so many threads
    precision: str
    determinism: str
    versions: dict[str, str]


class Cost(Part):
    """What the run took."""

    wall_seconds: float
    images: int
    images_per_second: float | None
    peak_memory_bytes: int | None  # of the process so far, or of the GPU
    attempts: int = Field(ge=1)


class Record(Part):
    """One run."""

    schema_version: Literal[2] = 2
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
    made_from: tuple[Source, ...] = ()  # all of its own kind of machine

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
        """The kind of machine and the precision: both arms of a seed must share them. Counts are the same everywhere."""
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
        return path if self.record.weights and path.is_file() else None

    def history(self) -> list[dict[str, float]]:
        """The rows of history.csv; RecordError if they cannot be read."""
        try:
            with (self.folder / "history.csv").open(newline="") as file:
                return [{name: float(row[name]) for name in HISTORY} for row in csv.DictReader(file)]
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise RecordError(f"{self.folder / 'history.csv'} is broken ({error}); move the folder away and run again") from error


def work_file(root: Path, run: PlannedRun, identity: str) -> Path:
    """The stem of an unfinished run's files under a results folder: checkpoint (.pt), heartbeat (.json) and lock (.lock)."""
    return root / ".work" / f"{run.claim}-{run.variant}-{run.scale}-seed{run.seed}-{identity}"


def folder_of(root: Path, record: Record) -> Path:
    """Where a record belongs under a results folder."""
    return root / "records" / record.claim / record.variant / f"{record.scale}-seed{record.seed}-{record.id}"


def write_record(
    root: Path,
    record: Record,
    history: Iterable[Sequence[float | int | None]] = (),
    *,
    columns: Sequence[str] = HISTORY,
    files: Mapping[str, bytes] | None = None,
    weights: Path | None = None,
) -> Path:
    """Store a record; its folder appears only when complete. A record that is there already is left, the new one gets "-r2".

    `files` are further ones by name, `weights` is a file under `root` that is moved into the folder. Raises RecordError if the
    folder cannot be written (no permission, disk full); then nothing of it is left behind.
    """
    final = folder_of(root, record)
    partial = final.with_name(f".{final.name}.{os.getpid()}.partial")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(history)
    try:
        partial.mkdir(parents=True)
        write_atomic(partial / "record.json", record.model_dump_json(indent=1) + "\n")
        write_atomic(partial / "history.csv", table.getvalue())
        for name, content in (files or {}).items():
            write_atomic(partial / name, content)
        if weights:
            weights.replace(partial / WEIGHTS)
        return _settle(partial, final)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise RecordError(
            f"cannot write the record {final}: {error.strerror}; mend that and give the same command again"
        ) from error


def _settle(partial: Path, final: Path) -> Path:
    target, repeat = final, 2
    while True:
        try:
            partial.rename(target)  # fails where a folder with files in it is there, so nothing is ever overwritten
            return target
        except OSError:
            if not target.is_dir():
                raise
            target = final.with_name(f"{final.name}-r{repeat}")
            repeat += 1


def read_record(folder: Path) -> Record:
    """The record in a folder. Raises OSError or ValueError if there is none or it is broken."""
    return Record.model_validate_json((folder / "record.json").read_bytes())


def read_records(root: Path, run: PlannedRun | None = None) -> tuple[list[Stored], list[str]]:
    """All records under a results folder, or those of one run, in the order of their paths; and a line for each broken one."""
    stored, broken = [], []
    pattern = "*/*/[!.]*" if run is None else f"{run.claim}/{run.variant}/{run.scale}-seed{run.seed}-*"
    for path in sorted((root / "records").glob(f"{pattern}/record.json")):
        try:
            record = read_record(path.parent)
            if not (path.parent / "history.csv").is_file():
                raise ValueError("its history.csv is missing")
            if not path.parent.name.startswith(folder_of(root, record).name) or path.parent.parent.name != record.variant:
                raise ValueError(f"its content belongs in {folder_of(Path(), record)}")
            stored.append(Stored(record, path.parent))
        except (OSError, ValueError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            broken.append(f"{path.relative_to(root)}: not a record ({reason}); left out, move it away or restore it")
    return stored, broken
