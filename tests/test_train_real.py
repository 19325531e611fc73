"""A few classes of real photographs, learned well above chance within the test suite's time."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.config import AlexNetConfig, AlexNetRecipe
from alexnet.data.imageset import ImageSet, pack
from alexnet.evaluation import evaluate
from alexnet.training import train

pytestmark = pytest.mark.numerical

DATA = os.environ.get("ALEXNET_DATA")  # read before the tests hide it
CLASSES, TRAIN, TEST = 4, 450, 50  # chance is 75 % error


def photographs(folders: list[Path], first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    files = [
        path
        for folder in folders
        for path in sorted(folder.glob("images/*.JPEG"))[first : first + count]
    ]
    pixels = []
    for path in files:
        with Image.open(path) as image:
            pixels.append(np.asarray(image.convert("RGB")))
    return np.stack(pixels), np.repeat(np.arange(len(folders)), count)


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, ImageSet]:
    """Tiny ImageNet's first classes, the last images of each as test; needs no other split."""
    folders = sorted((Path(DATA or "-") / "tiny-imagenet-200" / "train").glob("n*"))[:CLASSES]
    if len(folders) < CLASSES:
        pytest.skip("ALEXNET_DATA names no folder with tiny-imagenet-200")
    made = {}
    for split, first, count in (("train", 0, TRAIN), ("test", TRAIN, TEST)):
        images, labels = photographs(folders, first, count)
        made[split] = pack(
            tmp_path / split,
            images,
            labels,
            name="tiny",
            split=split,
            classes=[f.name for f in folders],
            canonical=False,
            source="a few classes of Tiny ImageNet",
        )
    return made


def test_real_images_are_learned(tiny: dict[str, ImageSet]) -> None:
    config = replace(AlexNetConfig.original().mini(), classes=CLASSES)
    recipe = replace(AlexNetRecipe.original().mini(), epochs=4, lr_milestones=(3,), batch_size=32)
    done = train(config.build(0), recipe, tiny["train"], tiny["test"], device="cpu")
    found = evaluate(done.net, tiny["test"], mean_of=tiny["train"], recipe=recipe, crops=10)
    assert found["top1"] < 60, "chance is 75; at 200 images the standard error is 3.5"
    assert done.history[-1].train_loss < done.history[0].train_loss - 0.1
