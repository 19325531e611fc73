"""What is measured of an average, against the long way round."""

import numpy as np
import pytest
import torch

from alexnet.config import AlexNetConfig, AlexNetRecipe
from alexnet.data.imageset import ImageSet
from alexnet.data.loader import Loader
from alexnet.evaluation import predict
from alexnet.models import AlexNet
from reproductions.harness.execute.tasks import average

pytestmark = pytest.mark.numerical

CONFIG, RECIPE = AlexNetConfig.original().smoke(), AlexNetRecipe.original().smoke()


def net(seed: int, config: AlexNetConfig = CONFIG) -> AlexNet:
    """A network that is sure of something: without biases, which drown the images at first."""
    made = AlexNet(config, seed)
    with torch.no_grad():
        for layer in made.layers.values():
            layer.bias.zero_()
        made.layers["fc8"].weight.mul_(30)
    return made


def test_the_average_of_probabilities_and_the_mean_of_its_networks(
    splits: dict[str, ImageSet],
) -> None:
    nets = [net(0), net(1), net(2, CONFIG.six_convolutions())]
    metrics, correct = average(
        ((each, RECIPE, "fp32") for each in nets), splits["train"], splits["test"]
    )
    views = Loader(
        splits["test"], splits["train"], CONFIG.image_size, RECIPE.augment, torch.device("cpu")
    )
    each = [predict(one, views, crops=10)[0].double().numpy() for one in nets]
    labels = splits["test"].labels
    mean = (each[0] + each[1] + each[2]) / 3

    def wrong(scores: np.ndarray, k: int) -> float:
        best = np.argsort(-scores, axis=1)[:, :k]
        return 100 * float(
            np.mean([label not in row for row, label in zip(best, labels, strict=True)])
        )

    found = {name: metric.value for name, metric in metrics.items()}
    assert found == pytest.approx(
        {
            "top1_ten": wrong(mean, 1),
            "top5_ten": wrong(mean, 5),
            "top1_ten_member": np.mean([wrong(one, 1) for one in each]),
            "top5_ten_member": np.mean([wrong(one, 5) for one in each]),
        }
    )
    assert len({wrong(one, 1) for one in each}) > 1, "the networks differ"
    assert found["top1_ten"] != pytest.approx(found["top1_ten_member"])
    np.testing.assert_array_equal(correct, mean.argmax(1) == labels)
    assert {(m.unit, m.split, m.examples) for m in metrics.values()} == {("percent", "test", 100)}
