"""What one command does with one claim: find data, plan, make missing runs, report."""

import difflib
import signal
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from alexnet.data.catalogue import DATASETS, RELEASES
from alexnet.data.imagenet import part_of, prepare_imagenet
from alexnet.data.imageset import check_fingerprint
from alexnet.data.sources import data_root
from alexnet.data.sources import dataset as dataset_of
from reproductions.harness.claims.claim import blocks, discover
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.execute.cpu_affinity import own_cores
from reproductions.harness.launch.signals import interrupt
from reproductions.harness.plan.choose_data import bar, console, needs_gpu, opened
from reproductions.harness.plan.claim_plan import ClaimPlan
from reproductions.harness.plan.cost import estimates
from reproductions.harness.plan.missing import PlanEntry, plan, sweep_note
from reproductions.harness.records import provenance
from reproductions.harness.records.load import read_record, read_records


def execute(
    work: ClaimPlan,
    *,
    device: str | None,
    threads: int,
    dry_run: bool,
    precision: str | None = None,
    compiled: bool = False,
) -> tuple[bool, bool]:
    """Print the plan, make what is missing, rebuild the report; True if nothing is missing."""
    console.print(work.note, markup=False)
    if work.missing:
        from reproductions.harness.report.answers import recorded  # noqa: PLC0415 - pandas is not needed before

        _print(recorded(work.claim, work.results))
    _print_plan(work, threads)
    _print(sweep_note(work.sweeps_left_out))
    if dry_run:
        return True, not work.faults
    complete = True
    if work.missing:
        _print(provenance.code_notes())
        signal.signal(signal.SIGTERM, interrupt)
        with own_cores(
            threads,
            lambda: console.print("waiting for cores: other runs on this machine hold them"),
        ):
            complete = _make_missing(work, device, threads, precision, compiled=compiled)
    return complete, conclude([work])


def conclude(works: Sequence[ClaimPlan]) -> bool:
    """Rebuild the reports and print what they say of the claims.

    Returns whether no record, and nothing of one, was left out.
    """
    from reproductions.harness.report import answers  # noqa: PLC0415 - as above
    from reproductions.harness.report import build as report  # noqa: PLC0415 - as above

    claims, smoke, whole = discover(), list[str](), True
    asked = {(work.root, work.claim.name, work.scale) for work in works}
    roots = dict.fromkeys(root for work in works for root in (work.root, work.results))
    for root in filter(report.has_records, roots):
        built = report.write(root, claims)
        whole &= not built.faults
        lines = [
            *built.faults,
            *(
                f"{root / name} was not made by `report` and is not touched"
                for name in built.foreign
            ),
        ]
        for line in lines:
            console.print(f"warning: {line}", markup=False)
        rows = [row for row in built.rows if (root, row.claim.name, row.scale) in asked]
        _print(f"  {answers.answer(row)}" for row in rows if row.scale != "smoke")
        for work in (w for w in works if w.scale == "smoke" and w.root == root):
            smoke += answers.beside(
                work.claim, work.results, [row for row in rows if row.claim.name == work.claim.name]
            )
    roots = dict.fromkeys(work.root for work in works)
    _print(f"report: {root / 'report.md'}" for root in filter(report.has_records, roots))
    _print(smoke)
    return whole


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line, markup=False)


def _print_plan(work: ClaimPlan, threads: int) -> None:
    done = len(work.planned) - len(work.missing)
    if not work.missing:
        console.print(
            f"nothing to do: all {done} runs have current records under {work.root / 'records'}",
            markup=False,
        )
        for machine in sorted(
            {i.current.record.machine.hardware for i in work.planned if i.current}
        ):
            console.print(
                f"  made on {machine}; --results DIR makes your own set, --force reruns these and "
                "keeps the old",
                markup=False,
            )
        return
    seconds_of = estimates(work, threads)
    seconds = [seconds_of(item.run) for item in work.missing]
    known = [s for s in seconds if s is not None]
    estimate = (
        f"about {sum(known) / 60:.0f} minutes"
        if len(known) == len(seconds)
        else "time unknown before the first run on this machine"
    )
    budget = sum(item.run.recipe.get("epochs", 0) for item in work.missing)
    console.print(
        f"plan: {len(work.missing)} of {len(work.planned)} runs to make, {estimate} (at most "
        f"{budget:,} epochs)",
        markup=False,
    )
    for reason in dict.fromkeys(item.reason for item in work.missing):
        same = [str(item.run) for item in work.missing if item.reason == reason]
        console.print(f"  {len(same)} runs: {reason} (first: {same[0]})", markup=False)


def _make_missing(
    work: ClaimPlan,
    device: str | None,
    threads: int,
    precision: str | None = None,
    *,
    compiled: bool = False,
) -> bool:
    from reproductions.harness.execute.context import RunContext, check_c, set_up, why_no_cuda  # noqa: PLC0415 - torch takes seconds to import
    from reproductions.harness.execute.parents import MissingParentError  # noqa: PLC0415 - as above
    from reproductions.harness.execute.run import make  # noqa: PLC0415 - as above

    bench = RunContext(
        work.root, work.images, set_up(device, threads), threads, precision, compiled
    )
    if bench.device.type == "cpu" and device is None and needs_gpu(work.claim, work.scale):
        console.print(
            f"scale {work.scale} is made for GPUs and takes this processor days or weeks: "
            f"{why_no_cuda()}",
            markup=False,
        )
    check_c(bench.device, [item.run for item in work.missing])

    def lacking() -> list[PlanEntry]:
        """The device is known now, and with it the kind of machine that can complete seeds."""
        runs, together = [item.run for item in work.planned], blocks(work.claim, work.scale)
        there, dirty = read_records(work.root)[0], provenance.uncommitted()
        planned = plan(
            runs,
            there,
            bench.fingerprints,
            bench.hardware,
            blocks=together,
            way=bench.way,
            dirty=dirty,
        )
        return [item for item in planned if item.current is None]

    missing = work.missing if work.force else lacking()
    complete, tell_choice = True, _once()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[row]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        whole = bar.add_task(f"{len(missing)} runs", total=len(missing), row="")
        for item in missing:
            task = bar.add_task(str(item.run), total=item.run.recipe.get("epochs"), row="")
            try:
                tell = _teller(bar, task, item.run)
                folder = make(
                    item.run, work.claim, bench, tell, force=work.force, on_choice=tell_choice
                )
            except MissingParentError as error:
                console.print(f"  {item.run}: {error}", markup=False)
                complete = False
                continue
            finally:
                bar.remove_task(task)
                bar.advance(whole)
            if folder is None:
                console.print(f"  {item.run}: another process is making it", markup=False)
                complete = False
            else:
                failed = read_record(folder).status == "failed"
                complete &= not failed
                console.print(
                    f"  {item.run}: {'failed, see ' if failed else ''}{folder.name}", markup=False
                )
    left = lacking() if complete else []
    _print(f"  {item.run}: {item.reason}" for item in left)
    return complete and not left


def _once() -> Callable[[Any], None]:
    """Print what was not printed before: most runs of a claim have the same to say."""
    said = set[str]()

    def tell(choice: Any) -> None:
        if str(choice) not in said:
            console.print(f"  {choice}", markup=False)
        said.add(str(choice))

    return tell


def _teller(bar: Progress, task: Any, run: PlannedRun) -> Callable[[Any], None]:
    """What to print after each row of history: a bar on a terminal, a line per epoch elsewhere."""
    before = [0.0]

    def tell(row: Any) -> None:
        speed = row.images / max(row.seconds - before[0], 1e-9)
        before[0] = row.seconds
        text = (
            f"epoch {row.epoch:.1f}, training error {row.train_error:.1f} %, {speed:,.0f} images/s"
        )
        bar.update(task, completed=row.epoch, row=text)
        if not console.is_terminal and round(row.epoch, 6).is_integer():
            console.print(f"  {run}: {text}", markup=False)

    return tell


def data_rows(
    dataset: str,
    data: Path | None,
    verify: bool,
    sources: Sequence[Path] = (),
    split: str | None = None,
) -> list[dict[str, Any]]:
    """Pack a data set, or check its source and every pixel of the packed copy; one row per split.

    `sources` are the files of an ImageNet release, `split` what they are for where their places do
    not say it. Raises DataError if images are absent, broken or altered, ValueError for arguments
    that do not fit.
    """
    _check_data_arguments(dataset, verify, sources, split)
    root = Path() if dataset == "synthetic" else data_root(data)
    chosen = dataset_of(dataset)
    if verify:
        chosen.verify(root)
    elif chosen.downloads and chosen.find(root) is None:
        chosen.download(root)
    if sources:
        with bar(f"reading {dataset}") as tell:
            splits = prepare_imagenet(dataset, root, sources, split, tell)
    else:
        splits = opened(dataset, root, pack=not verify)
    if not splits:
        return [
            {"split": "both", "state": "source verified, not packed yet (`data prepare` does it)"}
        ]
    if verify:
        for name, images in splits.items():
            check_fingerprint(images, f"the packed {name} split of {dataset}")
    state = "verified" if verify else "ready"
    return [
        {
            "split": name,
            "images": f"{images.meta.count:,}",
            "shape": "×".join(map(str, images.meta.shape)),
            "canonical": images.meta.canonical,
            "fingerprint": images.meta.fingerprint[:16],
            "source": images.meta.source,
            "state": ", ".join(filter(None, (state, part_of(images.meta)))),
        }
        for name, images in splits.items()
    ]


def _check_data_arguments(
    dataset: str, verify: bool, sources: Sequence[Path], split: str | None
) -> None:
    if dataset not in DATASETS:
        near = difflib.get_close_matches(dataset, DATASETS, n=1, cutoff=0.4)
        raise ValueError(
            f"no data set is called {dataset!r}{f'; did you mean {near[0]}?' if near else ''}"
        )
    if (sources or split) and (dataset not in RELEASES or verify):
        raise ValueError(
            f"--source and --split are for `data prepare` of {', '.join(RELEASES)}; other sets lie "
            "in the data root"
        )
    if split not in (None, "train", "test"):
        raise ValueError(f"--split {split}: say train or test")
