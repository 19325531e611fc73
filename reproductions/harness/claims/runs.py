"""A planned run, and the runs that an arm of a question needs."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import groupby
from typing import Any, Literal

from reproductions.harness.claims.variant import Ensemble, Scale, Variant

Kind = Literal["train", "ensemble", "count"]  # a network, an average of several, no training
Purpose = Literal["sweep", "verdict"]  # a run chooses a learning rate, or decides a question
# in the recipe of a run that starts from another's weights: what that other run was
PRETRAINED = "pretrained"
Key = tuple[str, str, str, int]  # claim, variant, scale, seed


@dataclass(frozen=True)
class PlannedRun:
    """One run of the plan: everything that decides its result except code, data and machine."""

    claim: str
    question: str
    variant: str
    scale: str
    seed: int
    kind: Kind
    dataset: str | None
    purpose: Purpose = "verdict"
    network_config: Any = None  # of a network: a frozen dataclass with `build(seed)`
    training_recipe: Any = None  # of a network: see alexnet.config.TrainingRecipe
    declaration: str = ""  # digest of the declaration that asks for this run
    # runs that must be done before, with their records and their weights
    needs: "tuple[PlannedRun, ...]" = ()
    # those that the claim's questions read of it
    metrics: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def config(self) -> dict[str, Any]:
        """What a record stores of the network as plain data; of an average, of its networks."""
        if self.kind != "ensemble":
            return dict(as_data(self.network_config) or {})
        same = [list(runs) for _, runs in groupby(self.needs, key=lambda run: run.variant)]
        members = [
            {
                "variant": runs[0].variant,
                "seeds": [run.seed for run in runs],
                "config": runs[0].config,
                "recipe": runs[0].recipe,
            }
            for runs in same
        ]
        return {"members": members}

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """What a record stores of the recipe, and of the network that the run starts from."""
        recipe = dict(as_data(self.training_recipe) or {})
        if self.kind == "train" and self.needs:
            names = ("dataset", "variant", "config", "recipe")
            recipe[PRETRAINED] = {name: getattr(self.needs[0], name) for name in names}
        return recipe

    @property
    def key(self) -> Key:
        """What a record must agree on to be about this run."""
        return self.claim, self.variant, self.scale, self.seed

    @property
    def shared(self) -> bool:
        """Whether it is made once for all claims that ask for it."""
        return not self.question and self.kind != "count"

    @property
    def of_verdict(self) -> bool:
        """Whether it is a seed of a verdict."""
        return self.purpose == "verdict" and self.kind != "count"

    @property
    def family(self) -> str | None:
        """The family of networks that its training version is of; None for a count."""
        if self.kind == "ensemble":
            return self.needs[0].family
        return family_of(self.network_config) if self.kind == "train" else None

    def __str__(self) -> str:
        return f"{self.claim}/{self.variant}/{self.scale}-seed{self.seed}"


def digest(value: Any) -> str:
    """sha256 of a value's canonical JSON, twelve hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def as_data(value: Any) -> Any:
    """A declaration as plain JSON data."""
    if isinstance(value, int | float | str | None):  # most of a declaration
        return value
    if isinstance(value, tuple | list):
        return [as_data(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_data(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value


def family_of(config: Any) -> str:
    """The family of a network: of the paper's own as their classes say, else "own"."""
    return getattr(config, "family", "own")


def with_needs(runs: Iterable[PlannedRun]) -> list[PlannedRun]:
    """The runs and all that they need, each once and behind its needs."""
    asked = {run.key: run for run in runs}  # with the metrics that are asked of them
    found: dict[Key, PlannedRun] = {}
    for run in asked.values():
        for item in (*with_needs(run.needs), run):
            found.setdefault(item.key, asked.get(item.key, item))
    return list(found.values())


def shared_run(arm: Variant | Ensemble, scale_name: str, seed: int, scale: Scale) -> PlannedRun:
    """The run of an arm that is made once for all claims: stored under its data set.

    An arm is already that of the scale; of an ensemble `seed` is its number.
    """
    make = _average_run if isinstance(arm, Ensemble) else _training_run
    return make(arm, scale_name, seed, scale)


@cache  # a report plans the same networks for every claim
def _training_run(variant: Variant, scale_name: str, seed: int, scale: Scale) -> PlannedRun:
    needs: tuple[PlannedRun, ...] = ()
    if variant.pretrained:
        if scale.pretraining is None:
            raise ValueError(
                f"{variant.name} starts from another network, whose scale is not named"
            )
        needs = (_training_run(variant.pretrained, scale_name, seed, scale.pretraining),)
    run = PlannedRun(
        claim=f"{family_of(variant.config)}-{scale.dataset}",
        question="",
        variant=variant.name,
        scale=scale_name,
        seed=seed,
        kind="train",
        dataset=scale.dataset,
        network_config=variant.config,
        training_recipe=variant.recipe,
        needs=needs,
    )
    return replace(run, declaration=digest([variant.name, run.config, run.recipe]))


@cache
def _average_run(ensemble: Ensemble, scale_name: str, number: int, scale: Scale) -> PlannedRun:
    """An average is stored beside the networks that it averages; its config names them."""
    needs = tuple(
        _training_run(variant, scale_name, seed, scale)
        for variant, seeds in ensemble.seeds(number)
        for seed in seeds
    )
    run = PlannedRun(
        claim=needs[0].claim,
        question="",
        variant=ensemble.name,
        scale=scale_name,
        seed=number,
        kind="ensemble",
        dataset=scale.dataset,
        needs=needs,
    )
    return replace(run, declaration=digest([ensemble.name, run.config]))
