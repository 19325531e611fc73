"""A trained network with what its metrics read, each thing computed once and only when asked."""

import math
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alexnet.autoencoder import binary_codes, train_autoencoder
from alexnet.data.imageset import ImageSet
from alexnet.data.loader import Loader, batches_of
from alexnet.evaluation import (
    argmax_correct,
    color_energy_fraction,
    column_color,
    distance_rank,
    features,
    predict,
    retrieval_precision,
    top_errors,
    topk_correct,
)
from alexnet.kernels import gaps_by_chance, orientation_selectivity
from alexnet.models import AlexNet
from alexnet.precision import image_type
from alexnet.training import Row, Training
from alexnet.version import TRAINING
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.records.history import error_of_epoch
from reproductions.harness.rule.curves import points, target_curve

KNOWN = 10_000  # training images that are evaluated after training, and searched for neighbours
QUERIES = 2_000  # test images whose neighbours are sought
Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Trained:
    """A finished training of a run. The network is in evaluation mode once it was asked."""

    done: Training
    train: ImageSet
    test: ImageSet
    recipe: Any
    run: PlannedRun

    @property
    def net(self) -> nn.Module:
        """The network."""
        return self.done.net

    @property
    def alone(self) -> bool:
        """Whether it was trained for one question, whose target ends it."""
        return not self.run.shared

    @cached_property
    def diverged(self) -> bool:
        """Whether the loss, or a weight of a shared run after the last update, is not finite."""
        weights = () if self.alone else self.net.state_dict().values()
        return self.done.diverged or not all(bool(weight.isfinite().all()) for weight in weights)

    def count(self, over: str) -> int:
        """How many images, or kernels of conv1, a metric is counted over."""
        counts = {"test": len(self.test), "train": len(self.train), "known": len(self.known)}
        if over == "train" and self.alone:
            return self.last_row.images
        if over == "kernels":
            return len(self.kernels)
        return counts[over] if over in counts else min(QUERIES, len(self.test))

    # the course of the training

    @property
    def last_row(self) -> Row:
        """The last row of the history."""
        return self.done.history[-1]

    @property
    def target_curve(self) -> list[tuple[float, float]]:
        """Epochs and training errors by which the recipe's target is read."""
        curve = points([asdict(row) for row in self.done.history])
        return target_curve(curve, len(self.train), self.recipe.target_window)

    @property
    def last_epoch(self) -> int:
        """The number of the last epoch, counted from 1."""
        return math.ceil(self.last_row.epoch)

    def error_of_epoch(self, epoch: int) -> float:
        """The running training error of an epoch, percent."""
        return error_of_epoch(list(map(asdict, self.done.history)), epoch)

    # images as the network takes them, and what it makes of them

    @cached_property
    def known(self) -> ImageSet:
        """At most KNOWN training images, evenly spread."""
        return sample(self.train, KNOWN)

    def batches(self, images: ImageSet) -> Loader:
        """Images as the network and its recipe want them, on the network's device."""
        device = next(self.net.parameters()).device
        found = batches_of(images, self.net, self.recipe, device, mean_of=self.train)
        assert isinstance(found, Loader)
        return found

    @cached_property
    def test_batches(self) -> Loader:
        """The test images for the network."""
        return self.batches(self.test)

    @cached_property
    def known_batches(self) -> Loader:
        """The known training images for the network."""
        return self.batches(self.known)

    @cached_property
    def centre(self) -> Pair:
        """Probabilities [N, classes] of the test images' central crops, and labels [N]."""
        return predict(self.net, self.test_batches, precision=self.done.precision)

    @cached_property
    def ten_crops(self) -> Pair:
        """The same, averaged over ten crops."""
        return predict(self.net, self.test_batches, crops=10, precision=self.done.precision)

    @cached_property
    def errors(self) -> dict[str, float]:
        """top1 and top5 of central crops of the test images, percent."""
        return top_errors(*self.centre)

    @cached_property
    def ten_crop_errors(self) -> dict[str, float]:
        """top1 and top5 of ten crops of the test images, percent."""
        return top_errors(*self.ten_crops)

    @cached_property
    def known_errors(self) -> dict[str, float]:
        """top1 and top5 of central crops of the known training images, percent."""
        return top_errors(*predict(self.net, self.known_batches, precision=self.done.precision))

    @cached_property
    def best_is_label(self) -> NDArray[np.bool_]:
        """Whether the best class of each test image is its label, by whole images: bool [N]."""
        batches = self.batches(self.test)
        batches.dtype = image_type(self.done.precision)
        self.net.eval()
        return np.asarray(argmax_correct(self.net, batches, self.done.precision).numpy())

    @property
    def correct(self) -> NDArray[Any] | None:
        """What a record stores of each test image: 1, 0 or a share where classes tie.

        Ten crops decide for the paper's networks, the central crop for others; for a run of one
        question whole images do, without shares, and a run that tunes has none.
        """
        if self.alone:
            return self.best_is_label if self.run.of_verdict else None
        scores, labels = self.ten_crops if self.run.family in TRAINING else self.centre
        return np.asarray(topk_correct(scores, labels, 1).numpy())

    # what Figures 3 and 4 and §6.1 read of an AlexNet

    @property
    def kernels(self) -> NDArray[np.float32]:
        """conv1's kernels, float32 [maps, 3, S, S]: what Figure 3 shows."""
        return kernels_of(self.alexnet)

    @property
    def colour_fractions(self) -> NDArray[np.float64]:
        """The colour fraction of conv1's kernels in each half of its maps: [2]."""
        return column_color(self.alexnet)

    @cached_property
    def colour_gaps_by_chance(self) -> NDArray[np.float64]:
        """The colour difference between random halves of the kernels, 0–1: [10,000]."""
        shares = color_energy_fraction(torch.from_numpy(self.kernels).double())
        return gaps_by_chance(shares.numpy())

    @property
    def orientations(self) -> NDArray[np.float64]:
        """How far each kernel's energy lies in one orientation: [maps] in 0–1."""
        return orientation_selectivity(self.kernels)

    @property
    def orientations_at_start(self) -> NDArray[np.float64]:
        """The same of the kernels that the run's seed draws."""
        start = self.run.network_config.build(self.run.seed)
        return orientation_selectivity(kernels_of(start))

    @cached_property
    def queries(self) -> Tensor:
        """Numbers of at most QUERIES test images, evenly spread."""
        count = len(self.test)
        return torch.linspace(0, count - 1, min(QUERIES, count)).round().long()

    @cached_property
    def known_features(self) -> Tensor:
        """fc7 of the known training images, float32 [N, 4096]."""
        return features(self.alexnet, self.known_batches, precision=self.done.precision)

    @cached_property
    def known_pixels(self) -> Tensor:
        """The known training images as rows of pixels."""
        return pixels_of(self.known_batches, torch.arange(len(self.known)))

    @cached_property
    def features(self) -> Pair:
        """fc7 of the queries and of the known training images."""
        mine = features(self.alexnet, self.test_batches, precision=self.done.precision)
        return mine[self.queries], self.known_features

    @cached_property
    def pixels(self) -> Pair:
        """The queries and the known training images as rows of pixels."""
        return pixels_of(self.test_batches, self.queries), self.known_pixels

    @cached_property
    def codes(self) -> Pair:
        """Binary codes of both, by an auto-encoder of fc7 that the run's seed starts."""
        mine, known = self.features
        encoder = train_autoencoder(known, self.run.seed)
        return binary_codes(encoder, mine), binary_codes(encoder, known)

    @cached_property
    def pixel_codes(self) -> Pair:
        """Binary codes of both by an auto-encoder of pixels."""
        mine, known = self.pixels
        encoder = train_autoencoder(known, self.run.seed)
        return binary_codes(encoder, mine), binary_codes(encoder, known)

    def pixel_rank(self, pair: Pair) -> float:
        """The mean rank in pixel distance of the queries' six nearest known rows, percent."""
        return distance_rank(*pair, *self.pixels)

    def same_class(self, pair: Pair) -> float:
        """The share of the queries' six nearest known rows with the query's label, percent."""
        labels = self.test_batches.labels.cpu()[self.queries], self.known_batches.labels.cpu()
        return retrieval_precision(*pair, *labels)

    @property
    def alexnet(self) -> AlexNet:
        """The network, if it is an AlexNet; raises TypeError if not."""
        if not isinstance(self.net, AlexNet):
            raise TypeError(f"it is measured of an AlexNet, not of a {type(self.net).__name__}")
        return self.net


def kernels_of(net: AlexNet) -> NDArray[np.float32]:
    """conv1's kernels, float32 [maps, 3, S, S]."""
    weight: Tensor = net.layers["conv1"].weight  # type: ignore[assignment]
    return np.asarray(weight.detach().cpu().float().numpy())


def sample(data: ImageSet, count: int) -> ImageSet:
    """At most `count` images of a split, evenly spread over it."""
    if len(data) <= count:
        return data
    index = np.linspace(0, len(data) - 1, count).round().astype(np.int64)
    return replace(
        data,
        meta=replace(data.meta, count=count),
        images=data.images[index],
        labels=data.labels[index],
    )


def pixels_of(split: Loader, index: Tensor) -> Tensor:
    """Images' central squares as float32 rows [N, P]; sides above 64 pixels are reduced by four."""
    parts = []
    for part in torch.split(index, 250):  # ten thousand images of 256 pixels are 8 GB
        squares = split.crop(part.numpy()).permute(0, 3, 1, 2)
        if squares.shape[-1] > 64:
            squares = torch.nn.functional.avg_pool2d(squares, 4)
        parts.append(squares.flatten(1).cpu())
    return torch.cat(parts)
