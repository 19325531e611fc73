"""The question of Figure 1 and §4.2: epochs to a training error, of one variant over another."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from reproductions.harness.claims.question import (
    FinishedRun,
    Runs,
    TrainedQuestion,
    by_seed,
    is_finite,
    value_of,
)
from reproductions.harness.claims.runs import PlannedRun, as_data, digest
from reproductions.harness.claims.variant import Scale, Variant
from reproductions.harness.rule.curves import epochs_to, points, target_curve
from reproductions.harness.rule.effect import Effect, Times, effect_of_times
from reproductions.harness.rule.power import detectable
from reproductions.harness.rule.verdict import Asked, Verdict, Word, judge

TO_TARGET = "-to-target"  # ends the names of tuning runs that settle which rate is the best
SPEED_METRICS = ("epochs_to_target", "train_error")
ASSUMED_SPREAD = 0.1  # of log(ratio) over seeds, where there are no records yet


@dataclass(frozen=True)
class Sweep:
    """How each variant's learning rate was chosen: the same rates, seeds and budget for all.

    The best rate needs the fewest epochs to the target; where no rate gets there within the budget,
    it has the lowest training error over the last whole pass. Rates that are level then, and a best
    rate on the edge of the grid, are settled by runs to the target.
    """

    rates: tuple[float, ...]
    seeds: tuple[int, ...]  # never among the seeds of the verdict
    epochs: int  # budget; a rate that has not reached the target by then is censored
    target_window: str = "pass"  # by which its runs read the target, as in `Recipe`
    to_target: tuple[tuple[str, float], ...] = ()  # arms and rates that are run to the target

    def __str__(self) -> str:
        rates = ", ".join(f"{rate:g}" for rate in self.rates)
        return f"{rates} on seed {', '.join(map(str, self.seeds))}, {self.epochs} epochs"

    def at(self, scale: Scale) -> "Sweep":
        """The middle rates with the budget of a scale."""
        first = 0 if scale.rates is None else (len(self.rates) - scale.rates) // 2
        last = None if scale.rates is None else first + scale.rates
        rates = self.rates[first:last]
        settled = tuple(pair for pair in self.to_target if scale.epochs is None)
        return replace(self, rates=rates, epochs=scale.epochs or self.epochs, to_target=settled)


@dataclass(frozen=True, kw_only=True)
class EpochRatio(TrainedQuestion):
    """One variant takes several times as many epochs to a training error as another.

    The effect is log(epochs of `of` / epochs of `over`). Epochs are where the running training
    error first falls to `target`, linearly interpolated between the rows of the history.
    """

    is_ratio: ClassVar[bool] = True
    formula: ClassVar[str] = (
        "exp of the mean over seeds of log(epochs of the slow arm / epochs of the fast arm); "
        "t interval"
    )

    over: Variant  # the faster one
    of: Variant
    paper: float  # the paper's ratio
    min_effect: float  # the smallest ratio of interest
    target: float  # training error in percent
    sweep: Sweep | None = None  # None: both arms have the recipe's rate
    # where the paper's two curves cross the target: `over`, `of`
    paper_epochs: tuple[float, float] | None = None
    unit: str = "×"
    figure: str = "curves"

    @property
    def arms(self) -> tuple[Variant, Variant]:
        """The faster variant and the slower one."""
        return self.over, self.of

    @property
    def metrics(self) -> tuple[str, ...]:
        """Of networks that stop at the target; others' epochs are read from their history."""
        return SPEED_METRICS if self.sweep else ("train_error",)

    def at(self, name: str, scale: Scale) -> Self:
        """With the target and the budget of the scale too."""
        return replace(
            super().at(name, scale),
            over=self.over.at(name, scale),
            of=self.of.at(name, scale),
            sweep=self.sweep and self.sweep.at(scale),
            target=scale.target or self.target,
        )

    def runs(self, claim: str, name: str, scale: Scale) -> list[PlannedRun]:
        """Networks with a sweep are trained for this question alone: the target ends their runs."""
        scaled = self.at(name, scale)
        if scaled.sweep is None:
            return super().runs(claim, name, scale)
        return [run for arm in scaled.arms for run in scaled.arm_runs(arm, claim, name, scale)]

    def arm_runs(self, arm: Variant, claim: str, name: str, scale: Scale) -> list[PlannedRun]:
        """The sweep of one arm, then its seeds."""
        assert self.sweep is not None
        arms = [
            {"name": v.name, "config": as_data(v.config), "recipe": as_data(v.recipe)}
            for v in self.arms
        ]
        run = PlannedRun(
            claim=claim,
            question=self.name,
            variant=arm.name,
            scale=name,
            seed=0,
            kind="train",
            dataset=scale.dataset,
            network_config=arm.config,
            training_recipe=arm.recipe,
            declaration=digest([*arms, self.target, self.seeds, self.paper, self.min_effect]),
            metrics=SPEED_METRICS,
        )
        declaration = digest([as_data(self.sweep), self.target])
        tune = replace(run, purpose="sweep", declaration=declaration)
        recipes = self._tuning_recipes(arm)
        return [
            *(
                replace(tune, variant=f"{arm.name}-rate{rate}", seed=seed, training_recipe=recipe)
                for rate, recipe in recipes.items()
                for seed in self.sweep.seeds
            ),
            *(replace(run, seed=seed) for seed in self.seeds),
        ]

    def _tuning_recipes(self, arm: Variant) -> dict[str, Any]:
        """The recipes of the sweep by what follows "-rate" in the names of their runs."""
        assert self.sweep is not None
        window, budget = self.sweep.target_window, self.sweep.epochs
        short = replace(arm.recipe, epochs=budget, target_window=window)
        tried = {f"{rate:g}": replace(short, learning_rate=rate) for rate in self.sweep.rates}
        settled = [rate for name, rate in self.sweep.to_target if name == arm.name]
        return tried | {
            f"{rate:g}{TO_TARGET}": replace(arm.recipe, learning_rate=rate) for rate in settled
        }

    def epochs(self, run: FinishedRun) -> float | None:
        """A run's epochs to the target; None if it was not reached or the run diverged."""
        record = run.record
        if record.status != "ok":
            return None
        if (metric := record.metrics.get("epochs_to_target")) is not None:
            return float(metric.value)
        return epochs_to(self.curve(run), self.target)

    def curve(self, run: FinishedRun) -> list[tuple[float, float]]:
        """(epoch, training error) by which the target is read, as the run's recipe says."""
        window = run.record.recipe.get("target_window", "pass")
        return target_curve(points(run.history()), run.record.data.train_images, window)

    def values(self, run: FinishedRun) -> dict[str, float | None]:
        """The epochs, and the test error of the trained network where it was measured."""
        return {
            f"epochs to {self.target:g} %": self.epochs(run),
            "test_error": value_of(run, "test_error"),
        }

    @property
    def asked(self) -> Asked:
        """What the paper says of the ratio."""
        return Asked(least=self.min_effect, paper=self.paper, ratio=True)

    def judge(self, arms: Sequence[Runs], scale: str) -> Verdict:
        """By the ratio per seed; a run that diverged has not reached the target."""
        times = self._times(arms)
        verdict = self.decide(effect_of_times(times), scale)
        if verdict.word == "not run" and times:
            word: Word = "–" if scale == "smoke" else "not run"
            return Verdict(word, "in no pair did a run reach the target")
        return verdict

    def decide(self, effect: Effect, scale: str, gate: str = "", level: float = 0.95) -> Verdict:
        """By the rule of effects."""
        return judge(effect, self.asked, scale, gate, level)

    def rule_as_data(self) -> dict[str, Any]:
        """With the smallest ratio of interest, the target, how it is read, and the rates tried."""
        window = getattr(self.over.recipe, "target_window", "pass")
        rates = None if self.sweep is None else list(self.sweep.rates)
        sizes = {"least": self.min_effect, "target": self.target, "window": window, "rates": rates}
        return super().rule_as_data() | sizes

    def _times(self, arms: Sequence[Runs]) -> list[Times]:
        budget = float(self.over.recipe.epochs)
        pairs = [(self.epochs(slow), self.epochs(fast)) for fast, slow in by_seed(arms)]
        return [Times(slow, fast, budget) for slow, fast in pairs]

    def faults(self) -> list[str]:
        """The smallest ratio of interest must be above one and at most half the paper's excess."""
        sizes = is_finite(self.min_effect) and is_finite(self.paper)
        most = self.asked.paper_range[0] if sizes else 0.0
        wrong = sizes and not 1 < self.min_effect <= most
        line = f"min_effect {self.min_effect} must be above 1 and at most {most:g}"
        return super().faults() + [line] * wrong

    def rule(self) -> str:
        """The sizes, the target and the budget."""
        return (
            f"{self._sizes(self.min_effect)}; a run that has not reached {self.target:g} % "
            f"training error in {self.over.recipe.epochs} epochs is censored."
        )

    def detects(self, arms: Sequence[Runs]) -> str:
        """A ratio, by the spread of the pairs so far."""
        pairs = [(pair.slow, pair.fast) for pair in self._times(arms)]
        logs = [math.log(slow / fast) for slow, fast in pairs if slow and fast]
        spread = statistics.stdev(logs) if len(logs) > 1 else ASSUMED_SPREAD
        return f"≥ {math.exp(detectable(spread, len(self.seeds))):.2f}× (paper {self.paper:g}×)"
