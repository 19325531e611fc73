"""How far a run is, and what came of it: bars on a terminal, a line per epoch elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.plan.choose_data import console
from reproductions.harness.records.schema import Record

COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    TextColumn("{task.fields[row]}"),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
)


class Display:
    """The bars of one claim's runs: one for all of them, one for the run that trains."""

    def __init__(self, claim: str, bars: Progress, runs: int) -> None:
        self.claim, self.bars = claim, bars
        self.whole = bars.add_task(f"{runs} runs", total=runs, row="")

    @contextmanager
    def run(self, run: PlannedRun) -> Iterator[Callable[[Any], None]]:
        """Show one run while it trains; gives what is called after each row of its history."""
        name, epochs = named(self.claim, run), run.recipe.get("epochs")
        task = self.bars.add_task(name, total=epochs, row="")
        before = [0.0]

        def on_row(row: Any) -> None:
            text = row_text(row, epochs, row.seconds - before[0])
            before[0] = row.seconds
            self.bars.update(task, completed=row.epoch, row=text)
            if not console.is_terminal and round(row.epoch, 6).is_integer():
                console.print(f"  {name}: {text}", markup=False)

        try:
            yield on_row
        finally:
            self.bars.remove_task(task)
            self.bars.advance(self.whole)


@contextmanager
def display(claim: str, runs: int) -> Iterator[Display]:
    """Show the runs of a claim, with bars where there is a terminal."""
    with Progress(*COLUMNS, console=console, disable=not console.is_terminal) as bars:
        yield Display(claim, bars, runs)


def named(claim: str, run: PlannedRun) -> str:
    """A run, with the claim that asks for it where several share it."""
    return str(run) if run.claim == claim else f"{claim}: {run}"


def row_text(row: Any, epochs: float | None, seconds: float) -> str:
    """A row of history; `seconds` is the time that it took."""
    of = f" of {epochs:g}" if epochs else ""
    left = (epochs - row.epoch) * row.seconds / row.epoch if epochs and row.epoch else 0.0
    speed = row.images / max(seconds, 1e-9)
    return (
        f"epoch {row.epoch:.1f}{of}, training error {row.train_error:.1f} %, "
        f"{speed:,.0f} images/s, at most {duration(left)} left"
    )


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def result_text(record: Record) -> str:
    """What came of a run, in a few words, from its record."""
    if record.status in ("failed", "diverged"):
        return record.status
    values = {name: metric.value for name, metric in record.metrics.items()}
    if "epochs_to_target" in values:
        target, epochs = record.recipe["target_train_error"], values["epochs_to_target"]
        reached = "not reached" if epochs is None else f"reached after {epochs:.2f} epochs"
        return f"{target:g} % training error {reached}"
    for metric, words in (
        ("top1_ten", "top-1 error of ten crops"),
        ("top1", "top-1 error"),
        ("train_error", "training error"),
    ):
        if values.get(metric) is not None:
            return f"{words} {values[metric]:.2f} %"
    return "done"
