"""The arrays beside a record: which images of a split a network has right, and the kernels of its first layer."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reproductions.harness.record import RecordError

CORRECT, KERNELS = "correct.npy", "kernels.npy"


def array_files(correct: NDArray[np.bool_] | None, kernels: NDArray[np.float32] | None) -> dict[str, bytes]:
    """The files of a record for what there is of both, by name: one bit per image in the split's order, and [maps, 3, S, S]."""
    arrays = {CORRECT: None if correct is None else np.packbits(correct), KERNELS: kernels}
    return {name: _as_bytes(array) for name, array in arrays.items() if array is not None}


def _as_bytes(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def read_kernels(folder: Path) -> NDArray[np.float32] | None:
    """conv1's kernels [maps, 3, S, S] of a record, None where it has none; RecordError if they cannot be read."""
    path = folder / KERNELS
    try:
        return np.load(path, allow_pickle=False) if path.exists() else None
    except (OSError, ValueError, EOFError) as error:
        raise RecordError(f"{path} is broken ({error}); move the folder away and run again") from error
