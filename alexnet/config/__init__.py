"""The paper on one page per network: every default with its source. Imports no torch."""

from alexnet.config.alexnet import AlexNetConfig, AlexNetRecipe
from alexnet.config.cifar import CifarNetConfig, LocallyConnectedConfig, LocallyConnectedRecipe
from alexnet.config.layers import Augment, Layer, LocalLayer
from alexnet.config.recipe import Recipe, TrainingRecipe

__all__ = [
    "AlexNetConfig",
    "AlexNetRecipe",
    "Augment",
    "CifarNetConfig",
    "Layer",
    "LocalLayer",
    "LocallyConnectedConfig",
    "LocallyConnectedRecipe",
    "Recipe",
    "TrainingRecipe",
]
