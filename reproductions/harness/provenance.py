"""What made a record: the commit, the machine and its versions. Imports no torch."""

import importlib.metadata
import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from reproductions.harness.places import REPOSITORY

CODE = ("alexnet", "reproductions/harness", "reproductions/__main__.py")  # what a claim file says stands in the records


@cache
def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Commit and whether code outside of claim files differs from it, as of the first call; (None, None) outside a git checkout.

    Asked once per process, since a process goes on with the code that it loaded.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", *CODE))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def here() -> dict[str, Any]:
    """What a record made in this process would say of its machine and code, as far as that decides nothing."""
    commit = git_state(REPOSITORY)[0]
    threads = len(os.sched_getaffinity(0))
    return {"commit": commit and commit[:10], "hardware": hardware(), "threads": threads, **versions()}


def uncommitted() -> bool:
    """Whether the code at hand differs from its commit; False where there is no git."""
    return bool(git_state(REPOSITORY)[1])


def hardware() -> str:
    """The kind of machine that a run of this process would be made on, as records name it."""
    if not Path("/dev/nvidiactl").exists():  # asking torch takes seconds
        return cpu_model()
    import torch  # noqa: PLC0415

    return torch.cuda.get_device_name() if torch.cuda.is_available() else cpu_model()


@cache
def cpu_model() -> str:
    """The processor's name and the widest instructions that matter here."""
    name, flags = platform.processor() or platform.machine(), ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields = dict(line.split(":", 1) for line in cpuinfo.read_text().split("\n\n")[0].splitlines() if ":" in line)
        fields = {key.strip(): value.strip() for key, value in fields.items()}
        name, flags = fields.get("model name", name), fields.get("flags", "")
    for wanted, label in (("amx_bf16", "AMX bf16"), ("avx512_bf16", "AVX-512 bf16"), ("avx512f", "AVX-512"), ("avx2", "AVX2")):
        if wanted in flags.split():
            return f"{name} ({label})"
    return name


def versions() -> dict[str, str]:
    """Versions of what computes the numbers."""
    named = {name: importlib.metadata.version(name) for name in ("torch", "numpy")}
    return {"python": platform.python_version(), **named, "system": f"{platform.system()} {platform.machine()}"}
