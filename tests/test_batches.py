"""Order and content of batches."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alexnet.data.batches import Batches, epoch_order
from alexnet.data.imageset import ImageSet

pytestmark = pytest.mark.numerical

CPU = torch.device("cpu")


@given(st.integers(1, 300), st.integers(0, 2**32), st.integers(0, 1000))
def test_an_order_is_a_permutation_and_a_function_of_seed_and_epoch(count: int, seed: int, epoch: int) -> None:
    order = epoch_order(count, seed, epoch)
    assert sorted(order) == list(range(count))
    np.testing.assert_array_equal(order, epoch_order(count, seed, epoch))


def test_seeds_and_epochs_have_orders_of_their_own() -> None:
    orders = {tuple(epoch_order(50, seed, epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_a_batch_is_the_images_minus_the_mean(splits: dict[str, ImageSet]) -> None:
    train = splits["train"]
    images, labels = Batches(train, train.mean_image, 0.5, CPU).take(torch.tensor([5, 0, 5]))
    expected = (train.images[[5, 0, 5]].astype(np.float32) - train.mean_image) * 0.5
    np.testing.assert_array_equal(images.permute(0, 2, 3, 1).numpy(), expected)
    assert labels.tolist() == train.labels[[5, 0, 5]].tolist()
    assert images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("skip", [0, 1, 2])
def test_an_epoch_has_every_image_once_and_can_start_in_the_middle(splits: dict[str, ImageSet], skip: int) -> None:
    batches = Batches(splits["test"], splits["train"].mean_image, 1.0, CPU)
    whole = [images for images, _ in batches.epoch(3, 1, 32)]
    assert [len(b) for b in whole] == [32, 32, 32, 4]
    for (resumed, _), original in zip(batches.epoch(3, 1, 32, skip=skip), whole[skip:], strict=True):
        assert torch.equal(resumed, original)
    order = torch.from_numpy(epoch_order(100, 3, 1))
    assert torch.equal(torch.cat(whole), batches.take(order)[0])


def test_in_order(splits: dict[str, ImageSet]) -> None:
    batches = Batches(splits["test"], splits["train"].mean_image, 1.0, CPU)
    labels = torch.cat([labels for _, labels in batches.in_order(33)])
    assert labels.tolist() == splits["test"].labels.tolist()
