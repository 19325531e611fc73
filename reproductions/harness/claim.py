"""What a claim file declares, the runs it plans, and how the files are found."""

import dataclasses
import hashlib
import importlib
import json
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from alexnet.config import CifarNetConfig, Recipe

Role = Literal["tune", "evaluate", "inspect"]


@dataclass(frozen=True)
class Variant:
    """One thing that is trained: a network and a recipe under a name that also names its records' folder."""

    name: str
    config: CifarNetConfig
    recipe: Recipe


@dataclass(frozen=True)
class Sweep:
    """How the learning rate of each variant was chosen: the same rates, seeds and budget for all of them.

    The best rate needs the fewest epochs to the target; where no rate gets there within the budget, it has the lowest training
    error at its end.
    """

    rates: tuple[float, ...]
    seeds: tuple[int, ...]  # never among the seeds of the verdict
    epochs: int  # budget; a rate that has not reached the target by then is censored


@dataclass(frozen=True)
class SpeedUp:
    """One variant reaches a training error several times sooner than another.

    The effect is log(epochs of `slow` / epochs of `fast`); epochs are where the running training error first falls to `target`,
    linearly interpolated between the rows of the history.
    """

    name: str
    text: str
    fast: Variant
    slow: Variant
    target: float  # training error in percent
    sweep: Sweep
    seeds: tuple[int, ...]
    paper: float  # the paper's ratio
    worthwhile: float  # the smallest ratio worth having
    paper_epochs: tuple[float, float]  # where the paper's two curves cross the target: fast, slow
    sensitivity: bool = False  # asked apart from the verdict

    @property
    def variants(self) -> tuple[Variant, Variant]:
        """Both variants, the fast one first."""
        return self.fast, self.slow


@dataclass(frozen=True)
class Exact:
    """A statement decided by counting: confirmed if the count is within `tolerance` of the paper's number, else refuted."""

    name: str
    text: str
    paper: float
    measure: Callable[[], float]
    tolerance: float = 0.0  # share of the paper's number; 0 for a number that the paper prints in full
    at_most: bool = False  # the paper gives an upper bound
    unit: str = ""
    note: str = ""  # what a reader should know when it is refuted
    log: float | None = None  # the number of the 2012 files, where they give one


Question = SpeedUp | Exact


@dataclass(frozen=True)
class Scale:
    """How far a run of the claim goes: its data and, where they are shorter than declared, seeds, rates and budgets."""

    dataset: str | None  # None: the claim needs no images
    seeds: int | None = None
    rates: int | None = None
    epochs: int | None = None


@dataclass(frozen=True)
class Claim:
    """A testable statement of the paper. `name`, `statement` and `protocol` come from the file that declares it."""

    source: str  # section, table or figure
    questions: tuple[Question, ...]
    scales: dict[str, Scale]
    deviations: tuple[str, ...] = ()
    name: str = ""
    statement: str = ""
    protocol: str = ""


@dataclass(frozen=True)
class PlannedRun:
    """One run of the plan: everything that decides its result except code, data and machine."""

    claim: str
    question: str
    variant: str
    scale: str
    seed: int
    role: Role
    dataset: str | None
    config: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    declaration: str = ""  # digest of the declaration that asks for this run

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What a record must agree on to be about this run."""
        return self.claim, self.variant, self.scale, self.seed

    def __str__(self) -> str:
        return f"{self.claim}/{self.variant}/{self.scale}-seed{self.seed}"


def digest(value: Any) -> str:
    """sha256 of a value's canonical JSON, twelve hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def as_data(value: Any) -> Any:
    """A declaration as plain JSON data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_data(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [as_data(item) for item in value]
    return value


def at_scale(question: SpeedUp, scale: Scale) -> SpeedUp:
    """The question with the scale's fewer seeds and rates and shorter budgets."""
    rates = question.sweep.rates
    if scale.rates is not None:
        middle = (len(rates) - scale.rates) // 2
        rates = rates[middle : middle + scale.rates]

    def brief(variant: Variant) -> Variant:
        return replace(variant, recipe=replace(variant.recipe, epochs=scale.epochs or variant.recipe.epochs))

    return replace(
        question,
        fast=brief(question.fast),
        slow=brief(question.slow),
        seeds=question.seeds[: scale.seeds],
        sweep=replace(question.sweep, rates=rates, epochs=scale.epochs or question.sweep.epochs),
    )


def planned_runs(claim: Claim, scale_name: str) -> list[PlannedRun]:
    """All runs of a claim at a scale, the sweeps first."""
    scale = claim.scales[scale_name]
    runs: list[PlannedRun] = []
    for question in claim.questions:
        if isinstance(question, SpeedUp):
            runs += _speedup_runs(claim, at_scale(question, scale), scale_name, scale.dataset)
    if any(isinstance(question, Exact) for question in claim.questions):
        declared = digest([[q.name, q.paper, q.tolerance, q.at_most] for q in claim.questions if isinstance(q, Exact)])
        runs.append(PlannedRun(claim.name, "", "count", scale_name, 0, "inspect", scale.dataset, declaration=declared))
    return sorted(runs, key=lambda run: run.role != "tune")


def _speedup_runs(claim: Claim, question: SpeedUp, scale: str, dataset: str | None) -> Iterable[PlannedRun]:
    sweep = question.sweep
    tuning = digest([as_data(sweep), question.target])
    verdict = digest(
        [as_data(v) for v in question.variants] + [question.target, question.seeds, question.paper, question.worthwhile]
    )
    for variant in question.variants:
        config = as_data(variant.config)
        for rate in sweep.rates:
            recipe = replace(variant.recipe, learning_rate=rate, epochs=sweep.epochs)
            for seed in sweep.seeds:
                name = f"{variant.name}-rate{rate:g}"
                yield PlannedRun(claim.name, question.name, name, scale, seed, "tune", dataset, config, as_data(recipe), tuning)
        for seed in question.seeds:
            yield PlannedRun(
                claim.name, question.name, variant.name, scale, seed, "evaluate", dataset, config, as_data(variant.recipe), verdict
            )


def discover() -> dict[str, Claim]:
    """Every claim, by the name of its file: each module of `reproductions` that is no package and starts with no underscore."""
    package = importlib.import_module("reproductions")
    claims = {}
    for module in pkgutil.iter_modules(package.__path__):
        if not module.ispkg and not module.name.startswith("_"):
            found = importlib.import_module(f"reproductions.{module.name}")
            statement, _, protocol = (found.__doc__ or "").partition("\n\n")
            claims[module.name] = replace(
                found.CLAIM, name=module.name, statement=" ".join(statement.split()), protocol=protocol.strip("\n")
            )
    return claims
