"""Make the missing runs of one claim in this process, one after the other, and show how far."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from reproductions.harness.claims.claim import blocks
from reproductions.harness.claims.runs import PlannedRun, with_needs
from reproductions.harness.execute.cpu_affinity import own_cores
from reproductions.harness.plan.choose_data import console, needs_gpu, say
from reproductions.harness.plan.claim_plan import ClaimPlan
from reproductions.harness.plan.cost import duration_note, to_measure
from reproductions.harness.plan.missing import PlanEntry, plan, sweep_note
from reproductions.harness.records import provenance
from reproductions.harness.records.load import read_record, read_records
from reproductions.harness.records.schema import Record
from reproductions.harness.report.answers import conclude, recorded, refresh

if TYPE_CHECKING:
    from reproductions.harness.execute.context import RunContext


@dataclass(frozen=True)
class Computing:
    """What the command line says of how runs are computed here."""

    device: str | None
    threads: int
    precision: str | None = None
    compiled: bool = False

    @property
    def way(self) -> str | None:
        """What decides the speed beside the machine."""
        return "compiled" if self.compiled else self.precision


def execute(work: ClaimPlan, computing: Computing, *, dry_run: bool) -> tuple[bool, bool]:
    """Print the plan, make what is missing, rebuild the report.

    Returns whether nothing is missing, and whether no record was left out.
    """
    say(work.note)
    if work.missing:
        say(*recorded(work.claim, work.results))
    measure_here([work], computing)
    say(*_plan_lines(work, computing), *sweep_note(work.sweeps_left_out))
    if dry_run:
        return True, not work.faults
    complete = True
    if work.missing:
        say(*provenance.code_notes())
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        waiting = "waiting for cores: other runs on this machine hold them"
        with own_cores(computing.threads, lambda: say(waiting)):
            complete = make_missing(work, computing)
    return complete, conclude([work])


def measure_here(works: Sequence[ClaimPlan], computing: Computing) -> None:
    """Time a few training steps of networks that this machine has no record of."""
    how = computing.threads, computing.device, computing.way
    each = {kind: (work, run) for work in works for kind, run in to_measure(work, *how).items()}
    if each and not computing.compiled:  # compiling takes minutes
        from reproductions.harness.execute.trial import measure_speeds

        on_gpu = provenance.computes_on_gpu(computing.device)
        measure_speeds(each, "cuda" if on_gpu else "cpu", computing.threads, computing.precision)


def _plan_lines(work: ClaimPlan, computing: Computing) -> Iterator[str]:
    if not work.missing:
        where = work.root / "records"
        yield f"nothing to do: all {len(work.planned)} runs have current records under {where}"
        for kind in sorted({i.current.record.machine.hardware for i in work.planned if i.current}):
            yield (
                f"  made on {kind}; --results DIR makes your own set, --force reruns these and "
                "keeps the old"
            )
        return
    time = duration_note(work, computing.threads, computing.device, computing.way)
    budget = sum(item.run.recipe.get("epochs", 0) for item in work.missing)
    yield (
        f"plan: {len(work.missing)} of {len(work.planned)} runs to make, {time} (at most "
        f"{budget:,} epochs)"
    )
    for reason in dict.fromkeys(item.reason for item in work.missing):
        same = [str(item.run) for item in work.missing if item.reason == reason]
        yield f"  {len(same)} runs: {reason} (first: {same[0]})"


def make_missing(work: ClaimPlan, computing: Computing) -> bool:
    """Make what is missing, seed by seed over all arms; returns whether nothing is missing then.

    The report is rebuilt after each seed.
    """
    context = _context(work, computing)
    items = by_seed(work.missing if work.force else _lacking(work, context))
    complete, said = True, set[str]()

    def on_choice(choice: Any) -> None:
        if str(choice) not in said:  # most runs of a claim have the same to say
            say(f"  {choice}")
        said.add(str(choice))

    with Progress(*COLUMNS, console=console, disable=not console.is_terminal) as bars:
        whole = bars.add_task(f"{len(items)} runs", total=len(items), row="")
        for item, following in zip_longest(items, items[1:]):
            complete &= _make(item, work, context, bars, on_choice)
            bars.advance(whole)
            if following and following.run.seed != item.run.seed and work.scale != "smoke":
                refresh(work)
    left = _lacking(work, context) if complete else []
    say(*(f"  {item.run}: {item.reason}" for item in left))
    return complete and not left


def by_seed(items: Sequence[PlanEntry]) -> list[PlanEntry]:
    """Both arms of a seed before the next seed; what a run needs comes before it."""
    planned = {item.run.key: item for item in items}
    runs = with_needs(sorted((item.run for item in items), key=lambda run: run.seed))
    return [planned[run.key] for run in runs if run.key in planned]


def _context(work: ClaimPlan, computing: Computing) -> "RunContext":
    from alexnet.ops import lrn
    from reproductions.harness.execute.context import RunContext, set_up, why_no_cuda

    device = set_up(computing.device, computing.threads)
    if device.type == "cpu" and computing.device is None and needs_gpu(work.claim, work.scale):
        say(
            f"scale {work.scale} is made for GPUs and takes this processor days or weeks: "
            f"{why_no_cuda()}"
        )
    if any(item.run.kind != "count" for item in work.missing):
        lrn.backend(device)  # built and checked now, so that a failure is the first line shown
    return RunContext(
        work.root, work.images, device, computing.threads, computing.precision, computing.compiled
    )


def _lacking(work: ClaimPlan, context: "RunContext") -> list[PlanEntry]:
    """The device is known now, and with it the kind of machine that can complete seeds."""
    planned = plan(
        [item.run for item in work.planned],
        read_records(work.root)[0],
        context.fingerprints,
        context.hardware,
        blocks=blocks(work.claim, work.scale),
        way=context.way,
        dirty=provenance.uncommitted(),
    )
    return [item for item in planned if item.current is None]


def _make(
    item: PlanEntry,
    work: ClaimPlan,
    context: "RunContext",
    bars: Progress,
    on_choice: Callable[[Any], None],
) -> bool:
    from reproductions.harness.execute.parents import MissingParentError
    from reproductions.harness.execute.run import make

    # with the claim that asks for it where several share it
    name = str(item.run) if item.run.claim == work.claim.name else f"{work.claim.name}: {item.run}"
    try:
        with _bar(bars, name, item.run) as on_row:
            folder = make(
                item.run, work.claim, context, on_row, force=work.force, on_choice=on_choice
            )
    except MissingParentError as error:
        say(f"  {name}: {error}")
        return False
    if folder is None:
        say(f"  {name}: another process is making it")
        return False
    record = read_record(folder)
    say(f"  {name}: {result_text(record)}; record {folder.name}")
    return record.status != "failed"


COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    TextColumn("{task.fields[row]}"),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
)


@contextmanager
def _bar(bars: Progress, name: str, run: PlannedRun) -> Iterator[Callable[[Any], None]]:
    """Show one run while it trains; gives what is called after each row of its history.

    Without a terminal each finished epoch is a line.
    """
    epochs, before = run.recipe.get("epochs"), 0.0
    task = bars.add_task(name, total=epochs, row="")

    def on_row(row: Any) -> None:
        nonlocal before
        text = row_text(row, epochs, row.seconds - before)
        before = row.seconds
        bars.update(task, completed=row.epoch, row=text)
        if not console.is_terminal and round(row.epoch, 6).is_integer():
            say(f"  {name}: {text}")

    try:
        yield on_row
    finally:
        bars.remove_task(task)


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
