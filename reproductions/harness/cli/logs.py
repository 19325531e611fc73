"""`logs`: what a run's job printed."""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reproductions.harness.cli.options import (
    BAD_DATA,
    Results,
    choose,
    existing_results,
    fail,
    warn,
)
from reproductions.harness.records.paths import RESULTS

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
        near = difflib.get_close_matches(name, items, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        fail(f"no run is called {name!r}{hint} (`status` shows all)")
    return items[name]


def _end_of(path: Path, lines: int) -> str:
    if not path.exists():
        return "  not there yet\n"
    return "".join(path.read_text(errors="replace").splitlines(keepends=True)[-lines:])
