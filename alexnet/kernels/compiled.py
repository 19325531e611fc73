"""C files compiled by this machine's compiler for this machine's processor, once, and loaded."""

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch

from alexnet.files import cache_root, write_atomic

# No contraction: with one rounding per operation results are the same whatever the compiler makes of a loop. No errno: it would
# keep square roots out of vectors. Nothing of -ffast-math: a network that diverged must show it.
FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC")
# Where the compiler has it; else one thread does all. Then work is shared by torch's own threads, which wait for it on all cores:
# threads of its own made a step of a net with two normalisations take 1.07 times as long (2 threads of an AMD EPYC, n = 15).
OPENMP = "-fopenmp"
PER_THREAD = 1 << 16  # values; fewer are not shared among threads


@cache
def library(source: Path) -> ctypes.CDLL | None:
    """The functions of a C file, compiled into the cache folder; None where there is no compiler `cc` or it fails.

    The file's name tells its source, the flags, the compiler and the processor. Any number of processes may ask at once.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    for flags in ((*FLAGS, OPENMP), FLAGS):
        try:
            return ctypes.CDLL(str(_made(compiler, flags, source)))
        except (OSError, subprocess.CalledProcessError):
            continue
    return None


def threads_for(values: int) -> int:
    """How many threads share so many values."""
    return min(torch.get_num_threads(), 1 + values // PER_THREAD)


def _made(compiler: str, flags: tuple[str, ...], source: Path) -> Path:
    target = _output([compiler, "-march=native", "-dM", "-E", "-x", "c", "/dev/null"])  # version and instruction sets, as macros
    digest = hashlib.sha256(b"\0".join([source.read_bytes(), repr(flags).encode(), target])).hexdigest()[:16]
    path = cache_root() / "kernels" / f"{source.stem}-{digest}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            fresh = Path(folder) / path.name
            _output([compiler, *flags, "-o", str(fresh), str(source), "-lm"])
            write_atomic(path, fresh.read_bytes())
    return path


def _output(command: list[str]) -> bytes:
    return subprocess.run(command, capture_output=True, check=True).stdout
