"""A record counts only if it agrees with place, history, answers and kernels; all is reported."""

import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from machine import without_privileges
from records import colour_gap, curve_files, make_alexnet, make_record, planned, store, write_record
from typer.testing import CliRunner

from reproductions.__main__ import app
from reproductions.harness.launch.job_files import new_job, write_job
from reproductions.harness.records import load
from reproductions.harness.records.cache import Checked
from reproductions.harness.records.files import CORRECT, CURVE, KERNELS, RECORD
from reproductions.harness.records.load import read_records
from reproductions.harness.records.paths import RESULTS
from reproductions.harness.records.store import write_record as store_record

READERS = {
    "list": ["list"],
    "plan": ["plan", "fig2_architecture"],
    "status": ["status", "fig1_relu"],
    "explain": ["explain", "fig1_relu.speedup"],
    "compare": ["compare", "OTHER"],
    "report": ["report"],
    "check": ["report", "--check"],
}


def kernels(seed: int = 0) -> np.ndarray:
    """conv1's kernels of scale mini."""
    return np.random.default_rng(seed).standard_normal((24, 3, 5, 5)).astype(np.float32)


def cifar(root: Path) -> Path:
    return write_record(root, make_record("relu", 0, epochs=6.1))


def censored(root: Path) -> Path:
    return write_record(root, make_record("tanh", 0, epochs=None))


def alexnet(root: Path) -> Path:
    """Of every metric one that something beside the record decides."""
    metrics = {
        "train_error": 60.0,
        "first_epoch_error": 95.0,
        "top1": 80.0,
        "top5": 55.0,
        "top1_ten": 79.25,
        "top5_ten": 54.0,
        "top1_train": 70.0,
        "gap": 10.0,
        "colour_gap": colour_gap(kernels()),
    }
    record = make_alexnet("original", 0, **metrics)
    return store_record(root, record, **curve_files(record, kernels(), validation=80.0))


def average(root: Path) -> Path:
    return write_record(
        root, make_alexnet("five-cnns", 0, "ensembles", top1_ten=75.0, top5_ten=50.0)
    )


MADE = {"cifar": cifar, "censored": censored, "alexnet": alexnet, "average": average}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_a_whole_record_counts(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    folder = make(tmp_path)
    (stored,), faults = read_records(tmp_path, recheck=True)
    assert (stored.folder, faults) == (folder, [])


def test_every_committed_record_agrees_with_its_evidence() -> None:
    stored, faults = read_records(RESULTS, recheck=True)
    assert (len(stored) > 60, faults) == (True, [])


EDITS: list[tuple[str, tuple[str, ...], Any, str]] = [
    (
        "cifar",
        ("metrics", "epochs_to_target", "value"),
        5.1,
        "epochs_to_target is 5.1, and history.csv that it is 6.1",
    ),
    ("cifar", ("metrics", "train_error", "value"), 20.0, "train_error is 20.0, and history.csv"),
    (
        "cifar",
        ("metrics", "test_error", "value"),
        29.0,
        "test_error is 29.0, and correct.npy that it is 30.0",
    ),
    ("cifar", ("metrics", "test_error", "examples"), 100, "correct.npy does not hold the answers"),
    ("cifar", ("status",), "censored", "the target was reached"),
    ("cifar", ("cost", "images"), 10, "history.csv counts 309,9"),
    ("cifar", ("cost", "wall_seconds"), 9.0, "took 90.0 seconds, and by record.json 9.0"),
    ("cifar", ("cost", "images_per_second"), 1e6, "has an images_per_second"),
    ("cifar", ("data", "train_images"), 40_000, "does not follow from those before"),
    ("cifar", ("data", "test_images"), 9_992, "does not hold the answers for 9,992 images"),
    (
        "censored",
        ("metrics", "epochs_to_target", "value"),
        30.0,
        "epochs_to_target is 30.0, and history.csv that it is None",
    ),
    (
        "alexnet",
        ("metrics", "train_error", "value"),
        50.0,
        "train_error is 50.0, and history.csv that it is 60.0",
    ),
    ("alexnet", ("metrics", "first_epoch_error", "value"), 94.0, "first_epoch_error is 94.0"),
    (
        "alexnet",
        ("metrics", "top1", "value"),
        79.0,
        "top1 is 79.0, and history.csv that it is 80.0",
    ),
    (
        "alexnet",
        ("metrics", "top1_ten", "value"),
        78.25,
        "top1_ten is 78.25, and correct.npy that it is 79.25",
    ),
    ("alexnet", ("metrics", "gap", "value"), 11.0, "has a `gap`"),
    ("alexnet", ("metrics", "top5", "value"), 81.0, "top5 is above top1"),
    ("alexnet", ("metrics", "top5_ten", "value"), -1.0, "top5_ten is -1.0 percent"),
    ("alexnet", ("metrics", "colour_gap", "value"), 50.0, "colour_gap is 50.0, and kernels.npy"),
    (
        "average",
        ("metrics", "top1_ten", "value"),
        74.0,
        "top1_ten is 74.0, and correct.npy that it is 75.0",
    ),
]


@pytest.mark.parametrize(
    ("made", "place", "value", "why"), EDITS, ids=[f"{e[0]}-{'.'.join(e[1])}" for e in EDITS]
)
def test_a_number_edited_by_hand_leaves_the_record_out(
    tmp_path: Path, made: str, place: tuple[str, ...], value: object, why: str
) -> None:
    path = MADE[made](tmp_path) / RECORD
    edit(path, place, value)
    stored, faults = read_records(tmp_path)
    assert stored == []
    assert why in str(faults[0])
    assert str(faults[0]).startswith(str(path.parent.relative_to(tmp_path)))


def edit(path: Path, place: tuple[str, ...], value: object) -> None:
    fields = part = json.loads(path.read_text())
    for name in place[:-1]:
        part = part[name]
    assert part[place[-1]] != value
    part[place[-1]] = value
    path.write_text(json.dumps(fields))


def halved(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join(lines[: len(lines) // 2])


SPOILT: list[tuple[str, str, Callable[[bytes], bytes | None], str]] = [
    ("cifar", CURVE, halved, "history.csv"),
    ("censored", CURVE, halved, "history.csv"),
    ("alexnet", CURVE, halved, "history.csv"),
    (
        "alexnet",
        CURVE,
        lambda old: old.replace(b"\n", b"\r\n").replace(b"156,", b"157,", 1),
        "does not follow",
    ),
    ("cifar", CURVE, lambda old: re.sub(rb"(,1\.\d+,)2", rb"\g<1>3", old), "history.csv"),
    ("cifar", CURVE, lambda old: b"".join(old.splitlines(keepends=True)[:1]), "history.csv"),
    (
        "cifar",
        CURVE,
        lambda old: old.replace(b"train_error", b"error", 1),
        "history.csv is broken (its columns are",
    ),
    ("cifar", CURVE, lambda old: old[:-9], "history.csv is broken"),
    ("cifar", CURVE, lambda old: re.sub(rb",1\.\d+,", b",nan,", old, count=1), "not finite"),
    (
        "cifar",
        CURVE,
        lambda old: re.sub(rb",1\.\d+,", b",x,", old, count=1),
        "history.csv is broken",
    ),
    ("cifar", CURVE, lambda _: b"\xff\xfe\x00", "history.csv is broken (not UTF-8 text)"),
    ("cifar", CURVE, lambda _: b"", "history.csv is broken"),
    ("cifar", CURVE, lambda _: None, "history.csv is missing"),
    ("cifar", CORRECT, lambda _: None, "correct.npy is missing"),
    ("alexnet", CORRECT, lambda _: None, "correct.npy is missing"),
    ("average", CORRECT, lambda _: None, "correct.npy is missing"),
    ("cifar", CORRECT, lambda old: old[:-1], "correct.npy is cut short"),
    ("cifar", CORRECT, lambda old: old + b"\0", "correct.npy is too long"),
    ("cifar", CORRECT, lambda old: old[:-600] + bytes(600), "test_error is"),
    ("average", CORRECT, lambda old: old[:-1] + b"\xff", "top1_ten is"),
    ("cifar", CORRECT, lambda old: old.replace(b"|u1", b"|i1"), "is no array of |u1"),
    ("cifar", CORRECT, lambda old: old.replace(b"(1250,)", b"(9999,)"), "correct.npy is cut short"),
    ("cifar", CORRECT, lambda _: b"", "is no array"),
    ("cifar", CORRECT, lambda _: b"\x80\x04\x95 a pickle", "is no array"),
    ("alexnet", KERNELS, lambda _: as_bytes(kernels(1)), "colour_gap is"),
]


def as_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("made", "name", "spoil", "why"),
    SPOILT,
    ids=[f"{s[0]}-{s[1]}-{k}" for k, s in enumerate(SPOILT)],
)
def test_evidence_that_was_changed_leaves_the_record_out(
    tmp_path: Path, made: str, name: str, spoil: Callable[[bytes], bytes | None], why: str
) -> None:
    path = MADE[made](tmp_path) / name
    assert read_records(tmp_path)[1] == [], "and so it is remembered as whole"
    content = spoil(path.read_bytes())
    assert content != path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)
    stored, (fault,) = read_records(tmp_path)
    assert stored == []
    assert why in str(fault)
    assert not fault.unreadable


@pytest.mark.parametrize("made", ["cifar", "alexnet"])
@pytest.mark.parametrize("part", ["claim", "variant", "name", "repeat"])
def test_a_record_elsewhere_than_it_says_is_left_out(tmp_path: Path, made: str, part: str) -> None:
    folder = MADE[made](tmp_path)
    other = {
        "claim": tmp_path / "records" / "other" / folder.parent.name / folder.name,
        "variant": folder.parent.with_name("other") / folder.name,
        "name": folder.with_name(f"{folder.name}-old"),
        "repeat": folder.with_name(f"{folder.name}-r2b"),
    }[part]
    other.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(other)
    stored, (fault,) = read_records(tmp_path)
    assert stored == []
    assert "does not belong here" in str(fault)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_copy_under_another_seed_is_left_out_with_what_it_is_of(
    tmp_path: Path, seed: int
) -> None:
    """Nobody can say which of the two is the copy. A repeat of its own has its own time."""
    for made in (cifar, censored, alexnet):
        folder = made(tmp_path)
    copy = Path(
        shutil.copytree(
            folder,
            folder.with_name(folder.name.replace("seed0", f"seed{seed}") + "-r2" * (seed == 0)),
        )
    )
    if seed:
        edit(copy / RECORD, ("seed",), seed)
    for _ in range(2):
        stored, faults = read_records(tmp_path)
        assert len(stored) == (2 if seed else 4)
        assert [
            ("is that of" in str(fault), "one is a copy" in str(fault)) for fault in faults
        ] == [(True, True)] * 2 * seed
        assert {Path(fault.where).parent.name for fault in faults} == (
            {folder.name, copy.name} if seed else set()
        )


@pytest.mark.parametrize("count", [2, 3])
def test_runs_that_lose_their_loss_in_the_first_row_are_no_copies(
    tmp_path: Path, count: int
) -> None:
    """Their histories are all the same: a header."""
    lost = [
        make_record(arm, seed, epochs=None, status="diverged")
        for arm, seed in (("tanh", 0), ("tanh", 1), ("relu", 0))
    ]
    for record in lost[:count]:
        trained = {name: metric for name, metric in record.metrics.items() if name != "test_error"}
        store_record(tmp_path, record.model_copy(update={"metrics": trained}))
    for _ in range(2):
        stored, faults = read_records(tmp_path)
        assert (len(stored), faults) == (count, [])


def pointer(path: Path) -> None:
    path.write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 12345\n"
    )


def annexed(path: Path) -> None:
    path.write_text("/annex/objects/SHA256E-s12345--4d7a21.csv\n")


def conflict(path: Path) -> None:
    path.write_text(f"<<<<<<< HEAD\n{path.read_text()}=======\n{path.read_text()}>>>>>>> theirs\n")


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "gone")


def moved_folder(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.symlink_to("gone")


def newer(path: Path) -> None:
    edit(path, ("schema_version",), 7)


UNREADABLE = [
    (pointer, RECORD, "run `git lfs pull`"),
    (pointer, CURVE, "run `git lfs pull`"),
    (pointer, CORRECT, "run `git lfs pull`"),
    (annexed, CURVE, "run `git annex get`"),
    (conflict, RECORD, "the marks of a merge conflict"),
    (conflict, CURVE, "the marks of a merge conflict"),
    (dangling, RECORD, "is reached through a broken symlink"),
    (dangling, CORRECT, "is reached through a broken symlink"),
    (moved_folder, RECORD, "a broken symlink"),
    (newer, RECORD, "was made by a newer version of this suite (schema 7); update it"),
]


def small_set(results: Path) -> None:
    """Two seeds of each arm and a report of its own."""
    store(
        results,
        *(
            make_record(arm, seed, epochs=epochs)
            for arm, epochs in (("relu", 6.1), ("tanh", 36.5))
            for seed in (0, 1)
        ),
    )
    assert CliRunner().invoke(app, ["report", "--results", str(results)]).exit_code == 0


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`small_set`, to be copied."""
    results = tmp_path_factory.mktemp("once") / "r"
    small_set(results)
    return results


@pytest.fixture
def results(once: Path, tmp_path: Path) -> Path:
    """A small set with its report."""
    return Path(shutil.copytree(once, tmp_path / "r"))


def said_by(command: str, results: Path) -> tuple[int, str]:
    """Status and standard error of a command that only reads."""
    arguments = [
        str(results.parent / "r") if word == "OTHER" else word for word in READERS[command]
    ]
    done = CliRunner().invoke(app, [*arguments, "--results", str(results)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stderr


@pytest.mark.parametrize(
    ("spoil", "name", "why"), UNREADABLE, ids=[f"{s.__name__}-{n}" for s, n, _ in UNREADABLE]
)
def test_what_cannot_be_read_is_named_by_every_command(
    results: Path, spoil: Callable[[Path], None], name: str, why: str
) -> None:
    folder = next((results / "records" / "fig1_relu" / "tanh").glob("*-seed1-*"))
    spoil(folder / name)
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    for command in READERS:
        status, said = said_by(command, results)
        assert status == 4, command
        assert why in said, command
        assert folder.name in said, command
    assert {path: path.read_bytes() for path in before} == before, "the report stays as it was"


@pytest.mark.parametrize(
    "arguments",
    [["cancel", "fig1_relu"], ["logs", "fig1_relu/tanh/paper-seed1"]],
    ids=["cancel", "logs"],
)
def test_commands_on_jobs_name_it_too(results: Path, arguments: list[str]) -> None:
    folder = next((results / "records" / "fig1_relu" / "tanh").glob("*-seed1-*"))
    pointer(folder / CURVE)
    write_job(results, planned("tanh", 1), new_job("1", "local", results))
    done = CliRunner().invoke(app, [*arguments, "--results", str(results)])
    assert done.exit_code == 4, done.output
    assert f"{folder.name}/history.csv is a pointer of Git LFS" in done.stderr


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("name", ["nowhere", "a file"])
def test_a_results_folder_that_is_not_there_is_an_error(
    tmp_path: Path, command: str, name: str
) -> None:
    (tmp_path / "a file").write_text("")
    status, said = said_by(command, tmp_path / name)
    assert (status, len(said.splitlines())) == (2, 1)
    assert "there is no results folder" in said
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("command", ["list", "status", "report"])
def test_a_folder_of_other_things_is_no_results_folder(tmp_path: Path, command: str) -> None:
    (tmp_path / "report.md").write_text("my own")
    status, said = said_by(command, tmp_path)
    assert (status, len(said.splitlines())) == (2, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


@pytest.fixture
def shared() -> Iterator[Path]:
    """A whole set with its report, in a folder that any user may read, unlike pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "r"
        small_set(results)
        for path in [results.parent, *results.parent.rglob("*")]:
            path.chmod(0o777)
        yield results


@pytest.mark.parametrize("command", READERS)
def test_a_user_without_permission_is_told(shared: Path, command: str) -> None:
    folder = next((shared / "records" / "fig1_relu" / "tanh").glob("*-seed1-*"))
    assert said_by(command, shared)[0] == 0, "and imports what the other user may not"
    before = {path: path.read_bytes() for path in shared.iterdir() if path.is_file()}
    for locked in [
        *folder.parents[: len(folder.relative_to(shared).parts) - 1],
        folder,
        folder / RECORD,
        folder / CORRECT,
    ]:
        mode = locked.stat().st_mode
        locked.chmod(0)
        with without_privileges():
            status, said = said_by(command, shared)
        locked.chmod(mode)
        assert status == 4, (locked, said)
        assert "cannot be read (Permission denied)" in said
        assert str(locked.relative_to(shared)) in said
    assert {path: path.read_bytes() for path in before} == before


VERSIONS = [
    (None, "names no schema version"),
    ("new", "no whole number"),
    (True, "no whole number"),
    (2.5, "no whole number"),
    (0, "is of schema 0"),
    (10**30, "newer version"),
]


@pytest.mark.parametrize(
    ("version", "why"), VERSIONS, ids=[str(version) for version, _ in VERSIONS]
)
def test_records_of_other_versions_are_named(tmp_path: Path, version: object, why: str) -> None:
    path = cifar(tmp_path) / RECORD
    fields = json.loads(path.read_text())
    if version is None:
        del fields["schema_version"]
    else:
        fields["schema_version"] = version
    path.write_text(json.dumps(fields))
    stored, (fault,) = read_records(tmp_path)
    assert stored == []
    assert why in str(fault)
    assert json.loads(path.read_text()) == fields


def test_what_is_no_folder_of_a_record_is_passed_over(tmp_path: Path) -> None:
    folder = cifar(tmp_path)
    (tmp_path / "records" / "README").write_text("")
    (folder.parent / "notes.txt").write_text("")
    (folder.parent / ".paper-seed3-0.12.partial").mkdir()
    assert read_records(tmp_path)[1] == []
    (folder.parent / "paper-seed3-01234567").mkdir()
    (fault,) = read_records(tmp_path)[1]
    assert str(fault).startswith(
        "records/fig1_relu/relu/paper-seed3-01234567/record.json is missing"
    )


@pytest.fixture
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many records are compared with their evidence by the next reading of `tmp_path`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / f"{tmp_path.name}-cache"))
    examined: list[Path] = []
    before = load.examine

    def counted(record: Any, folder: Path) -> Any:
        examined.append(folder)
        return before(record, folder)

    monkeypatch.setattr(load, "examine", counted)

    def count(**options: bool) -> int:
        examined.clear()
        read_records(tmp_path, **options)
        return len(examined)

    return count


def test_what_was_checked_is_remembered_until_a_file_changes(
    tmp_path: Path, checks: Callable[..., int]
) -> None:
    folders = [cifar(tmp_path), censored(tmp_path), alexnet(tmp_path)]
    assert [checks(), checks(), checks(recheck=True), checks()] == [3, 0, 3, 0]
    for name in (RECORD, CURVE, KERNELS):
        path = folders[2] / name
        before = path.stat()
        path.write_bytes(path.read_bytes())
        # same size, same time: not the same file
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        if name != RECORD:
            assert checks() == 1, name
        assert checks() == 0
    edit(folders[0] / RECORD, ("metrics", "test_error", "value"), 1.0)
    assert (checks(), checks()) == (1, 1), "only what is whole is remembered"


HOSTILE = [b"", b"{", b"[]", b"null", b"\xff", b'{"records": 1}', b"[" * 100_000, b'{"a": {}}']


@pytest.mark.parametrize("content", HOSTILE)
def test_a_broken_memory_is_as_good_as_none(
    tmp_path: Path, checks: Callable[..., int], content: bytes
) -> None:
    cifar(tmp_path)
    checks()
    memory = Checked(tmp_path)._file()
    memory.write_bytes(content)
    assert (checks(), checks()) == (1, 0)
    memory.unlink()
    memory.mkdir()
    assert (checks(), checks()) == (1, 1), "what cannot be written costs no command"
