"""`explain` and `compare`: what is behind one number of the report; two sets of records."""

from pathlib import Path

import typer

from reproductions.harness.claims.claim import discover
from reproductions.harness.cli.options import (
    Json,
    Results,
    ShownScale,
    choose,
    end,
    existing_results,
    fail,
    show_table,
)
from reproductions.harness.records.files import RESULTS


def explain(
    cell: str, scale: ShownScale = None, results: Results = RESULTS, as_json: Json = False
) -> None:
    """Show the formula, values, records, data, code and machine behind CLAIM.QUESTION.

    Example: `explain fig1_relu.speedup`
    """
    from reproductions.harness.plan.choose_data import check_scale
    from reproductions.harness.plan.missing import recorded_scale
    from reproductions.harness.records.load import read_records
    from reproductions.harness.report.explain import explain_cell, row_data, rows_of

    name, _, question = cell.partition(".")
    claim = choose([name])[0]
    if question not in {q.name for q in claim.questions}:
        named = ", ".join(f"{name}.{q.name}" for q in claim.questions)
        fail(f"{cell} names no question; choose one of {named}")
    check_scale(claim, scale)
    stored, faults = read_records(existing_results(results))
    at = scale or recorded_scale(claim, results)
    if as_json:
        show_table(list(map(row_data, rows_of(claim, question, stored, at))), as_json)
    else:
        typer.echo(explain_cell(claim, question, stored, at))
    end(faults)


def compare(other: Path, results: Results = RESULTS, as_json: Json = False) -> None:
    """Compare the records in OTHER (made with --results OTHER) with those in --results, by arm.

    Example: `compare mine`
    """
    from reproductions.harness.records.load import read_records
    from reproductions.harness.report.compare import compare_sets

    folders = (results, other)
    for folder in folders:
        if not (existing_results(folder) / "records").is_dir():
            fail(f"{folder} holds no records; name a folder made with `run --results {folder}`")
    (ours, our_faults), (theirs, their_faults) = map(read_records, folders)
    show_table(compare_sets(list(discover().values()), ours, theirs), as_json)
    found = zip(folders, (our_faults, their_faults), strict=True)
    end(f"{folder}/{fault}" for folder, faults in found for fault in faults)
