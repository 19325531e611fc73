"""Order, crops, flips, colour noise and ten crops, on images whose pixels tell positions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from alexnet.config import AlexNetRecipe, Augment
from alexnet.data.augment import AXIS_DIRECTIONS, draw, pca_color_axes
from alexnet.data.imageset import ImageSet, Meta
from alexnet.data.loader import Loader, epoch_order

pytestmark = pytest.mark.numerical

CPU = torch.device("cpu")
STORED, SIZE = 40, 8  # 33 positions each way, as 256 and 224 have
COVARIANCE = ((5000.0, 4000.0, 3000.0), (4000.0, 6000.0, 4500.0), (3000.0, 4500.0, 7000.0))
PLAIN = AlexNetRecipe(color_noise="none")


def imageset(images: NDArray[np.uint8], mean_image: NDArray[np.float32] | None = None) -> ImageSet:
    """An ImageSet in memory; the label of image i is i % 10."""
    count = len(images)
    mean = np.zeros(images.shape[1:], np.float32) if mean_image is None else mean_image
    classes, shape = tuple("abcdefghij"), images.shape[1:]
    meta = Meta(3, "test", "train", classes, count, shape, "", 1.0, COVARIANCE, False, "", "")
    return ImageSet(meta, images, np.arange(count) % 10, mean)


def located(count: int) -> ImageSet:
    """Red is the pixel's row, green its column, blue the number of the image (up to 256)."""
    images = np.zeros((count, STORED, STORED, 3), np.uint8)
    images[..., 0] = np.arange(STORED)[:, None]
    images[..., 1] = np.arange(STORED)
    images[..., 2] = np.arange(count)[:, None, None]
    return imageset(images)


def noisy(count: int, mean: bool = True) -> ImageSet:
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (count, STORED, STORED, 3), dtype=np.uint8)
    return imageset(
        images, rng.uniform(0, 255, (STORED, STORED, 3)).astype(np.float32) if mean else None
    )


def views(data: ImageSet, recipe: AlexNetRecipe = PLAIN, size: int = SIZE) -> Loader:
    return Loader(data, data, size, recipe.augment, CPU)


def seen(images: Tensor) -> list[tuple[int, int, int, bool]]:
    """(number, top, left, mirrored) of crops of `located` images, checked to be whole squares."""
    found = []
    for image in images:
        rows, columns, number = image
        mirrored = bool(columns[0, 0] > columns[0, 1])
        top, left = int(rows.min()), int(columns.min())
        across = torch.arange(left, left + SIZE).float()
        assert torch.equal(rows, torch.arange(top, top + SIZE).float()[:, None].expand(SIZE, SIZE))
        assert torch.equal(columns, (across.flip(0) if mirrored else across).expand(SIZE, SIZE))
        assert len(number.unique()) == 1
        found.append((int(number[0, 0]), top, left, mirrored))
    return found


def test_positions_are_uniform_half_is_mirrored_and_the_light_is_normal() -> None:
    draws = draw(1089 * 40, 33, seed=5, epoch=2)
    cells = np.bincount(draws.corners[:, 0] * 33 + draws.corners[:, 1], minlength=33 * 33)
    assert cells.min() > 0
    assert 0.001 < stats.chisquare(cells).pvalue < 0.999
    places = (draws.corners[:, 0], draws.flipped.astype(int))
    with_mirrors = np.bincount(np.ravel_multi_index(places, (33, 2)), minlength=66)
    assert 0.001 < stats.chisquare(with_mirrors).pvalue < 0.999
    for axis in draws.color.T:
        assert stats.kstest(axis, "norm").pvalue > 0.001
    assert np.abs(np.corrcoef(draws.color.T) - np.eye(3)).max() < 4 / len(cells) ** 0.5


def test_draws_are_a_function_of_seed_and_epoch() -> None:
    first = draw(100, 33, seed=0, epoch=0)
    for seed, epoch, same in ((0, 0, True), (0, 1, False), (1, 0, False)):
        other = draw(100, 33, seed, epoch)
        for name in ("corners", "flipped", "color"):
            assert np.array_equal(getattr(first, name), getattr(other, name)) is same
    # nor are they the order's numbers
    assert not np.array_equal(np.argsort(first.color[:, 0]), epoch_order(100, 0, 0))


def test_crops_lie_where_the_draws_say() -> None:
    data, epoch = located(200), 3
    draws, order = draw(200, 33, 7, epoch), epoch_order(200, 7, epoch)
    found = []
    for images, labels in views(data).epoch(7, epoch, 64):
        assert images.dtype == torch.float32
        assert images.is_contiguous(memory_format=torch.channels_last)
        found += seen(images)
        assert labels.tolist() == [number % 10 for number, *_ in found[-len(labels) :]]
    assert [number for number, *_ in found] == order.tolist()
    assert found == [(i, *draws.corners[i].tolist(), bool(draws.flipped[i])) for i in order]
    # both ends are reached
    assert {top for _, top, _, _ in found} | {left for _, _, left, _ in found} == set(range(33))


def test_chunks_of_32_share_crop_and_mirror_but_not_light() -> None:
    found = [
        seen(images)
        for images, _ in views(located(200), replace(PLAIN, images_per_draw=32)).epoch(7, 0, 128)
    ]
    assert [len(batch) for batch in found] == [128, 72]
    chunks = [
        {crop[1:] for crop in batch[k : k + 32]}
        for batch in found
        for k in range(0, len(batch), 32)
    ]
    assert [len(chunk) for chunk in chunks] == [1] * 7
    assert len(set.union(*chunks)) > 1
    black = imageset(np.zeros((64, STORED, STORED, 3), np.uint8))
    lit = next(
        views(black, replace(PLAIN, images_per_draw=32, color_noise="deviation")).epoch(7, 0, 64)
    )[0]
    assert len(lit[:, :, 0, 0].unique(dim=0)) == 64


def test_crops_and_mirrors_can_be_left_out() -> None:
    for images, _ in views(located(50), replace(PLAIN, crops=False)).epoch(1, 0, 50):
        assert {(top, left) for _, top, left, _ in seen(images)} == {(16, 16)}
        assert {mirrored for *_, mirrored in seen(images)} == {False, True}
    for images, _ in views(located(50), replace(PLAIN, flips=False)).epoch(1, 0, 50):
        assert {mirrored for *_, mirrored in seen(images)} == {False}
        assert len({(top, left) for _, top, left, _ in seen(images)}) > 30


def test_the_mean_is_its_central_square_wherever_the_crop_lies() -> None:
    mean = np.random.default_rng(0).uniform(0, 255, (STORED, STORED, 3)).astype(np.float32)
    black = imageset(np.zeros((20, STORED, STORED, 3), np.uint8), mean)
    central = torch.from_numpy(mean)[16:24, 16:24].permute(2, 0, 1)
    for images, _ in views(black).epoch(0, 0, 20):
        assert torch.equal(images, -central.expand(20, -1, -1, -1))  # not mirrored with the image
    held_out = Loader(imageset(black.images), black, SIZE, PLAIN.augment, CPU)  # the training mean
    for _, squares in held_out.in_order(20, 10):
        assert all(torch.equal(square, -central.expand(20, -1, -1, -1)) for square in squares)


def test_each_axis_has_one_of_its_two_directions() -> None:
    """Which of the two LAPACK returns is its own business: -v is an eigenvector as good as v."""
    rng = np.random.default_rng(5)
    for covariance in [
        np.array(COVARIANCE),
        *(np.cov(rng.normal(size=(3, 9))) for _ in range(200)),
    ]:
        axes = pca_color_axes(covariance, "deviation").astype(np.float64)
        assert ((axes * AXIS_DIRECTIONS).sum(1) > 0).all()
        np.testing.assert_allclose(axes.T @ axes, covariance, rtol=1e-4, atol=1e-4)


def test_section_4_prints_1483_grey_levels() -> None:
    """With ImageNet's axes (columns) and deviations, as released with the 2012 code's successor."""
    axes = np.array(
        [[0.418, -0.7126, -0.5635], [-0.817, -0.0235, -0.5762], [0.3973, 0.7012, -0.592]]
    )
    covariance = axes * np.array([19.7208, 37.0939, 121.7801]) ** 2 @ axes.T
    deviation, printed = (
        0.1 * pca_color_axes(covariance, kind) for kind in ("deviation", "eigenvalue")
    )
    np.testing.assert_allclose(np.linalg.norm(deviation, axis=0), [7.40, 7.20, 7.70], atol=0.01)
    assert np.linalg.norm(printed[2]) == pytest.approx(1483, abs=1)


@pytest.mark.parametrize("kind", ["deviation", "eigenvalue"])
@pytest.mark.parametrize("divisor", [1.0, 1.1])
def test_light_is_one_shift_per_image_and_then_a_division(kind: str, divisor: float) -> None:
    """[p1, p2, p3][α1 s1, α2 s2, α3 s3]ᵀ of §4.1, written out; s are deviations or eigenvalues."""
    data = noisy(40)
    recipe = replace(PLAIN, color_noise=kind, color_noise_divisor=divisor)
    (lit, _), (plain, _) = (next(views(data, r).epoch(3, 1, 40)) for r in (recipe, PLAIN))
    variances, vectors = np.linalg.eigh(np.array(COVARIANCE))
    sizes = np.sqrt(variances) if kind == "deviation" else variances
    light = draw(40, 33, 3, 1).color
    for place, number in enumerate(epoch_order(40, 3, 1)):
        alphas = 0.1 * light[number]
        shift = sum(alphas[i] * sizes[i] * vectors[:, i] for i in range(3))
        expected = (plain[place].double() + torch.from_numpy(shift)[:, None, None]) / divisor
        torch.testing.assert_close(
            lit[place].double(), expected, rtol=1e-5, atol=1e-3 if kind == "deviation" else 0.1
        )


@given(st.integers(1, 300), st.integers(0, 2**32), st.integers(0, 1000))
def test_an_order_is_a_permutation_and_a_function_of_seed_and_epoch(
    count: int, seed: int, epoch: int
) -> None:
    order = epoch_order(count, seed, epoch)
    assert sorted(order) == list(range(count))
    np.testing.assert_array_equal(order, epoch_order(count, seed, epoch))
    orders = {tuple(epoch_order(50, seed + k, epoch + j)) for k in range(2) for j in range(2)}
    assert len(orders) == 4


FULL = replace(AlexNetRecipe.original(), images_per_draw=8)


def batches(split: Loader, *arguments: int, **options: int) -> list[tuple[Tensor, Tensor]]:
    return [(images.clone(), labels) for images, labels in split.epoch(*arguments, **options)]


@pytest.mark.parametrize("skip", [0, 1, 3, 4])
def test_skipping_is_what_a_resumed_run_sees(skip: int) -> None:
    split = views(noisy(100), FULL)
    whole, rest = batches(split, 0, 5, 32), batches(views(noisy(100), FULL), 0, 5, 32, skip=skip)
    assert len(rest) == 4 - skip
    for (a, b), (c, d) in zip(whole[skip:], rest, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_a_batch_without_seeing_other_images_than_one_would(world: int) -> None:
    split = views(noisy(100), FULL)
    parts = [batches(split, 0, 5, 32, rank=rank, world_size=world) for rank in range(world)]
    for number, (images, labels) in enumerate(batches(split, 0, 5, 32)):
        for rank in range(world):
            assert torch.equal(parts[rank][number][0], images[rank::world])
            assert torch.equal(parts[rank][number][1], labels[rank::world])


def test_ten_views_are_the_corners_the_centre_and_their_mirror_images() -> None:
    data = noisy(7, mean=False)
    stored = torch.from_numpy(data.images).permute(0, 3, 1, 2).float()
    found = []
    for index, squares in views(data, FULL).in_order(3, 10):  # nothing of training's draws
        assert len(squares) == 10
        part = stored[index]
        five = [
            part[..., :8, :8],
            part[..., :8, 32:],
            part[..., 32:, :8],
            part[..., 32:, 32:],
            part[..., 16:24, 16:24],
        ]
        for square, expected in zip(
            squares, [*five, *[torch.flip(view, [3]) for view in five]], strict=True
        ):
            assert torch.equal(square, expected)
        found += index.tolist()
    assert found == list(range(7))


def test_stored_images_are_brought_to_the_recipes_size() -> None:
    data = noisy(4)
    recipe = replace(PLAIN, resize=80, crops=False, flips=False)
    large, mean = (
        F.interpolate(
            torch.from_numpy(pixels).permute(0, 3, 1, 2).float(), (80, 80), mode="bilinear"
        )
        for pixels in (data.images, data.mean_image[None])
    )
    expected = (large - mean)[..., 8:72, 8:72]
    split = views(data, recipe, size=64)
    images, _ = next(split.epoch(0, 0, 4))
    torch.testing.assert_close(images, expected[epoch_order(4, 0, 0)], rtol=0, atol=1e-3)
    torch.testing.assert_close(next(split.in_order(4, 1))[1][0], expected, rtol=0, atol=1e-3)
    corners = {tuple(c) for c in draw(4000, split.stored - split.size + 1, 0, 0).corners.tolist()}
    assert len(corners) == 17 * 17


def test_images_smaller_than_the_crop_are_refused() -> None:
    with pytest.raises(
        ValueError, match="crops of 41 pixels need stored images of at least that size, not 40"
    ):
        views(noisy(2), size=41)
    assert views(noisy(2), size=40).stored == 40  # one position


def test_standardised_inputs_are_divided_by_the_training_pixels_deviation(
    splits: dict[str, ImageSet],
) -> None:
    train = splits["train"]
    loader = Loader(splits["test"], train, 32, Augment(standardise=True), CPU)
    for index, (images,) in loader.in_order(33):
        factor = np.float32(1 / train.meta.pixel_std)
        expected = (splits["test"].images[index].astype(np.float32) - train.mean_image) * factor
        np.testing.assert_array_equal(images.permute(0, 2, 3, 1).numpy(), expected)
