"""Locally connected layers: convolutions with filters of their own at every position."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def locally_connected(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`local` of cuda-convnet at stride 1: zeros outside, sides kept.

    y[n, o, i, j] = bias[i, j, o]
                    + Σ_{u, v, c} weight[i, j, o, u, v, c] · x[n, c, i + u − s // 2, j + v − s // 2]

    x float [N, C, H, W], weight [H, W, O, s, s, C] with s odd, bias [H, W, O]; y [N, O, H, W].
    Under autocast it computes in autocast's type, as convolutions do. Raises ValueError if the
    shapes do not fit.
    """
    odd_square = weight.dim() == 6 and weight.shape[3] == weight.shape[4] and weight.shape[3] % 2
    fits = bias.shape == weight.shape[:3] and x.shape[1:] == (weight.shape[-1], *weight.shape[:2])
    if not odd_square or not fits:
        shapes = f"filters {tuple(weight.shape)} with biases {tuple(bias.shape)}"
        raise ValueError(f"{shapes} do not fit maps {tuple(x.shape)}")
    if torch.is_autocast_enabled(x.device.type):
        narrow = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(narrow), weight.to(narrow), bias.to(narrow)
    return _LocallyConnected.apply(x, weight, bias)  # type: ignore[no-any-return]


class _LocallyConnected(torch.autograd.Function):
    """One matrix product per position, all in one call; backward, the transposed ones."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:  # type: ignore[no-untyped-def]  # noqa: ANN001
        patches = _patches(x, weight.shape[3])
        ctx.save_for_backward(patches, weight)
        filters = weight.flatten(3).flatten(0, 1).transpose(1, 2)
        y = torch.baddbmm(bias.flatten(0, 1)[:, None], patches, filters)
        return _maps(y, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        patches, weight = ctx.saved_tensors
        above = gradient.permute(2, 3, 0, 1).flatten(0, 1)
        for_x = torch.bmm(_patches(gradient, weight.shape[3]), _transposed(weight))
        for_weight = torch.bmm(above.transpose(1, 2), patches).view(weight.shape)
        return _maps(for_x, weight), for_weight, above.sum(1).view(weight.shape[:3])


def _patches(x: Tensor, size: int) -> Tensor:
    """The size × size pixels around every position, zeros outside: [H·W, N, size·size·C]."""
    reach = size // 2
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, reach, reach, reach, reach))
    windows = padded.unfold(1, size, 1).unfold(2, size, 1)
    return windows.permute(1, 2, 0, 4, 5, 3).flatten(3).flatten(0, 1)


def _maps(rows: Tensor, weight: Tensor) -> Tensor:
    return rows.view(*weight.shape[:2], *rows.shape[1:]).permute(2, 3, 0, 1)


def _transposed(weight: Tensor) -> Tensor:
    """The filters [H·W, size·size·O, C] that take the gradient of y back to x."""
    height, width, size, reach = *weight.shape[:2], weight.shape[3], weight.shape[3] // 2
    padded = F.pad(weight.flatten(2), (0, 0, reach, reach, reach, reach))
    padded = padded.view(*padded.shape[:2], *weight.shape[2:])
    taps = [
        padded[i : i + height, j : j + width, :, -1 - i, -1 - j]
        for i in range(size)
        for j in range(size)
    ]
    return torch.stack(taps, 2).flatten(2, 3).flatten(0, 1)
