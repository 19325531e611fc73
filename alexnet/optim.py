"""The update rule as printed in §5, and as `weights.cu` of the 2012 code computes it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class PaperSGD(torch.optim.Optimizer):
    """v ← momentum · v − weight_decay · ε · w − ε · g, then w ← w + v (§5).

    g is the gradient averaged over the batch.

    The rate ε is inside the velocity. `torch.optim.SGD` keeps it outside: both agree while the rate
    is constant, and after a drop torch rescales the velocity that has been gathered while this rule
    lets it fade.

    Each parameter group takes `lr` (ε) and `weight_decay`; `momentum` is shared by default.
    """

    def __init__(
        self, params: Any, lr: float, momentum: float = 0.9, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient.

        `closure` is accepted for torch's interface and must be None.
        """
        if closure is not None:
            raise ValueError("the paper's rule evaluates no closure")
        alike: dict[tuple[float, float, float], list[Tensor]] = {}
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            alike.setdefault((group["lr"], group["momentum"], group["weight_decay"]), []).extend(
                weights
            )
        for rates, weights in alike.items():
            if weights:
                _update(weights, [self.velocity(weight) for weight in weights], *rates)

    def velocity(self, weight: Tensor) -> Tensor:
        """The velocity v of a parameter, of its shape and memory order; at first zero."""
        state = self.state[weight]
        if not state:
            state["velocity"] = torch.zeros_like(weight)
        return state["velocity"]  # type: ignore[no-any-return]


def _update(
    weights: list[Tensor], velocities: list[Tensor], lr: float, momentum: float, weight_decay: float
) -> None:
    """The rule for all weights: a few launches on a GPU; on a CPU one tensor after the other."""
    torch._foreach_mul_(velocities, momentum)
    if weight_decay:
        torch._foreach_add_(velocities, weights, alpha=-weight_decay * lr)
    torch._foreach_add_(velocities, [w.grad for w in weights if w.grad is not None], alpha=-lr)
    torch._foreach_add_(weights, velocities)


def layer_groups(net: nn.Module) -> list[dict[str, Any]]:
    """One parameter group per layer and kind, such as ("conv1", "bias"), each with its own rate.

    Parameters that need no gradient are in none.
    """
    return [
        {"params": [parameter], "layer": layer_and_kind(name), "lr": 0.0}
        for name, parameter in net.named_parameters()
        if parameter.requires_grad
    ]


def layer_and_kind(name: str) -> tuple[str, str]:
    """("conv1", "weight") of "layers.conv1.weight"; what is no bias is a weight."""
    *path, last = name.split(".")
    return path[-1] if path else name, "bias" if last == "bias" else "weight"
