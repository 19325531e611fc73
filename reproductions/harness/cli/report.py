"""`report`: the pages from the records."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reproductions.harness.cli.options import (
    BAD_DATA,
    INCOMPLETE,
    STALE_REPORT,
    Results,
    choose,
    existing_results,
    fail,
    warn,
)
from reproductions.harness.records.paths import REPOSITORY, RESULTS

if TYPE_CHECKING:
    from reproductions.harness.report.build import Report


def report(
    results: Results = RESULTS,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing; exit 5 if any file differs from what the records say."
        ),
    ] = False,
) -> None:
    """Rebuild the report, its figures and the README's table from the records alone.

    Example: `report --check`
    """
    from reproductions.harness.report import build as pages

    if not pages.has_records(existing_results(results)):
        fail(f"{results} holds no records to report on")
    claims = {claim.name: claim for claim in choose(None)}
    built = pages.build(results, claims) if check else pages.write(results, claims)
    warn(built.faults)
    if check:
        _check(results, built)
    else:
        _write_documents(results, built)
        _refuse_foreign(results, built.foreign)
    typer.echo(f"{results / 'report.md'} {'is what the records say' if check else 'written'}")
    if built.faults:
        raise typer.Exit(BAD_DATA)


def _check(results: Path, built: "Report") -> None:
    from reproductions.harness.report import build as pages

    wrong = [*pages.differing(results, built)]
    wrong += [os.path.relpath(path, results) for path in _outdated(results, built)]
    if not wrong:
        return
    differ = f"{', '.join(wrong)} in {results} differ from the records"
    if built.faults:
        fail(f"{differ}; first fix what was skipped above", BAD_DATA)
    fail(f"{differ}; run `nox -s report` and commit", STALE_REPORT)


def _write_documents(results: Path, built: "Report") -> None:
    from alexnet.io import write_atomic

    for path, text in _outdated(results, built).items():
        write_atomic(path, text)


def _outdated(results: Path, built: "Report") -> dict[Path, str]:
    """The project's own documents whose tables are not those of the committed records."""
    from reproductions.harness.report.documents import outdated

    return outdated(REPOSITORY, built.rows) if results.resolve() == RESULTS else {}


def _refuse_foreign(results: Path, foreign: Sequence[str]) -> None:
    if foreign:
        fail(
            f"{', '.join(foreign)} in {results}: not made by `report`, so not touched; move it "
            "away and give the command again",
            INCOMPLETE,
        )
