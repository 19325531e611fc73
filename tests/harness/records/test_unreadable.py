"""What cannot be read is named by every command that reads, and nothing is written over it."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from machine import without_privileges
from records import make_record, store, write_record
from typer.testing import CliRunner

from reproductions.__main__ import app
from reproductions.harness.records.files import CORRECT, CURVE, RECORD
from reproductions.harness.records.load import read_records

READERS = [
    "list",
    "plan fig2_architecture",
    "status fig1_relu",
    "explain fig1_relu.speedup",
    "compare OTHER",
    "report",
    "report --check",
]


@pytest.fixture(scope="module")
def once() -> Iterator[Path]:
    """Two seeds of each arm with their report, in a folder that any user may read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        made = (("relu", 6.1), ("tanh", 36.5))
        store(
            Path(folder) / "once",
            *(make_record(arm, seed, epochs=epochs) for arm, epochs in made for seed in (0, 1)),
        )
        assert run("report", Path(folder) / "once")[0] == 0
        yield Path(folder) / "once"


@pytest.fixture
def results(once: Path) -> Iterator[Path]:
    """A copy of it."""
    copy = Path(shutil.copytree(once, once.with_name("copy")))
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o777)
    yield copy
    shutil.rmtree(copy)


def record_of(results: Path) -> Path:
    return next((results / "records" / "fig1_relu" / "tanh").glob("*-seed1-*"))


def run(command: str, results: Path) -> tuple[int, str]:
    """Status and standard error of a command."""
    words = [str(results) if word == "OTHER" else word for word in command.split()]
    done = CliRunner().invoke(app, [*words, "--results", str(results)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stderr


def pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")


def annexed(path: Path) -> None:
    path.write_text("/annex/objects/SHA256E-s12345--4d7a21.csv\n")


def conflict(path: Path) -> None:
    path.write_text(f"<<<<<<< HEAD\n{path.read_text()}=======\n{path.read_text()}>>>>>>> theirs\n")


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "gone")


def newer(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 7}))


@pytest.mark.parametrize(
    ("spoil", "name", "why"),
    [
        (pointer, RECORD, "run `git lfs pull`"),
        (annexed, CURVE, "run `git annex get`"),
        (conflict, CURVE, "the marks of a merge conflict"),
        (dangling, CORRECT, "is reached through a broken symlink"),
        (newer, RECORD, "was made by a newer version of this suite (schema 7); update it"),
    ],
)
def test_what_cannot_be_read_is_named_by_every_command(
    results: Path, spoil: Callable[[Path], None], name: str, why: str
) -> None:
    folder = record_of(results)
    spoil(folder / name)
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    for command in READERS:
        status, said = run(command, results)
        assert status == 4, command
        assert why in said, command
        assert folder.name in said, command
    assert {path: path.read_bytes() for path in before} == before, "the report stays as it was"


@pytest.mark.parametrize("command", READERS)
def test_a_user_without_permission_is_told(results: Path, command: str) -> None:
    folder = record_of(results)
    assert run(command, results)[0] == 0, "and imports what the other user may not"
    before = {path: path.read_bytes() for path in results.iterdir() if path.is_file()}
    for locked in (*list(folder.parents)[:3], folder, folder / RECORD, folder / CORRECT):
        mode = locked.stat().st_mode
        locked.chmod(0)
        with without_privileges():
            status, said = run(command, results)
        locked.chmod(mode)
        assert status == 4, (locked, said)
        assert "cannot be read (Permission denied)" in said
        assert str(locked.relative_to(results)) in said
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("name", ["nowhere", "a file"])
def test_a_results_folder_that_is_not_there_is_an_error(
    tmp_path: Path, command: str, name: str
) -> None:
    (tmp_path / "a file").write_text("")
    status, said = run(command, tmp_path / name)
    assert (status, len(said.splitlines())) == (2, 1)
    assert "there is no results folder" in said
    assert not (tmp_path / "nowhere").exists()


def test_what_is_no_folder_of_a_record_is_passed_over(tmp_path: Path) -> None:
    folder = write_record(tmp_path, make_record())
    (tmp_path / "records" / "README").write_text("")
    (folder.parent / "notes.txt").write_text("")
    (folder.parent / ".paper-seed3-0.12.partial").mkdir()
    assert read_records(tmp_path)[1] == []
    (folder.parent / "paper-seed3-01234567").mkdir()
    (fault,) = read_records(tmp_path)[1]
    assert fault.where == "records/fig1_relu/relu/paper-seed3-01234567/record.json"
    assert fault.why == "is missing"
