"""How the learning rates change in the course of a training. Imports no torch."""

from collections.abc import Sequence

from alexnet.config import AlexNetRecipe

MOST_DROPS = 3  # §5: "reduced three times prior to termination"


def plateau_drops(errors: Sequence[float], patience: int) -> int:
    """How often validation errors, one per epoch, have gone `patience` epochs without a new lowest value.

    Each time the count starts afresh with the new rate, while the lowest value stays.
    """
    drops, lowest, waited = 0, float("inf"), 0
    for error in errors:
        waited = 0 if error < lowest else waited + 1
        lowest = min(lowest, error)
        if waited == patience:
            drops, waited = drops + 1, 0
    return drops


def rate_of(recipe: AlexNetRecipe, epoch: int, errors: Sequence[float]) -> float:
    """The rate of the weights in an epoch (counted from 0), given the validation errors of the epochs before it (§5)."""
    drops = sum(epoch >= drop for drop in recipe.drops)
    if recipe.plateau is not None:
        drops += min(plateau_drops(errors, recipe.plateau), MOST_DROPS)
    return recipe.learning_rate * 10.0**-drops


def layer_factor(recipe: AlexNetRecipe, layer: str, epoch: int) -> float:
    """How much faster or slower one layer learns in an epoch than the rest; 0 where it is frozen."""
    if layer == "conv1":
        frozen = recipe.conv1_freeze is not None and epoch >= recipe.conv1_freeze
        return 0.0 if frozen else 0.1 ** sum(epoch >= drop for drop in recipe.conv1_drops)
    return recipe.class_factor if layer == "fc8" and epoch < recipe.class_factor_until else 1.0


def is_over(recipe: AlexNetRecipe, epoch: int, errors: Sequence[float]) -> bool:
    """Whether no epoch is left: the budget is spent, or the error stopped improving after the last drop (§5)."""
    waned = recipe.plateau is not None and plateau_drops(errors, recipe.plateau) > MOST_DROPS
    return epoch >= recipe.epochs or waned
