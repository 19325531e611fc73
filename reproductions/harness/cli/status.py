"""`status`, `logs` and `cancel`: how far every run is, what its job printed, and its end."""

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
    SomeNames,
    choose,
    existing_results,
    fail,
    filled,
    nearest,
    show_table,
    warn,
)
from reproductions.harness.records.files import RESULTS

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
    from reproductions.harness.launch.status import BROKEN, all_run_statuses, follow
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
    # runs of a sweep that were never started are not missing without --sweep
    wanted = [i for i in items if i.state != "missing" or i.planned.run.purpose != "sweep"]
    rows = [item.row for item in wanted]
    show_table(rows if as_json else filled(rows), as_json)
    for line in sweep_note(len(items) - len(wanted)):
        typer.echo(line, err=as_json)
    warn(faults)
    broken = [item for item in wanted if item.state in BROKEN]
    if broken:
        first = broken[0].planned.run
        fail(f"{len(broken)} runs will not go on by themselves (the first: {first})", INCOMPLETE)
    if faults:
        raise typer.Exit(BAD_DATA)


def _shown(
    claims: Sequence[Claim], items: Sequence["RunStatus"], scale: str | None, results: Path
) -> list["RunStatus"]:
    from reproductions.harness.plan.missing import begun_scales, recorded_scale

    begun = {item.planned.run.key for item in items if item.state != "missing"}
    shown = set()
    for claim in claims:
        scales = begun_scales(claim, begun) or [recorded_scale(claim, results)]
        for name in {scale} & claim.scales.keys() if scale else scales:
            shown |= {run.key for run in planned_runs(claim, name)}
    return [item for item in items if item.planned.run.key in shown]


if TYPE_CHECKING:
    from reproductions.harness.launch.status import RunStatus


def logs(
    name: Annotated[str, typer.Argument(help="As `status` names it: CLAIM/VARIANT/SCALE-seedK.")],
    results: Results = RESULTS,
    lines: Annotated[int, typer.Option(min=1, help="How many of the last lines.")] = 40,
) -> None:
    """Show the end of what a run's last job printed, and where all of it is.

    Example: `logs fig1_relu/relu/paper-seed0`
    """
    from reproductions.harness.launch.status import all_run_statuses

    found, faults = all_run_statuses(choose(None), existing_results(results))
    warn(faults)
    job = _named(name, found).job
    if job is None:
        fail(f"{name} has no log: it was not submitted")
    for path in (*job.logs, *job.errors_of_others):
        typer.echo(f"{path}:\n{_end_of(path, lines)}")
    if faults:
        raise typer.Exit(BAD_DATA)


def _named(name: str, found: "list[RunStatus]") -> "RunStatus":
    items = {str(item.planned.run): item for item in found}
    if name not in items:
        fail(f"no run is called {name!r}{nearest(name, items)} (`status` shows all)")
    return items[name]


def _end_of(path: Path, lines: int) -> str:
    if not path.exists():
        return "  not there yet\n"
    return "".join(path.read_text(errors="replace").splitlines(keepends=True)[-lines:])


def cancel(names: SomeNames, results: Results = RESULTS) -> None:
    """End the jobs of these claims' runs, queued or training.

    What they did is not lost: the next `submit` or `run` resumes from there.

    Example: `cancel fig1_relu`
    """
    from reproductions.harness.launch import status as run_status

    items, faults = run_status.all_run_statuses(choose(names), existing_results(results))
    warn(faults)
    ended = run_status.cancel(items)
    typer.echo(f"cancelled: {', '.join(ended)}" if ended else "nothing is queued or training")
    if faults:
        raise typer.Exit(BAD_DATA)
