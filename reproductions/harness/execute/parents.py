"""Weights passed between runs: kept beside a record and checked against it when loaded."""

import hashlib
from pathlib import Path

from alexnet.io import is_passing, is_there, move_aside
from alexnet.models import AlexNet
from alexnet.weights import WeightsError, export_weights, import_weights, network
from reproductions.harness.claims.runs import PlannedRun, as_data
from reproductions.harness.errors import RecordError
from reproductions.harness.execute.context import RunContext
from reproductions.harness.plan.missing import with_weights
from reproductions.harness.records.files import WEIGHTS
from reproductions.harness.records.load import records_of
from reproductions.harness.records.schema import ParentRun
from reproductions.harness.records.store import Stored


class MissingParentError(RecordError):
    """The weights that a run starts from are missing; the message says how to make them."""


def parent_record(need: PlannedRun, context: RunContext) -> Stored:
    """The record of a run that another depends on, with its weights.

    Raises MissingParentError if this class of machine has made none.
    """
    found = with_weights(
        need,
        records_of(context.root, need),
        context.fingerprints,
        context.hardware,
        dirty=context.dirty,
    )
    if found is None:
        raise MissingParentError(
            f"needs the weights of {need}, trained on {context.hardware}; run the same command "
            "again to train it first"
        )
    return found


def source_of(item: Stored) -> ParentRun:
    """A parent as the record of its child names it."""
    record = item.record
    assert record.data is not None
    return ParentRun(
        record="/".join(item.folder.parts[-3:]),
        dataset=record.data.name,
        fingerprint=record.data.fingerprint,
        weights=record.weights,
    )


def save_weights(path: Path, net: AlexNet) -> str:
    """Write a network's weights; returns the file's sha256."""
    export_weights(path, net.config, net.state_dict())
    return _sha256(path)


def load_network(need: PlannedRun, item: Stored) -> AlexNet:
    """The network of a record, on the CPU.

    Raises MissingParentError if its file is gone, or differs from the record and is moved aside;
    OSError if it cannot be read now.
    """
    path = item.folder / WEIGHTS
    try:
        if _sha256(path) != item.record.weights:
            raise WeightsError(f"{path} is not the file that was stored with its record")
        config, weights = import_weights(path)
        if as_data(config) != need.config:
            raise WeightsError(f"{path} has another network than its record")
    except (OSError, WeightsError) as error:
        cause = error.__cause__ or error
        if is_passing(cause):
            raise cause from error
        done = f"renamed to {move_aside(path).name}" if is_there(path) else "the file is gone"
        raise MissingParentError(
            f"{error}; {done}; run the same command again to retrain {need}"
        ) from error
    return network(config, weights)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
