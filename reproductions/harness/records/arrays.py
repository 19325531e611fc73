"""The arrays beside a record: which images a network has right, and its first kernels."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reproductions.harness.records.evidence import kernels_of
from reproductions.harness.records.files import CORRECT, KERNELS, TIES
from reproductions.harness.records.store import Stored


def array_files(
    credit: NDArray[Any] | None, kernels: NDArray[np.float32] | None
) -> dict[str, bytes]:
    """The files of a record for what there is of both, by name.

    `credit` is for every image 1 where its best class is its label, else 0; 1 / n where n classes
    tie for the best, the label among them. It becomes one bit per image, in the split's order, and
    a list of the ties where there are any: image, n.
    """
    arrays: dict[str, NDArray[Any]] = {} if kernels is None else {KERNELS: kernels}
    if credit is not None:
        tied = np.flatnonzero((credit > 0) & (credit < 1))
        arrays[CORRECT] = np.packbits(credit == 1)
        if len(tied):
            arrays[TIES] = np.stack([tied, np.rint(1 / credit[tied])], axis=1).astype("<u4")
    files = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        files[name] = buffer.getvalue()
    return files


def read_kernels(item: Stored) -> NDArray[np.float32] | None:
    """A record's conv1 kernels [maps, 3, S, S] or None; EvidenceError if of the wrong shape."""
    weights = kernels_of(item.record, item.folder)
    if weights is None:
        return None
    side = item.record.config["conv_kernels"][0]
    return np.array(weights, np.float32).reshape(len(weights), 3, side, side)
