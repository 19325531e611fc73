"""`cancel`: end the jobs of claims."""

import typer

from reproductions.harness.cli.options import (
    BAD_DATA,
    Results,
    SomeNames,
    choose,
    existing_results,
    warn,
)
from reproductions.harness.records.paths import RESULTS


def cancel(names: SomeNames, results: Results = RESULTS) -> None:
    """End the jobs of these claims' runs, queued or training.

    What they did is not lost: the next `submit` or `run` resumes from there.

    Example: `cancel fig1_relu`
    """
    from reproductions.harness.launch import status as run_status

    items, faults = run_status.all_run_statuses(choose(names), existing_results(results))
    warn(faults)
    ended = run_status.cancel(items)
    typer.echo(f"cancelled: {', '.join(ended)}" if ended else "nothing is queued or training")
    if faults:
        raise typer.Exit(BAD_DATA)
