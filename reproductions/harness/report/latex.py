"""The tables of the report in LaTeX, for a paper: booktabs, captions, escaped text."""

from collections.abc import Sequence

import pandas as pd

from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.report.page import arithmetic_rows, cells_of, empirical_rows
from reproductions.harness.report.paper_tables import TABLES, laid_out

# how every LaTeX file of the report begins
TEX_HEAD = "% Generated from the records by `nox -s report`; never edited. Needs booktabs."
SYMBOLS = str.maketrans(
    {
        "×": r"$\times$",
        "≥": r"$\geq$",
        "≤": r"$\leq$",
        "±": r"$\pm$",
        "−": "$-$",
        "–": "--",
        "—": "---",
        "…": r"\ldots{}",
        "<": "$<$",
        ">": "$>$",
        "§": r"\S",
        "¾": r"$\frac{3}{4}$",
        "½": r"$\frac{1}{2}$",
        "·": r"$\cdot$",
        "²": r"$^2$",
        "√": r"$\surd$",
        "→": r"$\to$",
        "α": r"$\alpha$",
        "“": "``",
        "”": "''",
        "’": "'",
    }
)
FOLDER = "tables"


def tex_names() -> set[str]:
    """All files that `latex_tables` may give."""
    names = ("empirical", "arithmetic", *(f"table{table.number}" for table in TABLES))
    return {f"{FOLDER}/{name}.tex" for name in names}


def latex_tables(rows: Sequence[VerdictRow]) -> dict[str, str]:
    """The LaTeX of each table that has rows, by its file."""
    kinds = {
        "empirical": (empirical_rows(rows), "Trained claims"),
        "arithmetic": (arithmetic_rows(rows), "Statements that are counted or computed"),
    }
    found = {
        name: latex(list(map(cells_of, shown)), caption, name)
        for name, (shown, caption) in kinds.items()
        if shown
    }
    for table in TABLES:
        name = f"table{table.number}"
        found[name] = latex(laid_out(table, rows), f"Table {table.number}: {table.caption}", name)
    return {f"{FOLDER}/{name}.tex": text for name, text in found.items()}


def latex(lines: Sequence[dict[str, str]], caption: str, label: str) -> str:
    """A table environment; the first column may break its lines."""
    frame = pd.DataFrame(list(lines))
    body = frame.to_latex(
        index=False,
        escape=True,
        column_format=r"p{0.3\linewidth}" + "l" * (len(frame.columns) - 1),
        caption=caption.replace("%", r"\%"),
        label=f"tab:{label}",
    )
    small = body.replace("\\begin{tabular}", "\\small\n\\begin{tabular}")
    return f"{TEX_HEAD}\n{small.translate(SYMBOLS)}"
