"""What a claim file declares, the runs it plans, and how the files are found."""

import dataclasses
import hashlib
import importlib
import json
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

from alexnet.config import (
    AlexNetConfig,
    AlexNetRecipe,
    CifarNetConfig,
    LocallyConnectedConfig,
    LocallyConnectedRecipe,
    Recipe,
)
from reproductions.harness.claims.variant import Arm, Ensemble, Scale, Variant

# Of Figure 1's net, its rate or its verdict; of an AlexNet; of an average of several; of a net of
# locally connected layers; of nothing trained.
Role = Literal["tune", "evaluate", "train", "average", "unshared", "inspect"]
SHARED = ("train", "average", "unshared")  # their records lie under their data set, for all claims
SPEED_METRICS = ("epochs_to_target", "train_error")
# in the recipe of a run that starts from another's weights: what that other run was
PRETRAINED = "pretrained"


@dataclass(frozen=True)
class Sweep:
    """How each variant's learning rate was chosen: the same rates, seeds and budget for all.

    The best rate needs the fewest epochs to the target; where no rate gets there within the budget,
    it has the lowest training error at its end.
    """

    rates: tuple[float, ...]
    seeds: tuple[int, ...]  # never among the seeds of the verdict
    epochs: int  # budget; a rate that has not reached the target by then is censored


@dataclass(frozen=True)
class SpeedUp:
    """One variant reaches a training error several times sooner than another.

    The effect is log(epochs of `slow` / epochs of `fast`); epochs are where the running training
    error first falls to `target`, linearly interpolated between the rows of the history.
    """

    name: str
    text: str
    fast: Variant
    slow: Variant
    target: float  # training error in percent
    seeds: tuple[int, ...]
    paper: float  # the paper's ratio
    min_effect: float  # the smallest ratio of interest
    sweep: Sweep | None = None  # None: both arms have the recipe's rate
    paper_epochs: tuple[float, float] | None = (
        None  # where the paper's two curves cross the target: fast, slow
    )
    sensitivity: bool = False  # asked apart from the verdict

    @property
    def variants(self) -> tuple[Variant, Variant]:
        """Both variants, the fast one first."""
        return self.fast, self.slow


@dataclass(frozen=True)
class Difference:
    """A metric is lower in one variant: the effect is `higher` minus `lower`, in the metric's unit.

    With one variant on both sides and two metrics, each run is compared with itself. Averages stand
    here like variants.
    """

    name: str
    text: str
    lower: Arm
    higher: Arm
    metric: str  # see measure.py for all of them
    paper: float | None  # the paper's difference; None where it claims the direction alone
    min_effect: float  # the smallest difference of interest
    higher_metric: str = ""  # where it is another one than `metric`
    at_least: bool = False  # the paper says "over"
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    log: float | None = None  # the difference in the 2012 logs
    unit: str = "points"

    @property
    def variants(self) -> tuple[Arm, ...]:
        """The variants that it trains or averages, the lower one first."""
        return (self.lower,) if self.lower == self.higher else (self.lower, self.higher)

    @property
    def metrics(self) -> tuple[str, str]:
        """The metric of the lower side and of the higher."""
        return self.metric, self.higher_metric or self.metric


@dataclass(frozen=True)
class Value:
    """A variant's metric is the number that the paper prints.

    Only its own data at its own scale can decide that.
    """

    name: str
    text: str
    variant: Arm
    metric: str
    paper: float
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    log: float | None = None  # the number in the 2012 log
    unit: str = "percent"

    @property
    def variants(self) -> tuple[Arm, ...]:
        """The one variant that it trains or averages."""
        return (self.variant,)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The one metric that it asks for."""
        return (self.metric,)


@dataclass(frozen=True)
class Exact:
    """A count: confirmed if it is within `tolerance` of the paper's number, else refuted."""

    name: str
    text: str
    paper: float
    measure: Callable[[], float]
    tolerance: float = (
        0.0  # share of the paper's number; 0 for a number that the paper prints in full
    )
    at_most: bool = False  # the paper gives an upper bound
    unit: str = ""
    note: str = ""  # what a reader should know when it is refuted
    log: float | None = None  # the number of the 2012 files, where they give one


Trained = SpeedUp | Difference | Value
Question = Trained | Exact


@dataclass(frozen=True)
class Claim:
    """A testable statement of the paper.

    `name`, `statement` and `protocol` come from the file that declares it.
    """

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
    # runs that must be done before, with their records and their weights
    needs: "tuple[PlannedRun, ...]" = ()
    # those that the claim's questions read of it
    metrics: tuple[str, ...] = field(default=(), compare=False)

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
    if isinstance(value, int | float | str | None):  # most of a declaration
        return value
    if isinstance(value, tuple | list):
        return [as_data(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_data(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value


# Of the roles that train a network: its configuration and its recipe.
NETWORKS: dict[str, tuple[Any, Any]] = {
    "tune": (CifarNetConfig, Recipe),
    "evaluate": (CifarNetConfig, Recipe),
    "train": (AlexNetConfig, AlexNetRecipe),
    "unshared": (LocallyConnectedConfig, LocallyConnectedRecipe),
}


def config_of(run: PlannedRun) -> Any:
    """The configuration of the network that a run trains."""
    return _typed(NETWORKS[run.role][0], run.config)


def recipe_of(run: PlannedRun) -> Any:
    """The recipe of a run, without the account of the network that it starts from."""
    return _typed(NETWORKS[run.role][1], {k: v for k, v in run.recipe.items() if k != PRETRAINED})


def _typed(kind: Any, fields: dict[str, Any]) -> Any:
    """A config or recipe from its JSON form: lists are tuples again."""
    return kind(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields.items()
        }
    )


def at_scale(claim: Claim, question: Trained, scale_name: str) -> Trained:
    """The question with the scale's networks, fewer seeds and rates and shorter budgets."""
    scale = claim.scales[scale_name]
    seeds = question.seeds[: scale.seeds]
    if isinstance(question, Difference):
        lower, higher = question.lower.at(scale_name, scale), question.higher.at(scale_name, scale)
        return replace(question, seeds=seeds, lower=lower, higher=higher)
    if isinstance(question, Value):
        return replace(question, seeds=seeds, variant=question.variant.at(scale_name, scale))

    def scaled(variant: Variant) -> Variant:
        variant = variant.at(scale_name, scale)
        return replace(
            variant, recipe=replace(variant.recipe, epochs=scale.epochs or variant.recipe.epochs)
        )

    sweep = question.sweep and replace(
        question.sweep,
        rates=_middle(question.sweep.rates, scale.rates),
        epochs=scale.epochs or question.sweep.epochs,
    )
    return replace(
        question,
        fast=scaled(question.fast),
        slow=scaled(question.slow),
        seeds=seeds,
        sweep=sweep,
        target=scale.target or question.target,
    )


def _middle(rates: tuple[float, ...], count: int | None) -> tuple[float, ...]:
    first = 0 if count is None else (len(rates) - count) // 2
    return rates[first : None if count is None else first + count]


def planned_runs(claim: Claim, scale_name: str) -> list[PlannedRun]:
    """All runs of a claim at a scale, each once: sweeps first, parents before their children."""
    return with_needs(asked_runs(claim, scale_name))


def asked_runs(claim: Claim, scale_name: str) -> list[PlannedRun]:
    """The runs that a claim's questions rest on, without those made only for other runs."""
    runs: list[PlannedRun] = []
    for question in claim.questions:
        runs += [] if isinstance(question, Exact) else question_runs(claim, question, scale_name)
    exact = [q for q in claim.questions if isinstance(q, Exact)]
    if exact:
        declared, asked = (
            digest([[q.name, q.paper, q.tolerance, q.at_most] for q in exact]),
            tuple(q.name for q in exact),
        )
        runs.append(
            PlannedRun(
                claim.name,
                "",
                "count",
                scale_name,
                0,
                "inspect",
                None,
                declaration=declared,
                metrics=asked,
            )
        )
    found: dict[tuple[str, str, str, int], PlannedRun] = {}
    for run in runs:
        before = found.get(run.key, run).metrics
        found[run.key] = replace(run, metrics=tuple(dict.fromkeys((*before, *run.metrics))))
    return sorted(found.values(), key=lambda run: run.role != "tune")


def blocks(claim: Claim, scale_name: str) -> list[tuple[PlannedRun, ...]]:
    """The runs to be made on one kind of machine in one precision: both arms of each seed."""
    found: list[tuple[PlannedRun, ...]] = []
    for question in claim.questions:
        if not isinstance(question, Exact):
            found += seed_blocks(claim, question, scale_name)
    return found


def seed_blocks(claim: Claim, question: "Trained", scale_name: str) -> list[tuple[PlannedRun, ...]]:
    """The runs of a question without its sweep, those of each seed together."""
    seeds: dict[int, list[PlannedRun]] = {}
    for run in question_runs(claim, question, scale_name):
        if run.role != "tune":
            seeds.setdefault(run.seed, []).append(run)
    return [tuple(runs) for runs in seeds.values()]


def with_needs(runs: Iterable[PlannedRun]) -> list[PlannedRun]:
    """The runs and all that they need, each once and behind its needs."""
    found: dict[tuple[str, str, str, int], PlannedRun] = {}
    for run in runs:
        found |= {item.key: item for item in (*with_needs(run.needs), run) if item.key not in found}
    return list(found.values())


def question_runs(claim: Claim, question: Trained, scale_name: str) -> list[PlannedRun]:
    """The runs that a question rests on at a scale; `needs` names those to be made before each."""
    scaled, scale = at_scale(claim, question, scale_name), claim.scales[scale_name]
    if isinstance(scaled, SpeedUp) and isinstance(scaled.fast.config, CifarNetConfig):
        return list(_speedup_runs(claim, scaled, scale_name, scale.dataset))
    metrics = ("train_error",) if isinstance(scaled, SpeedUp) else scaled.metrics
    runs = [
        _average_run(arm, scale_name, seed, scale)
        if isinstance(arm, Ensemble)
        else _shared_run(arm, scale_name, seed, scale)
        for arm in scaled.variants
        for seed in scaled.seeds
    ]
    return [replace(run, metrics=metrics) for run in runs]


@cache  # a report plans the same networks for every claim
def _shared_run(variant: Variant, scale_name: str, seed: int, scale: Scale) -> PlannedRun:
    """A network is trained once for all claims: its records are stored under its data set.

    What it starts from stands in its recipe, so that a change of that is a change of this.
    """
    config, recipe = as_data(variant.config), as_data(variant.recipe)
    needs: tuple[PlannedRun, ...] = ()
    if variant.pretrained:
        assert scale.pretraining is not None
        before = _shared_run(variant.pretrained, scale_name, seed, scale.pretraining)
        recipe[PRETRAINED] = {
            "dataset": before.dataset,
            "variant": before.variant,
            "config": before.config,
            "recipe": before.recipe,
        }
        needs = (before,)
    declared = digest([variant.name, config, recipe])
    role: Role = "unshared" if isinstance(variant.config, LocallyConnectedConfig) else "train"
    folder = f"{'alexnet' if role == 'train' else role}-{scale.dataset}"
    return PlannedRun(
        folder,
        "",
        variant.name,
        scale_name,
        seed,
        role,
        scale.dataset,
        config,
        recipe,
        declared,
        needs,
    )


@cache
def _average_run(ensemble: Ensemble, scale_name: str, number: int, scale: Scale) -> PlannedRun:
    """An average is stored beside the networks that it averages; its config names them."""
    runs = [
        [_shared_run(variant, scale_name, seed, scale) for seed in seeds]
        for variant, seeds in ensemble.seeds(number)
    ]
    config = {
        "members": [
            {
                "variant": same[0].variant,
                "seeds": [run.seed for run in same],
                "config": same[0].config,
                "recipe": same[0].recipe,
            }
            for same in runs
        ]
    }
    declared = digest([ensemble.name, config])
    needs = tuple(run for same in runs for run in same)
    folder = f"alexnet-{scale.dataset}"
    return PlannedRun(
        folder,
        "",
        ensemble.name,
        scale_name,
        number,
        "average",
        scale.dataset,
        config,
        {},
        declared,
        needs,
    )


def _speedup_runs(
    claim: Claim, question: SpeedUp, scale: str, dataset: str | None
) -> Iterable[PlannedRun]:
    sweep = question.sweep
    assert sweep is not None
    tuning = digest([as_data(sweep), question.target])
    arms = [
        {"name": v.name, "config": as_data(v.config), "recipe": as_data(v.recipe)}
        for v in question.variants
    ]
    verdict = digest([*arms, question.target, question.seeds, question.paper, question.min_effect])
    for variant in question.variants:
        config = as_data(variant.config)
        for rate in sweep.rates:
            recipe = replace(variant.recipe, learning_rate=rate, epochs=sweep.epochs)
            for seed in sweep.seeds:
                name = f"{variant.name}-rate{rate:g}"
                yield PlannedRun(
                    claim.name,
                    question.name,
                    name,
                    scale,
                    seed,
                    "tune",
                    dataset,
                    config,
                    as_data(recipe),
                    tuning,
                    metrics=SPEED_METRICS,
                )
        for seed in question.seeds:
            yield PlannedRun(
                claim.name,
                question.name,
                variant.name,
                scale,
                seed,
                "evaluate",
                dataset,
                config,
                as_data(variant.recipe),
                verdict,
                metrics=SPEED_METRICS,
            )


def discover() -> dict[str, Claim]:
    """Every claim by its file's name: public modules of `reproductions` that are no package."""
    package = importlib.import_module("reproductions")
    claims = {}
    for module in pkgutil.iter_modules(package.__path__):
        if not module.ispkg and not module.name.startswith("_"):
            found = importlib.import_module(f"reproductions.{module.name}")
            statement, _, protocol = (found.__doc__ or "").partition("\n\n")
            claims[module.name] = replace(
                found.CLAIM,
                name=module.name,
                statement=" ".join(statement.split()),
                protocol=protocol.strip("\n"),
            )
    return claims
