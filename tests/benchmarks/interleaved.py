"""Ours and the peer in turn in one process, so that a noisy machine is equally noisy to both."""

import statistics
import time
from collections.abc import Callable
from typing import Any

ROUNDS = 7


def alternate(*bodies: Callable[[], object]) -> list[list[float]]:
    """Seconds of each body in each round; every round calls all of them in turn."""
    seconds: list[list[float]] = [[] for _ in bodies]
    for round_number in range(ROUNDS + 1):  # the first warms up
        for body, taken in zip(bodies, seconds, strict=True):
            began = time.perf_counter()
            body()
            if round_number:
                taken.append(time.perf_counter() - began)
    return seconds


def compare(benchmark: Any, ours: Callable[[], None], peer: Callable[[], None], images: int) -> None:
    """Print the median ratio peer / ours with its range over the rounds, and our images/s; fail if ours is the slower one."""
    mine, theirs = alternate(ours, peer)
    ratios = [b / a for a, b in zip(mine, theirs, strict=True)]
    benchmark.pedantic(ours, rounds=3, warmup_rounds=1)
    benchmark.extra_info["ratio"] = ratios
    speed = images / benchmark.stats.stats.median
    middle = statistics.median(ratios)
    print(f"\nratio peer / ours {middle:.2f} ({min(ratios):.2f}-{max(ratios):.2f}), ours {speed:,.0f} images/s")
    assert middle > 1
