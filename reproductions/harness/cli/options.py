"""Shared by all commands: options, names of claims, tables, error lines and exit statuses."""

import difflib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from reproductions.harness.claims.claim import Claim, discover
from reproductions.harness.records.paths import IN_CHECKOUT, RESULTS

INCOMPLETE, BAD_DATA, STALE_REPORT = 3, 4, 5

Results = Annotated[Path, typer.Option("--results", help="The folder of records and report.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Names = Annotated[
    list[str] | None,
    typer.Argument(help="Claims; `all` or none for every claim.", show_default=False),
]
DataRoot = Annotated[
    Path | None, typer.Option("--data", help="The folder of data sets; by default $ALEXNET_DATA.")
]


def fail(message: str, status: int = 2) -> NoReturn:
    """End with one line on standard error."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(status)


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


def choose(names: list[str] | None) -> list[Claim]:
    """The claims named; every claim for none or `all`.

    An unknown name ends the command with the nearest one.
    """
    claims = discover()
    if not names or names == ["all"]:
        return list(claims.values())
    for name in names:
        if name not in claims:
            near = [c for c in claims if c.startswith(name)] or difflib.get_close_matches(
                name, claims, n=1, cutoff=0.4
            )
            fail(
                f"no claim is called {name!r}{f'; did you mean {near[0]!r}?' if near else ''} "
                "(`list` shows all)"
            )
    return [claims[name] for name in names]


def show_table(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print rows as a table or as JSON."""
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    from tabulate import tabulate  # noqa: PLC0415 - only when there is a table to print

    text = [
        {key: "–" if value is None else str(value) for key, value in row.items()} for row in rows
    ]
    typer.echo(tabulate(text, headers="keys", disable_numparse=True))


def filled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without the columns in which none has anything."""
    empty = {key for key in (rows[0] if rows else {}) if not any(row[key] for row in rows)}
    return [{key: value for key, value in row.items() if key not in empty} for row in rows]


class user_errors:  # noqa: N801 - used as a context manager, like a function
    """Turn the errors a user can mend into one line and an exit status."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            fail("interrupted; run the same command again to resume", INCOMPLETE)
        if isinstance(error, Exception) and not isinstance(error, typer.Exit):
            _explain(error)


def _explain(error: Exception) -> None:
    """Turn an error that a user can fix into one line and an exit status; let others pass."""
    from alexnet.data.imageset import DataError  # noqa: PLC0415 - numpy and pydantic behind these take longer than `--help`
    from reproductions.harness.launch.slurm import SlurmError  # noqa: PLC0415
    from reproductions.harness.records.evidence import EvidenceError  # noqa: PLC0415
    from reproductions.harness.records.record import RecordError, UnreadableError  # noqa: PLC0415

    if isinstance(error, DataError | UnreadableError | EvidenceError):
        fail(str(error), BAD_DATA)
    if isinstance(error, RecordError):
        fail(str(error), INCOMPLETE)
    if isinstance(error, SlurmError):
        fail(f"Slurm: {error}", INCOMPLETE)
    if isinstance(error, ValueError) and type(error) is ValueError:
        fail(str(error))
    if isinstance(error, MemoryError):
        fail("out of memory; nothing that was finished is lost", INCOMPLETE)
    if isinstance(error, OSError):
        fail(
            f"{error.filename or 'a file'}: {error.strerror or error}; nothing that was finished "
            "is lost",
            INCOMPLETE,
        )
