"""A few classes of real photographs, learned well above chance within the test suite's time."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.config import AlexNetConfig, AlexNetRecipe
from alexnet.data.augment import Views
from alexnet.data.imageset import ImageSet, pack
from alexnet.evaluate import errors, probabilities
from alexnet.train import fit_alexnet

pytestmark = pytest.mark.numerical

DATA = os.environ.get("ALEXNET_DATA")  # read before the tests hide it
CLASSES, TRAIN, TEST = 4, 450, 50  # chance is 75 % error


def photographs(folders: list[Path], first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    files = [path for folder in folders for path in sorted(folder.glob("images/*.JPEG"))[first : first + count]]
    pixels = []
    for path in files:
        with Image.open(path) as image:
            pixels.append(np.asarray(image.convert("RGB")))
    return np.stack(pixels), np.repeat(np.arange(len(folders)), count)


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, ImageSet]:
    """The first classes of Tiny ImageNet, the last images of each as test; its training images alone are needed."""
    folders = sorted((Path(DATA or "-") / "tiny-imagenet-200" / "train").glob("n*"))[:CLASSES]
    if len(folders) < CLASSES:
        pytest.skip("ALEXNET_DATA names no folder with tiny-imagenet-200")
    made = {}
    for split, first, count in (("train", 0, TRAIN), ("test", TRAIN, TEST)):
        images, labels = photographs(folders, first, count)
        made[split] = pack(
            tmp_path / split, images, labels, name="tiny", split=split, classes=[f.name for f in folders], canonical=False,
            source="a few classes of Tiny ImageNet",
        )  # fmt: skip
    return made


def test_real_images_are_learned(tiny: dict[str, ImageSet]) -> None:
    config = replace(AlexNetConfig.original().mini(), classes=CLASSES)
    recipe = replace(AlexNetRecipe.original().mini(), epochs=4, drops=(3,), batch_size=32)
    run = fit_alexnet(config, recipe, tiny["train"], tiny["test"], seed=0, device=torch.device("cpu"))
    asked = Views(tiny["test"], tiny["train"], config.image_size, recipe, torch.device("cpu"))
    found = errors(probabilities(run.net, asked, views=10, precision=run.precision), asked.labels)
    assert found["top1"] < 60, "chance is 75; at 200 images the standard error is 3.5"
    assert run.history[-1].train_loss < run.history[0].train_loss - 0.1
