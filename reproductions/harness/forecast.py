"""What a plan will take and what it can see, before anything runs: minutes, GPU-hours, the smallest effect."""

import math
import os
import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from alexnet.config import AlexNetConfig, CifarNetConfig
from alexnet.config_local import LocalNetConfig
from alexnet.data.catalogue import images_of
from alexnet.data.imageset import ImageSet
from reproductions.harness import provenance
from reproductions.harness.claim import Exact, PlannedRun, SpeedUp, Trained, Value, at_scale, question_runs, typed
from reproductions.harness.counted import not_deciding
from reproductions.harness.judge import epochs_of, values_of
from reproductions.harness.places import RESULTS, root_of
from reproductions.harness.plan import expected_seconds
from reproductions.harness.record import Stored, read_records
from reproductions.harness.verdict import detectable
from reproductions.harness.work import VERDICT, Work

ASSUMED_SPREAD = 0.1  # of log(epochs to the target) over seeds, where an arm has no records yet
ASSUMED_POINTS = 0.5  # likewise of a metric in percent: sd of ten-view top-1 in the first mini records, 0.26 to 0.54 (n = 3 each)
ASSUMED_RATE = 10e12  # operations per second of a GPU before there is a record from one; a guess, said with the number


def plan_rows(work: Work) -> list[dict[str, Any]]:
    """One row per planned run: state, reason, expected minutes; and the effect that the plan can see."""
    seconds_of = estimates(work, len(os.sched_getaffinity(0)))
    rows, here = [], provenance.here()
    for item in work.planned:
        seconds = seconds_of(item.run) if item.current is None else 0.0
        today = here | of_images(work.images.get(item.run.dataset or "", {}))
        rows.append({
            "run": str(item.run), "role": item.run.role, "state": "done" if item.current else "missing",
            "why": item.reason, "minutes": None if seconds is None else round(seconds / 60, 1), "sees": detects(work, item.run),
            "differs and decides nothing": "; ".join(not_deciding(item.current.record, item.run, today) if item.current else ()),
        })  # fmt: skip
    return rows


def of_images(splits: Mapping[str, ImageSet]) -> dict[str, Any]:
    """What a record would say of its images, as far as that decides nothing; nothing of those that are not open."""
    canonical = all(images.meta.canonical for images in splits.values())
    return {"data.source": splits["train"].meta.source, "data.canonical": canonical} if splits else {}


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
    items = [s for s in current if s.record.key[:3] == run.key[:3] and s.record.status == "ok"]
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


def estimates(work: Work, threads: int) -> Callable[[PlannedRun], float | None]:
    """Seconds of a run by the records at hand, or by the committed ones where a results folder of one's own is still empty."""
    known = [*work.stored, *(read_records(root_of(RESULTS, work.scale))[0] if not work.stored else [])]
    hardware = provenance.cpu_model()
    return lambda run: expected_seconds(run, known, _images(work, run), hardware, threads)


def gpu_hours(work: Work, run: PlannedRun) -> tuple[float, bool]:
    """What a run takes on a GPU, and whether that is measured: by records from a GPU, else by the arithmetic of its network."""
    images = _images(work, run)
    known = [_on_one_gpu(stored) for stored in work.stored if stored.record.machine.device == "cuda"]
    kinds = {stored.record.machine.hardware for stored in known}
    seconds = [expected_seconds(run, known, images, hardware, 1) for hardware in kinds]
    if some := [each for each in seconds if each is not None]:
        return max(some) / 3600, True  # of the slowest: nobody knows yet which kind it will get
    return images * run.recipe.get("epochs", 0) * _operations(run) / ASSUMED_RATE / 3600, False


def _images(work: Work, run: PlannedRun) -> int:
    """The training images of a run; where they are not packed yet, those of the whole data set; 0 for a count."""
    splits = work.images.get(run.dataset or "")
    return len(splits["train"]) if splits else images_of(run.dataset) if run.dataset else 0


def _on_one_gpu(stored: Stored) -> Stored:
    """A record with the speed of each of its GPUs, whatever number of threads fed it."""
    record = stored.record
    speed = record.cost.images_per_second
    cost = record.cost.model_copy(update={"images_per_second": speed and speed / record.machine.processes})
    machine = record.machine.model_copy(update={"threads": 1})
    return replace(stored, record=record.model_copy(update={"cost": cost, "machine": machine}))


def _operations(run: PlannedRun) -> float:
    """Floating-point operations of training on one image: two per multiply-accumulate, forward once and backward twice that."""
    if run.role not in ("tune", "evaluate", "train", "unshared"):
        return 0.0
    if run.role in ("train", "unshared"):
        config: AlexNetConfig | LocalNetConfig = typed(AlexNetConfig if run.role == "train" else LocalNetConfig, run.config)
        return 6.0 * sum(layer.multiply_accumulates for layer in config.layers())
    net: CifarNetConfig = typed(CifarNetConfig, run.config)
    maps, side, total = 3, net.image_size, 0
    for width in net.widths:
        total += side**2 * width * maps * 25  # 5×5 kernels, and half the side after each pooling
        maps, side = width, -(-side // 2)
    return 6.0 * (total + maps * side**2 * net.classes)
