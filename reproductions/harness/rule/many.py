"""Many questions at once: which words survive Holm's adjustment."""

from collections.abc import Callable, Sequence

from reproductions.harness.rule.verdict import Word

LEAST = 2e-4  # levels below it are not told apart; enough for 250 questions


def changes_at(word_at: Callable[[float], Word], level: float = 0.05) -> float:
    """The smallest error level at which the word of `level` still follows, from 0.0002 on.

    `word_at` gives the word for an error level; a smaller one has a wider interval.
    """
    word = word_at(level)
    if word_at(LEAST) == word:
        return LEAST
    low, high = LEAST, level
    while high - low > 1e-3 * low:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if word_at(middle) == word else (middle, high)
    return high


def survivors(levels: Sequence[float], level: float = 0.05) -> list[bool]:
    """Which of all questions keep their word when together they may err at `level` (Holm 1979)."""
    survive, order = [False] * len(levels), sorted(range(len(levels)), key=levels.__getitem__)
    for rank, index in enumerate(order):
        if levels[index] > level / (len(levels) - rank):
            break
        survive[index] = True
    return survive
