"""`explain`: what is behind one number of the report."""

import typer

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
from reproductions.harness.records.paths import RESULTS


def explain(
    cell: str, scale: ShownScale = None, results: Results = RESULTS, as_json: Json = False
) -> None:
    """Show the formula, values, records, data, code and machine behind CLAIM.QUESTION.

    Example: `explain fig1_relu.speedup`
    """
    from reproductions.harness.cli.scales import recorded_scale
    from reproductions.harness.plan.choose_data import check_scale
    from reproductions.harness.records.load import read_records
    from reproductions.harness.report.explain import explain_cell, explain_data

    name, _, question = cell.partition(".")
    claim = choose([name])[0]
    if question not in {q.name for q in claim.questions}:
        named = ", ".join(f"{name}.{q.name}" for q in claim.questions)
        fail(f"{cell} names no question; choose one of {named}")
    check_scale(claim, scale)
    stored, faults = read_records(existing_results(results))
    at = scale or recorded_scale(claim, results)
    if as_json:
        show_table(explain_data(claim, question, stored, at), as_json)
    else:
        typer.echo(explain_cell(claim, question, stored, at))
    end(faults)
