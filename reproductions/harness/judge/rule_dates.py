"""When the rule of each question was fixed: its digest is dated in `reproductions/rules.csv`.

A rule is what decides a question beside its runs: the paper's number, the smallest effect of
interest, the target, the metrics, the seeds and the grid of rates. A change adds a line to the
file; the old lines stay. `python -m tests.date_rules` adds what is missing.
"""

import csv
from functools import cache
from pathlib import Path

from reproductions.harness.claims.claim import Claim
from reproductions.harness.claims.question import Question
from reproductions.harness.claims.runs import digest

RULES = Path(__file__).parents[2] / "rules.csv"
COLUMNS = ("question", "scale", "rule", "since")


def rule_of(question: Question, claim: Claim, scale: str) -> str:
    """The digest of a question's rule at a scale."""
    return digest(question.at(scale, claim.scales[scale]).rule_as_data())


def since(claim: Claim, question: Question, scale: str) -> str | None:
    """The day, as 2026-11-22, since which the rule of today is fixed; None if it is not dated."""
    key = (f"{claim.name}.{question.name}", scale, rule_of(question, claim, scale))
    return dated().get(key) if question.trained else None


@cache
def dated() -> dict[tuple[str, str, str], str]:
    """The day of each rule by question, scale and digest; of a rule that came back, the last."""
    if not RULES.is_file():
        return {}
    with RULES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {(row["question"], row["scale"], row["rule"]): row["since"] for row in rows}
