"""Every error that a user can fix has one exit status; any other is a fault of the suite."""

import pytest

from alexnet.data.imageset import DataError
from reproductions.harness import errors
from reproductions.harness.errors import RecordError, UnreadableError
from reproductions.harness.execute.parents import MissingParentError
from reproductions.harness.launch.job import RefusedError
from reproductions.harness.launch.slurm import SlurmError
from reproductions.harness.plan.choose_data import AbsentError
from reproductions.harness.records.files import EvidenceError


@pytest.mark.parametrize(
    ("error", "line", "status"),
    [
        (ValueError("no such scale"), "no such scale", 2),
        (RecordError("a full disk"), "a full disk", 3),
        (MissingParentError("no weights"), "no weights", 3),
        (RefusedError("another version"), "another version", 3),
        (SlurmError("no answer"), "Slurm: no answer", 3),
        (KeyboardInterrupt(), "interrupted; run the same command again to resume", 3),
        (MemoryError(), "out of memory; nothing that was finished is lost", 3),
        (PermissionError(13, "denied", "f"), "f: denied; nothing that was finished is lost", 3),
        (OSError("odd"), "a file: odd; nothing that was finished is lost", 3),
        (DataError("no images"), "no images", 4),
        (AbsentError("no images"), "no images", 4),
        (UnreadableError("a pointer"), "a pointer", 4),
        (EvidenceError("history.csv", "is missing"), "history.csv is missing", 4),
        (errors.BadDataError("no table"), "no table", 4),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_has_a_line_and_a_status(error: BaseException, line: str, status: int) -> None:
    assert errors.explained(error) == (line, status)


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyError("x"), UnicodeError("x")])
def test_a_fault_of_the_suite_is_not_explained(error: Exception) -> None:
    assert errors.explained(error) is None
