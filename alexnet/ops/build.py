"""A C file compiled by this machine's compiler for this machine's processor, once, and loaded."""

import ctypes
import hashlib
import logging
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import torch

from alexnet.io import cache_root, write_atomic

LOG = logging.getLogger(__name__)
# No contraction: with one rounding per operation results are the same whatever the compiler makes
# of a loop. No errno: it would keep square roots out of vectors. Nothing of -ffast-math: a network
# that diverged must show it.
FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC")
# Where the compiler has it; else one thread does all. Then work is shared by torch's own threads,
# which wait for it on all cores: threads of its own made a step of a net with two normalisations
# take 1.07 times as long (2 threads of an AMD EPYC, n = 15).
OPENMP = "-fopenmp"
PER_THREAD = 1 << 16  # values; fewer are not shared among threads


class BuildError(Exception):
    """There is no compiled body that can be used. The message says why, in one line."""


def load(source: Path) -> ctypes.CDLL:
    """The functions of a C file, compiled into the cache folder.

    The file's name tells its source, the flags, the compiler and the processor. Any number of
    processes may ask at once. Where the cache cannot be used, each compiles into the temporary
    folder, after a line of warning. Raises BuildError.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise BuildError("no C compiler `cc` found")
    for flags in ((*FLAGS, OPENMP), FLAGS):
        try:
            return _loaded(compiler, flags, source)
        except subprocess.CalledProcessError as error:
            why = f"the C compiler {compiler} fails ({_first_line(error.stderr)})"
        except OSError as error:
            why = f"the library built by {compiler} cannot be loaded ({_cause(error)})"
    raise BuildError(why)


def threads_for(values: int) -> int:
    """How many threads share so many values."""
    return min(torch.get_num_threads(), 1 + values // PER_THREAD)


def _loaded(compiler: str, flags: tuple[str, ...], source: Path) -> ctypes.CDLL:
    # version and instruction sets, as macros
    target = _output([compiler, "-march=native", "-dM", "-E", "-x", "c", "/dev/null"])
    content = b"\0".join([source.read_bytes(), repr(flags).encode(), target])
    digest = hashlib.sha256(content).hexdigest()[:16]
    cached = cache_root() / "kernels" / f"{source.stem}-{digest}.so"
    with suppress(OSError):
        return ctypes.CDLL(str(cached))
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / cached.name
        _output([compiler, *flags, "-o", str(fresh), str(source), "-lm"])
        try:
            write_atomic(cached, fresh.read_bytes())
            return ctypes.CDLL(str(cached))
        except OSError as error:
            library = ctypes.CDLL(str(fresh))  # stays when its file goes
            where = f"{cached.parent} ({_cause(error)})"
            why = "the cache %s cannot be used; every process compiles %s for itself"
            LOG.warning(why, where, source.name)
            return library


def _output(command: list[str]) -> bytes:
    return subprocess.run(command, capture_output=True, check=True).stdout


def _cause(error: OSError) -> str:
    if "failed to map segment" in str(error):
        return "nothing in this folder may be executed: it is mounted noexec"
    return error.strerror or _first_line(str(error).encode())


def _first_line(text: bytes) -> str:
    return (text.decode(errors="replace").splitlines() or ["no error message"])[0][:200]
