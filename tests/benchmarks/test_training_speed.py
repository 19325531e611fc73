"""Training against the loops of torch's documentation, with the same networks and weights.

Ours has its own order and views, the paper's update, and sums of loss and error. The peers have
`transforms.v2`, `torch.nn.LocalResponseNorm` and `torch.optim.SGD`, and keep no account.
"""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from interleaved import ClaimPlan, Race, copies, multiplications
from loops import BATCH, Images, Resident, epoch, loader, started, synthetic, usual, usual_epoch
from stock import ideal_traffic, operations, stock_alexnet, stock_cifar_net, take_weights
from table import Row
from torch import Tensor
from torchvision.transforms import v2

from alexnet.config import AlexNetConfig, AlexNetRecipe, CifarNetConfig, Recipe
from alexnet.models import CifarNet
from alexnet.ops.lrn import local_response_norm
from alexnet.ops.pooling import average_pool, max_pool
from alexnet.training import Training

STEPS = {"CPU": 10, "GPU": 50}  # of an epoch
NORM = (9, 0.001 / 9, 0.75, 1.0)  # layers-conv-local-11pct.cfg


class NormedNet(CifarNet):
    """The first two stages of `layers-conv-local-11pct.cfg`, and the last two of `CifarNet`."""

    def forward(self, images: Tensor) -> Tensor:
        x = local_response_norm(F.relu(max_pool(self.conv1(images))), *NORM)
        x = max_pool(local_response_norm(F.relu(self.conv2(x)), *NORM))
        x = average_pool(F.relu(self.conv3(x)))
        return self.fc10(x.flatten(1))


NETS = {
    "Figure 1's network": (CifarNet, CifarNetConfig(), None, 2.5),
    "a CIFAR network with two normalisations": (
        NormedNet,
        CifarNetConfig(widths=(64, 64, 64)),
        NORM,
        4,
    ),
}


def rate(run: Training, each: int, steps: int, device: torch.device) -> ClaimPlan:
    """An epoch's operations, `each` a step, in the number format of `run`."""
    dtype = torch.bfloat16 if run.precision == "bf16" else torch.float32
    return ClaimPlan(
        f"the rate of a {run.precision} matrix product",
        (multiplications(steps * each, device, dtype),),
    )


@pytest.mark.parametrize("where", ["CPU", "GPU"])
@pytest.mark.parametrize("name", NETS)
def test_cifar(race: Race, where: str, name: str) -> None:
    kind, config, norm, bar = NETS[name]
    what, ours = f"training {name}, batch {BATCH}", "`train_row`"
    through = Row(
        what, where, ours, "DataLoader, `transforms.v2`, fp32", 40 if where == "GPU" else bar
    )
    resident = Row(what, where, ours, "the loop in fp32 on resident images", 8)
    rows = (through, resident) if where == "GPU" else (through,)
    device, steps = race.prepare(*rows), STEPS[where]
    data = synthetic(steps * BATCH, 32)
    recipe = Recipe(learning_rate=1e-6)
    run, batches = started(kind(config, seed=0), recipe, data, device)
    net = stock_cifar_net(config.widths, norm).to(device)
    take_weights(net, run.net)
    images = next(batches.in_order(BATCH))[1][0]
    torch.testing.assert_close(net(images), run.net(images), rtol=1e-3, atol=1e-6)
    limit = rate(run, operations(net, images), steps, device)
    workers = (2, 4, 8) if where == "GPU" else (0, 2)  # whatever is fastest here
    loaded = race.fastest(
        usual_epoch(net, loader(Images(data, usual()), count, device), device) for count in workers
    )
    peers = {through: loaded, resident: usual_epoch(net, Resident(data, usual(), device), device)}
    race(epoch(run, recipe, batches), {row: peers[row] for row in rows}, limit, images=len(data))


@pytest.mark.parametrize("where", ["CPU", "GPU"])
def test_alexnet(race: Race, where: str) -> None:
    # torch's normalisation knows no columns
    config = replace(AlexNetConfig.paper(), lrn_scope="layer")
    config, stored, size = (
        (config, 256, "") if where == "GPU" else (config.mini(), 64, " of a quarter of its width")
    )
    config = replace(config, classes=10)  # those of the synthetic images
    what, ours = f"training AlexNet{size}, batch {BATCH}, images resident", "`train_row`"
    eager = Row(
        what,
        where,
        ours,
        "autocast, channels-last, stock normalisation and SGD",
        2.4 if where == "GPU" else 1,
    )
    compiled = Row(what, where, ours, "the same through `torch.compile`", 1.3)
    roofline = Row(what, where, ours, "the roofline of the same run", 0.6)
    rows = (eager, compiled, roofline) if where == "GPU" else (eager,)
    device, steps, recipe = race.prepare(*rows), STEPS[where], AlexNetRecipe(learning_rate=1e-6)
    data = synthetic(steps * BATCH, stored)
    run, batches = started(config.build(0), recipe, data, device)
    net = stock_alexnet(config).to(device, memory_format=torch.channels_last)
    take_weights(net, run.net)
    images, _ = next(batches.epoch(0, 0, BATCH))
    theirs = net[: list(net._modules).index("before_fc6")](images)
    torch.testing.assert_close(
        theirs, run.net.conv_features(images), rtol=1e-2, atol=1e-2 * theirs.abs().max().item()
    )
    limit = rate(run, operations(net, images), steps, device)
    if where == "GPU":
        moved = copies(steps * ideal_traffic(config, BATCH), device, at_once=1 << 30)
        limit = ClaimPlan(f"{limit.name} and of a copy", (*limit.parts, moved))
    crops = Resident(
        data, usual(v2.RandomCrop(config.image_size), v2.RandomHorizontalFlip()), device
    )
    peers = {eager: usual_epoch(net, crops, device, autocast=True), roofline: limit}
    if where == "GPU":
        peers[compiled] = usual_epoch(torch.compile(net), crops, device, autocast=True)
    race(epoch(run, recipe, batches), {row: peers[row] for row in rows}, limit, images=len(data))
