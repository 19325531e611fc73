"""The package as someone uses it who wants the networks and nothing else."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from networks import Splits
from PIL import Image

import alexnet
from alexnet import (
    AlexNet,
    AlexNetConfig,
    AlexNetRecipe,
    CifarNet,
    CifarNetConfig,
    LocallyConnectedConfig,
    LocallyConnectedNet,
    evaluate,
    images,
    load,
    train,
)
from alexnet.data.imageset import DataError

SMALL = AlexNetConfig.original().smoke()


def test_a_plain_loop_trains(splits: Splits) -> None:
    """As any user of PyTorch writes it: masks differ from step to step, and the loss falls."""
    torch.manual_seed(0)
    net = AlexNet(SMALL)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    pixels = torch.from_numpy(splits["train"].images[:64, 2:30, 2:30])
    x = pixels.permute(0, 3, 1, 2).float() - 120
    y = torch.from_numpy(splits["train"].labels[:64])
    losses = []
    for _ in range(120):
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    first, second = net(x), net(x)
    assert not torch.equal(first, second)
    net.eval()
    assert torch.equal(net(x), net(x))


@pytest.mark.parametrize("kind", [AlexNet, CifarNet, LocallyConnectedNet])
def test_a_new_network_has_the_papers_weights(kind: type) -> None:
    """Not torch's default ones, whose biases are random."""
    net = kind(SMALL) if kind is AlexNet else kind()
    biases = {name: bias for name, bias in net.named_parameters() if name.endswith("bias")}
    assert biases
    assert all(bias.unique().tolist() in ([0.0], [1.0]) for bias in biases.values())
    again = kind(net.config, seed=3)
    other = kind(net.config, seed=3)
    assert all(map(torch.equal, again.parameters(), other.parameters()))


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Ten photographs of two kinds, of other sizes."""
    rng = np.random.default_rng(0)
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        for k in range(5):
            shade = 40 if kind == "cat" else 200
            pixels = rng.integers(shade, shade + 50, (60 + 7 * k, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / kind / f"{k}.jpg")
    (tmp_path / "notes.txt").write_text("not an image")
    return tmp_path


def test_from_a_folder_of_photographs_to_a_network_on_the_disk(
    photographs: Path, tmp_path: Path
) -> None:
    photos = images(photographs)
    assert (photos.meta.classes, photos.meta.shape) == (("cat", "dog"), (256, 256, 3))
    assert photos.labels.tolist() == [0] * 5 + [1] * 5
    config = AlexNetConfig(
        image_size=64, classes=2, conv_widths=(8, 16, 16, 16, 16), fc_widths=(32, 32)
    )
    net = AlexNet(config, seed=0)
    recipe = AlexNetRecipe(learning_rate=0.01, batch_size=5, epochs=3, resize=72)
    done = train(net, recipe, photos, photos, device="cpu")
    assert len(done.validation_errors) == 3
    assert done.step == 6
    found = evaluate(net, photos, mean_of=photos, recipe=recipe, crops=10)
    assert set(found) == {"top1", "top5"}
    net.save(tmp_path / "net.safetensors")
    net = load(tmp_path / "net.safetensors")
    assert evaluate(net, photos, mean_of=photos, recipe=recipe, crops=10) == found


def test_the_example_of_an_own_loop_runs(photographs: Path, clean_env: dict[str, str]) -> None:
    example = Path(__file__).parents[2] / "examples" / "own_loop.py"
    command = [sys.executable, str(example), str(photographs)]
    done = subprocess.run(command, env=clean_env, capture_output=True, text=True, check=True)
    said = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert said == ["epoch 1", "epoch 2", "epoch 3"]


def test_a_folder_is_packed_again_where_a_file_changed(photographs: Path) -> None:
    first = images(photographs)
    assert images(photographs).meta.fingerprint == first.meta.fingerprint
    Image.new("RGB", (90, 90)).save(photographs / "cat" / "0.jpg")
    assert images(photographs).meta.fingerprint != first.meta.fingerprint


def test_no_images_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is neither a folder nor one of cifar10, tiny-imagenet"):
        images("cifar11")
    with pytest.raises(DataError, match="synthetic has no split 'validation'; it has train, test"):
        images("synthetic", "validation", data=".")
    with pytest.raises(DataError, match=r"a folder has no splits; give .*/test itself"):
        images(tmp_path, "test")
    with pytest.raises(DataError, match="has no two subfolders with images"):
        images(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jpg").write_bytes(b"no JPEG")
    with pytest.raises(DataError, match=r"a/x\.jpg"):
        images(tmp_path)


def test_images_that_end_within_the_network_are_refused() -> None:
    with pytest.raises(ValueError, match="images of 32 pixels end before fc6"):
        AlexNet(AlexNetConfig(image_size=32))
    assert CifarNet(CifarNetConfig(image_size=28))(torch.zeros(1, 3, 28, 28)).shape == (1, 10)
    local = LocallyConnectedNet(LocallyConnectedConfig(image_size=26))
    assert local(torch.zeros(1, 3, 26, 26)).shape == (1, 10)


def test_every_public_name_is_there() -> None:
    assert sorted(alexnet.__all__) == sorted(
        name for names in alexnet.MODULES.values() for name in names
    )
    for name in alexnet.__all__:
        assert getattr(alexnet, name).__doc__
