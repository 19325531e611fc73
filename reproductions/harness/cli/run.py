"""`run`: make the missing runs in this process."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reproductions.harness.claims.claim import Claim
from reproductions.harness.cli.list_claims import list_claims
from reproductions.harness.cli.options import (
    BAD_DATA,
    INCOMPLETE,
    WHAT,
    Compiled,
    DataRoot,
    Device,
    DryRun,
    Names,
    Precision,
    Results,
    ScaleName,
    Seeds,
    SweepToo,
    Threads,
    choose,
    fail,
)
from reproductions.harness.records.files import RESULTS

if TYPE_CHECKING:
    from reproductions.harness.cli.train_here import Computing


def _no_such_launcher(name: str | None) -> None:
    if name is not None:
        fail(f"--launch {name}: say debug, local or slurm; or use `submit`")


def run(
    names: Names = None,
    scale: ScaleName = None,
    seeds: Seeds = None,
    sweep: SweepToo = False,
    force: Annotated[
        bool, WHAT("--force", help="Rerun everything from scratch and keep the old records.")
    ] = False,
    data: DataRoot = None,
    results: Results = RESULTS,
    device: Device = None,
    threads: Threads = None,
    precision: Precision = None,
    compiled: Compiled = False,
    dry_run: DryRun = False,
    launch: Annotated[  # noqa: ARG001 - `as_submit` takes its values out
        str | None, typer.Option(hidden=True, callback=_no_such_launcher)
    ] = None,
) -> None:
    """Make the records that are missing, one run after the other; then rebuild the report.

    Without a claim it lists all of them. `submit` makes several runs at once or sends them to
    Slurm; `run --launch slurm` is the same and takes its options.

    Example: `run fig1_relu --seeds 0-2`
    """
    if not names:
        list_claims(results)
        return
    from reproductions.harness.cli.train_here import Computing
    from reproductions.harness.plan.claim_plan import require_images

    asked = {
        "scale": scale,
        "seeds": seeds,
        "data": data,
        "device": device,
        "pack": not dry_run,
        "sweep": sweep,
        "precision": precision,
        "compiled": compiled,
        "force": force,
    }
    cores = threads or len(os.sched_getaffinity(0))
    claims = choose(names)
    if "all" in names and scale is None:
        require_images(claims, asked)
    _make(claims, results, asked, Computing(device, cores, precision, compiled))


def _make(
    claims: Sequence[Claim], results: Path, asked: dict[str, Any], computing: "Computing"
) -> None:
    from reproductions.harness.cli.train_here import execute
    from reproductions.harness.plan.claim_plan import prepare, refuse_hidden

    complete, whole, made = True, True, set[str]()
    for claim in claims:
        work = prepare(claim, results, **asked, made=made)
        refuse_hidden(work)
        made |= {str(item.run) for item in work.planned}
        ended = execute(work, computing, dry_run=not asked["pack"])
        complete, whole = complete and ended[0], whole and ended[1]
    end_run(complete=complete, whole=whole)


def end_run(*, complete: bool, whole: bool) -> None:
    """End with the status of runs that are missing, or else of records that were left out."""
    if not complete:
        fail("some runs are not done; run the same command again to resume them", INCOMPLETE)
    if not whole:
        raise typer.Exit(BAD_DATA)
