"""The ledger: every statement of the paper once, with existing questions or a reason."""

from dataclasses import replace
from pathlib import Path

import pytest
from records import full_set, make_record, store

from reproductions.harness.claims.claim import KINDS, discover
from reproductions.harness.claims.extra import Extra
from reproductions.harness.errors import BadDataError
from reproductions.harness.judge.rows import judge
from reproductions.harness.records.load import read_records
from reproductions.harness.report import statements as tables
from reproductions.harness.report.statements import Statement, ledger_table, statements
from reproductions.harness.rule.verdict import Verdict

CLAIMS = discover()
CELLS = {
    f"{claim.name}.{question.name}"
    for claim in CLAIMS.values()
    for question in claim.questions
    if not isinstance(question, Extra)
}


def test_every_statement_is_there_once_and_in_order() -> None:
    assert [statement.number for statement in statements()] == list(range(1, 71))


def test_every_question_answers_a_statement_and_no_other_is_named() -> None:
    named = [cell for statement in statements() for cell in statement.questions]
    assert set(named) == CELLS


def rows_of(text: str) -> dict[str, list[str]]:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert lines[0] == ["#", "§", "The paper", "It says", "Kind", "Decided by", "Verdicts"]
    return {cells[0]: cells[1:] for cells in lines[2:]}


def test_a_row_shows_the_questions_with_what_they_leave_open_or_the_reason() -> None:
    rows = rows_of(ledger_table([]))
    assert len(rows) == 70
    assert rows["3"] == [
        "Table 1",
        "“The best performance achieved during the ILSVRC-2010 competition was 47.1% and 28.2%”",
        "sparse coding has 47.1 and 28.2 %",
        "quoted",
        "47.1 and 28.2 %",
        "–",
    ]
    assert rows["26"][3:] == ["empirical", "`lrn_gain.top1`, `lrn_gain.top5`", "not run"]
    assert rows["28"][3:] == [
        "arithmetic",
        "`formulas.normalisation`; text against code: `lrn_alpha`, `lrn_k`",
        "not run",
    ]


def test_a_statement_is_of_the_kinds_of_its_questions_or_of_its_reason() -> None:
    kinds = {number: cells[3] for number, cells in rows_of(ledger_table([])).items()}
    assert kinds["10"] == "arithmetic, empirical"
    assert kinds["35"] == "definition"
    assert kinds["41"] == "text against code"
    single = {kind for kinds_of_one in kinds.values() for kind in kinds_of_one.split(", ")}
    assert single == {*KINDS, "definition", "quoted", "not decided"}


def test_the_table_names_the_scale_of_every_verdict(tmp_path: Path) -> None:
    full_set(tmp_path)
    store(
        tmp_path,
        *(make_record(arm, seed, scale="smoke") for arm in ("relu", "tanh") for seed in (0, 1)),
    )
    rows = rows_of(ledger_table(judge(CLAIMS["fig1_relu"], read_records(tmp_path)[0])))
    assert rows["33"] == [
        "§3.1, Figure 1",
        "“reaches a 25% training error rate on CIFAR-10 six times faster”",
        "ReLU is at 25 % training error six times sooner than tanh",
        "empirical",
        "`fig1_relu.speedup`",
        "confirmed (paper), not judged (smoke)",
    ]
    assert rows["34"][-1] == "not run"


def test_words_stand_in_the_order_of_the_questions(tmp_path: Path) -> None:
    """A row of which one question alone has an answer."""
    claim = CLAIMS["fig2_architecture"]
    (row,) = (row for row in judge(claim, []) if row.question.name == "convolution_share")
    wrong = replace(row, verdict=Verdict("does not hold", "the paper's number is at most 1"))
    assert rows_of(ledger_table([wrong]))["10"][-1] == "does not hold; 3 × not run"


GOOD = """[[statement]]
number = 1
where = "§1"
quote = "learns"
text = "it learns"
reason = "quoted: a word"
"""


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (GOOD.replace("where", "place"), "row 1 where: Field required"),
        (GOOD.replace("§1", "chapter 1"), "row 1 where: "),
        (GOOD.replace("quoted", "guessed"), "row 1 reason: "),
        (GOOD + "questions = ['lrn_gain.top1']", "either questions or a reason"),
        (GOOD + GOOD.replace("reason", "remark"), "row 2: "),
        (GOOD.replace("statement", "sentence"), "Input should be a valid tuple"),
        ("[[statement", "at end of document"),
        ("\udcff", "codec can't decode"),
        (None, "No such file or directory"),
    ],
)
def test_a_broken_table_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, why: str
) -> None:
    monkeypatch.setattr(tables, "FOLDER", tmp_path)
    if content is not None:
        (tmp_path / "statements.toml").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(BadDataError, match=rf"statements\.toml cannot be read \(.*{why}") as caught:
        tables.read_table("statements.toml", Statement)
    assert "\n" not in str(caught.value)
