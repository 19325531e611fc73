"""Epochs of training: ours as `fit` and `fit_alexnet` make them, the peers' as torch's documentation has a user write them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import ceil

import numpy as np
import torch
import torch.nn.functional as F
from interleaved import Body
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from alexnet import train
from alexnet.config import AlexNetRecipe
from alexnet.data.augment import Views
from alexnet.data.batches import Batches
from alexnet.data.imageset import ImageSet
from alexnet.data.sources import open_dataset
from alexnet.files import cache_root
from alexnet.precision import image_type

BATCH = 128  # §5
Batch = tuple[Tensor, Tensor]


def standin(count: int, side: int) -> ImageSet:
    """So many of the stand-in images, over and over, every pixel as often as the side asks for; in memory."""
    like = open_dataset("stand-in", cache_root())["train"]
    index, place = np.resize(np.arange(len(like)), count), np.arange(side) * like.meta.shape[0] // side
    images, mean_image = (array[..., place[:, None], place, :] for array in (like.images, like.mean_image))
    meta = replace(like.meta, count=count, shape=(side, side, 3))
    return ImageSet(meta, images[index], like.labels[index], mean_image)


def cifar_epoch(run: train.Run, batches: Batches, batch_size: int = BATCH) -> Body:
    steps, batches.dtype = ceil(batches.count / batch_size), image_type(run.precision)
    return lambda: train.train_row(run, batches.epoch(0, 0, batch_size), steps, steps)


def alexnet_epoch(run: train.AlexNetRun, recipe: AlexNetRecipe, views: Views) -> Body:
    steps, views.dtype = ceil(views.count / recipe.batch_size), image_type(run.precision)
    train.set_rates(run, recipe, 0, recipe.learning_rate)
    run.net.train()
    return lambda: train.train_row(run, train.presented(run.net, run.net, views, 0, 0, steps, 0), steps, steps)


def usual(*first: nn.Module) -> v2.Compose:
    """Transforms, and behind them the usual change to normalised numbers."""
    return v2.Compose([*first, v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.25] * 3)])


class Images(Dataset[Batch]):
    """Images in memory, each transformed when it is asked for."""

    def __init__(self, data: ImageSet, transform: v2.Transform) -> None:
        self.images, self.labels = torch.tensor(data.images).permute(0, 3, 1, 2), torch.tensor(data.labels)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Batch:
        return self.transform(self.images[index]), self.labels[index]


def loader(data: Dataset[Batch], workers: int, device: torch.device) -> DataLoader[Batch]:
    """Batches from workers that live as long as the loader; between epochs, when others have their turn, they rest."""
    pinned = device.type == "cuda"
    return DataLoader(data, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0, pin_memory=pinned)


class Resident:
    """Batches of images that lie on the device and are transformed there, a whole batch at once."""

    def __init__(self, data: ImageSet, transform: v2.Transform, device: torch.device) -> None:
        self.images = torch.tensor(data.images, device=device).permute(0, 3, 1, 2)
        self.labels, self.transform = torch.tensor(data.labels, device=device), transform

    def __iter__(self) -> Iterator[Batch]:
        for index in torch.randperm(len(self.labels), device=self.labels.device).split(BATCH):
            yield self.transform(self.images[index]), self.labels[index]


def usual_epoch(net: nn.Module, batches: Iterable[Batch], device: torch.device, autocast: bool = False) -> Body:
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
