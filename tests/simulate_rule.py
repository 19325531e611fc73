"""How often the rule gives each word, by simulation: `python -m tests.simulate_rule [--check]`.

Without an option it prints the page `docs/shares-of-words.md`. With `--check` it draws anew and
holds the bars of `BARS`, each with three standard errors of the simulation. Of hundreds of cells
one or two miss by chance, so a cell that misses is drawn again, ten times as often, and then
counts.
"""

import argparse
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from reproductions.harness.rule.effect import Effect, effect_of
from reproductions.harness.rule.power import detectable
from reproductions.harness.rule.verdict import Asked, Verdict, judge, judge_value

DRAWS = 2000
SEEDS = (3, 5, 10)
SPREADS = (0.1, 0.2, 0.35)  # sd of a run, as a share of the paper's effect
CORRELATIONS = (0.0, 0.5, 0.9)  # of the two runs of a seed
IMAGES = (0.0, 0.1, 0.2, 0.4)  # sd that the test images add, as a share of the paper's effect
TRUE = ("none", "below s", "half", "as claimed", "twice")
ENOUGH = {3: 0.15, 5: 0.29, 10: 0.50}  # sd of the pairs at which 80 % are confirmed
NUMBER_OF_IMAGES = 10_000
WORDS = ("confirmed", "same direction", "different size", "opposite direction", "no effect")
POSITIVE = ("confirmed", "same direction", "different size")

BARS = """\
wrong direction       at most 2.5 % each where there is no effect
confirmed             at most 3.5 % at half and at twice the claimed effect
confirmed             at least 80 % as claimed, where the sd of the pairs is at most 0.15, 0.29,
                      0.50 of the claim (n = 3, 5, 10) and the images add nothing
coverage              93 to 98 % over new seeds and new images
undecided             never rises with n, never falls with the spread. With many more draws it
                      falls by up to 0.7 points where seeds and images add about as much: there the
                      two parts of the interval are joined on the safe side
confirmed             as claimed never falls with n, never rises with the spread
power                 what `plan` calls detectable is seen in 80 %"""


PAGE = """\
# How often each word comes

Made by `python -m tests.simulate_rule`: {draws} draws per line, at the paper's own scale.
Spreads and the part of the test images are shares of the claimed effect.
`none` is no effect, `below s` an effect just below the smallest of interest.
`half`, `as claimed` and `twice` are of the paper's effect.
A printed value is 4, 2, 1, 0 and 1 tolerances away instead.
Shares are in percent.
`python -m tests.simulate_rule --check` holds these bars with draws of its own:

```
{bars}
```

{grid}

## Seeds with heavy tails

Student's t with three degrees of freedom (first 15 lines) and the exponential distribution: for
information, without a bar.

{heavy}
"""


@dataclass(frozen=True)
class Kind:
    """A kind of question with a paper's effect; spreads are shares of it."""

    name: str
    asked: Asked
    tolerance: float = 0.0  # of a printed value

    def truth(self, case: str) -> float:
        """The true effect on the scale where effects add."""
        paper, least, zero = self.asked.paper or 0.0, self.asked.least, self.asked.zero
        if self.tolerance:
            away = {"none": 4, "below s": 2, "half": -1, "as claimed": 0, "twice": 1}
            return paper + away[case] * self.tolerance
        size = paper - zero
        read = {
            "none": zero,
            "below s": zero + 0.99 * (least - zero),
            "half": zero + size / 2,
            "as claimed": paper,
            "twice": zero + 2 * size,
        }[case]
        return math.log(read) if self.asked.ratio else read

    @property
    def unit(self) -> float:
        """What a spread of one means on the scale where effects add."""
        paper = self.asked.paper or 0.0
        if self.tolerance:
            return 2 * self.tolerance
        return (paper - 1) / paper if self.asked.ratio else paper

    def judge(self, effect: Effect) -> Verdict:
        """The verdict at the paper's scale."""
        if self.tolerance:
            return judge_value(effect, self.asked.paper or 0.0, self.tolerance, "paper")
        return judge(effect, self.asked, "paper")


KINDS = (
    Kind("difference", Asked(least=0.3, paper=1.4, unit="points")),
    Kind("ratio", Asked(least=2.0, paper=6.0, ratio=True)),
    Kind("value", Asked(least=0.0, paper=40.0), tolerance=1.0),
)


@dataclass(frozen=True)
class Cell:
    """One line of the table: a kind, what is drawn, and what is true."""

    kind: Kind
    n: int
    spread: float
    correlation: float
    images: float
    case: str
    law: str = "normal"  # of the seeds

    @property
    def sd(self) -> float:
        """Of a pair's difference, as a share of the claim."""
        if self.kind.tolerance:
            return self.spread
        return self.spread * math.sqrt(2 * (1 - self.correlation))


@dataclass(frozen=True)
class Shares:
    """What a cell gave: the share of each word, and how often the interval held the truth."""

    words: dict[str, float]
    coverage: float
    draws: int

    def of(self, *words: str) -> float:
        """The share of these words together."""
        return sum(self.words.get(word, 0.0) for word in words)

    def error(self, share: float) -> float:
        """Three standard errors of a simulated share."""
        return 3 * math.sqrt(max(share * (1 - share), 1 / self.draws) / self.draws)


def cells() -> Iterator[Cell]:
    """The grid: a ratio's time is no mean over images, a value has no second run to go with."""
    for kind in KINDS:
        correlations = (0.0,) if kind.tolerance else CORRELATIONS
        images = (0.0,) if kind.asked.ratio else IMAGES
        for values in product(SEEDS, SPREADS, correlations, images, TRUE):
            yield Cell(kind, *values)


def simulate(cell: Cell, random: np.random.Generator, draws: int = DRAWS) -> Shares:
    """Draw seeds and test images anew, estimate and judge."""
    truth, unit = cell.kind.truth(cell.case), cell.kind.unit
    sd, shift_sd = cell.sd * unit, cell.images * unit
    shift = shift_sd * random.standard_normal((draws, 1))
    pairs = truth + shift + sd * _standard(cell.law, random, (draws, cell.n))
    added = _estimated_images(shift_sd**2, 0.8 * sd**2, cell.n, random, draws)
    words, held = Counter[str](), 0
    for differences, images in zip(pairs.tolist(), added.tolist(), strict=True):
        effect = effect_of(differences, images)
        words[cell.kind.judge(effect).word] += 1
        low, high = effect.interval() or (math.inf, -math.inf)
        held += low <= truth <= high
    shares = {word: count / draws for word, count in words.items()}
    return Shares(shares, held / draws, draws)


def _standard(law: str, random: np.random.Generator, shape: tuple[int, int]) -> Any:
    """Draws of mean 0 and standard deviation 1."""
    if law == "t3":
        return random.standard_t(3, shape) / math.sqrt(3)
    if law == "exponential":
        return random.standard_exponential(shape) - 1
    return random.standard_normal(shape)


def _estimated_images(
    images: float, residual: float, n: int, random: np.random.Generator, draws: int
) -> Any:
    """What `images_variance` gives for normal answers per image; zero where images add nothing.

    `residual` is the part of a seed's variance that comes of its answers to the images: 0.8 of it,
    as in 80 to 95 % measured on records. Both mean squares are drawn by their χ² distributions.
    """
    if images == 0:
        return np.zeros(draws)
    free = NUMBER_OF_IMAGES - 1
    of_images = (images + residual / n) * random.chisquare(free, draws) / free
    left = residual / n * random.chisquare(free * (n - 1), draws) / (free * (n - 1))
    return np.maximum(0, of_images - left)


def table(results: Mapping[Cell, Shares]) -> str:
    """The shares in percent, a Markdown line per cell."""
    head = ["question", "n", "sd of a run", "correlation", "images", "true effect", "sd of a pair"]
    head += [*WORDS, "undecided", "coverage"]
    lines = [head, ["---"] * len(head)]
    for cell, shares in results.items():
        row = [cell.kind.name, cell.n, cell.spread, cell.correlation, cell.images, cell.case]
        share = [shares.of(word) for word in (*WORDS, "undecided")]
        numbers = [f"{100 * value:.1f}" for value in (*share, shares.coverage)]
        lines.append([*map(str, row), f"{cell.sd:.2f}", *numbers])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


Broken = dict[tuple[Cell, ...], list[str]]  # by the cells that a bar compares


def broken_bars(results: Mapping[Cell, Shares]) -> Broken:
    """What does not hold."""
    found: Broken = {(cell,): list(_broken(cell, shares)) for cell, shares in results.items()}
    for cell, shares in results.items():
        for field, values in (("n", SEEDS), ("spread", SPREADS)):
            later = next((v for v in values if v > getattr(cell, field)), None)
            other = replace(cell, **{field: later}) if later else cell
            if other in results and other != cell:
                less, more = (shares, results[other])[:: 1 if field == "n" else -1]
                found[cell, other] = list(_out_of_order(cell, less, more))
    return {cells: lines for cells, lines in found.items() if lines}


def _broken(cell: Cell, shares: Shares) -> Iterator[str]:
    def above(share: float, bar: float) -> bool:
        return share > bar + shares.error(bar)

    if cell.case == "none" and not cell.kind.tolerance:
        for words in (POSITIVE, ("opposite direction",)):
            if above(shares.of(*words), 0.025):
                yield f"{100 * shares.of(*words):.1f} % {', '.join(words)} without any effect"
    if cell.case in ("half", "twice") and above(shares.of("confirmed"), 0.035):
        yield f"{100 * shares.of('confirmed'):.1f} % confirmed"
    enough = cell.case == "as claimed" and cell.images == 0 and cell.sd <= ENOUGH[cell.n]
    if enough and shares.of("confirmed") < 0.8 - shares.error(0.8):
        yield f"only {100 * shares.of('confirmed'):.1f} % confirmed"
    if not 0.93 - shares.error(0.93) <= shares.coverage <= 0.98 + shares.error(0.98):
        yield f"coverage {100 * shares.coverage:.1f} %"


def _out_of_order(cell: Cell, less: Shares, more: Shares) -> Iterator[str]:
    """`more` has more seeds or less spread than `less`."""

    def rises(word: str, one: Shares, other: Shares) -> bool:
        from_, to = one.of(word), other.of(word)
        return to > from_ + math.hypot(one.error(from_), other.error(to))

    if rises("undecided", less, more):
        yield "more is undecided with more data"
    if cell.case == "as claimed" and rises("confirmed", more, less):
        yield "less is confirmed with more data"


def powers(random: np.random.Generator, draws: int) -> list[str]:
    """Where an effect that `plan` calls detectable is not seen in four of five attempts."""
    wrong = []
    for n in SEEDS:
        pairs = detectable(1.0, n) + random.standard_normal((draws, n))
        lows = [(effect_of(row).interval() or (0.0, 0.0))[0] for row in pairs.tolist()]
        power = sum(low > 0 for low in lows) / draws
        if abs(power - 0.8) > 3 * math.sqrt(0.8 * 0.2 / draws):
            wrong.append(f"n = {n}: a detectable effect is seen in {100 * power:.1f} %")
    return wrong


def check(draws: int) -> list[str]:
    """The bars that do not hold, a line each."""
    random = np.random.default_rng(2)
    results = {cell: simulate(cell, random, draws) for cell in cells()}
    again = {cell for group in broken_bars(results) for cell in group}
    results = {cell: simulate(cell, random, 10 * draws) for cell in cells() if cell in again}
    broken = [
        f"{' against '.join(map(str, group))}: {line}"
        for group, lines in broken_bars(results).items()
        for line in lines
    ]
    return broken + powers(random, 10 * draws)


def page(draws: int) -> str:
    """`docs/shares-of-words.md`."""
    random = np.random.default_rng(1)
    grid = table({cell: simulate(cell, random, draws) for cell in cells()})
    tails = [
        Cell(KINDS[0], n, 0.2, 0.5, 0.0, case, law)
        for law in ("t3", "exponential")
        for n in SEEDS
        for case in TRUE
    ]
    heavy = table({cell: simulate(cell, random, draws) for cell in tails})
    return PAGE.format(draws=draws, bars=BARS, grid=grid, heavy=heavy)


def main() -> int:
    """Print the page, or with --check what breaks a bar; 1 if anything does."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--draws", type=int, default=DRAWS)
    asked = parser.parse_args()
    if not asked.check:
        print(page(asked.draws), end="")
        return 0
    wrong = check(asked.draws)
    print("\n".join(wrong) or f"all bars hold in {len(list(cells()))} cells of {asked.draws} draws")
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
