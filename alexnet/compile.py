"""A network through `torch.compile`, whose gradients are compared with the plain network's."""

from typing import Any

import torch
from torch import Tensor, nn

from alexnet.precision import batch_loss, same_random_numbers

# How far its gradients may be from the plain ones, as a share of their length. 1e-7 was measured in
# fp32; a wrong divisor in torch 2.14's compiled average pooling made 0.1. bf16 is rounded elsewhere
# when operations are fused.
AGREEMENT = {"fp32": 1e-3, "bf16": 0.1}


def compile_net(net: nn.Module, images: Tensor, labels: Tensor, precision: str) -> nn.Module:
    """`net` through `torch.compile`: the same weights, compiled anew for every size of batch.

    Raises ValueError if torch cannot compile here, or if the gradients of this batch are not the
    plain ones.
    """
    same_masks: Any = {"fallback_random": True}  # dropout's masks are those of the plain network
    compiled: nn.Module = torch.compile(net, dynamic=False, options=same_masks)  # type: ignore[assignment]
    plain = _gradients(net, net, images, labels, precision)
    try:
        found = _gradients(compiled, net, images, labels, precision)
    except RuntimeError as error:  # of torch's compiler, or of the one that it calls
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise ValueError(f"torch.compile failed ({reason}); train without it") from error
    distance = float((found - plain).norm() / plain.norm())
    if not distance <= AGREEMENT[precision]:
        apart = f"by {100 * distance:.2g} %, {100 * AGREEMENT[precision]:g} % allowed"
        raise ValueError(
            f"torch.compile changes this network's gradients ({apart}); train without it"
        )
    return compiled


def _gradients(
    called: nn.Module, net: nn.Module, images: Tensor, labels: Tensor, precision: str
) -> Tensor:
    """The gradients of all weights in one line, by a training pass of `called`."""
    weights = [weight for weight in net.train().parameters() if weight.requires_grad]
    buffers = [(buffer, buffer.clone()) for buffer in net.buffers()]  # running statistics, say
    with same_random_numbers(images.device):
        loss, _ = batch_loss(called, images, labels, precision)
    gradients = torch.autograd.grad(loss, weights)
    for buffer, before in buffers:
        buffer.copy_(before)
    return torch.cat([gradient.flatten() for gradient in gradients])
