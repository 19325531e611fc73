"""Two columns as dense convolutions against the groups of one, forward and backward, as CUDA graphs of AlexNet's layers in bf16."""

import pytest
import torch
from interleaved import Race, repeatable
from loops import BATCH
from table import Row

from alexnet.config import AlexNetConfig
from alexnet.graph import capture
from alexnet.layout import GroupedConv, both_ways

CALLS = 20
LAYERS = [spec for spec in AlexNetConfig.paper().layers() if spec.name in ("conv2", "conv4", "conv5")]


@pytest.mark.parametrize("spec", LAYERS, ids=lambda spec: spec.name)
def test_columns(race: Race, spec) -> None:
    row = Row(f"{spec.name} of two columns, batch {BATCH}", "GPU", "a dense convolution for each", "the groups of one")
    device = race.prepare(row)
    repeatable(True)
    shape = spec.inputs * spec.columns, spec.outputs, spec.kernel, spec.stride, spec.padding
    layer = GroupedConv(*shape, groups=spec.columns).to(device, memory_format=torch.channels_last)
    x = torch.randn(BATCH, shape[0], spec.side, spec.side, device=device).to(torch.bfloat16, memory_format=torch.channels_last)
    replays = []
    for dense in (False, True):
        layer.dense = dense
        replays.append(capture(both_ways(layer, x, "bf16"), None))
    groups, columns = (lambda replay=replay: [replay() for _ in range(CALLS)] for replay in replays)
    race(columns, {row: groups}, images=CALLS * BATCH)
