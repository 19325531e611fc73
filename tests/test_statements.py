"""The ledger: every statement of the paper once, with existing questions or a reason."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from records import full_set, make_record, store

from reproductions.harness.claims.claim import discover
from reproductions.harness.judge.rows import judge
from reproductions.harness.records.record import read_records
from reproductions.harness.report.statements import STATEMENTS, Statement, ledger_table
from reproductions.harness.rule.verdict import Verdict

CLAIMS = discover()
CELLS = {
    f"{claim.name}.{question.name}" for claim in CLAIMS.values() for question in claim.questions
}


def test_every_statement_is_there_once_and_in_order() -> None:
    assert [statement.number for statement in STATEMENTS] == list(range(1, 59))


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: str(s.number))
def test_a_statement_is_answered(statement: Statement) -> None:
    if isinstance(statement.answer, str):
        assert re.match(r"(quoted|not decided|compared): \S", statement.answer)
        assert not statement.remark
    else:
        assert statement.answer
        assert set(statement.answer) <= CELLS
    assert re.match(r"Abstract|§|Table|Figure", statement.where)
    assert not statement.text.endswith(".")


def test_every_question_answers_a_statement() -> None:
    named = {
        cell
        for statement in STATEMENTS
        if not isinstance(statement.answer, str)
        for cell in statement.answer
    }
    assert named == CELLS


def rows_of(text: str) -> dict[str, list[str]]:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert lines[0] == ["#", "§", "The paper says", "Decided by", "Verdicts"]
    return {cells[0]: cells[1:] for cells in lines[2:]}


def test_the_table_of_no_records() -> None:
    rows = rows_of(ledger_table([]))
    assert len(rows) == 58
    assert rows["3"] == [
        "Table 1",
        "sparse coding has 47.1 and 28.2 %",
        "quoted: 47.1 and 28.2 %",
        "–",
    ]
    assert rows["29"][2:] == [
        "not decided: it names no measure; the nets here do learn from raw grey levels",
        "–",
    ]
    assert rows["12"][2:] == [
        (
            "`pretraining.seven_top5`; on validation images, since test labels were never "
            "published; 26.2 % is quoted"
        ),
        "not run",
    ]
    assert rows["21"][2:] == [
        "compared: text against code, `epochs`; the time is that machine's",
        "–",
    ]
    assert rows["28"][2:] == [
        "`formulas.normalisation`; text against code: `lrn_alpha`, `lrn_k`",
        "not run",
    ]
    assert rows["10"][-1] == "not run"
    assert rows["26"][2:] == ["`lrn_gain.top1`, `lrn_gain.top5`", "not run"]


def test_the_table_names_the_scale_of_every_verdict(tmp_path: Path) -> None:
    full_set(tmp_path)
    store(
        tmp_path,
        *(make_record(arm, seed, scale="smoke") for arm in ("relu", "tanh") for seed in (0, 1)),
    )
    rows = rows_of(ledger_table(judge(CLAIMS["fig1_relu"], read_records(tmp_path)[0])))
    assert rows["33"] == [
        "§3.1, Figure 1",
        "ReLU is at 25 % training error six times sooner than tanh",
        "`fig1_relu.speedup`",
        "confirmed (paper), not judged (smoke)",
    ]
    assert rows["34"][-1] == "not run"
    assert rows["26"][-1] == "not run"


def test_words_stand_in_the_order_of_the_questions(tmp_path: Path) -> None:
    """A row of which one question alone has an answer."""
    claim = CLAIMS["fig2_architecture"]
    (row,) = (row for row in judge(claim, []) if row.question.name == "convolution_share")
    refuted = replace(row, verdict=Verdict("refuted", "the paper's number is at most 1"))
    assert rows_of(ledger_table([refuted]))["10"][-1] == "refuted; 3 × not run"
