"""Ours and its peers in turn in one process, so that a noisy machine is equally noisy to all."""

import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import torch
from table import Entry, Row, is_missed, measured, missing, ratio
from torch.profiler import profile

from reproductions.harness.execute.context import set_up
from reproductions.harness.records import provenance

Body = Callable[[], object]
ROUNDS = 7
THREADS = 2  # of ours and of every peer
SHOWN = 6  # operations of a profile


@dataclass(frozen=True)
class ClaimPlan:
    """Bodies and the weight of their seconds: a limit, or a peer given more or less work."""

    name: str
    parts: tuple[tuple[Body, float], ...]


def multiplications(
    operations: float, device: torch.device, dtype: torch.dtype
) -> tuple[Body, float]:
    """So many floating-point operations, as one large matrix product makes them."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = torch.randn(2, side, side, device=device).to(dtype)
    return lambda: a @ b, operations / (2 * side**3)


def copies(moved: float, device: torch.device, at_once: int) -> tuple[Body, float]:
    """So many bytes read or written, at the speed of copies of `at_once` bytes."""
    source, target = (
        torch.full((at_once,), value, dtype=torch.uint8, device=device) for value in (1, 2)
    )
    return lambda: target.copy_(source), moved / (2 * at_once)


class Race:
    """What a benchmark measures with.

    Every row of a test is entered: measured, or with the reason why it is not.
    """

    def __init__(self, benchmark: Any) -> None:
        self.benchmark = benchmark
        self.entries: list[Entry] = []
        self.device = torch.device("cpu")

    def needs(self, there: object, reason: str, *rows: Row) -> None:
        """Skip the test, with the reason in its rows, unless it has what it needs."""
        if not there:
            self.entries += [missing(row, reason) for row in rows]
            pytest.skip(reason)

    def prepare(self, *rows: Row) -> torch.device:
        """The device of the rows, with torch's default algorithms; skips where it is absent."""
        cuda = rows[0].where == "GPU"
        self.needs(torch.cuda.is_available() or not cuda, "no CUDA GPU here", *rows)
        self.device = set_up("cuda" if cuda else "cpu", THREADS)
        repeatable(False)
        return self.device

    def __call__(
        self,
        ours: Body,
        peers: Mapping[Row, Body | ClaimPlan],
        limit: ClaimPlan | None = None,
        images: int = 0,
    ) -> None:
        """Time all bodies in every round, record the peers' seconds over ours; `images` per call.

        Ours runs deterministically as our trainings do, everything else as torch comes.
        """
        seconds = {rival: [] for rival in (*peers.values(), *([limit] if limit else []))}

        def others() -> None:
            repeatable(False)
            for rival, taken in seconds.items():
                parts = rival.parts if isinstance(rival, ClaimPlan) else ((rival, 1.0),)
                taken.append(sum(times * self.clock(body) for body, times in parts))
            repeatable(True)

        self.benchmark.pedantic(
            self.synchronised(ours), setup=others, rounds=ROUNDS, warmup_rounds=1
        )
        mine = self.benchmark.stats.stats.data
        ratios = {
            rival: [b / a for a, b in zip(mine, taken[1:], strict=True)]
            for rival, taken in seconds.items()
        }
        about = {"images_per_second": images / statistics.median(mine)} if images else {}
        if limit:
            about |= {"limit": limit.name, "fraction": statistics.median(ratios[limit])}
        for row, rival in peers.items():
            self.enter(row, ratios[rival], ours, **about)
        repeatable(False)

    def enter(self, row: Row, ratios: list[float], ours: Body | None = None, **about: Any) -> None:
        """Enter and print the ratios of a row; where its bar is missed, with a profile of ours.

        `about` as in `measured`.
        """
        hardware = (
            torch.cuda.get_device_name() if self.device.type == "cuda" else provenance.cpu_model()
        )
        machine = {
            "hardware": hardware,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
        entry = measured(row, ratios, **machine | about, date=datetime.now(UTC).date().isoformat())
        if ours and is_missed(entry):
            entry["bound"] = operations_of(self.synchronised(ours))
        self.entries.append(entry)
        share = f", {entry['fraction']:.2f} of {entry['limit']}" if "limit" in entry else ""
        print(
            f"\n{row.where}: {row.what} against {row.peer}: {ratio(entry)}{share}; bar {row.bar}",
            end="",
        )

    def fastest(self, bodies: Iterable[Body]) -> Body:
        """The one that takes least time here, in its second call."""
        return min(bodies, key=lambda body: (body(), self.clock(body))[1])

    def clock(self, body: Body) -> float:
        """Seconds of one call."""
        began = time.perf_counter()
        self.synchronised(body)()
        return time.perf_counter() - began

    def synchronised(self, body: Body) -> Body:
        """The body and a wait for what it left to do on a GPU."""
        return body if self.device.type == "cpu" else lambda: (body(), torch.cuda.synchronize())


def repeatable(wanted: bool) -> None:
    """Use deterministic algorithms and full fp32 as `set_up` does, or torch's own fast defaults."""
    torch.use_deterministic_algorithms(wanted)
    torch.backends.cudnn.allow_tf32 = not wanted
    torch.backends.cudnn.benchmark = not wanted


def operations_of(body: Body) -> str:
    """The operations that take most of a call's time, with shares; empty without torch operations.

    On a processor what runs outside of torch's operations, such as bodies in C that no autograd
    function calls, stands last.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the profiler's own
        with profile() as found:
            began = time.perf_counter()
            body()
            seconds = time.perf_counter() - began
    events = found.key_averages()
    kind = (
        "self_device_time_total"
        if any(event.self_device_time_total for event in events)
        else "self_cpu_time_total"
    )
    taken = sorted(((getattr(event, kind), event.key) for event in events), reverse=True)
    inside = sum(spent for spent, _ in taken)
    if not inside:
        return ""
    whole = max(inside, 1e6 * seconds) if kind == "self_cpu_time_total" else inside
    shares = [
        f"`{name}` {100 * spent / whole:.0f} %"
        for spent, name in taken[:SHOWN]
        if spent > whole / 100
    ]
    outside = (
        [f"outside of torch's operations {100 * (1 - inside / whole):.0f} %"]
        if inside < 0.99 * whole
        else []
    )
    return ", ".join(shares + outside)
