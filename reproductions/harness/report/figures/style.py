"""The look of every figure: fonts, sizes, colours and marks, in one place.

Figures are drawn under matplotlib's own defaults with these changes, whatever the user's
matplotlibrc, style or backend says, and without pyplot.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

DPI = 120
WIDTH = 1000  # pixels: what a page shows without shrinking it
# Part of each picture's digest. Raise it when the code draws the same numbers in another way: only
# then are the stored pictures drawn again.
LAYOUT = 1

RULES: dict[str, Any] = {
    "figure.dpi": DPI,
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "svg.hashsalt": "alexnet",
    "svg.fonttype": "none",  # text stays text: a quarter of the bytes, and can be searched
}

# Okabe and Ito's colours, which colour-blind readers tell apart; their lightness differs too.
INK, GREY, PALE = "#222222", "#767676", "#ececec"
BLUE, GREEN, PURPLE = "#0072B2", "#009E73", "#CC79A7"
ORANGE, VERMILLION = "#E69F00", "#D55E00"


class Mark(NamedTuple):
    """How one thing looks: in grey, its mark and its line still tell it apart."""

    colour: str
    marker: str | int  # of matplotlib's
    filled: bool = True
    line: str = "-"

    @property
    def face(self) -> str:
        """The colour inside the mark."""
        return self.colour if self.filled else "white"


# The same thing has the same look in every figure; networks without an entry are a baseline or
# what it is compared with.
NETWORKS = {
    "relu": Mark(BLUE, "o"),
    "relu-modern": Mark(BLUE, "o"),
    "tanh": Mark(ORANGE, "s", line="--"),
    "tanh-modern": Mark(ORANGE, "s", line="--"),
    "original": Mark(INK, "o"),
}
BASELINE, COMPARED = NETWORKS["original"], Mark(VERMILLION, "s", line="--")
VERDICTS = {
    "confirmed": Mark(GREEN, "o"),
    "same direction": Mark(BLUE, "^"),
    "different size": Mark(ORANGE, "s"),
    "opposite direction": Mark(VERMILLION, "v"),
    "no effect": Mark(PURPLE, "X"),
    "undecided": Mark(GREY, "o", filled=False),
    "too short to tell": Mark(GREY, "s", filled=False, line=":"),
    "–": Mark(GREY, "d"),
}
PAPER, LOG = Mark(INK, "D", filled=False), Mark("#555555", "p", filled=False)
SIGNATURE: list[Any] = [
    *(LAYOUT, WIDTH, RULES, NETWORKS, BASELINE, COMPARED, VERDICTS, PAPER, LOG),
    *(INK, GREY, PALE, BLUE),
]


def look_of(names: Sequence[str], name: str) -> Mark:
    """The look of a network among those of a question, of which the first is the baseline."""
    is_baseline = name == names[0] and "original" not in names
    return NETWORKS.get(name) or (BASELINE if is_baseline else COMPARED)


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save inside: matplotlib's defaults and the rules above, then the user's again."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and `report --check` draws nothing

    rules: Any = {key: value for key, value in mpl.rcParamsDefault.items() if key not in _PRESERVED}
    with mpl.rc_context(rules | RULES):
        yield


# What chooses a window system, and has no part in a file.
_PRESERVED = frozenset({"backend", "backend_fallback", "interactive", "toolbar"})


def sheet(height: float, width: float = WIDTH, dpi: float = DPI, **options: Any) -> Any:
    """An empty figure of matplotlib's, its size in pixels."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    return Figure(figsize=(width / dpi, height / dpi), dpi=dpi, **options)


def mark(axes: Any, x: float, y: float, look: Mark, size: float = 8, **options: Any) -> Any:
    """One mark; `label` among the options puts it into the legend."""
    shown = {"markerfacecolor": look.face, "markeredgewidth": 1.5, "zorder": 4, **options}
    shown |= {"marker": look.marker, "markersize": size, "linestyle": "none"}
    return axes.plot([x], [y], color=look.colour, **shown)
