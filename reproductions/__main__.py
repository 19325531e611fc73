"""The command line: `python -m reproductions COMMAND`. nox passes its arguments on to it.

Exit status: 0 the requested work is complete, whatever the verdicts; 2 wrong usage; 3 incomplete (stopped, failed, or another
process is at it); 4 bad or missing data; 5 the report is not what the records say.
"""

import difflib
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from alexnet.data.imageset import DataError
from reproductions.harness.claim import Claim, discover
from reproductions.harness.record import RESULTS, RecordError

INCOMPLETE, BAD_DATA, STALE_REPORT = 3, 4, 5

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
Results = Annotated[Path, typer.Option("--results", help="The folder of records and report.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Names = Annotated[list[str] | None, typer.Argument(help="Claims; `all` or none for every claim.", show_default=False)]
DataRoot = Annotated[Path | None, typer.Option("--data", help="The folder of data sets; by default $ALEXNET_DATA.")]


def fail(message: str, status: int = 2) -> NoReturn:
    """End with one line on standard error."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(status)


def choose(names: list[str] | None) -> list[Claim]:
    """The claims named; every claim for none or `all`. An unknown name ends the command with the nearest one."""
    claims = discover()
    if not names or names == ["all"]:
        return list(claims.values())
    for name in names:
        if name not in claims:
            near = [c for c in claims if c.startswith(name)] or difflib.get_close_matches(name, claims, n=1, cutoff=0.4)
            fail(f"no claim is called {name!r}{f'; did you mean {near[0]!r}?' if near else ''} (`list` shows all)")
    return [claims[name] for name in names]


def show_table(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print rows as a table or as JSON."""
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    from tabulate import tabulate  # noqa: PLC0415 - only when there is a table to print

    text = [{key: "–" if value is None else str(value) for key, value in row.items()} for row in rows]
    typer.echo(tabulate(text, headers="keys", disable_numparse=True))


@app.command("list")
def list_claims(results: Results = RESULTS, as_json: Json = False) -> None:
    """List the claims and how far each is decided. Trains nothing."""
    from reproductions.harness.judge import judge  # noqa: PLC0415
    from reproductions.harness.record import read_records  # noqa: PLC0415

    with reported():
        stored, broken = read_records(results)
        rows = []
        for claim in choose(None):
            words = [row.verdict.word for row in judge(claim, stored) if not row.sensitivity]
            tally = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
            rows.append({"claim": claim.name, "source": claim.source, "verdicts": tally, "statement": claim.statement})
        show_table(rows, as_json)
    for line in broken:
        typer.echo(f"warning: {line}", err=True)


@app.command()
def show(name: str) -> None:
    """Print a claim's protocol, questions, variants and rule."""
    from reproductions.harness.describe import describe  # noqa: PLC0415

    with reported():
        typer.echo(describe(choose([name])[0]))


@app.command()
def plan(
    names: Names = None, scale: str | None = None, dataset: str | None = None, data: DataRoot = None, results: Results = RESULTS,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Show which runs are there, which are missing and why, what an effect must be to be seen, and the time it would take."""
    from reproductions.harness import session  # noqa: PLC0415

    with reported():
        rows = []
        for claim in choose(names):
            rows += session.plan_rows(session.prepare(claim, results, scale=scale, dataset=dataset, data=data, pack=False))
        show_table(list({row["run"]: row for row in reversed(rows)}.values())[::-1], as_json)  # claims share runs


@app.command()
def run(
    names: Names = None,
    scale: Annotated[str | None, typer.Option(help="paper, reduced, mini or smoke; by default the first that runs here.")] = None,
    seeds: Annotated[str | None, typer.Option(help='Only these seeds of the verdict, such as "0-2" or "0,3".')] = None,
    dataset: Annotated[str | None, typer.Option(help="Insist on a data set, such as cifar10 or stand-in.")] = None,
    data: DataRoot = None,
    results: Results = RESULTS,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default cuda where there is one.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; by default every core this process may use.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop. Writes nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Make every run again from its start; the new records stand beside the old.")
    ] = False,
) -> None:
    """Make the records that are missing, then rebuild the report."""
    from reproductions.harness import session  # noqa: PLC0415

    if not names:
        list_claims(results)
        return
    with reported():
        complete, made = True, set[str]()
        for claim in choose(names):
            work = session.prepare(
                claim, results, scale=scale, dataset=dataset, data=data, seeds=seeds, force=force, made=made, pack=not dry_run
            )
            made |= {str(item.run) for item in work.planned}
            complete &= session.execute(work, device=device, threads=threads or len(os.sched_getaffinity(0)), dry_run=dry_run)
        if not complete:
            fail("some runs are not done; the same command goes on where they stopped", INCOMPLETE)


@app.command()
def status(names: Names = None, results: Results = RESULTS, as_json: Json = False) -> None:
    """Show every planned run: done, in progress (with its epoch), or missing and why."""
    from reproductions.harness import session  # noqa: PLC0415

    with reported():
        rows = [row for claim in choose(names) for row in session.status_rows(claim, results)]
        show_table(list({row["run"]: row for row in rows}.values()), as_json)  # claims share runs


@app.command()
def report(
    results: Results = RESULTS,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 5 if any file differs from what the records say.")
    ] = False,
) -> None:
    """Rebuild report.md, report.json, runs.csv and figures from the records alone."""
    from reproductions.harness import report as pages  # noqa: PLC0415

    with reported():
        built = pages.build(results, discover()) if check else pages.write(results, discover())
        for line in built.broken:
            typer.echo(f"warning: {line}", err=True)
        wrong = pages.differing(results, built) if check else []
        if wrong:
            fail(f"{', '.join(wrong)} in {results} differ from the records; run `nox -s report` and commit", STALE_REPORT)
        typer.echo(f"{results / 'report.md'} {'is what the records say' if check else 'written'}")


@app.command()
def compare(other: Path, results: Results = RESULTS, as_json: Json = False) -> None:
    """Set the records in OTHER (yours, made with --results OTHER) beside those in --results, arm by arm."""
    from reproductions.harness.describe import compare_sets  # noqa: PLC0415

    with reported():
        for folder in (results, other):
            if not (folder / "records").is_dir():
                fail(f"{folder} holds no records; name a folder made with `run --results {folder}`")
        show_table(compare_sets(list(discover().values()), results, other), as_json)


@app.command()
def explain(cell: str, results: Results = RESULTS) -> None:
    """Show where a number of the report comes from: formula, values, records, data, code and machine of CLAIM.QUESTION."""
    from reproductions.harness.describe import explain_cell  # noqa: PLC0415

    name, _, question = cell.partition(".")
    claim = choose([name])[0]
    if question not in {q.name for q in claim.questions}:
        near = difflib.get_close_matches(question, [q.name for q in claim.questions], n=1, cutoff=0.0)
        fail(f"{name} has no question {question!r}; did you mean {name}.{near[0]}?")
    with reported():
        typer.echo(explain_cell(claim, question, results))


@app.command("data")
def data_command(
    action: Annotated[str, typer.Argument(help="verify or prepare")],
    dataset: Annotated[
        str, typer.Argument(help="cifar10, tiny-imagenet, imagenet2010, imagenet2012, fall2009, fall2011 or stand-in")
    ] = "cifar10",
    data: DataRoot = None,
    source: Annotated[
        list[Path] | None,
        typer.Option(help="ImageNet: a tar of the publisher's, its devkit, or a folder of images; several are put together."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="ImageNet: train or test, where the source does not say which its images are; default train.")
    ] = None,
    as_json: Json = False,
) -> None:
    """`prepare` packs a data set for training; `verify` reads a packed one whole and compares it with its fingerprint."""
    from reproductions.harness import session  # noqa: PLC0415

    if action not in ("verify", "prepare"):
        fail(f"data {action}: say `data verify` or `data prepare`")
    with reported():
        show_table(session.data_rows(dataset, data, action == "verify", source or [], split), as_json)


@app.command()
def doctor(data: DataRoot = None, results: Results = RESULTS, as_json: Json = False) -> None:
    """Say what this machine offers and what is missing: versions, device, number format, data, disk, git, Slurm."""
    from reproductions.harness.doctor import examine  # noqa: PLC0415

    with reported():
        rows = examine(data, results)
        show_table(rows, as_json)
    if any(row["state"] == "broken" for row in rows):
        fail("something above is broken", INCOMPLETE)


class reported:  # noqa: N801 - used as a context manager, like a function
    """Turn the errors a user can mend into one line and an exit status."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, DataError):
            fail(str(error), BAD_DATA)
        if isinstance(error, RecordError):
            fail(str(error), INCOMPLETE)
        if isinstance(error, ValueError) and type(error) is ValueError:
            fail(str(error))
        if isinstance(error, KeyboardInterrupt):
            fail("stopped; the same command goes on where it was", INCOMPLETE)
        if isinstance(error, OSError):
            fail(f"{error.filename or 'a file'}: {error.strerror or error}; nothing that was finished is lost", INCOMPLETE)


if __name__ == "__main__":
    sys.exit(app())
