"""The paper in PyTorch: networks, data, training, evaluation.

    from alexnet import AlexNet, AlexNetConfig, AlexNetRecipe, evaluate, images, load, train

Importing this package imports no torch; what needs it is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alexnet.checkpoint import Checkpoint
    from alexnet.config import (
        AlexNetConfig,
        AlexNetRecipe,
        CifarNetConfig,
        LocallyConnectedConfig,
        LocallyConnectedRecipe,
        Recipe,
    )
    from alexnet.data.folder import images
    from alexnet.evaluation import evaluate
    from alexnet.models import AlexNet, CifarNet, LocallyConnectedNet
    from alexnet.optim import PaperSGD
    from alexnet.training import Training, train
    from alexnet.weights import load

__version__ = "0.1.0"
__all__ = ["AlexNet", "AlexNetConfig", "AlexNetRecipe", "Checkpoint", "CifarNet", "CifarNetConfig",
           "LocallyConnectedConfig", "LocallyConnectedNet", "LocallyConnectedRecipe", "PaperSGD",
           "Recipe", "Training", "evaluate", "images", "load", "train"]  # fmt: skip
MODULES = {
    "config": ("AlexNetConfig", "AlexNetRecipe", "CifarNetConfig", "LocallyConnectedConfig",
               "LocallyConnectedRecipe", "Recipe"),
    "models": ("AlexNet", "CifarNet", "LocallyConnectedNet"),
    "training": ("Training", "train"),
    "evaluation": ("evaluate",),
    "optim": ("PaperSGD",),
    "checkpoint": ("Checkpoint",),
    "weights": ("load",),
    "data.folder": ("images",),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """A public name from its module, where it is first asked for."""
    for module, names in MODULES.items():
        if name in names:
            return getattr(import_module(f"alexnet.{module}"), name)
    raise AttributeError(f"module 'alexnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
