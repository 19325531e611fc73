"""From a planned run to its record: what makes a run unnecessary, and what is never lost."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from machine import without_privileges
from records import git_tree
from typer.testing import CliRunner

from alexnet.io import is_locked
from reproductions.__main__ import app
from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.errors import RecordError, UnreadableError
from reproductions.harness.execute import run as running
from reproductions.harness.execute import tasks
from reproductions.harness.execute.context import RunContext
from reproductions.harness.execute.run import make
from reproductions.harness.launch import job as segment
from reproductions.harness.launch import job_files as requests
from reproductions.harness.records.load import read_records, records_of
from reproductions.harness.records.store import folder_of

NET = planned_runs(discover()["ten_view_gain"], "smoke")[0]
FIGURE_1 = next(r for r in planned_runs(discover()["fig1_relu"], "smoke") if r.purpose != "sweep")
CLAIM = discover()["ten_view_gain"]


@pytest.fixture
def context(context: RunContext) -> RunContext:
    return replace(context, precision="fp32")


def stop(_: object) -> None:
    raise KeyboardInterrupt


def interrupted(context: RunContext) -> None:
    """Stop after the first row, with a checkpoint."""
    with pytest.raises(KeyboardInterrupt):
        make(NET, CLAIM, context, stop)


@pytest.mark.parametrize("run", [NET, FIGURE_1], ids=str)
def test_another_machines_record_does_not_save_the_work(
    run: PlannedRun, context: RunContext
) -> None:
    """Otherwise one arm would stay the other machine's, and the two would never be compared."""
    made = make(run, CLAIM, context)
    assert made is not None
    (item,), _ = read_records(context.root)
    machine = item.record.machine.model_copy(update={"hardware": "another"})
    changed = {"machine": machine, "started": "2020-01-01T00:00:00Z"}
    theirs = item.record.model_copy(update=changed)
    folder = shutil.move(made, folder_of(context.root, theirs))
    (folder / "record.json").write_text(theirs.model_dump_json())
    assert make(run, CLAIM, context) == made
    hardware = {item.record.machine.hardware for item in read_records(context.root)[0]}
    assert hardware == {"another", context.hardware}
    assert make(run, CLAIM, context) == made, "though the other machine's is the earlier one"


def test_a_copy_of_another_runs_record_does_not_save_the_work(context: RunContext) -> None:
    """The plan skips both, so both are made again."""
    two = replace(NET, seed=1)
    folder = make(NET, CLAIM, context)
    assert folder is not None
    copy = Path(shutil.copytree(folder, folder.with_name(folder.name.replace("seed0", "seed1"))))
    path = copy / "record.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    for run in (NET, two):
        stored, (fault,) = read_records(context.root, run)
        assert stored == records_of(context.root, run) == []
        assert fault.why.endswith("one is a copy")
    made = make(two, CLAIM, context)
    assert made == copy.with_name(f"{copy.name}-r2")
    assert [item.folder for item in read_records(context.root)[0]] == [made]


def test_a_record_of_other_code_does_not_save_the_work(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A committed run is never compared with one of uncommitted code, and the plan lacks it."""
    folders = []
    for dirty in (False, True, True):
        monkeypatch.setattr(running, "git_state", lambda _, dirty=dirty: git_tree(dirty))
        folders.append(make(NET, CLAIM, context))
    assert folders[0] != folders[1] == folders[2]


@pytest.mark.parametrize(("setting", "attempts"), [("AVX2", 2), ("COMPATIBLE", 1)])
def test_a_checkpoint_is_resumed_only_with_the_same_arithmetic(
    setting: str, attempts: int, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    interrupted(context)
    monkeypatch.setenv("MKL_CBWR", setting)
    make(NET, CLAIM, context)
    (item,), _ = read_records(context.root)
    assert item.record.cost.attempts == attempts


def no_memory(*_: object) -> Any:
    raise RuntimeError("CUDA out of memory")


def test_a_run_that_fails_at_its_end_keeps_what_it_trained(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = list[object]()
    with monkeypatch.context() as short:
        short.setattr(tasks, "measure", no_memory)
        make(NET, CLAIM, context, rows.append)
    (failed,) = read_records(context.root)[0]
    assert (failed.record.status, failed.record.failure) == ("failed", "CUDA out of memory")
    assert [path.suffix for path in (context.root / ".work").iterdir()] == [".pt"]
    trained = len(rows)
    make(NET, CLAIM, context, rows.append)
    (whole,) = (item for item in read_records(context.root)[0] if item.record.status == "ok")
    assert (len(rows), whole.record.cost.attempts) == (trained, 2), "nothing was trained again"
    assert not list((context.root / ".work").iterdir())


def test_a_command_whose_run_fails_ends_with_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "measure", no_memory)
    command = ["run", "ten_view_gain", "--scale", "smoke", "--results", str(tmp_path)]
    done = CliRunner().invoke(app, [*command, "--seeds", "0", "--threads", "1"])
    assert done.exit_code == 3
    assert ": failed; record " in done.output


@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True), (True, None)])
def test_uncommitted_code_marks_all_that_goes_on_from_it(
    context: RunContext,
    before: bool,
    after: bool | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Edit, train, Ctrl-C, put the edit away, train on: that is no network of the commit."""
    monkeypatch.setattr(running, "git_state", lambda _: git_tree(before))
    interrupted(context)
    monkeypatch.setattr(running, "git_state", lambda _: git_tree(after))
    make(NET, CLAIM, context)
    (made,) = read_records(context.root)[0]
    assert (made.record.cost.attempts, made.record.code.dirty) == (2, True)
    said = "uncommitted code made a part of this training" in capsys.readouterr().out
    assert said == (before and not after)


@pytest.mark.parametrize(
    ("sent", "here", "dirty"),
    [(True, None, True), (False, None, False), (None, None, None), (True, False, False)],
)
def test_where_git_cannot_be_asked_the_sending_tree_says_what_the_code_is(
    context: RunContext,
    sent: bool | None,
    here: bool | None,
    dirty: bool | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(segment, "choose_data", lambda *_, **__: ("smoke", context.images, ""))
    monkeypatch.setattr(requests, "git_state", lambda _: git_tree(sent))
    job = requests.JobRequest(NET, "ten_view_gain", context.root, None).job("cpu", 1)
    monkeypatch.setattr(running, "git_state", lambda _: git_tree(here))
    job._make(CLAIM)
    (made,) = read_records(context.root)[0]
    assert made.record.code.dirty is dirty


def test_work_on_another_file_system(context: RunContext, elsewhere: Path) -> None:
    """Checkpoints there, and weights moved from there to the record, also to an older record."""
    context.root.mkdir()
    (context.root / ".work").symlink_to(elsewhere, target_is_directory=True)
    folder = make(NET, CLAIM, context)
    assert folder is not None
    content = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").unlink()
    assert make(NET, CLAIM, context) == folder
    assert (folder / "weights.safetensors").read_bytes() == content
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("place", [f"records/{NET.claim}/{NET.variant}", "records"])
def test_that_no_record_can_be_written_is_found_before_the_first_step(
    context: RunContext, place: str
) -> None:
    make(replace(NET, seed=1), CLAIM, context)  # imports what the other user may not
    rows: list[object] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "r"
        (root / place).mkdir(parents=True)
        (root / ".work").mkdir()
        for path in (Path(folder), *Path(folder).rglob("*")):
            path.chmod(0o777)
        (root / place).chmod(0o555)
        said = r"no record can be written to .*: Permission denied"
        with without_privileges(), pytest.raises(RecordError, match=said):
            make(NET, CLAIM, replace(context, root=root), rows.append)
        assert rows == []
        assert not any(is_locked(path) for path in (root / ".work").iterdir())


def test_a_record_that_cannot_be_read_is_not_made_again(context: RunContext) -> None:
    folder = make(NET, CLAIM, context)
    assert folder is not None
    (folder / "history.csv").write_text("version https://git-lfs.github.com/spec/v1\n")
    said = rf"history\.csv is a pointer of Git LFS .*may hold the record of {NET}"
    with pytest.raises(UnreadableError, match=said):
        make(NET, CLAIM, context)
    other = make(replace(NET, seed=1), CLAIM, context)
    assert other is not None, "another run is not concerned"
    again = make(NET, CLAIM, context, force=True)
    assert again == folder.with_name(f"{folder.name}-r2")
