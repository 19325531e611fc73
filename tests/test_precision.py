"""bf16 only where it is native and agrees."""

import torch

from alexnet import precision
from alexnet.config import AlexNetConfig, CifarNetConfig
from alexnet.config_local import LocalNetConfig
from alexnet.model import AlexNet, CifarNet, LocalNet, init_alexnet, init_local, init_weights
from alexnet.precision import batch_loss, choose_precision, gradient_distance, image_type, native_bf16


def small() -> tuple[CifarNet, torch.Tensor, torch.Tensor]:
    config = CifarNetConfig(init="modern")
    net = CifarNet(config)
    init_weights(net, config, 0)
    return net, torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 10


def test_bf16_gradients_are_near_and_leave_no_trace() -> None:
    net, images, labels = small()
    distance = gradient_distance(net, images, labels)
    assert 0 < distance < precision.TOLERANCE
    assert all(p.grad is None for p in net.parameters())


def test_the_gate() -> None:
    net, images, labels = small()
    expected = "bf16" if native_bf16(torch.device("cpu")) else "fp32"
    assert choose_precision(net, images, labels) == expected


def test_disagreement_falls_back_to_fp32() -> None:
    net, images, labels = small()
    torch.nn.init.constant_(net.conv1.weight, 1e38)  # overflows everywhere: the distance is not a number
    assert choose_precision(net, images, labels) == "fp32"


def test_loss_is_the_mean_log_loss_in_fp32() -> None:
    net, images, labels = small()
    loss, scores = batch_loss(net, images, labels, "fp32")
    expected = -(scores.double().softmax(1).log()[torch.arange(16), labels]).mean()
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
    assert batch_loss(net, images, labels, "bf16")[1].dtype == torch.float32


def test_images_rounded_beforehand_change_no_bit() -> None:
    """Autocast would round them before the first convolution: the loss, the scores and every gradient are the same."""
    assert image_type("fp32") == torch.float32
    alexnet, local = AlexNet(AlexNetConfig.paper().smoke()), LocalNet(LocalNetConfig())
    init_alexnet(alexnet, 0)
    init_local(local, 0)
    for net, side in ((small()[0], 32), (alexnet, 28), (local, 24)):
        images = 60 * torch.randn(16, 3, side, side, generator=torch.Generator().manual_seed(1))
        images = images.contiguous(memory_format=torch.channels_last)
        found = []
        for shown in (images, images.to(image_type("bf16"))):
            net.zero_grad()
            loss, scores = batch_loss(net, shown, torch.arange(16) % 10, "bf16")
            loss.backward()
            found.append([loss, scores, *(parameter.grad.clone() for parameter in net.parameters())])
        assert all(map(torch.equal, *found))
