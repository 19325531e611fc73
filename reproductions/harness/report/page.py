"""The page that people read: judged rows to Markdown."""

from collections import Counter
from collections.abc import Mapping, Sequence

from reproductions.harness.claims.claim import Claim
from reproductions.harness.judge.many import intervals
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.records.store import Stored
from reproductions.harness.report.arms import better_without
from reproductions.harness.report.claim_page import page_name
from reproductions.harness.report.discrepancies import summary
from reproductions.harness.report.format import bullets, table, whole_page
from reproductions.harness.report.headline import found_line, imagenet_line
from reproductions.harness.report.order import in_paper_order
from reproductions.harness.report.paper_tables import (
    CELLS,
    TABLES,
    PaperTable,
    laid_out,
    measured_note,
)
from reproductions.harness.report.statements import ledger_table
from reproductions.harness.report.words import bold_word, chance, definitions, kind_of, plain_word
from reproductions.harness.rule.verdict import SINCE

TITLE = "AlexNet (2012): do its claims hold?"
NO_EVIDENCE = (
    "**Everything below comes from the built-in synthetic images. It proves that the code runs and "
    "is no evidence for or against any claim.**"
)
RUN_IT = (
    "`nox -s reproduce -- fig1_relu` runs a claim, `python -m reproductions explain "
    "fig1_relu.speedup` shows what is behind a row, and a row's link opens the page of its claim "
    "with figures and runs."
)
MORE = (
    "[The paper's statements](statements.md) with what decides each · [runs](runs.md): cost, "
    "machines, commits and what failed · `report.json` and `runs.csv`: all numbers · `tables/`: "
    "these tables in LaTeX"
)

LEDGER = (
    "The paper's statements that have a number or that a run could answer, each with a few of its "
    "words. Beside them are the rows of [the report](report.md) that decide them, or why none "
    "does. Numbers of other people are quoted, not judged."
)
DISCREPANCIES = (
    "The paper's text and the code that printed its numbers differ in {}. "
    "[`discrepancies.csv`](discrepancies.csv) has each with its section, the file of 2012, what "
    "this suite does and the measured effect. They are compared, not judged."
)
METHOD = f"""\
- The unit of replication is a whole training run with its own seed. Epochs and images are not.
- A seed draws the same initial weights and the same order of images in both arms. So differences
  per seed are judged, of ratios their logarithms.
- The numbers of each question's rule were fixed before its runs: `reproductions/rules.csv` has the
  days. The words and gates, in `reproductions/harness/rule/verdict.py`, are of {SINCE}; records of
  an earlier day were made before them.
- The interval of an error whose answers are stored per image also holds what a finite set of test
  images adds, counted once. Others are over seeds alone; `error_images` of `report.json` is then
  null.
- A run that never reaches its target is censored: it enters at its budget, and the interval is open
  on that side. No run is dropped.
- Records of other data, of another version of the code or of uncommitted code form rows of their
  own. They are never pooled. A record whose recipe or version has changed since is outdated.
- Both arms of a seed are made on one kind of machine and in one precision, the earliest on which
  both exist. Seeds of several kinds are in one row, and the claim's page names the kinds.
- An AlexNet is trained once for all claims that ask for it.
- sd is the standard deviation over seeds. [low, high] is a 95 % confidence interval of a mean or
  ratio, never of one run."""


def only_synthetic(stored: Sequence[Stored]) -> bool:
    """Whether there are records and all are of the synthetic images."""
    return bool(stored) and all(item.record.scale == "smoke" for item in stored)


def empirical_rows(rows: Sequence[VerdictRow]) -> list[VerdictRow]:
    """The trained rows of the verdict table in the paper's order.

    Those without records are left out, and the printed errors without a word, which are in the
    paper's own tables.
    """
    return [
        row
        for row in in_paper_order(rows)
        if kind_of(row.question) == "empirical"
        and row.verdict.word != "not run"
        and not (row.cell in CELLS and row.verdict.word == "–" and row.scale != "smoke")
    ]


def arithmetic_rows(rows: Sequence[VerdictRow]) -> list[VerdictRow]:
    """The rows that are counted without training and have a record, in the paper's order."""
    return [
        row
        for row in in_paper_order(rows)
        if kind_of(row.question) == "arithmetic" and row.verdict.word != "not run"
    ]


def cells_of(row: VerdictRow) -> dict[str, str]:
    """A row's cells in plain text."""
    question, unit = row.question, row.question.unit_text
    log = "" if question.log_2012 is None else f" ({question.log_text.removesuffix(unit)})"
    cells = {
        "Question": question.text,
        "Verdict": plain_word(row),
        "§": row.claim.section,
        "Paper (2012 log)" if question.trained else "Paper": f"{question.paper_text}{log}",
        "Measured [95 %]" if question.trained else "Counted": row.measured_text,
    }
    scale = {"Scale, seeds": f"{row.scale}, {row.n} of {row.planned}"}
    return cells | (scale if question.trained else {})


def _linked(rows: Sequence[VerdictRow]) -> str:
    """The table of some rows, each with the link to its claim's page.

    Rows of one question and scale are told apart by their data.
    """
    alike = Counter((row.cell, row.scale) for row in rows)
    return table([_linked_cells(row, alike[row.cell, row.scale] > 1) for row in rows])


def _linked_cells(row: VerdictRow, with_data: bool) -> dict[str, str]:
    name = f"[`{row.cell}`]({page_name(row.claim.name)})"
    data = f"; {row.data}" if with_data else ""
    question = f"{row.question.text} ({name}{data})"
    return cells_of(row) | {"Question": question, "Verdict": bold_word(row)}


def page(
    claims: Mapping[str, Claim], rows: list[VerdictRow], stored: list[Stored], forest: str = ""
) -> str:
    """The whole of report.md; `forest` is the picture of all intervals, in Markdown."""
    synthetic = NO_EVIDENCE if only_synthetic(stored) else ""
    parts = [synthetic, f"**Found:** {found_line(rows)}", imagenet_line(claims, stored)]
    parts += [RUN_IT, forest, *_empirical(rows)]
    for paper_table in TABLES:
        parts += _as_printed(paper_table, rows)
    parts += _arithmetic(rows)
    parts += ["## Text against code", DISCREPANCIES.format(summary())]
    parts += ["## More", MORE, "## Method", METHOD]
    return whole_page(TITLE, parts)


def statements_page(rows: Sequence[VerdictRow]) -> str:
    """The whole of statements.md."""
    return whole_page("The paper's statements", [LEDGER, ledger_table(rows)])


def _empirical(rows: Sequence[VerdictRow]) -> list[str]:
    shown = empirical_rows(rows)
    parts = ["## Verdicts: what was trained", _linked(shown)]
    missing = _not_run(rows, "empirical")
    parts += [chance(intervals(shown)), definitions([*shown, *missing]), _better(shown)]
    return [*parts, _list_not_run(missing)]


def _arithmetic(rows: Sequence[VerdictRow]) -> list[str]:
    shown = arithmetic_rows(rows)
    parts = ["## Arithmetic: what is counted or computed", _linked(shown)]
    missing = _not_run(rows, "arithmetic")
    return [*parts, definitions([*shown, *missing]), _list_not_run(missing)]


def _as_printed(paper_table: PaperTable, rows: Sequence[VerdictRow]) -> list[str]:
    caption = f"{paper_table.caption[:1].upper()}{paper_table.caption[1:]}."
    lines = table(laid_out(paper_table, rows))
    return [f"## Table {paper_table.number}", caption, lines, measured_note(paper_table, rows)]


def _better(rows: Sequence[VerdictRow]) -> str:
    """The ablations with the lower test error, whatever their verdict."""
    found = [
        f"`{row.cell}` ({row.scale}): {how}"
        for row in rows
        if row.scale != "smoke" and (how := better_without(row))
    ]
    head = "In these the network that lacks something has the lower test error:"
    return f"{head}\n\n{bullets(found)}" if found else ""


def _not_run(rows: Sequence[VerdictRow], kind: str) -> list[VerdictRow]:
    """The rows of a kind without records."""
    return [
        row
        for row in in_paper_order(rows)
        if kind_of(row.question) == kind and row.verdict.word == "not run"
    ]


def _list_not_run(rows: Sequence[VerdictRow]) -> str:
    """The questions without records in one line, by claim."""
    asked: dict[str, list[str]] = {}
    for row in rows:
        asked.setdefault(row.claim.name, []).append(row.question.name)
    names = [
        f"[{claim}]({page_name(claim)}) ({', '.join(dict.fromkeys(questions))})"
        for claim, questions in asked.items()
    ]
    return f"Questions that were **not run** ({len(rows)}): {'; '.join(names)}." if names else ""
