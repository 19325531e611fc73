"""What this machine offers to a run, and what is missing."""

import os
import shutil
import tempfile
from pathlib import Path

import torch

from alexnet.data.imageset import DataError
from alexnet.data.sources import data_root, dataset
from alexnet.ops import lrn
from alexnet.precision import native_bf16
from reproductions.harness.execute.context import check_card, why_no_cuda
from reproductions.harness.records import provenance
from reproductions.harness.records.files import REPOSITORY
from reproductions.harness.records.provenance import git_state

Finding = tuple[str, str]  # state (ok, missing or broken) and what was found


def examine(data: Path | None, results: Path) -> list[dict[str, str]]:
    """One row per item: its state ("ok", "missing" if optional, "broken") and what was found."""
    free = shutil.disk_usage(_existing(results)).free / 1e9
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions().items())
    cores = len(os.sched_getaffinity(0))
    slurm = ("ok", "sbatch is there"), ("missing", "no sbatch; runs go to this machine")
    found: dict[str, Finding] = {
        "versions": ("ok", versions),
        "processor": ("ok", f"{provenance.cpu_model()}, {cores} cores for this process"),
        "GPU": _gpu(),
        "number format": ("ok", _format()),
        "C compiler": _compiler(),
        "CIFAR-10": _cifar10(data),
        "results folder": _writable(results),
        "disk": ("ok", f"{free:.0f} GB free under the results folder"),
        "git": _git(),
        "Slurm": slurm[0] if shutil.which("sbatch") else slurm[1],
    }
    return [{"what": what, "state": state, "found": text} for what, (state, text) in found.items()]


def _format() -> str:
    if not native_bf16(torch.device("cuda" if torch.cuda.is_available() else "cpu")):
        return "fp32: no native bf16 here"
    return "bf16 is native: a run takes it where it is faster for its network and agrees with fp32"


def _gpu() -> Finding:
    if not torch.cuda.is_available():
        return "missing", f"{why_no_cuda()}; runs use the processor"
    try:
        check_card(torch.cuda.get_device_capability(), torch.cuda.get_arch_list())
    except ValueError as error:
        return "broken", f"{torch.cuda.get_device_name()}: {error}"
    return "ok", torch.cuda.get_device_name()


def _compiler() -> Finding:
    if lrn.backend(torch.device("cpu")) == "c":
        return "ok", "AlexNet's normalisation is compiled for this processor"
    slow = "AlexNet's normalisation takes about three times as long on the processor"
    return "missing", f"{lrn.why_plain()}; {slow}"


def _cifar10(data: Path | None) -> Finding:
    try:
        root = data_root(data)
        path = dataset("cifar10").find(root)
    except DataError as error:
        return "broken", str(error)
    if path:
        return "ok", str(path)
    return "missing", f"not under {root}; `run` downloads it or uses the synthetic images"


def _existing(folder: Path) -> Path:
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _writable(folder: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)):
            return "ok", f"{folder} can be written"
    except OSError as error:
        why = f"{folder} cannot be written ({error.strerror})"
        return "broken", f"{why}; name another with --results"


def _git() -> Finding:
    state = git_state(REPOSITORY)
    if state.commit is None:
        return "missing", state.why
    count = len(state.changed)
    return "ok", f"{count} changed files; records made now say so" if count else "clean"
