"""A network through `torch.compile`, where that is asked for: compared with the same network without before it trains."""

import torch
from torch import Tensor, nn

from alexnet.model import AlexNet
from alexnet.precision import batch_loss

# How far its gradients may be from the plain ones, as a share of their length. 1e-7 was measured in fp32; a wrong divisor in
# torch 2.14's compiled average pooling made 0.1. bf16 is rounded elsewhere when operations are fused.
AGREEMENT = {"fp32": 1e-3, "bf16": 0.1}


def compile_net(net: nn.Module, images: Tensor, labels: Tensor, precision: str) -> nn.Module:
    """What `torch.compile` makes of `net`, on the same weights and for every size of batch anew; it draws no dropout masks.

    Raises ValueError if torch cannot compile here, or if the gradients of this batch are not the plain ones.
    """
    if isinstance(net, AlexNet):
        net.generator = torch.compiler.disable(net.generator)  # type: ignore[method-assign,no-untyped-call]
    compiled: nn.Module = torch.compile(net, dynamic=False)  # type: ignore[assignment]
    plain = _gradients(net, net, images, labels, precision)
    try:
        found = _gradients(compiled, net, images, labels, precision)
    except RuntimeError as error:  # of torch's compiler, or of the one that it calls
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise ValueError(f"torch.compile fails here ({reason}); train without it") from error
    distance = float((found - plain).norm() / plain.norm())
    if not distance <= AGREEMENT[precision]:
        apart = f"{100 * distance:.2g} % from the plain ones, {100 * AGREEMENT[precision]:g} % allowed"
        raise ValueError(f"torch.compile gives other gradients for this network ({apart}); train without it")
    return compiled


def _gradients(called: nn.Module, net: nn.Module, images: Tensor, labels: Tensor, precision: str) -> Tensor:
    """The gradients of all weights in one line, by a training pass of `called`."""
    weights = [weight for weight in net.train().parameters() if weight.requires_grad]
    loss, _ = batch_loss(called, images, labels, precision)
    return torch.cat([gradient.flatten() for gradient in torch.autograd.grad(loss, weights)])
