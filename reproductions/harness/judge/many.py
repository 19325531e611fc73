"""Many questions at once: how many intervals are shown, and which words survive Holm."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from reproductions.harness.claims.question import TrainedQuestion
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.judge.sweep import unsettled
from reproductions.harness.rule.many import changes_at, survivors
from reproductions.harness.rule.verdict import DECIDED, Word

CHANCE = 0.05  # of a wrong direction, per interval, where there is no effect


def adjusted(rows: Sequence[VerdictRow]) -> list[VerdictRow]:
    """The rows, with what more than one row or a sweep says: Holm's adjustment, open rates."""
    found = [replace(row, unsettled=unsettled(row)) for row in rows]
    for scale in dict.fromkeys(row.scale for row in rows):
        family = [k for k, row in enumerate(rows) if row.scale == scale and is_judged(row)]
        stays = survivors([_level(rows[k]) for k in family])
        for k, survives in zip(family, stays, strict=True):
            found[k] = replace(found[k], survives=survives)
    return found


def is_judged(row: VerdictRow) -> bool:
    """Whether an interval decided its word, also where it left the question undecided."""
    has_interval = row.verdict.low is not None and row.question.trained
    return has_interval and row.verdict.word in (*DECIDED, "undecided")


def intervals(rows: Iterable[VerdictRow]) -> int:
    """How many of the rows show an interval."""
    return sum(row.question.trained and row.verdict.low is not None for row in rows)


def _level(row: VerdictRow) -> float:
    """The smallest error level at which the row's word still follows; 1 of an undecided one."""
    effect, question = row.verdict.measured, row.scaled
    if effect is None or row.verdict.word == "undecided":
        return 1.0
    assert isinstance(question, TrainedQuestion)

    def word_at(level: float) -> Word:
        return question.decide(effect, row.scale, level=1 - level).word

    return changes_at(word_at)
