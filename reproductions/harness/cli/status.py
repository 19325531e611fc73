"""`status`: how far every run is."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reproductions.harness.claims.claim import SCALES, Claim, planned_runs
from reproductions.harness.cli.options import (
    BAD_DATA,
    INCOMPLETE,
    Json,
    Names,
    Results,
    ShownScale,
    choose,
    existing_results,
    fail,
    filled,
    show_table,
    warn,
)
from reproductions.harness.records.paths import RESULTS

if TYPE_CHECKING:
    from reproductions.harness.launch.status import RunStatus


def status(
    names: Names = None,
    scale: ShownScale = None,
    results: Results = RESULTS,
    as_json: Json = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Show what is queued or training, again and again, until nothing is."
        ),
    ] = False,
) -> None:
    """Show every planned run: done, queued, training (epoch, time left), or missing and why.

    It shows each claim at the scales at which something was begun, or else at that of the
    committed records. Ends with status 3 if a run failed, was refused or cancelled, or was lost:
    these do not go on by themselves; with 4 if a record was left out.

    Example: `status --watch`
    """
    from reproductions.harness.launch.status import all_run_statuses, follow, is_unstarted_sweep
    from reproductions.harness.plan.missing import sweep_note

    claims = choose(names)
    if scale not in (None, *SCALES):
        fail(f"no scale is called {scale!r}; there are {', '.join(SCALES)}")
    if watch and (as_json or not sys.stdout.isatty()):
        fail("--watch draws on a terminal; leave it out, or ask again and again with --json")
    existing_results(results)
    if watch:
        follow(claims, results)
    items, faults = all_run_statuses(claims, results)
    items = _shown(claims, items, scale, results)
    wanted = [item for item in items if not is_unstarted_sweep(item)]
    rows = [item.row for item in wanted]
    show_table(rows if as_json else filled(rows), as_json)
    for line in sweep_note(len(items) - len(wanted)):
        typer.echo(line, err=as_json)
    warn(faults)
    _refuse_broken(wanted)
    if faults:
        raise typer.Exit(BAD_DATA)


def _shown(
    claims: Sequence[Claim], items: Sequence["RunStatus"], scale: str | None, results: Path
) -> list["RunStatus"]:
    """The runs at the scale that was asked for, or at those that `status` shows without one."""
    from reproductions.harness.cli.scales import begun_scales, recorded_scale

    begun = {item.planned.run.key for item in items if item.state != "missing"}
    shown = set()
    for claim in claims:
        scales = begun_scales(claim, begun) or [recorded_scale(claim, results)]
        for name in {scale} & claim.scales.keys() if scale else scales:
            shown |= {run.key for run in planned_runs(claim, name)}
    return [item for item in items if item.planned.run.key in shown]


def _refuse_broken(items: Sequence["RunStatus"]) -> None:
    from reproductions.harness.launch.status import BROKEN

    broken = [item for item in items if item.state in BROKEN]
    if broken:
        fail(
            f"{len(broken)} runs will not go on by themselves (the first: {broken[0].planned.run})",
            INCOMPLETE,
        )
