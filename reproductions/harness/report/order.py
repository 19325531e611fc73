"""The order of the paper's sections, figures and tables."""

import re
from collections.abc import Sequence

from reproductions.harness.judge.rows import VerdictRow

# the section that each belongs to, before what else that says
PRINTED = {
    "Figure 1": (3, 1, -1),
    "Figure 2": (3, 5, -1),
    "Table 1": (6, 0, -2),
    "Table 2": (6, 0, -1),
    "Figure 3": (6, 1, -2),
    "Figure 4": (6, 1, -1),
}
FIRST = re.compile(r"§(\d+)(?:\.(\d+))?|(?:Figure|Table) \d")


def place_in_paper(section: str) -> tuple[int, int, int]:
    """Section, subsection and rank of the first §, figure or table that a text names.

    The abstract, and what names none of them, comes first.
    """
    found = FIRST.search(section)
    if found is None:
        return 0, 0, 0
    if found[0] in PRINTED:
        return PRINTED[found[0]]
    return int(found[1] or 0), int(found[2] or 0), 0


def in_paper_order(rows: Sequence[VerdictRow]) -> list[VerdictRow]:
    """Rows by the place of their claim in the paper; those of a claim stay together, in order."""
    return sorted(rows, key=lambda row: (place_in_paper(row.claim.section), row.claim.name))


def short_place(section: str) -> str:
    """The figure or table that a claim names, else its first section."""
    named = re.search(r"(?:Figure|Table) \d", section)
    return named[0] if named else section.partition(",")[0]
