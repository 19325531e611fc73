"""What the first kernels of a network look like: colour in two halves, and orientation (§6.1).

Numbers are float64 and the same on every device.
"""

import numpy as np
from numpy.typing import NDArray

SIDE = 64  # of the spectrum, to which kernels are padded with zeros


def gaps_by_chance(shares: NDArray[np.float64], draws: int = 10_000) -> NDArray[np.float64]:
    """The difference of the mean shares [maps] of two random halves: [draws], none below zero.

    What a permutation test of Figure 3 compares the two columns' difference with. The halves are
    drawn by a generator of their own, so that equal shares give equal numbers.
    """
    maps = len(shares)
    order = np.random.default_rng(0).random((draws, maps)).argsort(axis=1)
    drawn, middle = shares[order], -(-maps // 2)
    gaps = drawn[:, :middle].mean(axis=1) - drawn[:, middle:].mean(axis=1)
    return np.asarray(np.abs(gaps))


def orientation_selectivity(kernels: NDArray[np.floating]) -> NDArray[np.float64]:
    """How far the energy of each kernel [maps, 3, S, S] lies in one orientation: [maps] in 0–1.

    The length of the mean of exp(2iθ) over the spectrum, weighted by its energy, where θ is the
    orientation of a frequency: near 1 of a grating, 0 of a round spot. The kernel's mean does not
    count.
    """
    centred = kernels - kernels.mean(axis=(2, 3), keepdims=True, dtype=np.float64)
    energy = (np.abs(np.fft.fft2(centred, (SIDE, SIDE))) ** 2).sum(axis=1)
    frequency = np.fft.fftfreq(SIDE)
    direction = np.exp(2j * np.arctan2(frequency[:, None], frequency[None, :]))
    found = np.abs((energy * direction).sum(axis=(1, 2))) / energy.sum(axis=(1, 2))
    return np.asarray(found, np.float64)
