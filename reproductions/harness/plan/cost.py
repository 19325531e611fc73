"""What a plan will take before anything runs: minutes and GPU-hours; speeds measured here."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field, TypeAdapter

from alexnet.data.catalogue import DATASETS
from alexnet.io import cache_root, write_atomic
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.plan.claim_plan import ClaimPlan
from reproductions.harness.plan.missing import expected_epochs, expected_seconds
from reproductions.harness.records import provenance
from reproductions.harness.records.files import RESULTS, root_of
from reproductions.harness.records.load import read_records
from reproductions.harness.records.schema import version_of
from reproductions.harness.records.store import Stored

# operations per second of a GPU before there is a record from one; a guess, said with the number
ASSUMED_RATE = 10e12


@dataclass(frozen=True)
class Estimate:
    """The time of a run, and whose records it comes from."""

    seconds: float
    machine: str  # "" for this one; of a measurement what it is
    measured: float = 0.0  # seconds of training steps that it comes from instead


def estimates(
    work: ClaimPlan, threads: int, device: str | None = None, precision: str | None = None
) -> Callable[[PlannedRun], Estimate | None]:
    """The time of a run by these records or the committed ones.

    Records of this machine go first, then a measurement of `execute/trial.py`; else they are of the
    kind of machine that made the most.
    """
    here, known, cores = _records(work, threads, device)
    kinds, speeds = Counter(item.record.machine.hardware for item in known), read_speeds()

    def estimate(run: PlannedRun) -> Estimate | None:
        images = _images(work, run)
        seconds = expected_seconds(run, known, images, here, cores)
        if seconds is not None:
            return Estimate(seconds, "")
        if run.kind == "train" and (speed := speeds.get(kind_of(run, threads, device, precision))):
            seconds = expected_epochs(run, known) * images / speed.images_per_second
            seconds *= operations(run) / speed.operations if speed.operations else 1.0
            words = f"none, measured here for {speed.seconds:.1f} s"
            return Estimate(seconds, words, speed.seconds)
        for machine, _ in kinds.most_common():
            seconds = expected_seconds(run, known, images, machine, cores)
            if seconds is not None:
                return Estimate(seconds, machine)
        return None

    return estimate


def to_measure(
    work: ClaimPlan, threads: int, device: str | None = None, precision: str | None = None
) -> dict[str, PlannedRun]:
    """A missing run of each kind whose speed on this machine is not known, and images are open."""
    if work.scale == "smoke":
        return {}
    runs = [item.run for item in work.missing if work.images.get(str(item.run.dataset))]
    kinds = {
        kind_of(run, threads, device, precision): run for run in runs[::-1] if run.kind == "train"
    }
    if unknown := kinds.keys() - read_speeds().keys():
        here, known, cores = _records(work, threads, device)
        unknown = {
            kind for kind in unknown if expected_seconds(kinds[kind], known, 1, here, cores) is None
        }
    return {kind: kinds[kind] for kind in sorted(unknown)}


def _records(work: ClaimPlan, threads: int, device: str | None) -> tuple[str, list[Stored], int]:
    """The kind of this machine, records of processors or of GPUs as it has, and the threads."""
    on_gpu = provenance.computes_on_gpu(device)
    stored = {item.folder: item for item in work.stored}
    stored |= {item.folder: item for item in read_records(root_of(RESULTS, work.scale))[0]}
    known = [item for item in stored.values() if (item.record.machine.device == "cuda") == on_gpu]
    if on_gpu:
        known, threads = list(map(_on_one_gpu, known)), 1
    return provenance.hardware(device), known, threads


def duration_note(
    work: ClaimPlan, threads: int, device: str | None = None, precision: str | None = None
) -> str:
    """The time of all missing runs in words, with what it comes from."""
    estimate = estimates(work, threads, device, precision)
    found = [estimate(item.run) for item in work.missing]
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return "time unknown before the first run on this machine"
    machines = [each.machine for each in known if each.machine and not each.measured]
    measured = sum({each.measured for each in known})
    sources = [f"measured here for {measured:.1f} s"] if measured else []
    if machines:
        sources.append(f"from records of {' and '.join(dict.fromkeys(machines))}")
    minutes = sum(each.seconds for each in known) / 60
    return ", ".join([f"about {minutes:.0f} minutes", *sources])


def gpu_hours(work: ClaimPlan, run: PlannedRun) -> tuple[float, bool]:
    """A run's time on a GPU and whether it is measured: from GPU records, else from its FLOPs."""
    images = _images(work, run)
    known = [_on_one_gpu(item) for item in work.stored if item.record.machine.device == "cuda"]
    kinds = {item.record.machine.hardware for item in known}
    seconds = [expected_seconds(run, known, images, hardware, 1) for hardware in kinds]
    if some := [each for each in seconds if each is not None]:
        return max(some) / 3600, True  # of the slowest: nobody knows yet which kind it will get
    return images * run.recipe.get("epochs", 0) * operations(run) / ASSUMED_RATE / 3600, False


def _images(work: ClaimPlan, run: PlannedRun) -> int:
    """A run's training images; before packing, those of the whole data set; 0 for a count."""
    splits = work.images.get(run.dataset or "")
    return len(splits["train"]) if splits else DATASETS[run.dataset].images if run.dataset else 0


def _on_one_gpu(stored: Stored) -> Stored:
    """A record with the speed of each of its GPUs, whatever number of threads fed it."""
    record = stored.record
    speed = record.cost.images_per_second
    cost = record.cost.model_copy(
        update={"images_per_second": speed and speed / record.machine.processes}
    )
    machine = record.machine.model_copy(update={"threads": 1})
    return replace(stored, record=record.model_copy(update={"cost": cost, "machine": machine}))


def operations(run: PlannedRun) -> float:
    """Training FLOPs per image: two per multiply-accumulate, forward once, backward twice that.

    0 where a configuration does not list its layers.
    """
    if run.kind != "train" or not hasattr(run.network_config, "layers"):
        return 0.0
    layers = run.network_config.layers()
    return float(6 * sum(layer.multiply_accumulates for layer in layers))


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
