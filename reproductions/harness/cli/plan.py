"""`plan`: every run of a claim, done or missing and why, and what it takes."""

import os
from typing import Any

import typer

from reproductions.harness.cli.options import (
    DataRoot,
    Json,
    Names,
    Results,
    ScaleName,
    SweepToo,
    choose,
    end,
    existing_results,
    filled,
    show_table,
)
from reproductions.harness.records.files import RESULTS


def plan(
    names: Names = None,
    scale: ScaleName = None,
    data: DataRoot = None,
    results: Results = RESULTS,
    sweep: SweepToo = False,
    as_json: Json = False,
) -> None:
    """Show which runs are done or missing and why, the detectable effect and the estimated time.

    Without real images it plans at the scale of the records, here or committed.

    Example: `plan fig1_relu`
    """
    from reproductions.harness.cli.train_here import Computing, measure_here
    from reproductions.harness.judge.power import plan_rows
    from reproductions.harness.plan.claim_plan import notes, prepare
    from reproductions.harness.plan.missing import recorded_scale, sweep_note

    asked: dict[str, Any] = {"scale": scale, "data": data, "pack": False, "sweep": sweep}
    existing_results(results)
    works = [
        prepare(claim, results, **asked, without_images=recorded_scale(claim, results))
        for claim in choose(names)
    ]
    for line in notes(works):
        typer.echo(line, err=as_json)
    measure_here(works, Computing(None, len(os.sched_getaffinity(0))))
    # claims share runs
    rows = {row["run"]: row for work in reversed(works) for row in reversed(plan_rows(work))}
    shown = list(rows.values())[::-1]
    show_table(shown if as_json else filled(shown), as_json)
    for line in sweep_note(sum(work.sweeps_left_out for work in works)):
        typer.echo(line, err=as_json)
    end(dict.fromkeys(fault for work in works for fault in work.faults))
