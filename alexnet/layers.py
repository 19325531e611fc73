"""The layers that torch does not have as the paper has them: both response normalisations and the unscaled dropout."""

import torch
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


def paper_dropout(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """§4.2: each value is zero with probability ½ and else unchanged; without a generator (at test) all are multiplied by ½.

    torch's dropout doubles what it keeps instead, which at equal weights feeds the next layer twice as much.
    """
    if generator is None:
        return x * 0.5
    return x * (torch.rand(x.shape, generator=generator, device=x.device) < 0.5)
