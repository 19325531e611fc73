"""Make the records that a plan lacks: train or count, one run after the other, each with all the cores it was given."""

import ctypes
import hashlib
import resource
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import astuple, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet import train
from alexnet.config import AlexNetConfig, AlexNetRecipe, CifarNetConfig, Recipe
from alexnet.data.imageset import ImageSet
from alexnet.files import locked
from alexnet.kernels import norm
from alexnet.parallel import place, told
from alexnet.train import Row
from reproductions.harness import provenance
from reproductions.harness.baseline import ORIGINAL
from reproductions.harness.claim import Claim, Exact, PlannedRun, digest, typed
from reproductions.harness.heart import Heart
from reproductions.harness.judge import epochs_to
from reproductions.harness.measure import examples_of, kernels, measure
from reproductions.harness.plan import code_of, fingerprint_of, plan
from reproductions.harness.record import HISTORY, Code, Cost, Data, Machine, Metric, Record, read_records, work_file, write_record

REPOSITORY = Path(__file__).parents[2]
SHOWN_RUN = (ORIGINAL.name, 0)  # variant and seed whose examples make Figure 4's picture: other records stay small
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h


@dataclass(frozen=True)
class Bench:
    """Where runs are made: the images, the device and the results folder."""

    root: Path  # results folder
    splits: dict[str, ImageSet]
    device: torch.device
    threads: int

    @property
    def hardware(self) -> str:
        """The class of the processor or accelerator that computes."""
        return torch.cuda.get_device_name() if self.device.type == "cuda" else provenance.cpu_model()

    @property
    def fingerprint(self) -> str | None:
        """One digest for both splits."""
        return fingerprint_of(self.splits)


def set_up(device_name: str | None, threads: int) -> torch.device:
    """Choose the device and make its arithmetic repeatable. Raises ValueError if the device is not there."""
    if device_name is None:
        device_name = "cuda" if torch.cuda.is_available() else "cpu"
    if device_name not in ("cpu", "cuda"):
        raise ValueError(f"no device is called {device_name!r}; say --device cpu or --device cuda")
    if device_name == "cuda" and not torch.cuda.is_available():
        raise ValueError("no CUDA device is here; leave --device out or give --device cpu")
    _keep_freed_memory()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid that costs time
    return torch.device(device_name)


def _keep_freed_memory() -> None:
    """Tell glibc to reuse what it has instead of returning it to the kernel after every step.

    A step frees and asks again for tens of megabytes; fresh pages must be zeroed by the kernel each time.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc only
        for parameter, value in ((M_MMAP_THRESHOLD, 1 << 30), (M_TRIM_THRESHOLD, (1 << 31) - 1), (M_TOP_PAD, 1 << 28)):
            libc.mallopt(parameter, value)


def make(
    run: PlannedRun,
    claim: Claim,
    bench: Bench,
    on_row: Callable[[Row], None] = lambda _: None,
    *,
    again: bool = False,
    wait: bool = False,
) -> Path | None:
    """Make one run and store its record; None if another process is making it now, unless `wait` says to wait for that one.

    A record that another process has stored since the plan was made is returned as it is. With `again` the run is made from its
    start whatever there is. Where several processes train together all of them call this; the first keeps the files, the others
    get None.

    A run that was interrupted goes on from its checkpoint, which is deleted when the record is in its place. A run that torch
    cannot carry out is stored as a record with status "failed". Raises RecordError if the record cannot be written.
    """
    commit, dirty = provenance.git_state(REPOSITORY)
    code = code_of(run)
    code_part = Code(hash=provenance.code_hash(code), definitions=code, commit=commit, dirty=dirty)
    rank, world = place()
    machine = [bench.hardware, bench.threads, _versions(run, bench)]  # another machine goes on with other bits
    identity = [run.config, run.recipe, bench.fingerprint, code_part.hash, machine, *([world] if world > 1 else [])]
    work = work_file(bench.root, run, digest(identity))
    checkpoint, beat, lock = (Path(f"{work}{suffix}") for suffix in (".pt", ".json", ".lock"))
    mine: AbstractContextManager[bool] = locked(lock, wait=wait) if rank == 0 else nullcontext(True)
    with mine as first:
        there = _stored(run, bench) if rank == 0 and first else None
        if there:  # what a kill left between the record and its clearing up
            _delete([checkpoint, beat, lock] if not again else [checkpoint])
        if not told(first and (again or there is None)):
            return there
        began, started = time.perf_counter(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with Heart(beat) if rank == 0 else nullcontext() as heart:

            def tell(row: Row) -> None:
                if heart:
                    heart.tell(row.epoch, row.train_error, row.seconds)
                    on_row(row)

            try:
                outcome = _count(claim) if run.role == "inspect" else _trainer(run)(run, bench, checkpoint, tell)
            except RuntimeError as error:  # torch's own: out of memory, a kernel that is not there
                if rank > 0:
                    raise
                outcome = Outcome("failed", {}, failure=" ".join(str(error).split())[:300])
        if rank > 0:
            return None
        wall = outcome.wall_seconds or time.perf_counter() - began
        record = _record(run, bench, code_part, outcome, wall, started)
        columns = [f.name for f in fields(outcome.history[0])] if outcome.history else HISTORY
        rows = [astuple(row) for row in outcome.history]
        folder = write_record(
            bench.root, record, rows, outcome.correct, columns=columns, kernels=outcome.kernels, files=outcome.files
        )
        _delete([checkpoint, beat, lock])
        return folder


def _stored(run: PlannedRun, bench: Bench) -> Path | None:
    """The folder of a record that answers the run and was made on this hardware, if there is one."""
    (planned,) = plan([run], read_records(bench.root, run)[0], bench.fingerprint, bench.hardware)
    if planned.current and (run.role == "inspect" or planned.current.record.machine.hardware == bench.hardware):
        return planned.current.folder
    return None


def _record(run: PlannedRun, bench: Bench, code: Code, outcome: "Outcome", wall: float, started: str) -> Record:
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
        data=_data(bench) if run.dataset else None,
        code=code,
        machine=_machine(run, bench, outcome.precision),
        cost=Cost(
            wall_seconds=round(wall, 3),
            images=outcome.images,
            images_per_second=round(outcome.images / wall, 1) if outcome.images else None,
            peak_memory_bytes=_peak_memory(bench.device),
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
    correct: NDArray[np.bool_] | None = None
    kernels: NDArray[np.float32] | None = None
    images: int = 0
    wall_seconds: float | None = None
    attempts: int = 1
    failure: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)


def _trainer(run: PlannedRun) -> Callable[[PlannedRun, Bench, Path, Callable[[Row], None]], Outcome]:
    return _train_alexnet if run.role == "train" else _train


def _train_alexnet(run: PlannedRun, bench: Bench, checkpoint: Path, on_row: Callable[[Row], None]) -> Outcome:
    config, recipe = typed(AlexNetConfig, run.config), typed(AlexNetRecipe, run.recipe)
    training, test = bench.splits["train"], bench.splits["test"]
    done = train.fit_alexnet(
        config, recipe, training, test, seed=run.seed, device=bench.device, checkpoint=checkpoint, on_row=on_row
    )
    finite = [row for row in done.history if np.isfinite(row.train_loss)]
    outcome = Outcome("diverged" if done.diverged else "ok", {}, done.precision, finite, attempts=done.attempts)
    outcome.images, outcome.wall_seconds = sum(row.images for row in done.history), done.history[-1].seconds
    if not done.diverged:
        outcome.metrics, outcome.correct = measure(done, training, test, recipe, run.seed)
        outcome.kernels = kernels(done)
        if (run.variant, run.seed) == SHOWN_RUN:
            outcome.files = examples_of(done, training, test, recipe)
    return outcome


def _train(run: PlannedRun, bench: Bench, checkpoint: Path, on_row: Callable[[Row], None]) -> Outcome:
    config, recipe = typed(CifarNetConfig, run.config), typed(Recipe, run.recipe)
    training, test = bench.splits["train"], bench.splits["test"]
    done = train.fit(config, recipe, training, seed=run.seed, device=bench.device, checkpoint=checkpoint, on_row=on_row)
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


def _count(claim: Claim) -> Outcome:
    exact = [question for question in claim.questions if isinstance(question, Exact)]
    return Outcome("ok", {q.name: Metric(value=float(q.measure()), unit=q.unit or "count") for q in exact})


def _data(bench: Bench) -> Data:
    training, test = bench.splits["train"].meta, bench.splits["test"].meta
    return Data(
        name=training.name,
        fingerprint=bench.fingerprint or "",
        canonical=training.canonical and test.canonical,
        source=training.source,
        train_images=training.count,
        test_images=test.count,
    )


def _versions(run: PlannedRun, bench: Bench) -> dict[str, str]:
    """Versions of what computes the numbers; for AlexNet also in what its normalisation is written."""
    return provenance.versions() | ({"norm": _norm(bench.device)} if run.role == "train" else {})


def _norm(device: torch.device) -> str:
    """The body of the normalisation; Triton's with the digest of its file, which is no part of the code hash: few runs use it."""
    body = norm.body(device)
    if body != "triton":
        return body
    source = Path(norm.__file__).with_name("norm_triton.py").read_bytes()
    return f"{body}-{hashlib.sha256(source).hexdigest()[:12]}"


def _machine(run: PlannedRun, bench: Bench, precision: str) -> Machine:
    cuda = bench.device.type == "cuda"
    return Machine(
        hardware=bench.hardware,
        device="cuda" if cuda else "cpu",
        threads=bench.threads,
        processes=place()[1],
        precision=precision,
        determinism="bitwise repeatable on one machine with one number of threads",
        versions=_versions(run, bench),
    )


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
