"""A planned run, and the runs that an arm of a question needs."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
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
    config: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    declaration: str = ""  # digest of the declaration that asks for this run
    # runs that must be done before, with their records and their weights
    needs: "tuple[PlannedRun, ...]" = ()
    # those that the claim's questions read of it
    metrics: tuple[str, ...] = field(default=(), compare=False)
    # of a network: what `config` and `recipe` are the data of
    network_config: Any = field(default=None, compare=False)
    training_recipe: Any = field(default=None, compare=False)

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
    found: dict[Key, PlannedRun] = {}
    for run in runs:
        found |= {item.key: item for item in (*with_needs(run.needs), run) if item.key not in found}
    return list(found.values())


def shared_run(arm: Variant | Ensemble, scale_name: str, seed: int, scale: Scale) -> PlannedRun:
    """The run of an arm that is made once for all claims: stored under its data set.

    An arm is already that of the scale; of an ensemble `seed` is its number.
    """
    make = _average_run if isinstance(arm, Ensemble) else _training_run
    return make(arm, scale_name, seed, scale)


@cache  # a report plans the same networks for every claim
def _training_run(variant: Variant, scale_name: str, seed: int, scale: Scale) -> PlannedRun:
    """What the network starts from is in its recipe, so a change of that is a change of this."""
    config, recipe = as_data(variant.config), as_data(variant.recipe)
    needs: tuple[PlannedRun, ...] = ()
    if variant.pretrained:
        assert scale.pretraining is not None
        before = _training_run(variant.pretrained, scale_name, seed, scale.pretraining)
        names = ("dataset", "variant", "config", "recipe")
        recipe[PRETRAINED] = {name: getattr(before, name) for name in names}
        needs = (before,)
    return PlannedRun(
        claim=f"{family_of(variant.config)}-{scale.dataset}",
        question="",
        variant=variant.name,
        scale=scale_name,
        seed=seed,
        kind="train",
        dataset=scale.dataset,
        config=config,
        recipe=recipe,
        declaration=digest([variant.name, config, recipe]),
        needs=needs,
        network_config=variant.config,
        training_recipe=variant.recipe,
    )


@cache
def _average_run(ensemble: Ensemble, scale_name: str, number: int, scale: Scale) -> PlannedRun:
    """An average is stored beside the networks that it averages; its config names them."""
    members, needs = list[dict[str, Any]](), list[PlannedRun]()
    for variant, seeds in ensemble.seeds(number):
        runs = [_training_run(variant, scale_name, seed, scale) for seed in seeds]
        same = {"config": runs[0].config, "recipe": runs[0].recipe}
        members.append({"variant": variant.name, "seeds": list(seeds), **same})
        needs += runs
    config = {"members": members}
    return PlannedRun(
        claim=f"alexnet-{scale.dataset}",
        question="",
        variant=ensemble.name,
        scale=scale_name,
        seed=number,
        kind="ensemble",
        dataset=scale.dataset,
        config=config,
        declaration=digest([ensemble.name, config]),
        needs=tuple(needs),
    )
