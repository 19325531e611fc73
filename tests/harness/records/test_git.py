"""The commit in a record is this project's or none, and the reason for none is the right one."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reproductions.harness.records.provenance import OWN, GitState, git_state

NOBODY = 65534


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with this project's files and a user without settings of git."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    folder = tmp_path / "outer" / "project"
    for name in OWN:
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("")
    return folder


def committed(folder: Path) -> None:
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "all")


def test_the_projects_own_commit_and_its_changes(project: Path) -> None:
    committed(project)
    clean = git_state(project)
    assert clean.commit is not None
    assert (len(clean.commit), clean.dirty) == (40, False)
    (project / OWN[0]).write_text("changed")
    (project / "notes").write_text("no source")
    git_state.cache_clear()
    assert git_state(project) == GitState(clean.commit, (OWN[0],))
    assert git_state(project).dirty


def unpacked_within_another(project: Path) -> None:
    (project.parent / ".gitignore").write_text("project/\n")
    committed(project.parent)


def without_a_commit(project: Path) -> None:
    git(project, "init", "-q")
    git(project, "add", ".")


def of_another_user(project: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    committed(project)
    for path in [project, *project.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        (lambda _: None, "this is no git checkout"),
        (unpacked_within_another, "is another project's"),
        (lambda folder: committed(folder.parent), "is another project's"),
        (without_a_commit, "has no commit yet"),
        (of_another_user, "belongs to another user"),
    ],
    ids=["no repository", "unpacked", "vendored", "no commit", "owner"],
)
def test_no_other_commit_is_taken_and_the_cause_is_named(
    project: Path, prepare: Callable[[Path], None], why: str
) -> None:
    prepare(project)
    found = git_state(project)
    assert (found.commit, found.dirty) == (None, None)
    assert re.fullmatch(rf".*{why}.*records will name no commit", found.why)


def test_what_the_environment_names_is_not_asked(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As within a hook of another repository."""
    other = tmp_path / "other"
    shutil.copytree(project, other)
    committed(other)
    (project / OWN[0]).write_text("another content")
    committed(project)
    own = git_state(project)
    git_state.cache_clear()
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert git_state(project) == own
    git_state.cache_clear()
    assert git_state(other).commit != own.commit
