"""What the claims that train nothing compute by `alexnet`'s own code.

torch is imported where it is used, so that claims are listed and judged without it.
"""

import itertools
import math
from collections.abc import Sequence

from alexnet.config import AlexNetConfig, AlexNetRecipe

NET, RECIPE = AlexNetConfig.paper(), AlexNetRecipe.paper()
DRAWN = 100_000  # crops: each of the 2178 possible ones is among them but with odds of 1e-17


def agreeing(found: Sequence[float], expected: Sequence[float]) -> int:
    """How many numbers agree to twelve digits."""
    return sum(math.isclose(a, b, rel_tol=1e-12) for a, b in zip(found, expected, strict=True))


def normalized(maps: Sequence[float]) -> list[float]:
    """Response normalisation of one pixel of some maps (§3.3), with α = 1 so that the sum shows."""
    import torch

    from alexnet.ops.lrn import local_response_norm

    pixel = torch.tensor(maps, dtype=torch.float64)[None, :, None, None]
    normal = local_response_norm(pixel, NET.lrn_size, 1.0, NET.lrn_beta, NET.lrn_k)
    return [float(value) for value in normal.flatten()]


def updated(weight: float, *, velocity: float, gradient: float) -> float:
    """A weight after one update of §5 at the first rate, to twelve decimals."""
    import torch

    from alexnet.optim import PaperSGD

    parameter = torch.tensor(weight, dtype=torch.float64, requires_grad=True)
    rule = PaperSGD([parameter], RECIPE.learning_rate, RECIPE.momentum, RECIPE.weight_decay)
    rule.velocity(parameter).fill_(velocity)
    parameter.grad = torch.tensor(gradient, dtype=torch.float64)
    rule.step()
    return round(parameter.item(), 12)


def training_crops(stored: int) -> int:
    """How many different crops and mirror images of one image training draws (§4.1)."""
    from alexnet.data.augment import draw
    from alexnet.data.loader import positions

    draws = draw(DRAWN, positions(stored, NET.image_size), seed=0, epoch=0)
    return len(set(zip(*draws.corners.T.tolist(), draws.flipped.tolist(), strict=True)))


def test_crops(stored: int) -> int:
    """How many different crops of one image are averaged (§4.1)."""
    from alexnet.data.loader import evaluated_squares

    return len(set(evaluated_squares(stored, NET.image_size, crops=10)))


def with_halved(weights: Sequence[Sequence[float]], hidden: Sequence[float]) -> list[float]:
    """Class probabilities of one layer under dropout at test time (§4.2)."""
    import torch

    from alexnet.ops.dropout import paper_dropout

    matrix, values = (torch.tensor(part, dtype=torch.float64) for part in (weights, hidden))
    halved = matrix @ paper_dropout(values, training=False)
    return [float(p) for p in halved.softmax(0)]


def geometric_mean(weights: Sequence[Sequence[float]], hidden: Sequence[float]) -> list[float]:
    """The normalised geometric mean of that layer's probabilities over all 2ⁿ dropout masks."""
    import torch

    matrix, values = (torch.tensor(part, dtype=torch.float64) for part in (weights, hidden))
    masks = torch.tensor(list(itertools.product((0.0, 1.0), repeat=len(hidden)))).double()
    logs = ((masks * values) @ matrix.T).log_softmax(1)
    return [float(p) for p in logs.mean(0).softmax(0)]


def equally_large(first: int, second: int) -> int:
    """How many layers' outputs are equally large, pooled by windows of either size (§3.4)."""
    import torch

    from alexnet.ops.pooling import max_pool

    def side(layer_side: int, pooled: bool, window: int) -> int:
        image = torch.empty(1, 1, layer_side, layer_side)
        return max_pool(image, window).shape[-1] if pooled else layer_side

    return sum(
        side(layer.side, layer.pool, first) == side(layer.side, layer.pool, second)
        for layer in NET.layers()
    )
