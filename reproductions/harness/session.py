"""What one command does with one claim: find the data, plan, make the missing runs, rebuild the report."""

import difflib
import json
import math
import os
import re
import signal
import statistics
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from alexnet.data.imagenet import WHOLE, part_of
from alexnet.data.imageset import check_fingerprint
from alexnet.data.sources import DATASETS, data_root, download_cifar10, find_cifar10, prepare_imagenet, verify_cifar10
from alexnet.files import is_locked
from reproductions.harness import provenance
from reproductions.harness.claim import (
    Claim,
    Exact,
    PlannedRun,
    SpeedUp,
    Trained,
    Value,
    asked_runs,
    at_scale,
    discover,
    planned_runs,
    question_runs,
    with_needs,
)
from reproductions.harness.cores import own_cores
from reproductions.harness.judge import epochs_of, values_of
from reproductions.harness.plan import Images, Planned, expected_seconds, fingerprints_of, plan
from reproductions.harness.record import RESULTS, Stored, read_records, work_file
from reproductions.harness.settle import bar, console, opened, settle
from reproductions.harness.verdict import detectable

VERDICT = ("evaluate", "train", "average")  # the roles of runs that verdicts rest on
ASSUMED_SPREAD = 0.1  # of log(epochs to the target) over seeds, where an arm has no records yet
ASSUMED_POINTS = 0.5  # likewise of a metric in percent: sd of ten-view top-1 in the first mini records, 0.26 to 0.54 (n = 3 each)


@dataclass(frozen=True)
class Work:
    """A claim at a scale: what is planned, what is there, and the images for it."""

    claim: Claim
    scale: str
    root: Path  # the results folder of this scale: stand-in runs live in a folder of their own
    results: Path  # the results folder that was asked for
    images: Images
    planned: list[Planned]
    stored: list[Stored]
    note: str  # the first line to print
    force: bool = False  # make runs again that have a current record

    @property
    def missing(self) -> list[Planned]:
        """The planned runs without a current record."""
        return [item for item in self.planned if item.current is None]


def root_of(results: Path, scale: str) -> Path:
    """Records of stand-in images live in `smoke/` below the results, with a report of their own: they change no real row."""
    return results / "smoke" if scale == "smoke" else results


def prepare(
    claim: Claim,
    results: Path,
    *,
    scale: str | None,
    dataset: str | None,
    data: Path | None,
    seeds: str | None = None,
    force: bool = False,
    made: Collection[str] = (),
    pack: bool = True,
) -> Work:
    """Settle scale and data of a claim and plan its runs. With `pack` False nothing is written or downloaded.

    With `force` all runs are made again but those in `made`, which another claim of the same command has made again.

    Raises DataError if data that were insisted on are absent or broken, ValueError for a scale, data set or seed that the claim
    does not have.
    """
    scale, images, note = settle(claim, scale=scale, dataset=dataset, data=data, pack=pack)
    runs = asked_runs(claim, scale)
    if seeds is not None:
        wanted = _parse_seeds(seeds, runs)
        runs = [run for run in runs if run.role not in VERDICT or run.seed in wanted]
    runs = with_needs(runs)
    root = root_of(results, scale)
    stored, broken = read_records(root)
    for line in broken:
        console.print(f"warning: {line}", markup=False)
    fingerprints = fingerprints_of(images)
    if set(claim.scales[scale].datasets) - fingerprints.keys():
        planned = [Planned(run, None, "not known before the images are packed") for run in runs]
    else:
        planned = plan(runs, stored, fingerprints)
    if force:
        planned = [item if str(item.run) in made else Planned(item.run, None, "asked for with --force") for item in planned]
    return Work(claim, scale, root, results, images, planned, stored, note, force)


def _parse_seeds(text: str, runs: list[PlannedRun]) -> set[int]:
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        raise ValueError(f"--seeds {text!r} is no list of seeds; write it like 0-4 or 0,2")
    seeds: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds |= set(range(int(first), int(last or first) + 1))
    planned = {run.seed for run in runs if run.role in VERDICT}
    if not seeds or seeds - planned:
        raise ValueError(f"--seeds {text}: the plan has seeds {', '.join(map(str, sorted(planned)))}, fixed before the runs")
    return seeds


def plan_rows(work: Work) -> list[dict[str, Any]]:
    """One row per planned run: state, reason, expected minutes; and the effect that the plan can see."""
    seconds_of = _estimates(work, len(os.sched_getaffinity(0)))
    rows = []
    for item in work.planned:
        seconds = seconds_of(item.run) if item.current is None else 0.0
        rows.append({
            "run": str(item.run), "role": item.run.role, "state": "done" if item.current else "missing",
            "why": item.reason, "minutes": None if seconds is None else round(seconds / 60, 1), "sees": detects(work, item.run),
        })  # fmt: skip
    return rows


def detects(work: Work, run: PlannedRun) -> str:
    """The smallest effect that each question of the run tells from none in four of five attempts.

    By the spread over the seeds of the run's arm, where it has two records; else by what is assumed at the top of this file.
    """
    asked = [q for q in work.claim.questions if not isinstance(q, Exact) and run.role in VERDICT]
    mine = [q for q in asked if run.key in {other.key for other in question_runs(work.claim, q, work.scale)}]
    return "; ".join(filter(None, (_detects(work, question, run) for question in mine)))


def _detects(work: Work, question: Trained, run: PlannedRun) -> str:
    brief = at_scale(work.claim, question, work.scale)
    n, current = len(brief.seeds), [item.current for item in work.planned if item.current]
    items = [s for s in current if s.record.key[:3] == run.key[:3] and s.record.status == "ok"]  # one cohort, as when it is judged
    if n < 2 or isinstance(brief, Value):
        return ""
    if isinstance(brief, SpeedUp):
        logs = [math.log(e) for e in epochs_of(items, brief.target) if e is not None]
        ratio = math.exp(detectable(statistics.stdev(logs) if len(logs) > 1 else ASSUMED_SPREAD, n))
        return f"≥ {ratio:.2f}× (paper {brief.paper:g}×)"
    values, arms = values_of(items, brief.metric), len(brief.variants)
    if arms == 1:
        values = [more - less for less, more in zip(values, values_of(items, brief.metrics[1]), strict=True)]
    least = detectable(statistics.stdev(values) if len(values) > 1 else ASSUMED_POINTS, n, arms=arms)
    return f"{brief.name} ≥ {least:.2f} {brief.unit}{'' if brief.paper is None else f' (paper {brief.paper:g})'}"


def _estimates(work: Work, threads: int) -> Callable[[PlannedRun], float | None]:
    """Seconds of a run by the records at hand, or by the committed ones where a results folder of one's own is still empty."""
    images = {name: len(splits["train"]) for name, splits in work.images.items() if splits}
    known = [*work.stored, *(read_records(root_of(RESULTS, work.scale))[0] if not work.stored else [])]
    hardware = provenance.cpu_model()
    return lambda run: expected_seconds(run, known, images.get(run.dataset or "", 50_000), hardware, threads)


def execute(work: Work, *, device: str | None, threads: int, dry_run: bool) -> bool:
    """Print the plan, make what is missing, rebuild the report. Returns whether every planned run has its record."""
    console.print(work.note, markup=False)
    _print_plan(work, threads)
    if dry_run:
        return True
    complete = True
    if work.missing:
        signal.signal(signal.SIGTERM, _interrupt)
        with own_cores(threads, lambda: console.print("waiting for cores: other runs on this machine hold them")):
            complete = _make_missing(work, device, threads)
    from reproductions.harness import report, wording  # noqa: PLC0415 - pandas is not needed before

    claims = discover()
    for root in dict.fromkeys((work.root, work.results)):
        built = report.write(root, claims)
        for line in built.broken:
            console.print(f"warning: {line}", markup=False)
        if root == work.root:
            for row in (r for r in built.rows if r.claim.name == work.claim.name and r.scale == work.scale):
                console.print(
                    f"  {row.cell}: {wording.measured(row)}, paper {wording.paper(row)}: {row.verdict.word}", markup=False
                )
    console.print(f"report: {work.root / 'report.md'}", markup=False)
    return complete


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _print_plan(work: Work, threads: int) -> None:
    done = len(work.planned) - len(work.missing)
    if not work.missing:
        console.print(f"nothing to do: all {done} runs have current records under {work.root / 'records'}", markup=False)
        for machine in sorted({i.current.record.machine.hardware for i in work.planned if i.current}):
            console.print(
                f"  made on {machine}; --results DIR makes your own set, --force makes these again beside the old", markup=False
            )
        return
    seconds_of = _estimates(work, threads)
    seconds = [seconds_of(item.run) for item in work.missing]
    known = [s for s in seconds if s is not None]
    estimate = (
        f"about {sum(known) / 60:.0f} minutes"
        if len(known) == len(seconds)
        else "time unknown before the first run on this machine"
    )
    budget = sum(item.run.recipe.get("epochs", 0) for item in work.missing)
    console.print(
        f"plan: {len(work.missing)} of {len(work.planned)} runs to make, {estimate} (at most {budget:,} epochs)", markup=False
    )
    for reason in dict.fromkeys(item.reason for item in work.missing):
        same = [str(item.run) for item in work.missing if item.reason == reason]
        console.print(f"  {len(same)} runs: {reason} (first: {same[0]})", markup=False)


def _make_missing(work: Work, device: str | None, threads: int) -> bool:
    from reproductions.harness.kept import NeedsError  # noqa: PLC0415 - torch takes seconds to import
    from reproductions.harness.run import Bench, make, set_up  # noqa: PLC0415

    bench = Bench(work.root, work.images, set_up(device, threads), threads)
    missing = work.missing
    if not work.force:  # now that the device is known, so is the cohort that new records can complete
        again = plan([item.run for item in work.planned], work.stored, bench.fingerprints, bench.hardware)
        missing = [item for item in again if item.current is None]
    complete = True
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
                folder = make(item.run, work.claim, bench, _teller(bar, task, item.run), again=work.force)
            except NeedsError as error:
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
                failed = '"status": "failed"' in (folder / "record.json").read_text()
                complete &= not failed
                console.print(f"  {item.run}: {'failed, see ' if failed else ''}{folder.name}", markup=False)
    return complete


def _teller(bar: Progress, task: Any, run: PlannedRun) -> Callable[[Any], None]:
    """What to say after each row of history: on a terminal the bar moves, elsewhere a line per epoch."""
    before = [0.0]

    def tell(row: Any) -> None:
        speed = row.images / max(row.seconds - before[0], 1e-9)
        before[0] = row.seconds
        text = f"epoch {row.epoch:.1f}, training error {row.train_error:.1f} %, {speed:,.0f} images/s"
        bar.update(task, completed=row.epoch, row=text)
        if not console.is_terminal and round(row.epoch, 6).is_integer():
            console.print(f"  {run}: {text}", markup=False)

    return tell


def status_rows(claim: Claim, results: Path) -> list[dict[str, Any]]:
    """The state of every planned run at every scale that has any: done, training, interrupted, or missing and why."""
    rows = []
    for scale in claim.scales:
        root = root_of(results, scale)
        planned = plan(planned_runs(claim, scale), read_records(root)[0], {})
        if scale == "smoke" and not (root / "records").exists():
            continue
        for item in planned:
            state, epoch = ("done", None) if item.current else _unfinished(root, item.run)
            reason = "" if state != "missing" else item.reason
            rows.append({"run": str(item.run), "state": state, "epoch": epoch, "why": reason})
    return rows


def _unfinished(root: Path, run: PlannedRun) -> tuple[str, float | None]:
    """Whether a run without a record is in progress or was interrupted, and its epoch; a run in progress goes before."""
    state: tuple[str, float | None] = ("missing", None)
    for path in sorted((root / ".work").glob(f"{work_file(root, run, '').name}*.json")):
        try:
            epoch = json.loads(path.read_text())["epoch"]
        except (OSError, ValueError, KeyError):
            epoch = None
        if is_locked(path.with_suffix(".lock")):
            return "training", epoch
        state = ("interrupted", epoch)
    return state


def data_rows(
    dataset: str, data: Path | None, verify: bool, sources: Sequence[Path] = (), split: str | None = None
) -> list[dict[str, Any]]:
    """Pack a data set, or check its source and every pixel of the packed copy; one row per split.

    `sources` are the files of an ImageNet release, `split` what they are for where their places do not say it. Raises DataError
    if images are absent, broken or altered, ValueError for arguments that do not fit.
    """
    _check_data_arguments(dataset, verify, sources, split)
    root = Path() if dataset == "stand-in" else data_root(data)
    if verify and dataset == "cifar10":
        verify_cifar10(root)
    elif dataset == "cifar10" and find_cifar10(root) is None:
        download_cifar10(root)
    if sources:
        with bar(f"reading {dataset}") as tell:
            splits = prepare_imagenet(dataset, root, sources, split, tell)
    else:
        splits = opened(dataset, root, pack=not verify)
    if not splits:
        return [{"split": "both", "state": "source verified, not packed yet (`data prepare` does it)"}]
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


def _check_data_arguments(dataset: str, verify: bool, sources: Sequence[Path], split: str | None) -> None:
    if dataset not in DATASETS:
        near = difflib.get_close_matches(dataset, DATASETS, n=1, cutoff=0.4)
        raise ValueError(f"no data set is called {dataset!r}{f'; did you mean {near[0]}?' if near else ''}")
    if (sources or split) and (dataset not in WHOLE or verify):
        raise ValueError(f"--source and --split are for `data prepare` of {', '.join(WHOLE)}; other sets lie in the data root")
    if split not in (None, "train", "test"):
        raise ValueError(f"--split {split}: say train or test")
