"""Weights survive a file, and a file that holds anything else ends in one line."""

import json
import os
import pickle
import struct
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from alexnet.config import AlexNetConfig
from alexnet.models import AlexNet
from alexnet.weights import (
    WeightsError,
    export_weights,
    import_weights,
    load,
    load_matching,
    network,
)

CONFIG = AlexNetConfig.original().smoke()


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    net = AlexNet(CONFIG, seed=3)
    return net.state_dict()


@pytest.fixture
def stored(weights: dict[str, Tensor], tmp_path: Path) -> Path:
    export_weights(tmp_path / "net.safetensors", CONFIG, weights)
    return tmp_path / "net.safetensors"


def refused(found: Callable[[], object]) -> str:
    with pytest.raises(WeightsError) as caught:
        found()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def rewritten(
    path: Path, tensors: dict[str, Tensor], about: object = None, key: str = "alexnet"
) -> Path:
    """A safetensors file that `export_weights` would not write."""
    about = {"format": 2, "config": asdict(CONFIG)} if about is None else about
    save_file(tensors, path, {key: about if isinstance(about, str) else json.dumps(about)})
    return path


def test_a_network_comes_back_whole(stored: Path, weights: dict[str, Tensor]) -> None:
    config, found = import_weights(stored)
    assert config == CONFIG
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weight) for name, weight in weights.items())
    net, images = AlexNet(CONFIG), torch.randn(2, 3, 28, 28)
    net.load_state_dict(weights)
    assert torch.equal(network(config, found)(images), net.eval()(images))
    assert load_file(stored).keys() == weights.keys()  # any other reader sees the same


def test_nothing_broken_is_written(weights: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "net"
    path.write_text("as before")
    broken = {**weights, "layers.fc7.bias": torch.full((256,), float("nan"))}
    assert "layers.fc7.bias with values that are not finite" in refused(
        lambda: export_weights(path, CONFIG, broken)
    )
    assert "of shape" in refused(lambda: export_weights(path, replace(CONFIG, classes=11), weights))
    assert path.read_text() == "as before"


ZEROS = torch.zeros(10)
INFINITE = torch.full((24, 16, 3, 3), float("inf"))
EDITS: dict[str, tuple[dict[str, Tensor], str]] = {
    "shape": ({"layers.conv1.weight": torch.ones(6, 3, 11, 11)}, "(6, 3, 11, 11), not (6, 3, 5, 5"),
    "not finite": ({"layers.conv3.weight": INFINITE}, "with values that are not finite numbers"),
    "half": ({"layers.fc8.bias": ZEROS.half()}, "32-bit floating point"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_other_weights_are_refused(edit: str, weights: dict[str, Tensor], tmp_path: Path) -> None:
    changes, message = EDITS[edit]
    path = rewritten(tmp_path / "w", {**weights, **changes})
    assert message in refused(lambda: import_weights(path))


def test_missing_weights_are_refused(weights: dict[str, Tensor], tmp_path: Path) -> None:
    without = {name: weight for name, weight in weights.items() if name != "layers.conv2.bias"}
    for tensors, message in (
        (without, "lacks layers.conv2.bias"),
        ({"features.0.weight": ZEROS}, "lacks layers.conv1.bias and 15 more"),
        ({}, "lacks"),
    ):
        path = rewritten(tmp_path / "w", tensors)
        assert message in refused(lambda path=path: import_weights(path))


def config_with(**changes: object) -> dict[str, object]:
    return {"format": 2, "config": {**asdict(CONFIG), **changes}}


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ("no json {", "broken config"),
        ("[" * 100_000, "broken config"),
        ({"format": 1, "config": asdict(CONFIG)}, "format 1 is not 2"),
        ({"format": 2, "config": {}}, "not the fields of a config"),
        (config_with(more=1), "not the fields of a config: more"),
        (config_with(classes="10"), "classes"),
        (config_with(activation="__import__('os')"), "activation"),
        (config_with(lrn_alpha=float("nan")), "lrn_alpha"),
        (config_with(conv1_stride=0), "conv1_stride is below 1"),
        (config_with(columns=5), "whole columns"),
        (config_with(conv_widths=[6, 16]), "broken config"),
        (config_with(removed_layers=["conv1"]), "broken config"),
        (config_with(fc_widths=[1_000_000, 1_000_000]), "of shape"),
    ],
)
def test_hostile_configs_end_in_one_line(
    about: object, message: str, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    path = rewritten(tmp_path / "w", weights, about)
    assert message in refused(lambda: import_weights(path))


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", 90)
        + b'{"layers.fc8.bias":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}}',
        os.urandom(1000),
    ],
    ids=["long header", "overflow", "noise"],
)
def test_hostile_safetensors_end_in_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(content)
    refused(lambda: import_weights(tmp_path / "w"))


class Exploit:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.target}",)


WRITERS = {"torch": torch.save, "pickle": lambda state, path: path.write_bytes(pickle.dumps(state))}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_nothing_in_a_file_is_executed(
    write: Callable[[object, Path], object], tmp_path: Path
) -> None:
    write({"net": Exploit(tmp_path / "exploded")}, tmp_path / "w")
    refused(lambda: import_weights(tmp_path / "w"))
    assert not (tmp_path / "exploded").exists()


def test_no_file_a_folder_and_a_cut_file_end_in_one_line(stored: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        refused(lambda path=path: import_weights(path))
    content = stored.read_bytes()
    for share in (0, 100, len(content) - 1):
        stored.write_bytes(content[:share])
        assert "cannot be read as safetensors" in refused(lambda: import_weights(stored))


def test_load_matching_takes_the_layers_that_fit() -> None:
    parent = AlexNet(replace(CONFIG, classes=7), seed=5)
    net, drawn = AlexNet(CONFIG, seed=0), AlexNet(CONFIG, seed=0)
    load_matching(net, parent.state_dict())
    for name, weight in net.state_dict().items():
        source = drawn if name.startswith("layers.fc8") else parent
        assert torch.equal(weight, source.state_dict()[name])


def test_save_and_load(tmp_path: Path) -> None:
    config = replace(CONFIG.six_convolutions(), activation="tanh", pool_size=2, dropout=False)
    net, images = AlexNet(config), torch.randn(2, 3, 28, 28)
    net.save(tmp_path / "net.safetensors")
    again = load(tmp_path / "net.safetensors")
    assert again.config == config
    assert torch.equal(again(images), net.eval()(images))


def test_torchvisions_alexnet_is_another_network(tmp_path: Path) -> None:
    from torchvision.models import alexnet

    with torch.device("meta"):
        other = alexnet()
    assert sum(p.numel() for p in other.parameters()) == 61_100_840
    path = rewritten(tmp_path / "w", {name: torch.zeros(1) for name in other.state_dict()})
    assert "torchvision's network of 2014" in refused(lambda: import_weights(path))
