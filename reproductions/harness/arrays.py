"""The arrays beside a record: which images of a split a network has right, and the kernels of its first layer."""

import io

import numpy as np
from numpy.typing import NDArray

from reproductions.harness.evidence import CORRECT, KERNELS, kernels_of
from reproductions.harness.record import Stored


def array_files(correct: NDArray[np.bool_] | None, kernels: NDArray[np.float32] | None) -> dict[str, bytes]:
    """The files of a record for what there is of both, by name: one bit per image in the split's order, and [maps, 3, S, S]."""
    arrays = {CORRECT: None if correct is None else np.packbits(correct), KERNELS: kernels}
    return {name: _as_bytes(array) for name, array in arrays.items() if array is not None}


def _as_bytes(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def read_kernels(item: Stored) -> NDArray[np.float32] | None:
    """conv1's kernels [maps, 3, S, S] of a record, None where it has none; EvidenceError if they are not its network's."""
    weights = kernels_of(item.record, item.folder)
    if weights is None:
        return None
    side = item.record.config["conv_kernels"][0]
    return np.array(weights, np.float32).reshape(len(weights), 3, side, side)
