"""Training speeds measured here before the first record, kept in the cache. Imports no torch."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter

from alexnet.io import cache_root, write_atomic
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.records import provenance
from reproductions.harness.records.schema import version_of

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Speed:
    """What a few training steps of one network took here."""

    images_per_second: Positive
    seconds: Positive  # of the steps
    operations: Annotated[float, Field(ge=0, allow_inf_nan=False)]  # per image; 0: not known


SPEEDS = TypeAdapter(dict[str, Speed])


def kind_of(run: PlannedRun, threads: int, device: str | None, precision: str | None) -> str:
    """What runs must share to have one measurement: networks and images, machine, versions."""
    versions = provenance.versions() | {"training": str(version_of(run.family, ()).training)}
    machine = f"{provenance.hardware(device)}, {threads} threads, {precision or 'any precision'}"
    return f"{run.claim} {run.scale}, {machine}, {versions}"


def read_speeds() -> dict[str, Speed]:
    """The measurements of the cache; none where it has no such file, or a broken one."""
    with suppress(OSError, ValueError, RuntimeError):
        return SPEEDS.validate_json((cache_root() / "speeds.json").read_bytes())
    return {}


def keep_speed(kind: str, speed: Speed) -> None:
    """Add a measurement to the cache, if that can be written."""
    with suppress(OSError, RuntimeError):
        known = SPEEDS.dump_json({**read_speeds(), kind: speed}, indent=1)
        write_atomic(cache_root() / "speeds.json", known)
