"""What made a record: machine, versions, and the commit as git says it. Imports no torch."""

import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from reproductions.harness.records.files import REPOSITORY

REPEATABLE = "bitwise repeatable on one machine with one number of threads"
UNCOMMITTED = (
    "the code has uncommitted changes: these records will be marked and never counted; commit "
    "before you train"
)


def here() -> dict[str, Any]:
    """Informational fields of a record made in this process, as far as they need no torch."""
    commit = git_state(REPOSITORY).commit
    machine = {
        "hardware": hardware(),
        "threads": len(os.sched_getaffinity(0)),
        "processes": 1,
        "determinism": REPEATABLE,
    }
    return {"commit": commit and commit[:10], **machine, **versions()}


def code_notes() -> list[str]:
    """Notes on the code before it makes records: why no commit, or that they will not count."""
    return [line for line in (git_state(REPOSITORY).why, UNCOMMITTED * uncommitted()) if line]


def uncommitted() -> bool:
    """Whether the code at hand differs from its commit; False where there is no git."""
    return bool(git_state(REPOSITORY).dirty)


def hardware(device: str | None = None) -> str:
    """The kind of machine that a run of this process would be made on, as records name it."""
    if not computes_on_gpu(device):
        return cpu_model()
    import torch  # noqa: PLC0415

    return torch.cuda.get_device_name()


def has_driver() -> bool:
    """Whether there is a driver of NVIDIA's, or that of WSL2."""
    return Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()


def computes_on_gpu(device: str | None) -> bool:
    """Whether a run with `--device` as given, or without it, computes on a GPU.

    Torch is asked where there is a driver alone.
    """
    if device == "cpu" or not has_driver():  # asking torch takes seconds
        return False
    import torch  # noqa: PLC0415

    return torch.cuda.is_available()


@cache
def cpu_model() -> str:
    """The processor's name and the widest instructions that matter here."""
    name, flags = platform.processor() or platform.machine(), ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        first = cpuinfo.read_text().split("\n\n")[0]
        lines = (line.partition(":") for line in first.splitlines())
        fields = {key.strip(): value.strip() for key, _, value in lines}
        name, flags = fields.get("model name", name), fields.get("flags", "")
    for wanted, label in (
        ("amx_bf16", "AMX bf16"),
        ("avx512_bf16", "AVX-512 bf16"),
        ("avx512f", "AVX-512"),
        ("avx2", "AVX2"),
    ):
        if wanted in flags.split():
            return f"{name} ({label})"
    return name


def versions() -> dict[str, str]:
    """Versions of what computes the numbers."""
    named = {name: importlib.metadata.version(name) for name in ("torch", "numpy")}
    return {
        "python": platform.python_version(),
        **named,
        "system": f"{platform.system()} {platform.machine()}",
    }


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
