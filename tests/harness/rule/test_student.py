"""Quantiles of Student's t against scipy's and against the two laws that have a formula."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reproductions.harness.rule.student_t import t_quantile


@pytest.mark.parametrize("df", [1.0, 1.3, 2.0, 4.37, 8.0, 30.0, 340.5, 1998.0, math.inf])
def test_quantiles_are_scipys(df: float) -> None:
    for p in (0.025, 0.5, 0.8, 0.95, 0.975, 0.995):
        assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-11, abs=1e-12)


@given(st.floats(0.5, 0.999999))
def test_one_degree_of_freedom_is_cauchys_law_and_two_have_a_root(p: float) -> None:
    assert t_quantile(p, 1.0) == pytest.approx(1 / math.tan(math.pi * (1 - p)), rel=1e-9, abs=1e-12)
    assert t_quantile(p, 2.0) == pytest.approx(
        (2 * p - 1) / math.sqrt(2 * p * (1 - p)), rel=1e-9, abs=1e-12
    )


@given(st.floats(0.5, 0.999), st.floats(1.0, 1000.0), st.floats(1.01, 10.0))
def test_fewer_degrees_of_freedom_have_heavier_tails(p: float, df: float, factor: float) -> None:
    assert t_quantile(p, df) >= t_quantile(p, df * factor) * (1 - 1e-9)
    assert t_quantile(p, df * factor) >= t_quantile(p, math.inf) * (1 - 1e-9)
