"""Convolution and pooling from their formulas, without torch.nn."""

import torch
from torch import Tensor


def correlate(
    maps: Tensor, weight: Tensor, bias: Tensor, stride: int, before: int, side: int
) -> Tensor:
    """`side` positions each way, the first `before` pixels outside; outside values are zero."""
    kernel, size = weight.shape[-1], maps.shape[-1]
    reach = (side - 1) * stride + kernel
    field = torch.zeros(*maps.shape[:2], reach, reach, dtype=maps.dtype)
    inside = min(size, reach - before)
    field[..., before : before + inside, before : before + inside] = maps[..., :inside, :inside]
    out = bias[None, :, None, None].expand(len(maps), -1, side, side)
    last = (side - 1) * stride + 1
    for i in range(kernel):
        for j in range(kernel):
            seen = field[..., i : i + last : stride, j : j + last : stride]
            out = out + torch.einsum("ncyx,oc->noyx", seen, weight[..., i, j])
    return out


def pool(maps: Tensor, size: int, side: int, kind: str = "max") -> Tensor:
    """Maxima or means of `side` windows each way at stride 2, clipped where the maps end."""
    rows = []
    for i in range(side):
        windows = [maps[..., 2 * i : 2 * i + size, 2 * j : 2 * j + size] for j in range(side)]
        reduced = [w.amax((-2, -1)) if kind == "max" else w.mean((-2, -1)) for w in windows]
        rows.append(torch.stack(reduced, -1))
    return torch.stack(rows, -2)
