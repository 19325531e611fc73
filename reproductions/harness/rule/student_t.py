"""Student's t in plain Python, since importing `scipy.special` takes a third of a second.

The tests compare the two.
"""

import math
from functools import cache
from statistics import NormalDist


@cache  # a verdict asks for the same ones again and again
def t_quantile(p: float, df: float) -> float:
    """The p-quantile of Student's t: p from 0.0001 to 0.9999, 1 to infinitely many degrees.

    Newton's method from the first terms of an expansion in 1 / df (Abramowitz and Stegun 26.7.5).
    They are too small, and the tail is convex, so it comes nearer from one side.
    """
    if p < 0.5:
        return -t_quantile(1 - p, df)
    z = NormalDist().inv_cdf(p)
    if math.isinf(df):
        return z
    peak = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(df * math.pi)
    t = step = z + z * (z * z + 1) / (4 * df)
    while step > 1e-8 * t:  # what is left after a step is of its square
        step = _step(t, p, df, peak)
        t += step
    return t


def _step(t: float, p: float, df: float, peak: float) -> float:
    """How much probability is missing at t, over the density there.

    P(0 < T < t) and P(T > t) are incomplete beta functions at t² / (df + t²) and df / (df + t²),
    and those the density times a series of positive terms (DLMF 8.17.8); the smaller argument is
    taken, so that some fifty terms are enough.
    """
    beyond = df / (df + t * t)
    density = peak * math.pow(beyond, (df + 1) / 2)
    if beyond > 0.5:
        return (p - 0.5) / density - t * _series(df, 1, 1 - beyond)
    return t / df * _series(df, df, beyond) - (1 - p) / density


def _series(a: float, b: float, x: float) -> float:
    """1 + r₁ + r₁r₂ + r₁r₂r₃ + … with rₖ = x (a + 2k − 1) / (b + 2k)."""
    total, term, k = 1.0, 1.0, 0
    while term > 1e-17 * total:
        k += 2
        term *= x * (a + k - 1) / (b + k)
        total += term
    return total
