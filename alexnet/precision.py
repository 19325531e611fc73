"""Which number format the convolutions compute in: bf16 where the processor has it natively and it agrees with fp32."""

import copy
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

Precision = Literal["bf16", "fp32"]

# Largest distance of bf16 gradients from fp32 ones, as a share of their length, that the start-up check lets pass. bf16 keeps
# 8 bits; one rounding is wrong by up to 0.4 %, and the roundings of a four-layer net's backward pass add to a few times that.
TOLERANCE = 0.05


def native_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 in hardware. Emulated bf16 is slower than fp32 by a factor of ten and more."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)  # type: ignore[no-any-return]
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def image_type(precision: str) -> torch.dtype:
    """In which type images may be handed to a network: that to which autocast would round them before the first convolution."""
    return torch.bfloat16 if precision == "bf16" else torch.float32


def gradient_distance(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    """|g_bf16 − g_fp32| / |g_fp32| over all parameters of `net`, for one batch; `net` is left as it was."""
    gradients = []
    for precision in ("fp32", "bf16"):
        probe = copy.deepcopy(net)
        batch_loss(probe, images, labels, precision)[0].backward()  # type: ignore[no-untyped-call]
        gradients.append(torch.cat([p.grad.flatten() for p in probe.parameters() if p.grad is not None]))
    return float((gradients[1] - gradients[0]).norm() / gradients[0].norm())


def choose_precision(net: nn.Module, images: Tensor, labels: Tensor) -> Precision:
    """bf16 if it is native and its gradients of `net` on this batch are within TOLERANCE of fp32's, else fp32."""
    if not native_bf16(images.device):
        return "fp32"
    return "bf16" if gradient_distance(net, images, labels) <= TOLERANCE else "fp32"


def batch_loss(net: nn.Module, images: Tensor, labels: Tensor, precision: str) -> tuple[Tensor, Tensor]:
    """Mean log-loss and class scores (fp32 [N, classes]) of a batch; weights stay fp32, bf16 is for the products alone."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16"):
        scores = net(images)
    scores = scores.float()
    return cross_entropy(scores, labels), scores
