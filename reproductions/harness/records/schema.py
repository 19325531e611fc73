"""What a record holds: one run, what was measured, of what, by which code, on which machine."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from alexnet import version
from reproductions.harness.claims.metrics import METRICS
from reproductions.harness.claims.runs import digest

# behind the precision of a record that was trained through torch.compile: of a kind of its own
COMPILED = " compiled"


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


def version_of(family: str | None, metrics: Iterable[str]) -> Version:
    """Today's versions of what decides a run; without a family of networks, of a count."""
    training = None if family is None else version.TRAINING.get(family, version.OWN_NETWORKS)
    return Version(training=training, metrics=metric_versions(metrics, trained=family is not None))


def metric_versions(metrics: Iterable[str], *, trained: bool) -> dict[str, int]:
    """Today's version of each group that these metrics are of."""
    groups = {_group(name) if trained else "counts" for name in metrics}
    return {name: version.METRICS[name] for name in sorted(groups)}


def _group(metric: str) -> str:
    """The group of a trained network's metric; a claim's own are errors."""
    return METRICS[metric].group if metric in METRICS else "errors"


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

    schema_version: Literal[4] = 4
    claim: str
    question: str
    variant: str
    scale: Literal["paper", "reduced", "mini", "smoke"]
    seed: int = Field(ge=0)
    kind: Literal["train", "ensemble", "count"]
    purpose: Literal["sweep", "verdict"]
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
        if self.kind != "count" and self.data is None:
            raise ValueError("a trained run without data")
        if (
            self.question
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
    def shared(self) -> bool:
        """Whether it was made for all claims that ask for it."""
        return not self.question and self.kind != "count"

    @property
    def family(self) -> str:
        """The family of networks of a run that claims share, as `PlannedRun.family`."""
        return self.claim.partition("-")[0]

    @property
    def made_on(self) -> tuple[str, str]:
        """The kind of machine and the precision: both arms of a seed must share them.

        Counts are the same everywhere.
        """
        return (self.machine.hardware, self.machine.precision) if self.data else ("any", "exact")

    @property
    def id(self) -> str:
        """Digest of everything that tells it from another record of the same run."""
        fingerprint = self.data.fingerprint if self.data else None
        made = [self.config, self.recipe, fingerprint, self.version.model_dump(), *self.made_on]
        return digest([*made, self.status == "failed", *self.origins])[:8]

    @property
    def origins(self) -> tuple[str, ...]:
        """The contents of the other data sets, if any, whose networks it was made from."""
        own = self.data.fingerprint if self.data else None
        return tuple(sorted({part.fingerprint for part in self.made_from} - {own}))
