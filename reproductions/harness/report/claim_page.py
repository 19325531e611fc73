"""A claim's own page: what is asked, by which rule, what was found and how to run it."""

from collections.abc import Mapping, Sequence

from reproductions.harness.claims.claim import Claim
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.report.format import bullets, table, whole_page
from reproductions.harness.report.question_section import section
from reproductions.harness.report.words import bold_word, definitions


def page_name(claim: str) -> str:
    """Where a claim's page is, below the results folder."""
    return f"claims/{claim}.md"


def title_of(claim: str) -> str:
    """How the title of a claim's page begins."""
    return f"{claim}:"


def claim_page(claim: Claim, rows: Sequence[VerdictRow], shown: Mapping[int, str]) -> str:
    """The whole page of one claim; `shown` are pictures in Markdown by the `id()` of their row."""
    parts = [f"**{claim.statement}**", _paragraphs(claim.protocol)]
    for row in rows:
        if row.question.trained:
            parts += section(row, shown.get(id(row)))
    parts += _counted([row for row in rows if not row.question.trained])
    if claim.differs:
        parts += ["## Differences from the paper", bullets(claim.differs)]
    parts += ["## Words", definitions(rows), "## Run and explain it", _commands(claim, rows)]
    parts += ["[All verdicts](../report.md), [runs](../runs.md), [statements](../statements.md)"]
    return whole_page(f"{title_of(claim.name)} {claim.section}", parts)


def _paragraphs(protocol: str) -> str:
    return "\n\n".join(" ".join(block.split()) for block in protocol.split("\n\n") if block)


def _counted(rows: Sequence[VerdictRow]) -> list[str]:
    """What is computed without training: a table, and what to know where it does not hold."""
    if not rows:
        return []
    lines = [
        {
            "Question": row.question.text,
            "Verdict": bold_word(row),
            "Paper": row.question.paper_text,
            "Counted": row.measured_text,
            "Name": f"`{row.cell}`",
        }
        for row in rows
    ]
    notes = [
        f"`{row.cell}`: {row.question.note}"
        for row in rows
        if row.verdict.word == "does not hold" and row.question.note
    ]
    failing = ["### Where it fails", bullets(notes)] if notes else []
    return ["## Counted or computed, without training", table(lines), *failing]


def _commands(claim: Claim, rows: Sequence[VerdictRow]) -> str:
    """The commands for all of its scales with records, and for each row."""
    several = len(claim.scales) > 1
    lines = [
        f"nox -s reproduce -- {claim.name}" + f" --scale {scale}" * several
        for scale in dict.fromkeys(row.scale for row in rows)
    ]
    lines += dict.fromkeys(_explain(row) for row in rows)
    code = "\n".join(lines)
    expected = f"\n\nExpected: {claim.expected}" if claim.expected else ""
    return f"Declared in `reproductions/{claim.name}.py`.\n\n```bash\n{code}\n```{expected}"


def _explain(row: VerdictRow) -> str:
    where = " --results results/smoke" if row.scale == "smoke" else ""
    return f"python -m reproductions explain {row.cell} --scale {row.scale}{where}"
