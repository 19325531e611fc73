"""What a machine offers."""

from pathlib import Path

from reproductions.harness.cli.examine import examine
from reproductions.harness.records.files import REPOSITORY
from reproductions.harness.records.provenance import git_state


def states(data: Path | None, results: Path) -> dict[str, str]:
    return {row["what"]: row["state"] for row in examine(data, results)}


def test_all_is_well_with_images(cifar_folder: Path, tmp_path: Path) -> None:
    found = states(cifar_folder, tmp_path / "results")
    assert found["CIFAR-10"] == "ok"
    assert found["results folder"] == "ok"
    assert not (tmp_path / "results").exists(), "looking changes nothing"


def test_what_is_missing_and_what_is_broken(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = states(tmp_path, tmp_path / "file" / "results")
    assert found["CIFAR-10"] == "missing"
    assert found["results folder"] == "broken"
    assert states(tmp_path / "nowhere", tmp_path)["CIFAR-10"] == "broken"


def test_git_is_asked_about_the_code_and_not_about_the_results(tmp_path: Path) -> None:
    (found,) = (row for row in examine(tmp_path, tmp_path) if row["what"] == "git")
    state = git_state(REPOSITORY)
    assert found["state"] == ("ok" if state.commit else "missing")
    assert state.commit or found["found"] == state.why
