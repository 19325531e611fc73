"""What a claim file measures beside the claim."""

from dataclasses import dataclass, replace
from typing import Literal

from reproductions.harness.claims.questions import Difference
from reproductions.harness.rule.effect import Effect
from reproductions.harness.rule.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Extra(Difference):
    """A difference of which the paper says nothing: measured, without a verdict."""

    min_effect: float = 5.0  # decides nothing
    gate: Literal["ended", "overfits", ""] = ""

    def decide(self, effect: Effect, scale: str, gate: str = "", level: float = 0.95) -> Verdict:
        """The number with its interval alone."""
        verdict = super().decide(effect, scale, gate, level)
        if verdict.word == "not run":
            return verdict
        return replace(verdict, word="–", mark="", reason="the paper says nothing of it")

    def rule(self) -> str:
        """The seeds, the metrics and the arms."""
        quantities, arms = (
            " minus ".join(f"`{name}`" for name in reversed(dict.fromkeys(names)))
            for names in (self.metrics, [arm.name for arm in self.arms])
        )
        return f"{len(self.seeds)} seeds; {quantities}, {arms}; shown, not judged."

    @property
    def paper_text(self) -> str:
        """There is no number of the paper."""
        return "–"
