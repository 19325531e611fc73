"""Make the records that a plan lacks: train, average or count, one run after the other."""

import os
import re
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from alexnet.checkpoint import Checkpoint
from alexnet.distributed import broadcast, rank_and_world_size
from alexnet.io import locked, move
from alexnet.precision import Choice
from alexnet.training import Row
from reproductions.harness.claims.claim import Claim
from reproductions.harness.claims.runs import PlannedRun, digest
from reproductions.harness.execute import precision
from reproductions.harness.execute.context import (
    RunContext,
    data_of,
    machine_of,
    peak_memory,
    reset_peak_memory,
    versions_of,
)
from reproductions.harness.execute.heartbeat import HeartbeatWriter
from reproductions.harness.execute.parents import parent_record, save_weights, source_of
from reproductions.harness.execute.tasks import OnRow, Outcome, carry_out
from reproductions.harness.plan.choose_data import say
from reproductions.harness.plan.missing import plan, with_weights
from reproductions.harness.records.arrays import array_files
from reproductions.harness.records.files import REPOSITORY, WEIGHTS
from reproductions.harness.records.history import HISTORY
from reproductions.harness.records.load import read_records, records_of
from reproductions.harness.records.provenance import git_state
from reproductions.harness.records.schema import COMPILED, Code, Cost, Record, version_of
from reproductions.harness.records.store import Stored, check_storable, work_file, write_record


def make(
    run: PlannedRun,
    claim: Claim,
    context: RunContext,
    on_row: OnRow = lambda _: None,
    *,
    force: bool = False,
    wait: bool = False,
    dirty: bool | None = None,
    on_choice: Callable[[Choice], None] = lambda _: None,
) -> Path | None:
    """Make one run, store its record and return the record's folder.

    Returns None if another process is making the run; with `wait` it waits for that process. A
    record that was stored since the plan was made is returned as it is. With `force` the run is
    made from its start whatever records there are. `dirty` says whether the code is uncommitted,
    where git cannot. `on_choice` gets the precision that is used. Where several processes train
    together all of them call this; rank 0 writes the files, the others get None.

    An interrupted run resumes from its checkpoint, which is deleted after the record is stored. A
    run that torch cannot carry out is stored with status "failed" and keeps its checkpoint. If a
    network is retrained only for its weights and is bit-identical, the weights are stored with the
    existing record.

    Raises RecordError before the training if the record cannot be written, or if weights that the
    run starts from are missing.
    """
    attempt = _attempt(run, claim, context, dirty)
    leads = rank_and_world_size()[0] == 0
    lock: AbstractContextManager[bool] = nullcontext(True)
    if leads:
        lock = locked(attempt.files.lock, wait=wait)
    with lock as held:
        stored = read_records(context.root, run)[0] if force else records_of(context.root, run)
        requested = precision.asked(run, claim, attempt.context)
        existing = None
        if leads and held and force:
            attempt.files.checkpoint.unlink(missing_ok=True)
        elif leads and held:
            existing = _existing(attempt, stored, requested)
        if existing:
            attempt.files.delete()  # left by a kill between storing the record and deleting them
        if not broadcast(held and existing is None):
            return existing.folder if existing else None
        if leads:
            check_storable(context.root, run)
        return _train_and_store(attempt, requested, [] if force else stored, on_row, on_choice)


@dataclass(frozen=True)
class WorkFiles:
    """The files of an unfinished run, under `.work` of the results folder."""

    checkpoint: Path
    weights: Path
    heartbeat: Path
    lock: Path

    def delete(self, *, keep_checkpoint: bool = False) -> None:
        """Delete the files, or all but the checkpoint."""
        paths = [self.weights, self.heartbeat, self.lock]
        for path in paths if keep_checkpoint else [self.checkpoint, *paths]:
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Attempt:
    """A run and all that is known before it starts."""

    run: PlannedRun
    claim: Claim
    context: RunContext
    code: Code
    parents: Sequence[Stored]
    files: WorkFiles


def _attempt(run: PlannedRun, claim: Claim, context: RunContext, dirty: bool | None) -> Attempt:
    tree = git_state(REPOSITORY)
    code = Code(commit=tree.commit, dirty=dirty if tree.dirty is None else tree.dirty)
    context = replace(context, dirty=bool(code.dirty))
    parents = [parent_record(need, context) for need in run.needs]
    stem = work_file(context.root, run, _identity(run, context, parents))
    suffixes = (".pt", ".safetensors", ".json", ".lock")
    files = WorkFiles(*(Path(f"{stem}{suffix}") for suffix in suffixes))
    return Attempt(run, claim, context, code, parents, files)


def _identity(run: PlannedRun, context: RunContext, parents: Sequence[Stored]) -> str:
    """The digest of all that decides a run's bits; a checkpoint of another identity is ignored."""
    world = rank_and_world_size()[1]
    parts = [
        run.config,
        run.recipe,
        context.fingerprints.get(run.dataset or ""),
        [parent.record.weights for parent in parents],
        version_of(run.family, ()).training,
        [*context.arithmetic, versions_of(run, context)],
    ]
    parts += [world] if world > 1 else []
    parts += [option for option in (context.precision, COMPILED * context.compiled) if option]
    return digest(parts)


def _existing(
    attempt: Attempt, stored: Sequence[Stored], requested: Choice | None
) -> Stored | None:
    """The record that makes the run unnecessary: for a count any machine's, else this machine's.

    Its code is committed if today's is, and uncommitted if not: others are never compared.
    """
    run, context, dirty = attempt.run, attempt.context, attempt.context.dirty
    found = list(stored)
    if requested is not None:
        recorded = context.recorded(requested.precision)
        found = [s for s in found if s.record.machine.precision == recorded]
    if context.compiled and run.kind == "train":
        found = [s for s in found if COMPILED in s.record.machine.precision]
    if run.kind != "count":
        here = context.hardware, dirty
        found = [s for s in found if (s.record.machine.hardware, bool(s.record.code.dirty)) == here]
    where = context.fingerprints, context.hardware
    if run.kind == "train" and run.family == "alexnet":  # whose weights are stored
        return with_weights(run, found, *where, dirty=dirty)
    return plan([run], found, *where, dirty=dirty)[0].current


def _train_and_store(
    attempt: Attempt,
    requested: Choice | None,
    stored: Sequence[Stored],
    on_row: OnRow,
    on_choice: Callable[[Choice], None],
) -> Path | None:
    """Make the run under its lock; returns the folder of its record in rank 0, else None."""
    leads = rank_and_world_size()[0] == 0
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    choice = requested or precision.measured(attempt.run, attempt.claim, attempt.context)
    if choice and leads:
        on_choice(choice)
    context = replace(attempt.context, precision=choice.precision if choice else None)
    attempt = replace(attempt, context=context)
    checkpoint = Checkpoint(
        attempt.files.checkpoint,
        {"run": str(attempt.run), "weights": [each.record.weights for each in attempt.parents]},
        say=lambda line: say(f"  {line}"),
        dirty=attempt.context.dirty,
    )
    outcome = _carry_out(attempt, checkpoint, on_row)
    if not leads:
        return None
    if choice and outcome.attempts > 1 and outcome.precision != choice.precision:
        reason = f"{attempt.run} resumed from a checkpoint in this precision"
        on_choice(Choice(outcome.precision, reason))
    # uncommitted also if uncommitted code made the checkpoint
    code = Code(commit=attempt.code.commit, dirty=checkpoint.dirty or attempt.code.dirty)
    folder = _store(replace(attempt, code=code), outcome, started, stored)
    attempt.files.delete(keep_checkpoint=outcome.status == "failed")
    return folder


def _store(attempt: Attempt, outcome: Outcome, started: str, stored: Sequence[Stored]) -> Path:
    weights = attempt.files.weights
    digits = save_weights(weights, outcome.net) if outcome.net else None
    record = _record(attempt, outcome, started, digits)
    same = (record.id, digits)
    for item in stored:
        whole = record.metrics.keys() <= item.record.metrics.keys()
        if whole and digits and (item.record.id, item.record.weights) == same and not item.weights:
            move(weights, item.folder / WEIGHTS)
            return item.folder
    columns = [f.name for f in fields(outcome.history[0])] if outcome.history else HISTORY
    return write_record(
        attempt.context.root,
        record,
        [astuple(row) for row in outcome.history],
        columns=columns,
        files={**array_files(outcome.correct, outcome.kernels), **outcome.files},
        weights=weights if digits else None,
    )


def _carry_out(attempt: Attempt, checkpoint: Checkpoint, on_row: OnRow) -> Outcome:
    run, context = attempt.run, attempt.context
    reset_peak_memory(context.device)
    began, leads = time.perf_counter(), rank_and_world_size()[0] == 0
    with HeartbeatWriter(attempt.files.heartbeat) if leads else nullcontext() as heartbeat:

        def report_row(row: Row) -> None:
            if heartbeat:
                heartbeat.update(row.epoch, row.train_error, row.seconds)
                on_row(row)

        try:
            outcome = carry_out(
                run, attempt.claim, context, attempt.parents, checkpoint, report_row
            )
        except RuntimeError as error:  # torch's own: out of memory, a kernel that is not there
            # Raised, it ends the other processes too. It may also come from the loss of one of
            # them, which is no result.
            if rank_and_world_size()[1] > 1:
                raise
            outcome = Outcome("failed", {}, failure=redact(" ".join(str(error).split()))[:300])
    outcome.wall_seconds = outcome.wall_seconds or time.perf_counter() - began
    return outcome


def redact(text: str) -> str:
    """Replace the names of the user, home folder and machine: records are published."""
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() fails for a user whom the machine does not know
    text = text.replace(home, "~") if len(home) > 1 else text
    for name, word in ((os.environ.get("USER"), "USER"), (socket.gethostname(), "HOST")):
        text = re.sub(rf"\b{re.escape(name)}\b", word, text) if name else text
    return text


def _record(attempt: Attempt, outcome: Outcome, started: str, weights: str | None) -> Record:
    run, context = attempt.run, attempt.context
    wall = outcome.wall_seconds or 0.0
    made = context.recorded(outcome.precision) if run.kind == "train" else outcome.precision
    return Record(
        claim=run.claim,
        question=run.question,
        variant=run.variant,
        scale=run.scale,  # type: ignore[arg-type]  # validated by the schema
        seed=run.seed,
        kind=run.kind,
        purpose=run.purpose,
        status=outcome.status,  # type: ignore[arg-type]
        failure=outcome.failure,
        metrics=outcome.metrics,
        config=run.config,
        recipe=run.recipe,
        declaration=run.declaration,
        data=data_of(context, run.dataset) if run.dataset else None,
        version=version_of(run.family, outcome.metrics),
        code=attempt.code,
        machine=machine_of(run, context, made),
        cost=Cost(
            wall_seconds=round(wall, 3),
            images=outcome.images,
            images_per_second=round(outcome.images / wall, 1) if outcome.images and wall else None,
            peak_memory_bytes=peak_memory(context.device),
            attempts=outcome.attempts,
        ),
        started=started,
        weights=weights,
        made_from=tuple(map(source_of, attempt.parents)),
    )
