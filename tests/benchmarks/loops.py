"""Epochs of training: ours as `train` makes them, the peers' as in torch's documentation."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from interleaved import Body
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from alexnet.data.imageset import ImageSet
from alexnet.data.loader import Loader, batches_of
from alexnet.data.sources import open_dataset
from alexnet.io import cache_root
from alexnet.optim import PaperSGD, layer_groups
from alexnet.precision import choose_precision, image_type
from alexnet.training import Training, seeded_steps, set_layer_rates, train_row

BATCH = 128  # §5
Batch = tuple[Tensor, Tensor]


def synthetic(count: int, side: int) -> ImageSet:
    """That many synthetic images, repeated and enlarged to the side asked for; in memory."""
    like = open_dataset("synthetic", cache_root())["train"]
    index, place = (
        np.resize(np.arange(len(like)), count),
        np.arange(side) * like.meta.shape[0] // side,
    )
    images, mean_image = (
        array[..., place[:, None], place, :] for array in (like.images, like.mean_image)
    )
    meta = replace(like.meta, count=count, shape=(side, side, 3))
    return ImageSet(meta, images[index], like.labels[index], mean_image)


def started(
    net: nn.Module, recipe: Any, data: ImageSet, device: torch.device
) -> tuple[Training, Loader]:
    """A training before its first update, in the precision that is faster here, and its batches."""
    net = net.to(device, memory_format=torch.channels_last)
    batches = batches_of(data, net, recipe, device, mean_of=data)
    assert isinstance(batches, Loader)
    choice = choose_precision(
        net.config,
        recipe.batch_size,
        device,
        net.config.bf16_tolerance,
        lambda: (net, *next(batches.epoch(0, 0, recipe.batch_size))),
    )
    batches.dtype = image_type(choice.precision)
    training = Training(net, PaperSGD(layer_groups(net), lr=0.0, momentum=0.9), choice.precision)
    set_layer_rates(training, recipe, 0)
    return training, batches


def epoch(training: Training, recipe: Any, batches: Loader) -> Body:
    """An epoch in one row of history."""
    training.net.train()
    return lambda: train_row(training, training.net, seeded_steps(batches, recipe, seed=0, epoch=0))


def usual(*first: nn.Module) -> v2.Compose:
    """Transforms, and behind them the usual change to normalised numbers."""
    return v2.Compose(
        [*first, v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.25] * 3)]
    )


class Images(Dataset[Batch]):
    """Images in memory, each transformed when it is asked for."""

    def __init__(self, data: ImageSet, transform: v2.Transform) -> None:
        self.images, self.labels = (
            torch.tensor(data.images).permute(0, 3, 1, 2),
            torch.tensor(data.labels),
        )
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Batch:
        return self.transform(self.images[index]), self.labels[index]


def loader(data: Dataset[Batch], workers: int, device: torch.device) -> DataLoader[Batch]:
    """Batches from workers that live as long as the loader and are idle between epochs."""
    pinned = device.type == "cuda"
    return DataLoader(
        data,
        BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pinned,
    )


class Resident:
    """Batches of images that lie on the device and are transformed there, a whole batch at once."""

    def __init__(self, data: ImageSet, transform: v2.Transform, device: torch.device) -> None:
        self.images = torch.tensor(data.images, device=device).permute(0, 3, 1, 2)
        self.labels, self.transform = torch.tensor(data.labels, device=device), transform

    def __iter__(self) -> Iterator[Batch]:
        for index in torch.randperm(len(self.labels), device=self.labels.device).split(BATCH):
            yield self.transform(self.images[index]), self.labels[index]


def usual_epoch(
    net: nn.Module, batches: Iterable[Batch], device: torch.device, autocast: bool = False
) -> Body:
    """The loop of torch's tutorials; with `autocast` that of its recipe for mixed precision."""
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4)

    def epoch() -> None:
        for images, labels in batches:
            with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
                scores = net(images.to(device, non_blocking=True))
                loss = F.cross_entropy(scores, labels.to(device, non_blocking=True))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch
