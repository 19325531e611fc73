"""Make the missing runs of one claim in this process, one after the other."""

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from reproductions.harness.claims.claim import blocks
from reproductions.harness.claims.runs import with_needs
from reproductions.harness.cli.conclude import conclude, refresh, say
from reproductions.harness.cli.progress import Display, display, named, result_text
from reproductions.harness.execute.cpu_affinity import own_cores
from reproductions.harness.launch.signals import interrupt
from reproductions.harness.plan.choose_data import needs_gpu
from reproductions.harness.plan.claim_plan import ClaimPlan
from reproductions.harness.plan.cost import duration_note, to_measure
from reproductions.harness.plan.missing import PlanEntry, plan, sweep_note
from reproductions.harness.records import provenance
from reproductions.harness.records.load import read_record, read_records

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
        from reproductions.harness.report.answers import recorded

        say(*recorded(work.claim, work.results))
    measure_here([work], computing)
    say(*_plan_lines(work, computing))
    say(*sweep_note(work.sweeps_left_out))
    if dry_run:
        return True, not work.faults
    complete = not work.missing or _make_on_own_cores(work, computing)
    return complete, conclude([work])


def measure_here(works: Sequence[ClaimPlan], computing: Computing) -> None:
    """Time a few training steps of networks that this machine has no record of."""
    how = computing.threads, computing.device, computing.way
    each = {kind: (work, run) for work in works for kind, run in to_measure(work, *how).items()}
    if each and not computing.compiled:  # compiling takes minutes
        from reproductions.harness.execute.trial import measure_speeds

        on_gpu = provenance.computes_on_gpu(computing.device)
        measure_speeds(each, "cuda" if on_gpu else "cpu", computing.threads, computing.precision)


def _make_on_own_cores(work: ClaimPlan, computing: Computing) -> bool:
    say(*provenance.code_notes())
    signal.signal(signal.SIGTERM, interrupt)
    waiting = "waiting for cores: other runs on this machine hold them"
    with own_cores(computing.threads, lambda: say(waiting)):
        return make_missing(work, computing)


def _plan_lines(work: ClaimPlan, computing: Computing) -> Iterator[str]:
    if not work.missing:
        yield from _nothing_to_do(work)
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


def _nothing_to_do(work: ClaimPlan) -> Iterator[str]:
    where = work.root / "records"
    yield f"nothing to do: all {len(work.planned)} runs have current records under {where}"
    for machine in sorted({i.current.record.machine.hardware for i in work.planned if i.current}):
        yield (
            f"  made on {machine}; --results DIR makes your own set, --force reruns these and "
            "keeps the old"
        )


def make_missing(work: ClaimPlan, computing: Computing) -> bool:
    """Make what is missing, seed by seed over all arms; returns whether nothing is missing then.

    The report is rebuilt after each seed.
    """
    context = _context(work, computing)
    items = by_seed(work.missing if work.force else _lacking(work, context))
    complete, on_choice = True, _once()
    with display(work.claim.name, len(items)) as shown:
        for item, following in zip_longest(items, items[1:]):
            complete &= _make(item, work, context, shown, on_choice)
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
    from reproductions.harness.execute.context import RunContext, check_c, set_up, why_no_cuda

    device = set_up(computing.device, computing.threads)
    if device.type == "cpu" and computing.device is None and needs_gpu(work.claim, work.scale):
        say(
            f"scale {work.scale} is made for GPUs and takes this processor days or weeks: "
            f"{why_no_cuda()}"
        )
    check_c(device, [item.run for item in work.missing])
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
    shown: Display,
    on_choice: Callable[[Any], None],
) -> bool:
    """Make one run and print what came of it; returns whether it is done."""
    from reproductions.harness.execute.parents import MissingParentError
    from reproductions.harness.execute.run import make

    name = named(work.claim.name, item.run)
    try:
        with shown.run(item.run) as on_row:
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


def _once() -> Callable[[Any], None]:
    """Print what was not printed before: most runs of a claim have the same to say."""
    said = set[str]()

    def on_choice(choice: Any) -> None:
        if str(choice) not in said:
            say(f"  {choice}")
        said.add(str(choice))

    return on_choice
