"""What made a record: the machine and its versions, beside the commit (git.py).

Imports no torch.
"""

import importlib.metadata
import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

from reproductions.harness.records.git import git_state
from reproductions.harness.records.paths import REPOSITORY

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
