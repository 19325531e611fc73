"""The layers that torch does not have as the paper has them: normalisations, filters that are not shared, dropout, pooling."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from alexnet.kernels.norm import Norm, normalise


class _Normalise(torch.autograd.Function):
    """`normalise` with its own backward pass, which keeps nothing but the input."""

    @staticmethod
    def forward(ctx, x: Tensor, norm: Norm) -> Tensor:  # type: ignore[no-untyped-def]  # noqa: ANN001
        ctx.save_for_backward(x)
        ctx.norm = norm
        return normalise(norm, x)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        (x,) = ctx.saved_tensors
        return normalise(ctx.norm, x, gradient), None


def response_norm(x: Tensor, size: int, alpha: float, beta: float, k: float, columns: int = 1) -> Tensor:
    """Response normalisation across maps (§3.3): b_i = a_i / (k + α Σ_j a_j²)^β, x float [N, C, H, W].

    The sum is over the maps j at most size // 2 from i, in its own one of `columns` equal parts of the maps. The 2012 code has α/n
    where the text has α: pass what is meant. Sums are taken in fp32 at least; the result has the type of `x`.
    Raises ValueError if the columns do not divide the maps.
    """
    return _Normalise.apply(x, Norm(size, alpha, beta, k, columns))  # type: ignore[no-any-return]


def within_map_norm(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """The same with the sum over size × size pixels of the map itself, outside of which there is nothing (`cnorm2` of #145)."""
    return _Normalise.apply(x, Norm(size, alpha, beta, k, columns=0))  # type: ignore[no-any-return]


def max_pool(x: Tensor, size: int = 3) -> Tensor:
    """The largest value of each window of size × size pixels, two pixels apart (§3.4).

    x float [N, C, H, W]; y [N, C, ⌈(H − 3) / 2⌉ + 1, ...] for windows of 3, which are clipped at the edge, and [N, C, ⌊H / 2⌋, ...]
    for windows of 2.
    """
    return F.max_pool2d(x, size, 2, ceil_mode=size == 3)


def average_pool(x: Tensor) -> Tensor:
    """The mean of each window of 3 × 3 pixels, two pixels apart; at the edge of what is left of it."""
    # Without padding `count_include_pad` says nothing, but with True torch 2.15 compiles a backward that divides by 9 at the edge.
    return F.avg_pool2d(x, 3, 2, ceil_mode=True, count_include_pad=False)


class _LocallyConnected(torch.autograd.Function):
    """One product of matrices for each position, all in one call: of patches and filters there; back, of both with the gradient."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:  # type: ignore[no-untyped-def]  # noqa: ANN001
        patches = _patches(x, weight.shape[3])
        ctx.save_for_backward(patches, weight)
        y = torch.baddbmm(bias.flatten(0, 1)[:, None], patches, weight.flatten(3).flatten(0, 1).transpose(1, 2))
        return _maps(y, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        patches, weight = ctx.saved_tensors
        above = gradient.permute(2, 3, 0, 1).flatten(0, 1)
        for_x = _maps(torch.bmm(_patches(gradient, weight.shape[3]), _turned(weight)), weight)
        return for_x, torch.bmm(above.transpose(1, 2), patches).view(weight.shape), above.sum(1).view(weight.shape[:3])


def _patches(x: Tensor, size: int) -> Tensor:
    """The size × size pixels around every position of x [N, C, H, W], zeros outside of it: [H·W, N, size·size·C]."""
    reach = size // 2
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, reach, reach, reach, reach))
    return padded.unfold(1, size, 1).unfold(2, size, 1).permute(1, 2, 0, 4, 5, 3).flatten(3).flatten(0, 1)


def _maps(rows: Tensor, weight: Tensor) -> Tensor:
    """[H·W, N, C] as maps [N, C, H, W]."""
    return rows.view(*weight.shape[:2], *rows.shape[1:]).permute(2, 3, 0, 1)


def _turned(weight: Tensor) -> Tensor:
    """The filters [H·W, size·size·O, C] that take the gradient of y back to x: a position gathers from all that have read it."""
    height, width, size, reach = *weight.shape[:2], weight.shape[3], weight.shape[3] // 2
    padded = F.pad(weight.flatten(2), (0, 0, reach, reach, reach, reach))
    padded = padded.view(*padded.shape[:2], *weight.shape[2:])
    taps = [padded[i : i + height, j : j + width, :, -1 - i, -1 - j] for i in range(size) for j in range(size)]
    return torch.stack(taps, 2).flatten(2, 3).flatten(0, 1)


def locally_connected(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A convolution with filters of its own at every position (`local` of cuda-convnet): stride 1, zeros outside, sides kept.

    y[n, o, i, j] = bias[i, j, o] + Σ_{u, v, c} weight[i, j, o, u, v, c] · x[n, c, i + u − s // 2, j + v − s // 2]

    x float [N, C, H, W], weight [H, W, O, s, s, C] with s odd, bias [H, W, O]; y [N, O, H, W]. Under autocast it computes in the
    type of that, as convolutions do. Raises ValueError if the shapes do not fit.
    """
    square = weight.dim() == 6 and weight.shape[3] == weight.shape[4] and weight.shape[3] % 2 == 1
    if not square or bias.shape != weight.shape[:3] or x.shape[1:] != (weight.shape[5], *weight.shape[:2]):
        raise ValueError(f"filters {tuple(weight.shape)} with biases {tuple(bias.shape)} do not fit maps {tuple(x.shape)}")
    if torch.is_autocast_enabled(x.device.type):
        narrow = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(narrow), weight.to(narrow), bias.to(narrow)
    return _LocallyConnected.apply(x, weight, bias)  # type: ignore[no-any-return]


def paper_dropout(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """§4.2: each value is zero with probability ½ and else unchanged; without a generator (at test) all are multiplied by ½.

    torch's dropout doubles what it keeps instead, which at equal weights feeds the next layer twice as much.
    """
    if generator is None:
        return x * 0.5
    return x * (torch.rand(x.shape, generator=generator, device=x.device) < 0.5)
