"""Weights in safetensors files, which carry their config and which other programs read.

What is read is checked against a config before it is used: names, shapes, number format, and that
all are finite numbers. Nothing in a file is executed, and every broken or hostile file ends in a
WeightsError of one line.

Published weights called "AlexNet" belong to other networks (docs/glossary.md) and are refused, by
their names and shapes if by nothing else.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from alexnet.config import AlexNetConfig
from alexnet.io import write_atomic
from alexnet.models import AlexNet

FORMAT = 2  # of what stands under KEY; raise it when the meaning of a config or of a weight changes
KEY = "alexnet"  # in a safetensors file's metadata
# in a convolution read from a file: normalisation needs the square of it, which a small file could
# make large
MOST_MAPS = 8192
LARGEST = 1 << 20  # whole number in a config read from a file


class WeightsError(Exception):
    """The file holds no weights of the network that is asked for.

    The message says in one line what is wrong.
    """


def export_weights(path: Path, config: AlexNetConfig, weights: Mapping[str, Tensor]) -> None:
    """Write an AlexNet's `state_dict` and config as safetensors, whole or not at all.

    The same input gives the same bytes.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    others = {tensor.dtype for tensor in tensors.values()} - {torch.float32}
    if others:
        raise WeightsError(f"{path} would hold {others.pop()}; only torch.float32 is written")
    _compare(path, config, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    _check_finite(path, tensors)
    about = json.dumps({"format": FORMAT, "config": asdict(config)}, sort_keys=True)
    write_atomic(path, save(tensors, {KEY: about}))


def import_weights(path: Path) -> tuple[AlexNetConfig, dict[str, Tensor]]:
    """Config and weights of a safetensors file that `export_weights` wrote.

    Raises WeightsError if it is anything else.
    """
    try:
        with safe_open(path, "pt") as file:
            config = _config(path, (file.metadata() or {}).get(KEY))
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            formats = {part.get_dtype() for part in slices.values()} - {"F32"}
            if formats:
                raise WeightsError(
                    f"{path} has numbers in {min(formats)}; only 32-bit floating point is read"
                )
            _compare(path, config, {name: tuple(part.get_shape()) for name, part in slices.items()})
            weights = {name: file.get_tensor(name).clone() for name in slices}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors ({_line(error)})") from error
    _check_finite(path, weights)
    return config, weights


def load(path: Path | str) -> AlexNet:
    """The network that `AlexNet.save` wrote, in evaluation mode, on the CPU.

    Raises WeightsError if the file is anything else. Other programs' "AlexNet" weights belong to
    other networks: see docs/glossary.md.
    """
    return network(*import_weights(Path(path)))


def network(config: AlexNetConfig, weights: Mapping[str, Tensor]) -> AlexNet:
    """The network of a config with these weights, ready for a test."""
    net = AlexNet(config)
    net.load_state_dict(weights)
    return net.eval()


def load_matching(net: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Start from another network's weights (§6): layers whose shapes fit take them, others stay."""
    own = net.state_dict()
    fits = {name: w for name, w in weights.items() if name in own and own[name].shape == w.shape}
    net.load_state_dict({**own, **fits})


def _shapes(config: AlexNetConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(weight.shape) for name, weight in AlexNet(config).state_dict().items()}


def _compare(path: Path, config: AlexNetConfig, found: Mapping[str, tuple[int, ...]]) -> None:
    wanted = _shapes(config)
    if "classifier.6.weight" in found:
        other = "torchvision's network of 2014: one column, no response normalisation"
        raise WeightsError(f"{path} has the weights of {other}; they do not fit this one")
    lacking, unknown = wanted.keys() - found.keys(), found.keys() - wanted.keys()
    if lacking or unknown:
        names = sorted(map(str, lacking or unknown))
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        problem = "lacks" if lacking else "has an unknown"
        raise WeightsError(f"{path} {problem} {_line(names[0])}{more}")
    for name, shape in wanted.items():
        if found[name] != shape:
            raise WeightsError(f"{path} has {name} of shape {_line(found[name])}, not {shape}")


def _check_finite(path: Path, weights: Mapping[str, Tensor]) -> None:
    for name, tensor in weights.items():
        if not bool(tensor.isfinite().all()):
            raise WeightsError(f"{path} has {name} with values that are not finite numbers")


def _config(path: Path, text: str | None) -> AlexNetConfig:
    """The config in a file's metadata.

    Every field must be there: a change of defaults never changes a stored network.
    """
    if text is None:
        raise WeightsError(f"{path} has no config of this suite in its metadata")
    try:
        about = json.loads(text)
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']} is not {FORMAT}")
        names = {field.name for field in fields(AlexNetConfig)}
        if about["config"].keys() != names:
            raise ValueError(f"not the fields of a config: {min(about['config'].keys() ^ names)}")
        config = TypeAdapter(AlexNetConfig).validate_json(json.dumps(about["config"]), strict=True)
        _plausible(config)
    except ValidationError as error:
        first = error.errors()[0]
        why = f"{'.'.join(map(str, first['loc']))}: {_line(first['msg'])}"
        raise WeightsError(f"{path} has a broken config ({why})") from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
            RecursionError) as error:  # fmt: skip
        raise WeightsError(f"{path} has a broken config ({_line(error)})") from error
    return config


def _plausible(config: AlexNetConfig) -> None:
    """Raise ValueError for what no network can be built of, or none that fits into a memory."""
    for name, value in asdict(config).items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise ValueError(f"{name} is not finite")
            if type(number) is int and not 1 <= number <= LARGEST:
                raise ValueError(f"{name} is below 1 or above {LARGEST}")
    if len(config.fc_widths) != 2 or not config.conv_widths or max(config.conv_widths) > MOST_MAPS:
        maps, units = _line(config.conv_widths), _line(config.fc_widths)
        raise ValueError(f"convolutions of {maps} maps and hidden layers of {units} units")
    odd = all(kernel % 2 for kernel in config.conv_kernels[1:])
    if not odd or any(width % config.columns for width in config.conv_widths):
        raise ValueError("the maps do not make whole columns, or a kernel has an even size")
    for layer in config.layers():
        if min(layer.kernel, layer.side) < 1:
            raise ValueError(f"the images end before {layer.name}")


def _line(text: object) -> str:
    return (str(text).splitlines() or [type(text).__name__])[0][:200]
