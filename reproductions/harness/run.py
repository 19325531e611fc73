"""Make the records that a plan lacks: train, average or count, one run after the other, each with all the cores it was given."""

import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import astuple, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet import train, train_local
from alexnet.checkpoint import Checkpoint
from alexnet.config import AlexNetConfig, AlexNetRecipe, CifarNetConfig, Recipe
from alexnet.config_local import LocalNetConfig, LocalRecipe
from alexnet.data.imageset import ImageSet
from alexnet.files import locked, move
from alexnet.model import AlexNet
from alexnet.parallel import place, told
from alexnet.precision import Choice
from alexnet.train import Row
from reproductions.harness import precision
from reproductions.harness.arrays import array_files
from reproductions.harness.average import average
from reproductions.harness.baseline import ORIGINAL
from reproductions.harness.bench import Bench, data_of, machine_of, peak_memory, reset_peak_memory, versions_of
from reproductions.harness.claim import PRETRAINED, Claim, Exact, PlannedRun, digest, typed
from reproductions.harness.evidence import HISTORY, epochs_to
from reproductions.harness.git import git_state
from reproductions.harness.heart import Heart
from reproductions.harness.kept import load_network, needed, save_weights, source_of
from reproductions.harness.measure import examples_of, kernels, measure, measure_local
from reproductions.harness.places import REPOSITORY
from reproductions.harness.plan import kept, plan
from reproductions.harness.record import (
    COMPILED,
    WEIGHTS,
    Code,
    Cost,
    Metric,
    Record,
    Stored,
    check_storable,
    read_records,
    records_of,
    version_of,
    work_file,
    write_record,
)
from reproductions.harness.settle import console

SHOWN_RUN = (ORIGINAL.name, 0)  # variant and seed whose examples make Figure 4's picture: other records stay small
OnRow = Callable[[Row], None]


def make(
    run: PlannedRun,
    claim: Claim,
    bench: Bench,
    on_row: Callable[[Row], None] = lambda _: None,
    *,
    again: bool = False,
    wait: bool = False,
    dirty: bool | None = None,
    on_choice: Callable[[Choice], None] = lambda _: None,
) -> Path | None:
    """Make one run and store its record; None if another process is making it now, unless `wait` says to wait for that one.

    A record that another process has stored since the plan was made is returned as it is. With `again` the run is made from its
    start whatever there is. `dirty` says whether the code is uncommitted where git cannot. `on_choice` is told in which precision
    it computes. Where several processes train together all of them call this; the first keeps the files, the others get None.

    A run that was interrupted goes on from its checkpoint, which is deleted when the record is in its place. A run that torch
    cannot carry out is stored as a record with status "failed" and keeps its checkpoint. A network that is trained again since
    its weights are needed, and comes out with the same bits, gives them back to the record that it has. Raises RecordError if the
    record cannot be written, which is found out first, or weights that the run needs are not here.
    """
    commit, changed = git_state(REPOSITORY)
    code = Code(commit=commit, dirty=dirty if changed is None else changed)
    rank, world = place()
    machine = [*bench.arithmetic, versions_of(run, bench)]  # another machine goes on with other bits
    before = [needed(need, bench.root, bench.fingerprints, bench.hardware, dirty=bool(code.dirty)) for need in run.needs]
    made_of = [run.config, run.recipe, bench.fingerprints.get(run.dataset or ""), [item.record.weights for item in before]]
    made_by = [version_of(run.role, ()).training, machine, *([world] if world > 1 else [])]
    insisted = [way for way in (bench.precision, COMPILED * bench.compiled) if way]  # a checkpoint made otherwise is left
    work = work_file(bench.root, run, digest([*made_of, *made_by, *insisted]))
    checkpoint, weights, beat, lock = leftovers = [Path(f"{work}{suffix}") for suffix in (".pt", ".safetensors", ".json", ".lock")]
    mine: AbstractContextManager[bool] = locked(lock, wait=wait) if rank == 0 else nullcontext(True)
    with mine as first:
        stored = read_records(bench.root, run)[0] if again else records_of(bench.root, run)
        asked = precision.asked(run, claim, bench, dirty=bool(code.dirty))
        alike = [s for s in stored if asked is None or s.record.machine.precision == bench.recorded(asked.precision)]
        if bench.compiled and run.role in precision.TRAINED:
            alike = [s for s in alike if COMPILED in s.record.machine.precision]
        there = _made(run, alike, bench, dirty=bool(code.dirty)) if rank == 0 and first and not again else None
        if again:
            _delete([checkpoint])
        elif there:
            _delete(leftovers)  # what a kill left between the record and its clearing up
        if not told(first and there is None):
            return there.folder if there else None
        if rank == 0:
            check_storable(bench.root, run)
        started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        choice = asked or precision.measured(run, claim, bench)
        if choice and rank == 0:
            on_choice(choice)
        bench = replace(bench, precision=choice.precision if choice else None)
        kept_in = Checkpoint(checkpoint, {"run": str(run), "weights": made_of[-1]}, say=_say, dirty=bool(code.dirty))
        outcome = _carry_out(run, claim, bench, before, kept_in, beat, on_row)
        if rank > 0:
            return None
        if choice and outcome.attempts > 1 and outcome.precision != choice.precision:
            on_choice(Choice(outcome.precision, f"{run} went on from a checkpoint in that"))
        code = Code(commit=commit, dirty=kept_in.dirty or code.dirty)  # also of what it went on from
        digits = save_weights(weights, outcome.net) if outcome.net else None
        record = _record(run, bench, code, outcome, started)
        record = record.model_copy(update={"weights": digits, "made_from": tuple(map(source_of, before))})
        twin = next((s for s in stored if (s.record.id, s.record.weights) == (record.id, digits) and not s.weights), None)
        if digits and twin and not again:
            folder = twin.folder
            move(weights, folder / WEIGHTS)
        else:
            folder = _store(bench.root, record, outcome, weights if digits else None)
        _delete([path for path in leftovers if path != checkpoint or outcome.status != "failed"])
        return folder


def _carry_out(
    run: PlannedRun, claim: Claim, bench: Bench, before: Sequence[Stored], checkpoint: Checkpoint, beat: Path, on_row: OnRow
) -> "Outcome":
    """Make the run; the first of its processes tells how far it is."""
    reset_peak_memory(bench.device)
    began, leads = time.perf_counter(), place()[0] == 0
    with Heart(beat) if leads else nullcontext() as heart:

        def tell(row: Row) -> None:
            if heart:
                heart.tell(row.epoch, row.train_error, row.seconds)
                on_row(row)

        try:
            outcome = _count(claim) if run.role == "inspect" else MAKERS[run.role](run, bench, before, checkpoint, tell)
        except RuntimeError as error:  # torch's own: out of memory, a kernel that is not there
            if place()[1] > 1:
                raise  # ends the others too; and one that was killed, with its node perhaps, is an error in all: no result
            outcome = Outcome("failed", {}, failure=nameless(" ".join(str(error).split()))[:300])
    outcome.wall_seconds = outcome.wall_seconds or time.perf_counter() - began
    return outcome


def _say(line: str) -> None:
    console.print(f"  {line}", markup=False)


def nameless(text: str) -> str:
    """A message without the names of this user, home folder and machine: records are published."""
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() fails for a user whom the machine does not know
    text = text.replace(home, "~") if len(home) > 1 else text
    for name, word in ((os.environ.get("USER"), "USER"), (socket.gethostname(), "HOST")):
        text = re.sub(rf"\b{re.escape(name)}\b", word, text) if name else text
    return text


def _store(root: Path, record: Record, outcome: "Outcome", weights: Path | None) -> Path:
    columns = [f.name for f in fields(outcome.history[0])] if outcome.history else HISTORY
    files = {**array_files(outcome.correct, outcome.kernels), **outcome.files}
    return write_record(root, record, [astuple(row) for row in outcome.history], columns=columns, files=files, weights=weights)


def _made(run: PlannedRun, stored: Sequence[Stored], bench: Bench, *, dirty: bool) -> Stored | None:
    """The record that spares making a run: a count of any machine, else one of this machine's, of a network with its weights.

    It is of code as today's, committed or not: another makes no pair with what is made now.
    """
    if run.role != "inspect":
        stored = [s for s in stored if (s.record.machine.hardware, bool(s.record.code.dirty)) == (bench.hardware, dirty)]
    if run.role == "train":
        return kept(run, stored, bench.fingerprints, bench.hardware, dirty=dirty)
    return plan([run], stored, bench.fingerprints, bench.hardware, dirty=dirty)[0].current


def _record(run: PlannedRun, bench: Bench, code: Code, outcome: "Outcome", started: str) -> Record:
    wall = outcome.wall_seconds or 0.0
    return Record(
        claim=run.claim,
        question=run.question,
        variant=run.variant,
        scale=run.scale,  # type: ignore[arg-type]  # validated by the schema
        seed=run.seed,
        role=run.role,
        status=outcome.status,  # type: ignore[arg-type]
        failure=outcome.failure,
        metrics=outcome.metrics,
        config=run.config,
        recipe=run.recipe,
        declaration=run.declaration,
        data=data_of(bench, run.dataset) if run.dataset else None,
        version=version_of(run.role, outcome.metrics),
        code=code,
        machine=machine_of(run, bench, bench.recorded(outcome.precision) if run.role in precision.TRAINED else outcome.precision),
        cost=Cost(
            wall_seconds=round(wall, 3),
            images=outcome.images,
            images_per_second=round(outcome.images / wall, 1) if outcome.images and wall else None,
            peak_memory_bytes=peak_memory(bench.device),
            attempts=outcome.attempts,
        ),
        started=started,
    )


def _delete(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


@dataclass
class Outcome:
    """What a run found out, before it is a record."""

    status: str
    metrics: dict[str, Metric]
    precision: str = "exact"
    history: Sequence[Row] = ()
    correct: NDArray[Any] | None = None  # per image; see array_files
    kernels: NDArray[np.float32] | None = None
    images: int = 0
    wall_seconds: float | None = None
    attempts: int = 1
    failure: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    net: AlexNet | None = None  # whose weights are kept


def _train_alexnet(run: PlannedRun, bench: Bench, before: Sequence[Stored], checkpoint: Checkpoint, on_row: OnRow) -> Outcome:
    if lost := _lost(before):
        return lost
    config, recipe = typed(AlexNetConfig, run.config), _recipe(run)
    training, test = _splits(bench, run)
    initial = [load_network(need, item).state_dict() for need, item in zip(run.needs, before, strict=True)]
    done = train.fit_alexnet(
        config, recipe, training, test, seed=run.seed, device=bench.device, initial=initial[0] if initial else None,
        precision=bench.precision, compiled=bench.compiled, checkpoint=checkpoint, on_row=on_row,
    )  # fmt: skip
    outcome = _outcome(done)
    if outcome.status == "ok":
        outcome.metrics, outcome.correct = measure(done, training, test, recipe, run.seed)
        outcome.kernels, outcome.net = kernels(done), done.net
        if (run.variant, run.seed) == SHOWN_RUN:
            outcome.files = examples_of(done, training, test, recipe)
    return outcome


def _average(run: PlannedRun, bench: Bench, before: Sequence[Stored], _: Checkpoint, __: OnRow) -> Outcome:
    if lost := _lost(before):
        return lost

    def ready() -> Iterator[tuple[AlexNet, AlexNetRecipe, str]]:
        for need, item in zip(run.needs, before, strict=True):  # in memory one after the other
            net = load_network(need, item).to(bench.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            yield net, _recipe(need), item.record.machine.precision.removesuffix(COMPILED)

    metrics, correct = average(ready(), *_splits(bench, run))
    return Outcome("ok", metrics, _precision(before), correct=correct)


def _lost(before: Sequence[Stored]) -> "Outcome | None":
    """A run that needs a network that diverged is as lost as that one."""
    diverged = any(item.record.status == "diverged" for item in before)
    return Outcome("diverged", {}, _precision(before)) if diverged else None


def _precision(before: Sequence[Stored]) -> str:
    """What the networks were trained in; of several kinds all, so that such a run is of a kind of its own."""
    return " and ".join(sorted({item.record.machine.precision for item in before}))


def _train(run: PlannedRun, bench: Bench, _: Sequence[Stored], checkpoint: Checkpoint, on_row: OnRow) -> Outcome:
    config, recipe = typed(CifarNetConfig, run.config), typed(Recipe, run.recipe)
    training, test = _splits(bench, run)
    done = train.fit(
        config, recipe, training, seed=run.seed, device=bench.device, precision=bench.precision, compiled=bench.compiled,
        checkpoint=checkpoint, on_row=on_row,
    )  # fmt: skip
    last = done.history[-1]
    target = recipe.stop_below
    epochs = epochs_to([(row.epoch, row.train_error) for row in done.history], target) if target is not None else None
    status = "diverged" if done.diverged else "censored" if target is not None and epochs is None else "ok"
    metrics = {"train_error": Metric(value=last.train_error, unit="percent", split="train", examples=last.images)}
    if target is not None:
        metrics["epochs_to_target"] = Metric(value=epochs, unit="epochs", split="train", examples=last.images)
    correct = None
    if run.role == "evaluate" and not done.diverged:
        correct = train.evaluate(done, train.training_batches(config, test, training, bench.device)).numpy()
        error = 100 * float(1 - correct.mean())
        metrics["test_error"] = Metric(value=error, unit="percent", split="test", examples=len(correct))
    finite = [row for row in done.history if np.isfinite(row.train_loss)]
    images = sum(row.images for row in done.history)
    return Outcome(status, metrics, done.precision, finite, correct, None, images, last.seconds, done.attempts)


def _train_local(run: PlannedRun, bench: Bench, _: Sequence[Stored], checkpoint: Checkpoint, on_row: OnRow) -> Outcome:
    config, recipe = typed(LocalNetConfig, run.config), typed(LocalRecipe, run.recipe)
    training, test = _splits(bench, run)
    done = train_local.fit_local(
        config, recipe, training, seed=run.seed, device=bench.device, precision=bench.precision, compiled=bench.compiled,
        checkpoint=checkpoint, on_row=on_row,
    )  # fmt: skip
    outcome = _outcome(done)
    if outcome.status == "ok":
        outcome.metrics, outcome.correct = measure_local(done, training, test)
    return outcome


def _outcome(done: train.Run) -> Outcome:
    """What a run's history tells, without its metrics: the finite part of it, and whether any of its numbers is none."""
    finite = [row for row in done.history if np.isfinite(row.train_loss)]
    diverged = done.diverged or not all(bool(weight.isfinite().all()) for weight in done.net.state_dict().values())
    outcome = Outcome("diverged" if diverged else "ok", {}, done.precision, finite, attempts=done.attempts)
    outcome.images, outcome.wall_seconds = sum(row.images for row in done.history), done.history[-1].seconds
    return outcome


MAKERS = {"tune": _train, "evaluate": _train, "train": _train_alexnet, "average": _average, "unshared": _train_local}


def _splits(bench: Bench, run: PlannedRun) -> tuple[ImageSet, ImageSet]:
    """Training and test images of a run."""
    assert run.dataset is not None
    return bench.images[run.dataset]["train"], bench.images[run.dataset]["test"]


def _recipe(run: PlannedRun) -> AlexNetRecipe:
    """An AlexNet's recipe from its JSON form, without the account of the network that it starts from."""
    recipe: AlexNetRecipe = typed(AlexNetRecipe, {name: value for name, value in run.recipe.items() if name != PRETRAINED})
    return recipe


def _count(claim: Claim) -> Outcome:
    exact = [question for question in claim.questions if isinstance(question, Exact)]
    return Outcome("ok", {q.name: Metric(value=float(q.measure()), unit=q.unit or "count") for q in exact})
