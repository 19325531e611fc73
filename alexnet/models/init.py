"""What the networks share: activations and initial weights."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "tanh": torch.tanh}


def init_normal(
    layer: nn.Module, std: float, bias: float, generator: torch.Generator | None
) -> None:
    """Draw a layer's weights from N(0, std²) and set its biases (§5)."""
    nn.init.normal_(layer.weight, 0.0, std, generator=generator)  # type: ignore[arg-type]
    nn.init.constant_(layer.bias, bias)  # type: ignore[arg-type]


def stream(seed: int | None, number: int) -> torch.Generator | None:
    """A layer's own generator: networks that differ in one layer start alike in all others."""
    return None if seed is None else torch.Generator().manual_seed(seed * 100 + number)
