"""Figure 1's training step against the loop that torch's documentation would have a user write, interleaved in one process."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from interleaved import compare
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2

from alexnet import train
from alexnet.config import CifarNetConfig, Recipe
from alexnet.data.imageset import ImageSet
from reproductions.harness.bench import set_up

STEPS = 20


def cycle(make: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    while True:
        yield from make()


def ours(splits: dict[str, ImageSet], device: torch.device) -> Callable[[], None]:
    config, recipe = CifarNetConfig(), Recipe(learning_rate=0.002)
    batches = train.training_batches(config, splits["train"], splits["train"], device)
    run = train.start(config, recipe, batches, seed=0, precision=None)
    stream = cycle(lambda: batches.epoch(0, 0, recipe.batch_size))

    def steps() -> None:
        for _ in range(STEPS):
            train.train_step(run, *next(stream))

    return steps


class Peer(nn.Sequential):
    """The same network in plain modules."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(), nn.AvgPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.AvgPool2d(3, 2, ceil_mode=True),
            nn.Flatten(), nn.Linear(1024, 10),
        )  # fmt: skip


class Transformed(TensorDataset):
    """Images through `transforms.v2`, one at a time, as a Dataset gives them to a DataLoader."""

    def __init__(self, data: ImageSet) -> None:
        super().__init__(torch.tensor(data.images).permute(0, 3, 1, 2), torch.tensor(data.labels))
        self.transform = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.25] * 3)])

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, label = super().__getitem__(index)
        return self.transform(image), label


def peer(splits: dict[str, ImageSet], device: torch.device) -> Callable[[], None]:
    net = Peer().to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    loader = DataLoader(Transformed(splits["train"]), batch_size=128, shuffle=True, drop_last=True)
    stream = cycle(lambda: iter(loader))

    def steps() -> None:
        for _ in range(STEPS):
            images, labels = next(stream)
            loss = nn.functional.cross_entropy(net(images.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return steps


def test_fig1_training_step(benchmark: Any, splits: dict[str, ImageSet]) -> None:
    threads = torch.get_num_threads()
    device = set_up(None, 2)
    compare(benchmark, ours(splits, device), peer(splits, device), images=128 * STEPS)
    torch.set_num_threads(threads)
