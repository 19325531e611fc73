"""Tables in the project's own documents that `report` keeps up to date, each between two comments.

Imports no torch.
"""

from collections.abc import Sequence
from pathlib import Path

from reproductions.harness.claims.metrics import METRICS
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.report.discrepancies import discrepancies_tables
from reproductions.harness.report.format import table
from reproductions.harness.rule.verdict import MARKS, MEANING

START, END = "<!-- made by `report`, a test checks it -->", "<!-- end of what `report` makes -->"
SHORT = {  # the rows of the README in the paper's order, and what it calls them
    "fig1_relu.speedup": "epochs to 25 % training error: tanh / ReLU",
    "two_gpu_gain.top1": "top-1 improvement from two columns",
    "lrn_gain.top1": "top-1 improvement from response normalisation",
    "overlap_gain.top1": "top-1 improvement from overlapping pooling",
    "color_noise_gain.top1": "top-1 improvement from colour noise",
    "dropout.iterations": "epochs to the same training error: with / without dropout",
    "fig3_kernels.colour": "colour gap between the columns' kernels, minus that of random halves",
    "depth.conv4": "top-1 loss without conv4",
}


def tables_of(rows: Sequence[VerdictRow]) -> dict[str, str]:
    """The text between the comments of each document, by its path in the checkout."""
    return {
        "README.md": short_table(rows),
        "docs/text-against-code.md": discrepancies_tables(),
        "docs/glossary.md": words_list(),
        "docs/columns.md": metrics_table(),
    }


def short_table(rows: Sequence[VerdictRow]) -> str:
    """The README's table: a trained result per section of the paper, and how many counts hold."""
    lines = []
    for cell, text in SHORT.items():
        mine = sorted(
            (row for row in rows if row.cell == cell), key=lambda row: row.n != row.planned
        )
        lines += [  # of those that are complete the first, which has the most faithful scale
            {
                "§": row.claim.section,
                "Claim": f"[{text}](reproductions/{row.claim.name}.py)",
                "Paper": row.question.paper_text,
                "Measured [95 %]": row.measured_text,
                "n": f"{row.n} of {row.planned}",
                "Scale": row.scale,
                "Verdict": row.word,
            }
            for row in mine[:1]
        ]
    counted = [row.verdict.word for row in rows if row.members and not row.question.trained]
    hold = counted.count("holds")
    tally = f"{hold} hold and {len(counted) - hold} do not"
    return f"{table(lines)}\n\nOf {len(counted)} counts and formulas without training {tally}."


def words_list() -> str:
    """The glossary's list of verdict words and marks."""
    words = [f"- **{word}**: {meaning}." for word, meaning in MEANING.items()]
    return "\n".join([*words, *(f"- **({mark})**: {meaning}." for mark, meaning in MARKS.items())])


def metrics_table() -> str:
    """The columns of runs.csv that are metrics."""
    lines = [
        {"column": f"`{name}`", "unit": spec.unit, "meaning": spec.description.rstrip(".")}
        for name, spec in METRICS.items()
    ]
    return table(lines)


def outdated(checkout: Path, rows: Sequence[VerdictRow]) -> dict[Path, str]:
    """The documents whose table is not that of `rows`, with the text they should have.

    One without the comments is left alone.
    """
    found = {}
    for name, made in tables_of(rows).items():
        path = checkout / name
        text = path.read_text() if path.exists() else ""
        before, start, rest = text.partition(START)
        _, end, after = rest.partition(END)
        new = f"{before}{start}\n\n{made}\n\n{end}{after}"
        if end and new != text:
            found[path] = new
    return found
