"""Shared by the commands: options, names of claims, tables, error lines and exit statuses."""

import difflib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from reproductions.harness import errors
from reproductions.harness.claims.claim import Claim, examine
from reproductions.harness.records.files import IN_CHECKOUT, RESULTS

INCOMPLETE, BAD_DATA, STALE_REPORT = errors.INCOMPLETE, errors.BAD_DATA, errors.STALE_REPORT


def fail(message: str, status: int = errors.USAGE) -> NoReturn:
    """End with one line on standard error."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(status)


def _existing_folder(path: Path | None) -> Path | None:
    if path is not None and not path.expanduser().is_dir():
        fail(f"--data {path}: no such folder; create it or name another", BAD_DATA)
    return path


def _known_precision(name: str | None) -> str | None:
    if name not in (None, "fp32", "bf16"):
        fail(f"--precision {name}: say fp32 or bf16")
    return name


WHAT = partial(typer.Option, rich_help_panel="What to run")  # groups of `--help`
COMPUTING = partial(typer.Option, rich_help_panel="How to compute")
FOLDERS = partial(typer.Option, rich_help_panel="Folders")

Names = Annotated[
    list[str] | None,
    typer.Argument(help="Claims; `all` or none for every claim.", show_default=False),
]
SomeNames = Annotated[list[str], typer.Argument(help="Claims; `all` for every claim.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Results = Annotated[Path, FOLDERS("--results", help="The folder of records and report.")]
DataRoot = Annotated[
    Path | None,
    FOLDERS(
        "--data",
        help="The folder of data sets; by default $ALEXNET_DATA.",
        callback=_existing_folder,
    ),
]
ScaleName = Annotated[
    str | None,
    WHAT(
        "--scale",
        help="paper, reduced, mini or smoke; by default the most faithful one with images here.",
    ),
]
ShownScale = Annotated[
    str | None,
    typer.Option(
        "--scale",
        help="paper, reduced, mini or smoke; by default what has records, here or committed.",
    ),
]
Seeds = Annotated[str | None, WHAT(help='Only these seeds of the verdict, such as "0-2" or "0,3".')]
SweepToo = Annotated[
    bool,
    WHAT(
        "--sweep", help="Also the learning-rate sweep. Without it, rates come from the claim file."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop. Writes nothing.")]
Device = Annotated[str | None, COMPUTING(help="cpu or cuda; by default cuda where there is one.")]
Threads = Annotated[
    int | None,
    COMPUTING(
        min=1, help="CPU threads of a run on this machine; by default every core it may use."
    ),
]
Precision = Annotated[
    str | None,
    COMPUTING(
        help="fp32 or bf16; by default the faster one here that agrees with fp32.",
        callback=_known_precision,
    ),
]
Compiled = Annotated[
    bool,
    COMPUTING(
        "--compile",
        help="Train with torch.compile. Its records are never paired with uncompiled ones.",
    ),
]


def existing_results(results: Path) -> Path:
    """The results folder of a command that only reads.

    One that is not there, or holds other things, ends the command; but an installed package has
    none before its first run.
    """
    if not IN_CHECKOUT and results == RESULTS and not results.exists():
        return results
    try:
        names = set(os.listdir(results))  # noqa: PTH208 - the names alone are wanted
    except (FileNotFoundError, NotADirectoryError):
        fail(f"there is no results folder {results}; `run --results {results}` would make one")
    except OSError as error:
        fail(f"{results} cannot be read ({error.strerror})", BAD_DATA)
    if names and not names & {"records", ".work", "smoke"}:
        fail(f"{results} is no results folder: it holds other things and no records")
    return results


def warn(faults: Iterable[object]) -> None:
    """Say what was left out, a line each, on standard error."""
    for fault in faults:
        typer.echo(f"warning: {fault}", err=True)


def end(faults: Iterable[object]) -> None:
    """Say what was left out; where that is anything, end with the status of bad data."""
    faults = list(faults)
    warn(faults)
    if faults:
        raise typer.Exit(BAD_DATA)


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint at the name that was meant, where one is near."""
    near = difflib.get_close_matches(name, list(names), n=1, cutoff=0.4)
    return f"; did you mean {near[0]!r}?" if near else ""


def choose(names: list[str] | None) -> list[Claim]:
    """The claims named; every claim for none or `all`.

    An unknown name ends the command with the nearest one. What is wrong with other claim files is
    said, a line each.
    """
    claims, faults = examine()
    warn(faults)
    if not names or names == ["all"]:
        return list(claims.values())
    for name in names:
        if any(fault.startswith(f"reproductions/{name}.py:") for fault in faults):
            fail(f"reproductions/{name}.py cannot be used, see above")
        if name not in claims:
            begun = [claim for claim in claims if claim.startswith(name)]
            hint = f"; did you mean {begun[0]!r}?" if begun else nearest(name, claims)
            fail(f"no claim is called {name!r}{hint} (`list` shows all)")
    return [claims[name] for name in names]


def show_table(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print rows as a table or as JSON."""
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    text = [
        {key: "–" if value is None else str(value) for key, value in row.items()} for row in rows
    ]
    if sys.stdout.isatty():
        _show_on_terminal(text)
        return
    from tabulate import tabulate

    typer.echo(tabulate(text, headers="keys", disable_numparse=True))


# How verdicts are coloured on a terminal; `NO_COLOR` turns it off.
COLOURS = {
    "green": ["confirmed", "holds"],
    "cyan": ["same direction"],
    "red": ["opposite direction", "different size", "does not hold"],
    "magenta": ["no effect"],
    "yellow": ["undecided", "too short to tell"],
}


def _show_on_terminal(rows: list[dict[str, str]]) -> None:
    """A table as wide as the terminal, whose longer cells are broken into lines."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in rows[0] if rows else ():
        table.add_column(name, overflow="fold")
    for row in rows:
        cells = [Text(value) for value in row.values()]
        for cell in cells:
            for colour, words in COLOURS.items():
                cell.highlight_words(words, colour)
        table.add_row(*cells)
    Console().print(table)


def filled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without the columns in which none has anything."""
    empty = {key for key in (rows[0] if rows else {}) if not any(row[key] for row in rows)}
    return [{key: value for key, value in row.items() if key not in empty} for row in rows]


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn the errors that a user can fix into one line and an exit status."""
    try:
        yield
    except typer.Exit:
        raise
    except (Exception, KeyboardInterrupt) as error:
        found = errors.explained(error)
        if found is None:
            raise
        fail(*found)
