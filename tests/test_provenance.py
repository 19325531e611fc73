"""Commit and machine of a record."""

from pathlib import Path

from reproductions.harness import provenance


def test_git_state(tmp_path: Path) -> None:
    commit, dirty = provenance.git_state(Path(__file__).parent)
    assert commit is None or (len(commit) == 40 and isinstance(dirty, bool))
    assert provenance.git_state(tmp_path) == (None, None)
