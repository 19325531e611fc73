"""A claim's plan at a scale: planned runs, their records, and the images for the rest."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reproductions.harness.claims.claim import Claim, asked_runs, blocks
from reproductions.harness.claims.runs import PlannedRun, with_needs
from reproductions.harness.errors import BadDataError, UnreadableError
from reproductions.harness.plan.choose_data import (
    GPU_SCALES,
    AbsentError,
    Images,
    choose_data,
    fingerprints_of,
    say,
)
from reproductions.harness.plan.counted import Way
from reproductions.harness.plan.missing import PlanEntry, plan
from reproductions.harness.records import provenance
from reproductions.harness.records.files import Fault, root_of
from reproductions.harness.records.load import may_be_of, read_records
from reproductions.harness.records.store import Stored


@dataclass(frozen=True)
class ClaimPlan:
    """A claim at a scale: what is planned, what is there, and the images for it."""

    claim: Claim
    scale: str
    root: Path  # the results folder of this scale: synthetic runs live in a folder of their own
    results: Path  # the results folder that was asked for
    images: Images
    planned: list[PlanEntry]
    stored: list[Stored]
    note: str  # the first line to print
    data: Path | None  # the folder of data sets that was named
    force: bool = False  # make runs again that have a current record
    sweeps_left_out: int = 0  # runs of sweeps that are missing and were not asked for
    faults: tuple[Fault, ...] = ()  # of records that were left out

    @property
    def missing(self) -> list[PlanEntry]:
        """The planned runs without a current record."""
        return [item for item in self.planned if item.current is None]


def prepare(
    claim: Claim,
    results: Path,
    *,
    scale: str | None,
    data: Path | None,
    seeds: str | None = None,
    force: bool = False,
    made: Collection[str] = (),
    pack: bool = True,
    gpu: bool | None = False,
    device: str | None = None,
    precision: str | None = None,
    compiled: bool = False,
    sweep: bool = False,
    without_images: str | None = "smoke",
) -> ClaimPlan:
    """Settle scale and data of a claim and plan its runs.

    With `pack` False nothing is written or downloaded.

    With `sweep` the runs that chose the learning rates are planned, too; all others take their
    rates from the claim file. With `gpu` the runs will have one, whatever this machine has, or
    where that is None at the scales that are made for one; else they compute on `device`.
    `precision` is the one insisted on. With `force` all runs are made again but those in `made`,
    which another claim of the same command has made again. Where no real images are there the
    scale is `without_images`; but for smoke it is planned by the records alone, on any copy.

    Raises DataError if data that were insisted on are absent or broken, ValueError for a scale or
    seed that the claim does not have.
    """
    scale, images, note = choose_data(
        claim,
        scale=scale,
        data=data,
        pack=pack,
        gpu=gpu is not False,
        device=device,
        without_images=without_images,
    )
    runs, sweeps = _runs(claim, scale, seeds, sweep=sweep)
    root = root_of(results, scale)
    stored, faults = read_records(root)
    fingerprints, dirty = fingerprints_of(images), provenance.uncommitted()
    unknown = bool(images.keys() - fingerprints.keys())
    if unknown:
        planned = [PlanEntry(run, None, "not known before the images are packed") for run in runs]
    else:
        here = provenance.hardware(device) if gpu is False else None
        on = None if here else "cuda" if gpu or scale in GPU_SCALES else "cpu"
        together, way = blocks(claim, scale), Way(on, precision, compiled)
        planned = plan(runs, stored, fingerprints, here, blocks=together, way=way, dirty=dirty)
    if force:
        planned = [
            item if str(item.run) in made else PlanEntry(item.run, None, "asked for with --force")
            for item in planned
        ]
    unasked = plan(sweeps, stored, fingerprints, dirty=dirty)
    return ClaimPlan(
        claim=claim,
        scale=scale,
        root=root,
        results=results,
        images=images,
        planned=planned,
        stored=stored,
        note=note,
        data=data,
        force=force,
        sweeps_left_out=sum(unknown or item.current is None for item in unasked),
        faults=tuple(faults),
    )


def _runs(
    claim: Claim, scale: str, seeds: str | None, *, sweep: bool
) -> tuple[list[PlannedRun], list[PlannedRun]]:
    runs = asked_runs(claim, scale)
    if seeds is not None:
        wanted = _parse_seeds(seeds, runs)
        runs = [run for run in runs if not run.of_verdict or run.seed in wanted]
    sweeps = [] if sweep else [run for run in runs if run.purpose == "sweep"]
    return with_needs(run for run in runs if run not in sweeps), sweeps


def notes(works: Sequence[ClaimPlan]) -> list[str]:
    """The first lines of several claims, one for all that have the same images and scale."""
    names: dict[str, list[str]] = {}
    for work in works:
        names.setdefault(work.note.removeprefix(f"{work.claim.name}: "), []).append(work.claim.name)
    return [f"{', '.join(claims)}: {note}" for note, claims in names.items()]


def refuse_hidden(*works: ClaimPlan) -> None:
    """Say which records were left out.

    Raises UnreadableError where one that cannot be read may be of a run that is missing.
    """
    for fault in dict.fromkeys(fault for work in works for fault in work.faults):
        say(f"warning: {fault}")
    for work in works:
        for item in work.missing if not work.force else ():
            for fault in work.faults:
                if fault.unreadable and may_be_of(fault, item.run):
                    raise UnreadableError(
                        f"{work.root}/{fault.where} {fault.why}, and may hold the record of "
                        f"{item.run}; fix this, or rerun with --force"
                    )


def _parse_seeds(text: str, runs: list[PlannedRun]) -> set[int]:
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        raise ValueError(f"--seeds {text!r} is no list of seeds; write it like 0-4 or 0,2")
    seeds: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds |= set(range(int(first), int(last or first) + 1))
    planned = {run.seed for run in runs if run.of_verdict}
    if not seeds or seeds - planned:
        raise ValueError(
            f"--seeds {text}: the plan has seeds {', '.join(map(str, sorted(planned)))}, fixed "
            "before the runs"
        )
    return seeds


def require_images(claims: Sequence[Claim], asked: dict[str, Any]) -> None:
    """Raise BadDataError, one line for all claims, where real images are missing."""
    where = {name: asked.get(name) for name in ("scale", "data", "device")}
    gpu = asked.get("gpu", False) is not False
    alike: dict[Any, list[Claim]] = {}  # data sets are looked for once, not for every claim
    for claim in claims:
        scales = tuple((name, scale.datasets) for name, scale in claim.scales.items())
        alike.setdefault(scales, []).append(claim)
    lacking: dict[str, AbsentError] = {}
    for same in alike.values():
        try:
            choose_data(same[0], **where, pack=asked["pack"], gpu=gpu, without_images=None)
        except AbsentError as error:
            lacking |= {claim.name: error for claim in same}
    if lacking:
        first, *others = lacking
        more = f" and {len(others)} more claims" if others else ""
        raise BadDataError(
            f"no real images for {first}{more} ({lacking[first]}); `data prepare` packs them, "
            "--scale smoke takes built-in ones"
        )
