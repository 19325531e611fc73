"""`report`: the pages from the records."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

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
from reproductions.harness.records.files import REPOSITORY, RESULTS


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
    from alexnet.io import write_atomic
    from reproductions.harness.report import build as pages
    from reproductions.harness.report.documents import outdated

    if not pages.has_records(existing_results(results)):
        fail(f"{results} holds no records to report on")
    claims = {claim.name: claim for claim in choose(None)}
    built = pages.build(results, claims) if check else pages.write(results, claims)
    warn(built.faults)
    # the project's own documents have tables of the committed records
    documents = outdated(REPOSITORY, built.rows) if results.resolve() == RESULTS else {}
    if check:
        wrong = pages.differing(results, built)
        wrong += [os.path.relpath(path, results) for path in documents]
        _refuse_differing(results, wrong, faulty=bool(built.faults))
    else:
        for path, text in documents.items():
            write_atomic(path, text)
        _refuse_foreign(results, built.foreign)
    typer.echo(f"{results / 'report.md'} {'is what the records say' if check else 'written'}")
    if built.faults:
        raise typer.Exit(BAD_DATA)


def _refuse_differing(results: Path, wrong: Sequence[str], *, faulty: bool) -> None:
    if wrong:
        differ = f"{', '.join(wrong)} in {results} differ from the records"
        if faulty:
            fail(f"{differ}; first fix what was skipped above", BAD_DATA)
        fail(f"{differ}; run `nox -s report` and commit", STALE_REPORT)


def _refuse_foreign(results: Path, foreign: Sequence[str]) -> None:
    if foreign:
        fail(
            f"{', '.join(foreign)} in {results}: not made by `report`, so not touched; move it "
            "away and give the command again",
            INCOMPLETE,
        )
