"""The records of a results folder: which count, and what is wrong with the others."""

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.errors import UnreadableError
from reproductions.harness.records.evidence import examine
from reproductions.harness.records.files import CURVE, RECORD, EvidenceError, Fault, read
from reproductions.harness.records.history import history_digest
from reproductions.harness.records.schema import Record
from reproductions.harness.records.store import Stored, folder_of


def read_record(folder: Path) -> Record:
    """The record in a folder.

    Raises EvidenceError if there is none, it cannot be read, is broken or of another version.
    """
    content = read(folder / RECORD)
    try:
        record = Record.model_validate_json(content)
    except ValidationError as error:
        raise _misfit(content, error) from error
    if "schema_version" not in record.model_fields_set:
        raise EvidenceError(RECORD, "names no schema version; restore it, or move its folder away")
    return record


def read_records(root: Path, run: PlannedRun | None = None) -> tuple[list[Stored], list[Fault]]:
    """All records under a results folder, or one run's, sorted by path; and faults of the others.

    A record counts only if it agrees with its place and with the files beside it, and is no copy of
    another.
    """
    faults: list[Fault] = []
    found: list[tuple[Stored, str]] = []
    for folder in _folders(root, faults):
        name = str(folder.relative_to(root))
        try:
            record = read_record(folder)
            _in_its_place(record, folder)
            examine(record, folder)
            found.append((Stored(record, folder), history_digest(folder)))
        except EvidenceError as error:
            faults.append(error.fault.below(name))
    stored, copies = _without_copies(found, root)
    faults += copies
    if run is None:
        return stored, faults
    # what is a copy shows only beside all others
    return (
        [item for item in stored if item.record.key == run.key],
        [fault for fault in faults if may_be_of(fault, run)],
    )


def _without_copies(
    found: list[tuple[Stored, str]], root: Path
) -> tuple[list[Stored], list[Fault]]:
    """The records without copies of a history, and the fault of each copy.

    Two runs never take the same time to the last digit: such a record is a renamed copy.
    """
    groups: defaultdict[str, list[Stored]] = defaultdict(list)
    for item, history in found:
        groups[history].append(item)
    stored, faults = [], []
    for item, history in found:
        others = [s for s in groups[history] if s.record.key != item.record.key]
        if others:
            where, other = (i.folder.relative_to(root) for i in (item, others[0]))
            why = f"is that of {other} to the last digit: one is a copy"
            faults.append(Fault(f"{where}/{CURVE}", why))
        else:
            stored.append(item)
    return stored, faults


def records_of(root: Path, run: PlannedRun) -> list[Stored]:
    """The records of a run.

    Raises UnreadableError if there may be one that cannot be read: it is not to be made again.
    """
    stored, faults = read_records(root, run)
    for fault in faults:
        if fault.unreadable:
            raise UnreadableError(
                f"{root}/{fault.where} {fault.why}, and may hold the record of {run}; fix this "
                "first"
            )
    return stored


def may_be_of(fault: Fault, run: PlannedRun) -> bool:
    """Whether a record of the run can be in what a fault names."""
    parts = fault.where.split("/")
    return parts[1:3] == [run.claim, run.variant][: len(parts) - 1] and (
        len(parts) < 4 or parts[3].startswith(f"{run.scale}-seed{run.seed}-")
    )


def _misfit(content: bytes, error: ValidationError) -> EvidenceError:
    known = Record.model_fields["schema_version"].default
    first = error.errors()[0]
    why = f"is not a record ({'.'.join(map(str, first['loc']))}: {first['msg']})"
    try:
        version = json.loads(content).get("schema_version", known)
    except UnicodeDecodeError:
        return EvidenceError(RECORD, "is not a record (not UTF-8 text)")
    except (ValueError, AttributeError, RecursionError):
        return EvidenceError(RECORD, f"is not a record ({first['msg']})")
    if isinstance(version, bool) or not isinstance(version, int):
        why = f"has a schema version that is no whole number ({str(version)[:40]!r})"
    elif version > known:
        why = f"was made by a newer version of this suite (schema {version}); update it"
        return EvidenceError(RECORD, why, unreadable=True)
    elif version < known:
        why = f"is of schema {version}, which this version does not read"
    return EvidenceError(RECORD, why)


def _in_its_place(record: Record, folder: Path) -> None:
    right = folder_of(Path(), record)
    repeat = folder.name.removeprefix(right.name)
    named = repeat != folder.name and re.fullmatch(r"(-r\d+)?", repeat)
    if folder.parts[-3:-1] != right.parts[1:3] or not named:
        raise EvidenceError(RECORD, f"does not belong here: its content belongs in {right}")


def _folders(root: Path, faults: list[Fault]) -> Iterator[Path]:
    for claim in _listed(root / "records", root, faults):
        for variant in _listed(claim, root, faults):
            yield from _listed(variant, root, faults)


def _listed(folder: Path, root: Path, faults: list[Fault]) -> list[Path]:
    """The folders in a folder by name, without hidden ones; none where it is not there."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and _leads_to_folder(entry)
            )
            return [folder / name for name in names]
    except (FileNotFoundError, NotADirectoryError) as error:
        if not os.path.lexists(folder):
            return []
        why = "is not a folder" if isinstance(error, NotADirectoryError) else "is a broken symlink"
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    faults.append(Fault(str(folder.relative_to(root)), why, unreadable=True))
    return []


def _leads_to_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry is a folder, or a link of which that cannot be said."""
    try:
        return entry.is_dir() or (entry.is_symlink() and not os.path.exists(entry.path))  # noqa: PTH110 - an entry is no Path
    except OSError:
        return True
