"""Torch's generators of the processor and of one device: seeded alone, and put back afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def own_generators(device: torch.device) -> Iterator[None]:
    """Afterwards the generators of the processor and of `device` are what they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def seed_generators(device: torch.device, seed: int) -> None:
    """Seed the generators of the processor and of `device`; those of other devices stay."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
