"""The three kinds of networks with short recipes, for tests that hold for all of them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from alexnet.checkpoint import Checkpoint
from alexnet.config import (
    AlexNetConfig,
    AlexNetRecipe,
    CifarNetConfig,
    LocallyConnectedConfig,
    LocallyConnectedRecipe,
    Recipe,
)
from alexnet.data.imageset import ImageSet
from alexnet.training import Training, train

CPU = torch.device("cpu")
Splits = dict[str, ImageSet]


@dataclass(frozen=True)
class Network:
    """A network and a recipe of a few epochs of 320 images, seven batches each."""

    name: str
    config: Any
    recipe: Any
    validated: bool = False  # whether test images are evaluated after every epoch

    def __str__(self) -> str:
        return self.name

    def train(
        self,
        splits: Splits,
        seed: int = 0,
        *,
        checkpoint: Path | None = None,
        weights: dict[str, torch.Tensor] | None = None,
        device: torch.device = CPU,
        config: Any = None,
        **options: Any,
    ) -> Training:
        """A training of the recipe; options of the recipe and of `train` may be given."""
        changes = {k: options.pop(k) for k in list(options) if hasattr(self.recipe, k)}
        net = (config or self.config).build(seed)
        if weights:
            net.load_state_dict(weights)
        return train(
            net,
            replace(self.recipe, **changes),
            splits["train"],
            splits["test"] if self.validated else None,
            seed=seed,
            device=device,
            checkpoint=Checkpoint(checkpoint, interval=0) if checkpoint else None,
            **options,
        )


CIFAR = Network(
    "cifar",
    CifarNetConfig(init="modern"),
    Recipe(learning_rate=0.01, batch_size=48, epochs=3, inputs="standardised"),
)
LOCAL = Network(
    "locally connected",
    LocallyConnectedConfig.published_11pct().smoke(),
    LocallyConnectedRecipe(batch_size=48, epochs=3, lr_milestones=(1, 2)),
)
# All that happens in the 93 epochs of net #145, in four.
ALEXNET = Network(
    "alexnet",
    AlexNetConfig.original().smoke(),
    replace(
        AlexNetRecipe.original(),
        learning_rate=0.002,
        batch_size=48,
        epochs=4,
        lr_milestones=(1, 3),
        conv1_lr_milestones=(2,),
        conv1_freeze_epoch=3,
        color_noise_end=2,
    ),
    validated=True,
)
NETWORKS = {network.name: network for network in (CIFAR, LOCAL, ALEXNET)}


def bits(done: Training) -> list[object]:
    """Everything that a training gave but the seconds."""
    rows = [replace(row, seconds=0.0, checkpoint_seconds=0.0) for row in done.history]
    velocities = [state["velocity"] for state in done.optimizer.state.values()]
    tensors = [*done.net.parameters(), *velocities]
    return [*rows, *[tensor.detach().numpy().tobytes() for tensor in tensors]]
