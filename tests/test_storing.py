"""What a run made is stored, or its checkpoint stays; a full or locked disk is found at once."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from machine import without_privileges
from records import git_tree

from alexnet.config import AlexNetConfig
from alexnet.data.imageset import ImageSet
from alexnet.io import is_locked
from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.errors import RecordError, UnreadableError
from reproductions.harness.execute import metrics as measure
from reproductions.harness.execute import run as running
from reproductions.harness.execute.context import RunContext, set_up
from reproductions.harness.execute.run import make
from reproductions.harness.launch import job as segment
from reproductions.harness.launch import request as requests
from reproductions.harness.records.load import read_records

CLAIM = discover()["fig1_relu"]
RUNS = [
    run
    for run in planned_runs(CLAIM, "smoke")
    if run.purpose == "verdict" and run.variant == "relu"
]
NET = planned_runs(discover()["ten_view_gain"], "smoke")[0]


@pytest.fixture
def bench(splits: dict[str, ImageSet], tmp_path: Path) -> RunContext:
    return RunContext(tmp_path / "r", {"synthetic": splits}, set_up("cpu", 1), 1, precision="fp32")


class Stop(Exception):  # noqa: N818
    pass


def stop(_: object) -> None:
    raise Stop


def checkpoint_of(bench: RunContext, run: PlannedRun) -> Path:
    """The file of a run that was stopped after its first row."""
    with pytest.raises(Stop):
        make(run, CLAIM, bench, stop)
    (path,) = (bench.root / ".work").glob(f"*-seed{run.seed}-*.pt")
    return path


def test_a_run_that_fails_at_its_end_keeps_what_it_trained(
    bench: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that runs out of memory when it is measured."""
    rows = list[object]()

    def no_memory(*_: object) -> Any:
        raise RuntimeError("CUDA out of memory")

    with monkeypatch.context() as short:
        short.setitem(measure.MEASURES, AlexNetConfig, no_memory)
        make(NET, CLAIM, bench, rows.append)
    (failed,) = read_records(bench.root)[0]
    assert (failed.record.status, failed.record.failure) == ("failed", "CUDA out of memory")
    assert [path.suffix for path in (bench.root / ".work").iterdir()] == [".pt"]
    trained = len(rows)
    make(NET, CLAIM, bench, rows.append)
    (whole,) = (item for item in read_records(bench.root)[0] if item.record.status == "ok")
    assert (len(rows), whole.record.cost.attempts) == (trained, 2), "nothing was trained again"
    assert not list((bench.root / ".work").iterdir())


@pytest.mark.parametrize(
    ("before", "after"), [(True, False), (False, True), (False, False), (True, None)]
)
def test_uncommitted_code_marks_all_that_goes_on_from_it(
    bench: RunContext,
    before: bool,
    after: bool | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Edit, train, Ctrl-C, put the edit away, train on: that is no network of the commit."""
    monkeypatch.setattr(running, "git_state", lambda _: git_tree(before))
    checkpoint_of(bench, NET)
    monkeypatch.setattr(running, "git_state", lambda _: git_tree(after))
    make(NET, CLAIM, bench)
    (made,) = read_records(bench.root)[0]
    assert (made.record.cost.attempts, made.record.code.dirty) == (2, before or after)
    assert ("uncommitted code made a part of this training" in capsys.readouterr().out) == (
        before and not after
    )


@pytest.mark.parametrize(
    ("sent", "here", "dirty"),
    [(True, None, True), (False, None, False), (None, None, None), (True, False, False)],
)
def test_where_git_cannot_be_asked_the_sending_tree_says_what_the_code_is(
    bench: RunContext,
    sent: bool | None,
    here: bool | None,
    dirty: bool | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(segment, "choose_data", lambda *_, **__: ("smoke", bench.images, "images"))
    monkeypatch.setattr(requests, "git_state", lambda _: git_tree(sent))
    job = requests.JobRequest(NET, "ten_view_gain", bench.root, None).job("cpu", 1)
    monkeypatch.setattr(running, "git_state", lambda _: git_tree(here))
    job._make(discover()["ten_view_gain"])
    (made,) = read_records(bench.root)[0]
    assert made.record.code.dirty is dirty


def test_work_on_another_file_system(bench: RunContext, elsewhere: Path) -> None:
    """Checkpoints there, and weights moved from there to the record, also to an older record."""
    bench.root.mkdir()
    (bench.root / ".work").symlink_to(elsewhere, target_is_directory=True)
    folder = make(NET, CLAIM, bench)
    assert folder is not None
    content = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").unlink()
    assert make(NET, CLAIM, bench) == folder
    assert (folder / "weights.safetensors").read_bytes() == content
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("place", ["records/fig1_relu/relu", "records"])
def test_that_no_record_can_be_written_is_found_before_the_first_step(
    bench: RunContext, place: str
) -> None:
    make(RUNS[1], CLAIM, bench)  # imports what the other user may not
    rows: list[object] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "r"
        (root / place).mkdir(parents=True)
        (root / ".work").mkdir()
        for path in (Path(folder), *Path(folder).rglob("*")):
            path.chmod(0o777)
        (root / place).chmod(0o555)
        with (
            without_privileges(),
            pytest.raises(RecordError, match=r"no record can be written to .*: Permission denied"),
        ):
            make(RUNS[0], CLAIM, replace(bench, root=root), rows.append)
        assert rows == []
        assert not any(is_locked(path) for path in (root / ".work").iterdir())


def test_a_record_that_cannot_be_read_is_not_made_again(bench: RunContext) -> None:
    folder = make(RUNS[0], CLAIM, bench)
    assert folder is not None
    (folder / "history.csv").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(
        UnreadableError,
        match=r"history\.csv is a pointer of Git LFS .*may hold the record of "
        r"fig1_relu/relu/smoke-seed0",
    ):
        make(RUNS[0], CLAIM, bench)
    assert make(RUNS[1], CLAIM, bench) is not None, "another run is not concerned"
    again = make(RUNS[0], CLAIM, bench, force=True)
    assert again == folder.with_name(f"{folder.name}-r2")
