"""The command line: `python -m reproductions COMMAND`. nox passes its arguments on to it.

Exit status: 0 everything requested is done, whatever the verdicts; 2 wrong usage; 3 incomplete
(interrupted, failed, or running in another process); 4 missing, broken or unreadable data or
records; 5 the report differs from the records.
"""

import gc
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from alexnet import __version__
from reproductions.harness.claims.claim import discover
from reproductions.harness.cli.options import (
    BAD_DATA,
    INCOMPLETE,
    STALE_REPORT,
    DataRoot,
    Json,
    Names,
    Results,
    choose,
    end,
    existing_results,
    fail,
    show_table,
    user_errors,
    warn,
)
from reproductions.harness.cli.run import app
from reproductions.harness.records.paths import REPOSITORY, RESULTS, WORKSPACE


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alexnet-claims {__version__}")
        raise typer.Exit


@app.callback(help=__doc__, no_args_is_help=True)
def main(
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Nothing is done before a command but what must be before torch is imported."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", WORKSPACE)


@app.command()
def show(name: str) -> None:
    """Print a claim's protocol, questions, variants and rule."""
    from reproductions.harness.report.describe import describe

    with user_errors():
        typer.echo(describe(choose([name])[0]))


@app.command()
def plan(
    names: Names = None,
    scale: str | None = None,
    dataset: str | None = None,
    data: DataRoot = None,
    results: Results = RESULTS,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Also plan the learning-rate sweep.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show which runs are done or missing and why, the detectable effect and the estimated time."""
    from reproductions.harness.judge.power import plan_rows
    from reproductions.harness.plan.claim_plan import notes, prepare
    from reproductions.harness.plan.missing import sweep_note

    with user_errors():
        asked: dict[str, Any] = {
            "scale": scale,
            "dataset": dataset,
            "data": data,
            "pack": False,
            "sweep": sweep,
        }
        works = [prepare(claim, existing_results(results), **asked) for claim in choose(names)]
        for line in notes(works):
            typer.echo(line, err=as_json)
        rows = [row for work in works for row in plan_rows(work)]
        # claims share runs
        show_table(list({row["run"]: row for row in reversed(rows)}.values())[::-1], as_json)
        for line in sweep_note(sum(work.sweeps_left_out for work in works)):
            typer.echo(line, err=as_json)
        end(dict.fromkeys(fault for work in works for fault in work.faults))


@app.command()
def report(
    results: Results = RESULTS,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing; exit 5 if any file differs from what the records say."
        ),
    ] = False,
) -> None:
    """Rebuild the report, its figures and the README's table from the records alone."""
    from alexnet.io import write_atomic
    from reproductions.harness.report import build as pages
    from reproductions.harness.report.documents import outdated

    with user_errors():
        if not pages.has_records(existing_results(results)):
            fail(f"{results} holds no records to report on")
        built = pages.build(results, discover()) if check else pages.write(results, discover())
        warn(built.faults)
        wrong = pages.differing(results, built) if check else list(built.foreign)
        documents = outdated(REPOSITORY, built.rows) if results.resolve() == RESULTS else {}
        if check:
            wrong += [os.path.relpath(path, results) for path in documents]
        else:
            for path, text in documents.items():
                write_atomic(path, text)
        named = f"{', '.join(wrong)} in {results}"
        if wrong and not check:
            fail(
                f"{named}: not made by `report`, so not touched; move it away and give the "
                "command again",
                INCOMPLETE,
            )
        if wrong and built.faults:
            fail(f"{named} differ from the records; first fix what was skipped above", BAD_DATA)
        if wrong:
            fail(f"{named} differ from the records; run `nox -s report` and commit", STALE_REPORT)
        typer.echo(f"{results / 'report.md'} {'is what the records say' if check else 'written'}")
        if built.faults:
            raise typer.Exit(BAD_DATA)


@app.command()
def compare(other: Path, results: Results = RESULTS, as_json: Json = False) -> None:
    """Compare the records in OTHER (made with --results OTHER) with those in --results, by arm."""
    from reproductions.harness.records.load import read_records
    from reproductions.harness.report.compare import compare_sets

    with user_errors():
        for folder in (results, other):
            if not (existing_results(folder) / "records").is_dir():
                fail(f"{folder} holds no records; name a folder made with `run --results {folder}`")
        (ours, theirs), faults = zip(
            *(read_records(folder) for folder in (results, other)), strict=True
        )
        show_table(compare_sets(list(discover().values()), ours, theirs), as_json)
        end(
            f"{folder}/{fault}"
            for folder, found in zip((results, other), faults, strict=True)
            for fault in found
        )


@app.command()
def explain(cell: str, results: Results = RESULTS, as_json: Json = False) -> None:
    """Show the formula, values, records, data, code and machine behind CLAIM.QUESTION."""
    from reproductions.harness.records.load import read_records
    from reproductions.harness.report.explain import explain_cell, explain_data

    name, _, question = cell.partition(".")
    claim = choose([name])[0]
    if question not in {q.name for q in claim.questions}:
        named = ", ".join(f"{name}.{q.name}" for q in claim.questions)
        fail(f"{cell} names no question; choose one of {named}")
    with user_errors():
        stored, faults = read_records(existing_results(results))
        if as_json:
            show_table(explain_data(claim, question, stored), as_json)
        else:
            typer.echo(explain_cell(claim, question, stored))
        end(faults)


@app.command("data")
def data_command(
    action: Annotated[str, typer.Argument(help="verify or prepare")],
    dataset: Annotated[
        str,
        typer.Argument(
            help="cifar10, tiny-imagenet, imagenet2010, imagenet2012, fall2009, fall2011 or "
            "synthetic"
        ),
    ] = "cifar10",
    data: DataRoot = None,
    source: Annotated[
        list[Path] | None,
        typer.Option(
            help="ImageNet: a tar of the publisher's, its devkit, or a folder of images; "
            "several are put together."
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="ImageNet: train or test, where the source does not say which its images are; "
            "default train."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """`prepare` packs a data set for training; `verify` checks a packed one by its fingerprint."""
    from reproductions.harness.cli import session

    if action not in ("verify", "prepare"):
        fail(f"data {action}: say `data verify` or `data prepare`")
    with user_errors():
        show_table(
            session.data_rows(dataset, data, action == "verify", source or [], split), as_json
        )


@app.command()
def doctor(data: DataRoot = None, results: Results = RESULTS, as_json: Json = False) -> None:
    """Show what this machine has and lacks: versions, device, precision, data, disk, git, Slurm."""
    from reproductions.harness.cli.doctor import examine

    with user_errors():
        rows = examine(data, results)
        show_table(rows, as_json)
    if any(row["state"] == "broken" for row in rows):
        fail("something above is broken", INCOMPLETE)


if __name__ == "__main__":
    # what is imported stays: looking through it for garbage takes a tenth of a short command
    gc.freeze()
    sys.exit(app())
