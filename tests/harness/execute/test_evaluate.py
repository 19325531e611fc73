"""Averages of views, ties, features, neighbours and colours, each against a slow version."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from alexnet.config import AlexNetConfig, AlexNetRecipe
from alexnet.data.imageset import ImageSet
from alexnet.data.loader import Loader
from alexnet.evaluation import (
    color_energy_fraction,
    column_color,
    features,
    predict,
    retrieval_precision,
    top_errors,
    topk_correct,
)
from alexnet.models import AlexNet

pytestmark = pytest.mark.numerical

CPU = torch.device("cpu")
CONFIG = AlexNetConfig.original().smoke()


@pytest.fixture
def net() -> AlexNet:
    """A network that is sure of another class in every view: no biases, which dominate at first."""
    net = AlexNet(CONFIG, seed=0)
    with torch.no_grad():
        for layer in net.layers.values():
            layer.bias.zero_()
        net.layers["fc8"].weight.mul_(30)
    return net.train()


@pytest.fixture
def held_out(splits: dict[str, ImageSet]) -> Loader:
    return Loader(
        splits["test"], splits["train"], CONFIG.image_size, AlexNetRecipe.original().augment, CPU
    )


def squares(splits: dict[str, ImageSet]) -> list[Tensor]:
    """The ten views of 28 pixels of all 32-pixel test images, cut by hand."""
    stored = torch.from_numpy(splits["test"].images).permute(0, 3, 1, 2).float()
    mean = torch.from_numpy(splits["train"].mean_image).permute(2, 0, 1)[:, 2:30, 2:30]
    cut = [
        stored[..., :28, :28],
        stored[..., :28, 4:],
        stored[..., 4:, :28],
        stored[..., 4:, 4:],
        stored[..., 2:30, 2:30],
    ]
    return [view - mean for view in [*cut, *[view.flip(3) for view in cut]]]


@torch.no_grad()
def test_ten_views_average_probabilities(
    net: AlexNet, held_out: Loader, splits: dict[str, ImageSet]
) -> None:
    found = predict(net, held_out, crops=10)[0]
    net.eval()
    each = torch.stack([net(view).softmax(1) for view in squares(splits)])
    torch.testing.assert_close(found, each.mean(0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.sum(1), torch.ones(100))
    of_scores = torch.stack([net(view) for view in squares(splits)]).mean(0).softmax(1)
    assert each.std(0).amax(1).median() > 0.01  # the views differ
    assert (found - of_scores).abs().max() > 1e-3  # an average of scores would be something else


@torch.no_grad()
def test_one_view_is_the_centre_without_dropout(
    net: AlexNet, held_out: Loader, splits: dict[str, ImageSet]
) -> None:
    found = predict(net, held_out)[0]
    assert not net.training
    torch.testing.assert_close(found, net(squares(splits)[4]).softmax(1), rtol=1e-4, atol=1e-6)
    assert found.shape == (100, 10)


def test_bf16_probabilities_are_near_those_of_fp32(net: AlexNet, held_out: Loader) -> None:
    long, short = (predict(net, held_out, precision=precision)[0] for precision in ("fp32", "bf16"))
    assert short.dtype == torch.float32
    assert not torch.equal(long, short)
    torch.testing.assert_close(long, short, rtol=0.3, atol=0.02)


def test_features_are_what_fc8_reads(
    net: AlexNet, held_out: Loader, splits: dict[str, ImageSet]
) -> None:
    found = features(net, held_out, precision="fp32", count=70)
    assert found.shape == (70, 256)
    assert not net.training
    with torch.no_grad():
        torch.testing.assert_close(
            found, net.features(squares(splits)[4][:70]), rtol=1e-4, atol=1e-5
        )
        torch.testing.assert_close(
            net.layers["fc8"](found), net(squares(splits)[4][:70]), rtol=1e-4, atol=1e-5
        )
        whole = AlexNet(replace(CONFIG, dropout=False)).eval()
        whole.load_state_dict(net.state_dict())
        one = whole.layers["fc6"](whole.conv_features(squares(splits)[4][:1]).flatten(1)).relu() / 2
        # halved twice at test
        torch.testing.assert_close(
            net.layers["fc7"](one).relu() / 2, found[:1], rtol=1e-4, atol=1e-5
        )
    assert features(net, held_out, precision="fp32").shape == (100, 256)
    assert features(net, held_out, precision="fp32", count=1000).shape == (100, 256)


def credit_by_lot(scores: list[float], label: int, k: int) -> float:
    """How often the label is among the first k if ties are broken at random, by all orders."""
    orders = list(permutations(range(len(scores))))
    return sum(label in sorted(order, key=lambda c: -scores[c])[:k] for order in orders) / len(
        orders
    )


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5]), min_size=1, max_size=6),
    st.integers(0, 5),
    st.integers(1, 6),
)
def test_ties_share_the_free_places(scores: list[float], label: int, k: int) -> None:
    label %= len(scores)
    credit = topk_correct(torch.tensor([scores]), torch.tensor([label]), k)
    assert credit.item() == pytest.approx(credit_by_lot(scores, label, k), abs=1e-12)


def test_a_network_that_diverged_is_right_nowhere() -> None:
    lost = torch.full((4, 10), float("nan"))
    assert top_errors(lost, torch.arange(4)) == {"top1": 100.0, "top5": 100.0}
    lost[:, 0] = 1.0  # even where one class still has a number
    assert topk_correct(lost, torch.tensor([0, 1, 2, 3]), 1).tolist() == [0, 0, 0, 0]


def test_retrieval_precision_is_the_long_way_rounds() -> None:
    rng = np.random.default_rng(1)
    queries, stored = rng.normal(size=(700, 5)), rng.normal(size=(60, 5))
    query_labels, stored_labels = rng.integers(0, 4, 700), rng.integers(0, 4, 60)
    right = 0
    for query, label in zip(queries, query_labels, strict=True):
        nearest = sorted(range(60), key=lambda i, q=query: float(((stored[i] - q) ** 2).sum()))[:6]
        right += sum(stored_labels[i] == label for i in nearest)
    found = retrieval_precision(
        *(torch.from_numpy(array) for array in (queries, stored, query_labels, stored_labels))
    )
    assert found == pytest.approx(100 * right / (6 * 700), abs=1e-9)


def test_colour_shares_by_hand() -> None:
    grey = torch.randn(1, 1, 5, 5, generator=torch.Generator().manual_seed(0)).expand(1, 3, 5, 5)
    red = torch.zeros(1, 3, 5, 5)
    red[:, 0] = 2.0
    opponent = torch.zeros(1, 3, 5, 5)
    opponent[:, 0], opponent[:, 1] = 1.0, -1.0
    half = torch.zeros(1, 3, 5, 5)
    half[:, 0], half[:, 1] = 1.0, 1.0
    shares = color_energy_fraction(torch.cat([grey, red, opponent, half]).double())
    torch.testing.assert_close(
        shares, torch.tensor([0, 2 / 3, 1, 1 / 3], dtype=torch.float64), rtol=0, atol=1e-12
    )


def test_columns_colour_is_that_of_each_half_of_conv1(net: AlexNet) -> None:
    """The first column grey, the second opponent colours."""
    with torch.no_grad():
        weight = net.layers["conv1"].weight
        weight[:3] = weight[:3].mean(1, keepdim=True)
        weight[3:] -= weight[3:].mean(1, keepdim=True)
    np.testing.assert_allclose(column_color(net), [0, 1], atol=1e-6)
