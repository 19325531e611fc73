"""Where runs are made: images, device and results folder, and what a record says of them."""

import ctypes
import os
import resource
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from alexnet.distributed import rank_and_world_size
from alexnet.ops import lrn
from alexnet.precision import PRECISIONS
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.plan.choose_data import Images, fingerprints_of
from reproductions.harness.plan.counted import Way
from reproductions.harness.records import provenance
from reproductions.harness.records.files import WORKSPACE
from reproductions.harness.records.schema import COMPILED, Data, Machine

# Variables that choose the instructions of libraries on a processor, and so their rounding.
INSTRUCTIONS = (
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "OPENBLAS_CORETYPE",
)
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h


@dataclass(frozen=True)
class RunContext:
    """Where runs are made: the images by data set, the device and the results folder."""

    root: Path  # results folder
    images: Images
    device: torch.device
    threads: int
    precision: str | None = None  # of --precision; None: `execute.precision` chooses
    compiled: bool = False  # train through torch.compile
    dirty: bool = False  # the code is uncommitted: records of such code answer, too

    @property
    def hardware(self) -> str:
        """The class of the processor or accelerator that computes."""
        return (
            torch.cuda.get_device_name() if self.device.type == "cuda" else provenance.cpu_model()
        )

    @property
    def way(self) -> Way:
        """How runs are made here: only a record made that way completes a pair."""
        return Way(precision=self.precision, compiled=self.compiled)

    def recorded(self, precision: str) -> str:
        """A precision as the record of a run trained here names it."""
        return precision + COMPILED * (self.compiled and precision in PRECISIONS)

    @property
    def arithmetic(self) -> list[Any]:
        """All that decides the rounding of numbers here but the versions of libraries."""
        return [
            self.hardware,
            self.threads,
            {name: os.environ[name] for name in INSTRUCTIONS if name in os.environ},
        ]

    @property
    def fingerprints(self) -> dict[str, str]:
        """One digest for both splits of each data set."""
        return fingerprints_of(self.images)


def set_up(device_name: str | None, threads: int) -> torch.device:
    """Choose the device and make its arithmetic repeatable.

    Raises ValueError if the device is not there.
    """
    device = choose_device(device_name)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", WORKSPACE)
    # Convolutions in "fp32" are TF32 on Ampere and newer otherwise, and bf16 is compared with fp32.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    _keep_freed_memory()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid that costs time
    return device


def choose_device(device_name: str | None) -> torch.device:
    """The device of this name; without a name CUDA if there is a GPU, else the processor.

    Raises ValueError, one line, if there is no such device or torch does not support it.
    """
    if device_name is None:
        device_name = "cuda" if torch.cuda.is_available() else "cpu"
    if device_name not in ("cpu", "cuda"):
        raise ValueError(f"no device is called {device_name!r}; say --device cpu or --device cuda")
    if device_name == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"{why_no_cuda()}; leave --device out or give --device cpu")
    if device_name == "cuda":
        check_card(torch.cuda.get_device_capability(), torch.cuda.get_arch_list())
    return torch.device(device_name)


def why_no_cuda() -> str:
    """Why torch sees no GPU, in a few words."""
    if torch.version.cuda is None:
        return "this torch is built without CUDA"
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides every GPU"
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    # such as "The NVIDIA driver on your system is too old (found version 11040)."
    except (RuntimeError, AssertionError) as error:
        return str(error).split(". ")[0].splitlines()[0]
    return "no CUDA device found"


def check_card(capability: tuple[int, int], built_for: Sequence[str]) -> None:
    """Raise ValueError if this torch has no code for a card of this generation."""
    major, minor = capability
    for arch in built_for:
        kind, _, version = arch.partition("_")
        digits = version.rstrip("abcdefghijklmnopqrstuvwxyz")
        # a binary runs on later cards of its generation, PTX on all later cards
        if kind == "sm" and digits[:-1] == str(major) and int(digits[-1]) <= minor:
            return
        if kind == "compute" and version.isdigit() and int(version) <= 10 * major + minor:
            return
    raise ValueError(
        f"this PyTorch build supports {', '.join(built_for)}, not this GPU "
        f"(sm_{major}{minor}); install another"
    )


def _keep_freed_memory() -> None:
    """Tell glibc to reuse what it has instead of returning it to the kernel after every step.

    A step frees and asks again for tens of megabytes; fresh pages must be zeroed by the kernel each
    time.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc only
        for parameter, value in (
            (M_MMAP_THRESHOLD, 1 << 30),
            (M_TRIM_THRESHOLD, (1 << 31) - 1),
            (M_TOP_PAD, 1 << 28),
        ):
            libc.mallopt(parameter, value)


def data_of(context: RunContext, dataset: str) -> Data:
    """The images of a data set, for a record."""
    training, test = (context.images[dataset][split].meta for split in ("train", "test"))
    return Data(
        name=training.name,
        fingerprint=context.fingerprints[dataset],
        canonical=training.canonical and test.canonical,
        source=training.source,
        train_images=training.count,
        test_images=test.count,
    )


def versions_of(run: PlannedRun, context: RunContext) -> dict[str, str]:
    """Versions of the libraries that compute, and for an AlexNet the implementation of LRN."""
    return provenance.versions() | (
        {"norm": lrn.backend(context.device)} if run.kind == "train" and run.shared else {}
    )


def machine_of(run: PlannedRun, context: RunContext, precision: str) -> Machine:
    """The machine, for a record."""
    return Machine(
        hardware=context.hardware,
        device="cuda" if context.device.type == "cuda" else "cpu",
        threads=context.threads,
        processes=rank_and_world_size()[1],
        precision=precision,
        determinism="as torch.compile leaves it"
        if COMPILED in precision
        else provenance.REPEATABLE,
        versions=versions_of(run, context),
    )


def reset_peak_memory(device: torch.device) -> None:
    """Restart the measurement of `peak_memory`."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return
    # where the system forbids it, the peak is that of the process so far
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory(device: torch.device) -> int:
    """Peak memory in bytes since `reset_peak_memory`: of the GPU if used, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
