"""The commit that this checkout is at, as git says it: of this project's own repository or of none.

Imports nothing of ours.
"""

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# files that the repository of this project knows
OWN = ("alexnet/__init__.py", "reproductions/__init__.py")
# without the claim files: records hold what these say
CODE = ("alexnet", "reproductions/harness", "reproductions/__main__.py")
NO_COMMIT = "records will name no commit"


@dataclass(frozen=True)
class GitState:
    """A commit and which code other than claims differs from it; without a commit, why."""

    commit: str | None = None
    changed: tuple[str, ...] = ()  # paths of such code, as of the first call
    why: str = ""  # there is no commit to name, in words

    @property
    def dirty(self) -> bool | None:
        """Whether code outside of claim files differs from the commit; None where there is none."""
        return bool(self.changed) if self.commit else None


@cache
def git_state(folder: Path) -> GitState:
    """Git's state of a folder, asked once: a process computes with the code that it loaded."""
    try:
        found = _git(folder, "rev-parse", "--show-toplevel")
        if found.returncode:
            return GitState(why=_why(found.stderr))
        if not Path(found.stdout.rstrip("\n")).samefile(folder):
            return GitState(
                why=f"the git repository around {folder} is another project's; {NO_COMMIT}"
            )
        return _state(folder)
    except FileNotFoundError:
        return GitState(why=f"git is not installed; {NO_COMMIT}")
    except OSError as error:
        return GitState(why=f"git cannot be asked ({error.strerror}); {NO_COMMIT}")


def _state(folder: Path) -> GitState:
    head = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if head.returncode:
        return GitState(why=f"the git repository {folder} has no commit yet; {NO_COMMIT}")
    if _git(folder, "ls-files", "--error-unmatch", "--", *OWN).returncode:
        return GitState(why=f"the git repository {folder} does not hold this project; {NO_COMMIT}")
    status = _git(folder, "status", "--porcelain", "--", *CODE)
    if status.returncode:
        return GitState(why=_why(status.stderr))
    return GitState(head.stdout.strip(), tuple(line[3:] for line in status.stdout.splitlines()))


def _why(said: str) -> str:
    """Git's refusal in one line, with what to do about it."""
    if "dubious ownership" in said:
        advice = "`git config --global --add safe.directory FOLDER` allows it"
        return f"git refuses this folder, which belongs to another user ({advice}); {NO_COMMIT}"
    if "not a git repository" in said:
        return f"this is no git checkout; {NO_COMMIT}"
    return f"git says: {(said.strip().splitlines() or ['nothing'])[0]}; {NO_COMMIT}"


def _git(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Ask git about a folder, ignoring the repository named by the environment (as in a hook)."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        env={**clean, "LC_ALL": "C"},
    )
