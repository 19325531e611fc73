"""What is trained or averaged: networks and recipes under the names of their records."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from alexnet.data.catalogue import DATASETS


@dataclass(frozen=True)
class Scale:
    """How far a run goes: data and, where shorter than declared, seeds, rates and budgets."""

    dataset: str | None  # None: the claim needs no images
    seeds: int | None = None
    rates: int | None = None
    epochs: int | None = None
    target: float | None = (
        None  # of a speed-up, where the scale's networks learn less than the paper's
    )
    pretraining: "Scale | None" = (
        None  # the data, and perhaps the shorter course, of networks that others start from
    )

    @property
    def datasets(self) -> tuple[str, ...]:
        """All data sets that runs at this scale may need."""
        before = self.pretraining.datasets if self.pretraining else ()
        return (self.dataset, *before) if self.dataset else before


@dataclass(frozen=True)
class Variant:
    """What is trained: a network and a recipe under a name, which also names its folder."""

    name: str
    config: Any  # a frozen dataclass with `build(seed)`, which gives the network
    recipe: Any  # see alexnet.config.TrainingRecipe
    pretrained: "Variant | None" = (
        None  # the variant whose weights of the same seed it starts from (§6)
    )

    def at(self, name: str, scale: Scale) -> "Variant":
        """The network and recipe of a scale, with as many classes as its images.

        Below scale paper they are what methods of the scale's name give, where they have any. A
        network that it starts from is that of `scale.pretraining`.
        """
        return _at(self, name, scale)


@cache  # the claims share most of their networks
def _at(variant: Variant, name: str, scale: Scale) -> Variant:
    config, recipe, before = variant.config, variant.recipe, variant.pretrained
    if name != "paper":
        config, recipe = _scaled(config, name), _scaled(recipe, name)
    if scale.dataset and hasattr(config, "classes"):
        config = replace(config, classes=DATASETS[scale.dataset].classes)
    if scale.epochs:
        recipe = recipe.shortened(scale.epochs)
    if before is not None:
        assert scale.pretraining is not None
        before = before.at(name, scale.pretraining)
    return replace(variant, config=config, recipe=recipe, pretrained=before)


def _scaled(part: Any, name: str) -> Any:
    """What the method of the scale's name gives; the same at every scale without one."""
    return getattr(part, name)() if hasattr(part, name) else part


@dataclass(frozen=True)
class Ensemble:
    """Networks whose probabilities are averaged (§6, Table 2): variants and nets of each.

    Number g of an ensemble takes the seeds g·k to g·k + k − 1 of a variant of which it has k, so no
    two share a network.
    """

    name: str
    members: tuple[tuple[Variant, int], ...]

    def at(self, name: str, scale: Scale) -> "Ensemble":
        """Its networks at the scale; on synthetic images a third of them, rounded up."""
        count = {"smoke": 3}.get(name, 1)
        return replace(
            self,
            members=tuple(
                (variant.at(name, scale), -(-nets // count)) for variant, nets in self.members
            ),
        )

    def seeds(self, number: int) -> tuple[tuple[Variant, tuple[int, ...]], ...]:
        """The variants of ensemble `number` with the seeds of their networks."""
        return tuple(
            (variant, tuple(range(number * nets, (number + 1) * nets)))
            for variant, nets in self.members
        )


Arm = Variant | Ensemble
