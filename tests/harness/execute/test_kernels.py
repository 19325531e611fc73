"""What the first kernels look like: gratings, spots, and halves drawn by chance."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alexnet.evaluation import distance_rank
from alexnet.kernels import gaps_by_chance, orientation_selectivity

Y, X = np.mgrid[-5:6, -5:6]


def grating(angle: float, spread: float = 8.0) -> np.ndarray:
    wave = np.cos(2 * np.pi * 0.25 * (X * np.cos(angle) + Y * np.sin(angle)))
    return np.exp(-(X**2 + Y**2) / spread) * wave


def kernels(*planes: np.ndarray) -> np.ndarray:
    return np.stack([np.stack([plane] * 3) for plane in planes])


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 4, 2.0])
def test_a_grating_has_one_orientation_whichever_it_is(angle: float) -> None:
    (found,) = orientation_selectivity(kernels(grating(angle)))
    assert found > 0.85
    assert found == pytest.approx(orientation_selectivity(kernels(grating(0.0)))[0], abs=0.02)


def test_a_round_spot_and_a_cross_have_none() -> None:
    spot = np.exp(-(X**2 + Y**2) / 4.0)
    cross = grating(0.0) + grating(np.pi / 2)
    assert orientation_selectivity(kernels(spot, cross)).max() < 0.02


def test_neither_the_mean_nor_the_size_counts() -> None:
    plane = grating(0.3)
    one, other = orientation_selectivity(kernels(plane, 7 * plane + 100))
    assert one == pytest.approx(other, abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=7))
def test_random_halves_give_all_differences_alike_often(shares: list[float]) -> None:
    """The mean of the draws is that of all halves, within four standard errors."""
    array, middle = np.array(shares), -(-len(shares) // 2)
    every = [
        abs(array[list(half)].mean() - np.delete(array, half).mean())
        for half in combinations(range(len(shares)), middle)
    ]
    found = gaps_by_chance(array)
    assert found.mean() == pytest.approx(np.mean(every), abs=4 * np.std(every) / 100 + 1e-12)
    assert found.max() <= max(every) + 1e-12


def test_ranks_in_another_space_are_the_long_way_round() -> None:
    random = torch.Generator().manual_seed(0)
    here, stored_here = (torch.randn(n, 5, generator=random) for n in (7, 40))
    there, stored_there = (torch.randn(n, 3, generator=random) for n in (7, 40))
    ranks = []
    for k in range(7):
        near = (stored_here - here[k]).square().sum(1).argsort()[:6].tolist()
        order = (stored_there - there[k]).square().sum(1).argsort().tolist()
        ranks += [order.index(row) for row in near]
    found = distance_rank(here, stored_here, there, stored_there)
    assert found == pytest.approx(100 * np.mean(ranks) / 39)
    assert distance_rank(there, stored_there, there, stored_there) == pytest.approx(100 * 2.5 / 39)
