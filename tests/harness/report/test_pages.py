"""The pages as a reader finds them: words that follow from their numbers, tables, first lines."""

import json
import math
import re
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from records import full_set, make_alexnet, make_record, planned, store, write_record
from scipy import stats

from alexnet.training import Row as HistoryRow
from reproductions.harness.claims.claim import discover
from reproductions.harness.claims.metrics import METRICS
from reproductions.harness.judge.rows import judge
from reproductions.harness.records.files import RESULTS
from reproductions.harness.records.load import read_records
from reproductions.harness.records.store import Stored
from reproductions.harness.report import build as report
from reproductions.harness.report.headline import found_line, imagenet_line
from reproductions.harness.report.order import place_in_paper
from reproductions.harness.report.paper_tables import TABLES
from reproductions.harness.report.runs_csv import ALWAYS, about
from reproductions.harness.report.sampling import noise_floor, power_of, visible_effect
from reproductions.harness.rule.effect import Answers

ROOT = Path(__file__).parents[3]
CLAIMS = discover()
FIG1 = {"fig1_relu": CLAIMS["fig1_relu"]}


@pytest.fixture(scope="module")
def committed() -> dict[str, str]:
    """The texts of the report of the committed records."""
    return report.build(RESULTS, CLAIMS).texts


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A report with words that the committed one may lack."""
    root = tmp_path_factory.mktemp("odd")
    full_set(root)
    other, few = "ba9876543210", "cccccccccccc"
    for seed in range(3):  # the other way round
        last = make_record("relu", seed, epochs=20.0 + seed, fingerprint=other, canonical=False)
        store(root, last, make_record("tanh", seed, epochs=6.0, fingerprint=other, canonical=False))
    store(root, make_record("relu", 0, fingerprint=few), make_record("tanh", 0, fingerprint=few))
    for seed, slow in enumerate((24.0, 30.0, 50.0)):  # too unlike to say the size
        wide = {"fingerprint": "dddddddddddd", "hardware": "another"}
        store(root, make_record("relu", seed, epochs=6.0, **wide))  # type: ignore[arg-type]
        store(root, make_record("tanh", seed, epochs=slow, **wide))  # type: ignore[arg-type]
    for seed in range(3):
        without = {"gap": 25.0 + seed, "top1": 60.0, "top1_train": 35.0 - seed}
        ten = 59.0 + seed
        whole = {"gap": 5.0 + seed, "top1": 62.0 + seed, "top1_train": 57.0, "top1_ten": ten}
        quiet = make_alexnet("without-colour-noise", seed, "color_noise_gain", top1_ten=57.0)
        write_record(root, quiet, 2.0)
        write_record(root, make_alexnet("original", seed, **whole), 2.0)
        write_record(root, make_alexnet("without-dropout", seed, **without), 2.0)
    names = ("fig1_relu", "dropout", "color_noise_gain")
    return report.build(root, {name: CLAIMS[name] for name in names}).texts


def word_by_the_rule(row: dict[str, Any]) -> str:  # noqa: C901, PLR0911 - the rule, line by line
    """The word that follows from a row's numbers, written from the text of the rule."""
    asks, scale, pairs = row["asks"], row["scale"], row["pairs"]
    if asks == "Count":
        if row["measured"] is None:
            return "not run"
        margin = abs(row["paper"]) * row["tolerance"]
        above = row["measured"] - row["paper"]
        holds = above <= margin if row["at_most"] else abs(above) <= margin
        return "holds" if holds else "does not hold"
    if asks == "Extra":
        return "–" if pairs else "not run"
    assert asks in ("Difference", "EpochRatio", "Value")
    if asks == "Value" and scale != "paper" and pairs:
        return "–"
    if pairs == 0:
        return "not run"
    if scale == "smoke":
        return "–"
    if row["gate"]:
        return "too short to tell"
    if pairs - row["pairs_at_bound"] < 2:
        return "undecided"
    low, high = row["low"], math.inf if row["high"] is None else row["high"]
    if asks == "Value" and not row["diverged"]:
        first, last = row["paper"] - row["tolerance"], row["paper"] + row["tolerance"]
        if first <= low and high <= last:
            return "confirmed"
        return "different size" if high < first or low > last else "undecided"
    lost = asks != "EpochRatio" and row["diverged"]
    return "undecided" if lost else word_of_effect(row, low, high)


def word_of_effect(  # noqa: PLR0911 - as above
    row: dict[str, Any], low: float, high: float
) -> str:
    """As above, of a difference or a ratio with an interval."""
    least, paper, zero = row["min_effect"], row["paper"], 1.0 if row["ratio"] else 0.0
    if (1 / least if row["ratio"] else -least) <= low and high <= least:
        return "no effect"
    if row["none"]:
        outside = high < -least or low > least
        return "different size" if outside else "undecided"
    if low <= zero <= high:
        return "undecided"
    if high < zero:
        return "opposite direction"
    if row["scale"] != "paper":
        return "same direction"
    if paper is None:
        return "confirmed" if low >= least else "same direction"
    first = paper if row["over"] else zero + (paper - zero) / 2
    last = math.inf if row["over"] else zero + 2 * (paper - zero)
    if first <= low and high <= last:
        return "confirmed"
    return "different size" if high < first or low > last else "same direction"


ROW = re.compile(
    r"\(\[`([\w.]+)`\]\(claims/\w+\.md\)[^|]*\) *\| \*\*(.+?)\*\*(?: \(([^|]*)\))? *\|"
)


@pytest.mark.parametrize("which", ["committed", "odd"])
def test_every_word_follows_from_its_numbers_and_is_defined(
    which: str, request: pytest.FixtureRequest
) -> None:
    texts = request.getfixturevalue(which)
    rows = json.loads(texts["report.json"])["rows"]
    assert [row["verdict"] for row in rows] == list(map(word_by_the_rule, rows))
    for row in rows:
        given = [*filter(None, row["mark"].split(", ")), *["sensitivity"] * row["sensitivity"]]
        assert set(given) <= set(row["marks"])
    page = texts["report.md"]
    shown = Counter(ROW.findall(page))
    of_rows = Counter((r["cell"], r["verdict"], ", ".join(r["marks"])) for r in rows)
    assert shown <= of_rows
    elsewhere = {cell for table in TABLES for cell in table.cells}
    for cell, word, _ in of_rows - shown:
        assert word == "not run" or (word == "–" and cell in elsewhere)
    words = {word for _, word, _ in shown} | ({"not run"} if "**not run**" in page else set())
    marks = {mark for *_, marks in shown for mark in marks.split(", ") if mark}
    assert words <= set(re.findall(r"^- \*\*([^(*]+)\*\*: .+ Example: `", page, re.MULTILINE))
    assert marks <= set(re.findall(r"^- \*\*\((.+?)\)\*\*: .+ Example: `", page, re.MULTILINE))


def test_the_odd_report_has_many_words(odd: dict[str, str]) -> None:
    words = {row["verdict"] for row in json.loads(odd["report.json"])["rows"]}
    assert words >= {*("confirmed", "opposite direction", "undecided", "not run", "same direction")}


def test_the_page_is_short_and_its_tables_narrow(committed: dict[str, str]) -> None:
    lines = committed["report.md"].splitlines()
    assert len(lines) <= 250
    tables = re.findall(r"(?:^\|.*\n)+", committed["report.md"], re.MULTILINE)
    heads = [[cell.strip() for cell in table.split("\n")[0].split("|")[1:-1]] for table in tables]
    assert all(len(head) <= 6 for head in heads)
    assert all(head[1] == "Verdict" for head in heads if "Verdict" in head)
    assert sum("Verdict" in head for head in heads) >= 2
    said = re.compile(r"This table shows (\d+) intervals? at 95 %; by chance ([\d.]+)")
    numbers = said.findall(committed["report.md"])
    assert numbers
    assert all(float(f"{0.05 * int(count):.2g}") == float(wrong) for count, wrong in numbers)


@pytest.mark.parametrize("which", ["committed", "odd"])
def test_every_link_between_the_pages_resolves(which: str, request: pytest.FixtureRequest) -> None:
    texts = request.getfixturevalue(which)
    for name, text in texts.items():
        for link in re.findall(r"\]\(([^)\s]+)\)", text) if name.endswith(".md") else ():
            target = Path(name).parent / link
            parts = list[str]()
            for part in target.parts:
                parts = parts[:-1] if part == ".." else [*parts, part]
            path = "/".join(parts)
            assert path in texts or path.startswith(("figures/", "records/")), (name, link)


def test_rows_are_in_the_papers_order(committed: dict[str, str]) -> None:
    names = [cell.partition(".")[0] for cell, *_ in ROW.findall(committed["report.md"])]
    first = names[: names.index("fig2_architecture")]
    order = list(dict.fromkeys(first))
    assert order.index("fig1_relu") == 0
    assert order.index("lrn_gain") < order.index("overlap_gain") < order.index("dropout")
    sections = ["Abstract", "§3.1, Figure 1", "§3.2", "Figure 2, §1", "§4.1", "§5", "Table 1"]
    sections += ["Table 2, §6", "§6", "Figure 3, §6.1", "Figure 4", "§6.1", "§7, §1"]
    assert sorted(sections, key=place_in_paper) == sections


def test_the_papers_tables_are_printed_as_the_claims_have_them() -> None:
    papers = {
        f"{claim.name}.{question.name}": question.paper
        for claim in CLAIMS.values()
        for question in claim.questions
    }
    for table in TABLES:
        for line in table.lines:
            assert len(line.printed) == len(table.columns)
            for printed, cell in zip(line.printed, line.cells, strict=bool(line.cells)):
                assert not cell or float(printed) == papers[cell]


def test_tables_1_and_2_have_a_column_for_each_scale_with_records(
    committed: dict[str, str],
) -> None:
    part = committed["report.md"].split("\n## Table 2\n")[1].split("\n## ")[0]
    head, _, *lines = re.findall(r"^\|(.*)\|$", part, re.MULTILINE)
    cells = {line.split("|")[0].strip(): [c.strip() for c in line.split("|")] for line in lines}
    assert [cell.strip() for cell in head.split("|")][:4] == [
        *("Model", "Top-1 (val)", "Top-5 (val)", "Top-5 (test)")
    ]
    assert "Top-1 (val), mini" in head
    assert cells["5 CNNs"][1:4] == ["38.1", "16.4", "16.4"]
    assert re.fullmatch(r"[\d.]+ \[[\d.]+, [\d.]+\]", cells["1 CNN"][4])


def test_the_first_line_says_what_was_found(tmp_path: Path) -> None:
    full_set(tmp_path)
    rows = judge(CLAIMS["fig1_relu"], read_records(tmp_path)[0])
    line = found_line(rows)
    assert line.startswith("Figure 1 (epochs to 25 % training error, tanh over ReLU): 5.99× [")
    assert ", paper 6×, **confirmed**; " in line
    assert line.endswith("of 1 other questions that need training none is answered.")
    half = [row for row in rows if row.question.name != "speedup"]
    assert found_line(half) == "Nothing has been trained yet, so no claim has an answer."


def test_the_second_line_follows_the_records() -> None:
    """Without networks on ImageNet, with one that a GPU trained, and with all."""
    nothing = imagenet_line(CLAIMS, [])
    assert nothing.startswith(
        "No network has been trained on ImageNet here, so Tables 1 and 2 are not reproduced; "
        "`python -m reproductions submit table1_ilsvrc2010 table2_ilsvrc2012 "
    )
    assert re.search(r"would train the \d+ networks .* epochs in all", nothing)
    claim = {"table1_ilsvrc2010": CLAIMS["table1_ilsvrc2010"]}
    needs = "would train the 5 networks that they need, 465 epochs in all"
    assert needs in imagenet_line(claim, [])
    done = [on_imagenet(seed) for seed in range(5)]
    # four networks of 93 epochs at 1,000 images/s, on eight GPUs
    hours = round(4 * 93 * 1_261_406 / 1000 / 3600 / 8)
    assert f"on 8 GPUs for about {hours} hours would" in imagenet_line(claim, done[:1])
    assert imagenet_line(claim, done) == (
        "5 networks have been trained on ImageNet here; Tables 1 and 2 below rest on them."
    )


def on_imagenet(seed: int) -> Stored:
    run = planned("original", seed, "paper", "table1_ilsvrc2010")
    record = make_alexnet("original", seed, run=run, top1=39.0)
    cost = record.cost.model_copy(update={"images_per_second": 1000.0})
    machine = record.machine.model_copy(update={"device": "cuda"})
    record = record.model_copy(update={"cost": cost, "machine": machine})
    return Stored(record, Path("records/a/b/c"))


def test_a_page_says_when_the_ablated_network_is_better(odd: dict[str, str]) -> None:
    page = odd["claims/dropout.md"]
    assert "on the test images without-dropout is better by 3.0 points" in page
    # 62, 63 and 64 minus 60
    assert "`dropout.gap` (mini): by 3.00 points of `top1`" in odd["report.md"]
    said = "better on the test images without it: by 3.00 points of `top1_ten`"
    assert said in odd["claims/color_noise_gain.md"]
    assert re.search(r"without dropout \(`top1_train`\), % +\| original ", page)


def test_an_undecided_ratio_names_the_seeds_that_would_see_the_smallest_of_interest(
    tmp_path: Path,
) -> None:
    """By the t test's power with the spread of the pairs, whose logarithms are 0 and ± log 2."""
    for seed, slow in enumerate((3.0, 6.0, 12.0)):
        store(tmp_path, make_record("relu", seed, epochs=6.0))
        store(tmp_path, make_record("tanh", seed, epochs=slow))
    page = report.build(tmp_path, FIG1).texts["claims/fig1_relu.md"]
    found = re.search(r"To see 2× with a power of 80 % takes about (\d+) seeds, by the", page)
    assert found
    n = int(found[1])
    powers = [stats.nct.sf(stats.t.ppf(0.975, k - 1), k - 1, math.sqrt(k)) for k in (n, n - 1)]
    assert powers[0] >= 0.8 > powers[1]


def test_what_the_papers_pair_of_runs_could_see(committed: dict[str, str]) -> None:
    """By the small telescopes: 0.28 to 0.47 points on 150,000 images; pooling's power."""
    seen = [round(visible_effect(150_000, spread), 2) for spread in (0.1, 0.2)]
    assert seen == [0.28, 0.47]
    assert [round(power_of(0.4, 150_000, spread), 2) for spread in (0.1, 0.2)] == [0.59, 0.26]
    assert "0.37 to 0.53 points with power 1/3" in committed["claims/overlap_gain.md"]
    assert "power 1/3" not in committed["claims/fig1_relu.md"]
    assert "power 1/3" not in committed["claims/dropout.md"]


def test_the_noise_floor() -> None:
    """Of two networks that differ in 8 of 100 images: sd of the means is √(8 / 2) points."""
    one, other = Answers(0, 100), Answers(0b11111111, 100)
    assert noise_floor([one, other]) == pytest.approx(2.0)
    assert noise_floor([one]) is None


def columns_of(text: str) -> int:
    spec = re.search(r"\\begin\{tabular\}\{((?:p\{[^}]*\}|[lrc])+)\}", text)
    assert spec
    return len(re.sub(r"p\{[^}]*\}", "p", spec[1]))


@pytest.mark.parametrize("which", ["committed", "odd"])
def test_the_latex_is_balanced_escaped_and_rectangular(
    which: str, request: pytest.FixtureRequest
) -> None:
    texts = request.getfixturevalue(which)
    tables = {name: text for name, text in texts.items() if name.endswith(".tex")}
    assert {"tables/empirical.tex", "tables/table1.tex", "tables/table2.tex"} <= tables.keys()
    for name, text in tables.items():
        assert text.isascii(), name
        stack = list[str]()
        for kind, environment in re.findall(r"\\(begin|end)\{(\w+)\}", text):
            assert kind == "begin" or stack.pop() == environment
            stack += [environment] * (kind == "begin")
        assert stack == []
        body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
        rows = [line for line in body.splitlines() if line and line != r"\midrule"]
        assert all(line.endswith(r" \\") for line in rows)
        counts = {len(re.findall(r"(?<!\\)&", line)) + 1 for line in rows}
        assert counts == {columns_of(text)}
        assert not re.search(r"(?<!\\)[%#_]", body)
        assert body.count("$") % 2 == 0
        assert text.count("{") == text.count("}")
    found = tables["tables/empirical.tex"]
    for row in json.loads(texts["report.json"])["rows"]:
        if row["cell"].startswith("fig1_relu") and row["low"]:
            assert f"[{row['low']:.2f}, {row['high']:.2f}]" in found
            assert row["verdict"] in found


def test_every_column_is_documented(committed: dict[str, str], tmp_path: Path) -> None:
    page = (ROOT / "docs" / "columns.md").read_text()
    of_runs, of_history = (
        re.findall(r"^\| `(\w+)` ", part, re.MULTILINE)
        for part in page.split("\n## `history.csv`\n")
    )
    store(tmp_path, make_record())
    stored = read_records(tmp_path)[0]
    assert of_runs == [*about(stored[0], tmp_path), *METRICS]
    assert set(ALWAYS) <= METRICS.keys()
    assert set(committed["runs.csv"].split("\n")[0].split(",")) <= set(of_runs)
    assert set(of_history) == {field.name for field in fields(HistoryRow)}
