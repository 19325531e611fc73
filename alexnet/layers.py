"""The layers that torch does not have as the paper has them: both response normalisations and the unscaled dropout."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


class _Normalise(torch.autograd.Function):
    """y = x · d^−β with d = k + α · Σ x², the sum over a symmetric neighbourhood; its own backward pass saves most of the memory.

    With S the sum over the neighbourhood, which is its own transpose: dx = g · d^−β − 2αβ · x · S(g · x · d^−(β+1)).
    """

    @staticmethod
    def forward(ctx, x: Tensor, window: Tensor | int, alpha: float, beta: float, k: float) -> Tensor:  # type: ignore[no-untyped-def]  # noqa: ANN001
        values = x if x.dtype == torch.float64 else x.float()
        divisor = _neighbours(values.square(), window).mul_(alpha).add_(k)
        ctx.save_for_backward(x, divisor)
        ctx.window, ctx.alpha, ctx.beta = window, alpha, beta
        return (values * _power(divisor, -beta)).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        x, divisor = ctx.saved_tensors
        values = x.to(divisor.dtype)
        scaled = _like(gradient, divisor).to(divisor.dtype) * _power(divisor, -ctx.beta)
        spread = _neighbours((values * scaled).div_(divisor), ctx.window)
        return torch.addcmul(scaled, values, spread, value=-2 * ctx.alpha * ctx.beta).to(x.dtype), None, None, None, None


def _like(gradient: Tensor, divisor: Tensor) -> Tensor:
    """The gradient in the memory order of what it is combined with: mixed orders are several times slower."""
    last = divisor.is_contiguous(memory_format=torch.channels_last)
    return gradient.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def _power(base: Tensor, exponent: float) -> Tensor:
    """base^exponent; two square roots where it is the −3/4 of the paper: 2.2 to 2.4 times faster on a CPU core (n = 3)."""
    if exponent == -0.75:
        root = base.rsqrt()
        return root * root.sqrt()
    return base.pow(exponent)


def _neighbours(squares: Tensor, window: Tensor | int) -> Tensor:
    """Sums of [N, C, H, W] over neighbouring maps (a [C, C] matrix of ones and zeros) or over squares of `window` pixels."""
    if isinstance(window, int):
        padding = window // 2
        return F.avg_pool2d(squares, window, 1, padding, divisor_override=1)
    with torch.autocast(squares.device.type, enabled=False):
        summed = squares.permute(0, 2, 3, 1) @ window.to(squares.dtype)
    return summed.permute(0, 3, 1, 2)


def neighbouring_maps(maps: int, size: int, columns: int = 1) -> Tensor:
    """The [maps, maps] matrix with a one where two maps are at most size // 2 apart and lie in the same column."""
    index = torch.arange(maps)
    near = (index[:, None] - index).abs() <= size // 2
    column = index * columns // maps
    return (near & (column[:, None] == column)).float()


def response_norm(x: Tensor, window: Tensor, alpha: float, beta: float, k: float) -> Tensor:
    """Response normalisation across maps (§3.3): b_i = a_i / (k + α Σ_j a_j²)^β, x float [N, C, H, W].

    `window` [C, C] says which maps j are summed for i (`neighbouring_maps`). The 2012 code has α/n where the text has α: pass
    what is meant. Sums are taken in fp32 at least; the result has the type of `x`.
    """
    return _Normalise.apply(x, window, alpha, beta, k)  # type: ignore[no-any-return]


def within_map_norm(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """The same with the sum over size × size pixels of the map itself, outside of which there is nothing (`cnorm2` of #145)."""
    return _Normalise.apply(x, size, alpha, beta, k)  # type: ignore[no-any-return]


def paper_dropout(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """§4.2: each value is zero with probability ½ and else unchanged; without a generator (at test) all are multiplied by ½.

    torch's dropout doubles what it keeps instead, which at equal weights feeds the next layer twice as much.
    """
    if generator is None:
        return x * 0.5
    return x * (torch.rand(x.shape, generator=generator, device=x.device) < 0.5)
