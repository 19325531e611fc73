"""Make the records that a plan lacks: train, average or count, one run after the other."""

import os
import re
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import astuple, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from alexnet.checkpoint import Checkpoint
from alexnet.distributed import broadcast, rank_and_world_size
from alexnet.io import locked, move
from alexnet.precision import Choice
from alexnet.training import Row
from reproductions.harness.claims.claim import Claim
from reproductions.harness.claims.runs import NETWORKS, PlannedRun, digest
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
from reproductions.harness.execute.tasks import Outcome, carry_out
from reproductions.harness.plan.choose_data import console
from reproductions.harness.plan.missing import kept, plan
from reproductions.harness.records.arrays import array_files
from reproductions.harness.records.files import WEIGHTS
from reproductions.harness.records.git import git_state
from reproductions.harness.records.history import HISTORY
from reproductions.harness.records.load import read_records, records_of
from reproductions.harness.records.paths import REPOSITORY
from reproductions.harness.records.schema import COMPILED, Code, Cost, Record, version_of
from reproductions.harness.records.store import Stored, check_storable, work_file, write_record

OnRow = Callable[[Row], None]


def make(
    run: PlannedRun,
    claim: Claim,
    bench: RunContext,
    on_row: Callable[[Row], None] = lambda _: None,
    *,
    again: bool = False,
    wait: bool = False,
    dirty: bool | None = None,
    on_choice: Callable[[Choice], None] = lambda _: None,
) -> Path | None:
    """Make one run and store its record; None if another process is at it, unless `wait`.

    A record that another process has stored since the plan was made is returned as it is. With
    `again` the run is made from its start whatever there is. `dirty` says whether the code is
    uncommitted where git cannot. `on_choice` is told in which precision it computes. Where several
    processes train together all of them call this; the first keeps the files, the others get None.

    A run that was interrupted goes on from its checkpoint, which is deleted when the record is in
    its place. A run that torch cannot carry out is stored as a record with status "failed" and
    keeps its checkpoint. A network that is trained again since its weights are needed, and comes
    out with the same bits, gives them back to the record that it has. Raises RecordError if the
    record cannot be written, which is found out first, or weights that the run needs are not here.
    """
    tree = git_state(REPOSITORY)
    code = Code(commit=tree.commit, dirty=dirty if tree.dirty is None else tree.dirty)
    rank, world = rank_and_world_size()
    # another machine goes on with other bits
    machine = [*bench.arithmetic, versions_of(run, bench)]
    before = [
        parent_record(need, bench.root, bench.fingerprints, bench.hardware, dirty=bool(code.dirty))
        for need in run.needs
    ]
    made_of = [
        run.config,
        run.recipe,
        bench.fingerprints.get(run.dataset or ""),
        [item.record.weights for item in before],
    ]
    made_by = [version_of(run.role, ()).training, machine, *([world] if world > 1 else [])]
    # a checkpoint made otherwise is left
    insisted = [way for way in (bench.precision, COMPILED * bench.compiled) if way]
    work = work_file(bench.root, run, digest([*made_of, *made_by, *insisted]))
    checkpoint, weights, beat, lock = leftovers = [
        Path(f"{work}{suffix}") for suffix in (".pt", ".safetensors", ".json", ".lock")
    ]
    mine: AbstractContextManager[bool] = locked(lock, wait=wait) if rank == 0 else nullcontext(True)
    with mine as first:
        stored = read_records(bench.root, run)[0] if again else records_of(bench.root, run)
        asked = precision.asked(run, claim, bench, dirty=bool(code.dirty))
        alike = [
            s
            for s in stored
            if asked is None or s.record.machine.precision == bench.recorded(asked.precision)
        ]
        if bench.compiled and run.role in NETWORKS:
            alike = [s for s in alike if COMPILED in s.record.machine.precision]
        there = (
            _made(run, alike, bench, dirty=bool(code.dirty))
            if rank == 0 and first and not again
            else None
        )
        if again:
            _delete([checkpoint])
        elif there:
            _delete(leftovers)  # what a kill left between the record and its clearing up
        if not broadcast(first and there is None):
            return there.folder if there else None
        if rank == 0:
            check_storable(bench.root, run)
        started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        choice = asked or precision.measured(run, claim, bench)
        if choice and rank == 0:
            on_choice(choice)
        bench = replace(bench, precision=choice.precision if choice else None)
        kept_in = Checkpoint(
            checkpoint, {"run": str(run), "weights": made_of[-1]}, say=_say, dirty=bool(code.dirty)
        )
        outcome = _carry_out(run, claim, bench, before, kept_in, beat, on_row)
        if rank > 0:
            return None
        if choice and outcome.attempts > 1 and outcome.precision != choice.precision:
            on_choice(
                Choice(outcome.precision, f"{run} resumed from a checkpoint in this precision")
            )
        # also of what it went on from
        code = Code(commit=code.commit, dirty=kept_in.dirty or code.dirty)
        digits = save_weights(weights, outcome.net) if outcome.net else None
        record = _record(run, bench, code, outcome, started)
        record = record.model_copy(
            update={"weights": digits, "made_from": tuple(map(source_of, before))}
        )
        twin = next(
            (
                s
                for s in stored
                if (s.record.id, s.record.weights) == (record.id, digits) and not s.weights
            ),
            None,
        )
        if digits and twin and not again:
            folder = twin.folder
            move(weights, folder / WEIGHTS)
        else:
            folder = _store(bench.root, record, outcome, weights if digits else None)
        _delete([path for path in leftovers if path != checkpoint or outcome.status != "failed"])
        return folder


def _carry_out(
    run: PlannedRun,
    claim: Claim,
    bench: RunContext,
    before: Sequence[Stored],
    checkpoint: Checkpoint,
    beat: Path,
    on_row: OnRow,
) -> Outcome:
    """Make the run; the first of its processes tells how far it is."""
    reset_peak_memory(bench.device)
    began, leads = time.perf_counter(), rank_and_world_size()[0] == 0
    with HeartbeatWriter(beat) if leads else nullcontext() as heart:

        def tell(row: Row) -> None:
            if heart:
                heart.tell(row.epoch, row.train_error, row.seconds)
                on_row(row)

        try:
            outcome = carry_out(run, claim, bench, before, checkpoint, tell)
        except RuntimeError as error:  # torch's own: out of memory, a kernel that is not there
            if rank_and_world_size()[1] > 1:
                # ends the others too; and one that was killed, with its node perhaps, is an error
                # in all: no result
                raise
            outcome = Outcome("failed", {}, failure=redact(" ".join(str(error).split()))[:300])
    outcome.wall_seconds = outcome.wall_seconds or time.perf_counter() - began
    return outcome


def _say(line: str) -> None:
    console.print(f"  {line}", markup=False)


def redact(text: str) -> str:
    """A message without the names of this user, home folder and machine: records are published."""
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() fails for a user whom the machine does not know
    text = text.replace(home, "~") if len(home) > 1 else text
    for name, word in ((os.environ.get("USER"), "USER"), (socket.gethostname(), "HOST")):
        text = re.sub(rf"\b{re.escape(name)}\b", word, text) if name else text
    return text


def _store(root: Path, record: Record, outcome: Outcome, weights: Path | None) -> Path:
    columns = [f.name for f in fields(outcome.history[0])] if outcome.history else HISTORY
    files = {**array_files(outcome.correct, outcome.kernels), **outcome.files}
    return write_record(
        root,
        record,
        [astuple(row) for row in outcome.history],
        columns=columns,
        files=files,
        weights=weights,
    )


def _made(
    run: PlannedRun, stored: Sequence[Stored], bench: RunContext, *, dirty: bool
) -> Stored | None:
    """The record that makes a run unnecessary: a count of any machine, else this machine's.

    It is of code as today's, committed or not: another makes no pair with what is made now.
    """
    if run.role != "inspect":
        stored = [
            s
            for s in stored
            if (s.record.machine.hardware, bool(s.record.code.dirty)) == (bench.hardware, dirty)
        ]
    if run.role == "train":
        return kept(run, stored, bench.fingerprints, bench.hardware, dirty=dirty)
    return plan([run], stored, bench.fingerprints, bench.hardware, dirty=dirty)[0].current


def _record(
    run: PlannedRun, bench: RunContext, code: Code, outcome: Outcome, started: str
) -> Record:
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
        machine=machine_of(
            run,
            bench,
            bench.recorded(outcome.precision) if run.role in NETWORKS else outcome.precision,
        ),
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
