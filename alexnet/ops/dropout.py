"""Dropout as §4.2 has it."""

import torch
from torch import Tensor


def paper_dropout(x: Tensor, *, training: bool, generator: torch.Generator | None = None) -> Tensor:
    """In training each value is zero with probability ½, else unchanged; at test all are halved.

    torch's own dropout doubles what it keeps instead, which at equal weights feeds the next layer
    twice as much. Masks come from `generator`, by default torch's own.
    """
    if not training:
        return x * 0.5
    return x * (torch.rand(x.shape, generator=generator, device=x.device) < 0.5)
