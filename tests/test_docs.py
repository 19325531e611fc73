"""What the documents say is so: their commands exist and run, and their tables are the report's."""

import ast
import csv
import re
import shlex
from pathlib import Path

import pytest
from records import full_set
from typer.main import get_command
from typer.testing import CliRunner

from reproductions.__main__ import app
from reproductions.harness.claims.claim import discover
from reproductions.harness.launch.slurm_config import read_slurm_config
from reproductions.harness.records.files import RESULTS
from reproductions.harness.records.load import read_records
from reproductions.harness.report import build as report
from reproductions.harness.report import documents
from reproductions.harness.report.answers import answer

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS = [*PAGES, *sorted((ROOT / "reproductions").glob("*.py"))]
TEXT = "\n".join(path.read_text() for path in DOCUMENTS)
README = PAGES[0].read_text()
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def built() -> report.Report:
    """The report of the committed records."""
    return report.build(RESULTS, discover())


def arguments_after(pattern: str) -> list[list[str]]:
    """The arguments of every such command in the documents, without comments and placeholders."""
    found = re.findall(pattern + r"((?: [\w./~=-]+)*)", TEXT)
    return [list(words) for words in dict.fromkeys(tuple(shlex.split(text)) for text in found)]


def test_every_nox_session_that_is_named_exists() -> None:
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    sessions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    named = set(re.findall(r"nox -s (\w+)", TEXT))
    assert {"reproduce", "tests", "report", "compare"} <= named <= sessions


@pytest.mark.parametrize(
    "arguments",
    arguments_after("nox -s reproduce --") + arguments_after("python -m reproductions run"),
    ids=" ".join,
)
def test_every_run_command_is_understood(arguments: list[str], tmp_path: Path) -> None:
    """Each is carried out as a dry run on the synthetic's scale, with its own options."""
    if not set(arguments) & {*discover(), "all"}:
        arguments = ["fig1_relu", *arguments]
    known = [a for a in arguments if not a.startswith("~")]
    known = [a for a in known if a != "--results"]
    scale = [] if "--scale" in known else ["--scale", "smoke"]
    done = CliRunner().invoke(app, ["run", *known, *scale, "--dry-run", "--results", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "plan: " in done.stdout


def test_every_command_is_in_the_documents_and_every_named_one_exists() -> None:
    named = {
        words[0]
        for pattern in ("python -m reproductions", "nox -s jobs --")
        for words in arguments_after(pattern)
        if words
    }
    assert named - {"COMMAND"} <= COMMANDS.keys()
    page = (ROOT / "docs" / "commands.md").read_text()
    assert [
        command for command in sorted(COMMANDS) if not re.search(rf"`{command}[` ]", page)
    ] == []


def test_every_option_that_is_named_exists() -> None:
    known = {
        option
        for command in COMMANDS.values()
        for parameter in command.params
        for option in parameter.opts
    }
    # of pytest, of tests/golden.py, of all, of uv
    others = {"--accept-golden", "--against", "--help", "--python"}
    assert {
        option
        for path in PAGES
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", path.read_text())
    } <= known | others


def test_nox_and_the_page_give_an_exit_status_the_same_meaning() -> None:
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    (meanings,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "STATUSES"
    )
    page = (ROOT / "docs" / "commands.md").read_text()
    table = dict(re.findall(r"^\| ([2-5]) \| (.+) \|$", page, re.MULTILINE))
    assert table.keys() == set(map(str, meanings))
    assert all(table[str(status)].startswith(words) for status, words in meanings.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_lists_each_option_once_with_one_example(name: str) -> None:
    text = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).stdout
    listed = re.findall(r"^│[* ]+(--[a-z-]+)", text, re.MULTILINE)
    shown = [param for param in COMMANDS[name].params if not getattr(param, "hidden", False)]
    options = [opt for param in shown for opt in param.opts if opt.startswith("--")]
    assert sorted(listed) == sorted([*options, "--help"])
    assert len(re.findall(rf"Example: `{name}\b", text)) == 1


def test_the_site_file_is_understood(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "slurm.md").read_text(), re.DOTALL)
    (tmp_path / "site.toml").write_text(text)
    assert read_slurm_config(tmp_path / "site.toml", {}).sbatch == {
        "constraint": "h100",
        "account": "vision",
    }


def anchors(path: Path) -> set[str]:
    """What a link can name in a page: its headings as GitHub writes them."""
    heads = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_resolves(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if not link.startswith("https://"):
            file, _, anchor = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.is_relative_to(ROOT), link
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    assert [path for path in PAGES[1:] if f"]({path.relative_to(ROOT)})" not in README] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_sentences_are_short(path: Path) -> None:
    """At most 25 words, outside of tables and code."""
    text = re.sub(r"```.*?```|<!--.*?-->", "\n\n", path.read_text(), flags=re.DOTALL)
    for block in re.split(r"\n\s*\n|\n *(?=- |\d\. )", text):
        if not re.match(r"\s*[|#]", block):
            for sentence in re.split(r"(?<=[.!?]) ", " ".join(block.split())):
                assert len(sentence.split()) <= 25, sentence


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 140


def test_the_readme_says_no_more_than_the_records(built: report.Report) -> None:
    """Its sentences on scales and images, and the line that a run of Figure 1 ends with."""
    records = [item.record for item in read_records(RESULTS)[0] if item.record.data]
    assert {record.claim for record in records if record.scale == "paper"} == {"fig1_relu"}
    assert {record.data.name for record in records if record.data} == {"cifar10", "tiny-imagenet"}
    assert not any(record.data.canonical for record in records if record.data)
    assert "One claim was trained at the paper's scale; nothing on ImageNet yet." in README
    rows = {row.cell: row for row in built.rows}
    assert f"\n{answer(rows['fig1_relu.speedup'])}\n" in README


def test_the_readmes_table_has_a_result_of_every_section_in_order(built: report.Report) -> None:
    table = documents.tables_of(built.rows)["README.md"]
    sections = re.findall(r"^\| [^|§]*§([\d.]+)", table, re.MULTILINE)
    assert sections == ["3.1", "3.2", "3.3", "3.4", "4.1", "4.2", "6.1", "7"]


def test_the_readmes_layout_names_every_package() -> None:
    folders, path = set(), list[str]()
    layout = README.split("## Layout")[1]
    for indent, name in re.findall(r"^( *)([\w-]+)/ ", layout, re.MULTILINE):
        path = [*path[: len(indent) // 2], name]
        folders.add("/".join(path))
    assert all((ROOT / folder).is_dir() for folder in folders)
    packages = {
        str(path.parent.relative_to(ROOT))
        for name in ("alexnet", "reproductions")
        for path in ROOT.glob(f"{name}/**/__init__.py")
    }
    assert packages <= folders


def test_the_tables_in_the_documents_are_the_reports(built: report.Report) -> None:
    assert documents.outdated(ROOT, built.rows) == {}
    for name, table in documents.tables_of(built.rows).items():
        assert table in (ROOT / name).read_text(), "the comments around the table are there"


def test_an_outdated_table_is_made_anew_between_its_comments(
    built: report.Report, tmp_path: Path
) -> None:
    rows = built.rows
    page = tmp_path / "README.md"
    page.write_text(f"# Mine\n\n{documents.START}\n\n| old |\n\n{documents.END}\n\nmore\n")
    ((path, text),) = documents.outdated(tmp_path, rows).items()
    assert path == page
    assert text.startswith("# Mine\n")
    assert text.endswith(f"\n\n{documents.END}\n\nmore\n")
    assert documents.tables_of(rows)["README.md"] in text
    assert "| old |" not in text
    page.write_text(text)
    assert documents.outdated(tmp_path, rows) == {}
    page.write_text("# Without a table\n")
    assert documents.outdated(tmp_path, rows) == {}


def test_report_writes_and_checks_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the checkout, beside the committed records alone."""
    monkeypatch.setattr("reproductions.harness.cli.report.REPOSITORY", tmp_path)
    old = f"{documents.START}\n\n| old |\n\n{documents.END}\n"
    (tmp_path / "README.md").write_text(old)
    done = CliRunner().invoke(app, ["report", "--check"])
    assert (done.exit_code, (tmp_path / "README.md").read_text()) == (5, old)
    assert "README.md in" in done.stderr
    full_set(tmp_path / "results")
    assert (
        CliRunner().invoke(app, ["report", "--results", str(tmp_path / "results")]).exit_code == 0
    )
    assert (tmp_path / "README.md").read_text() == old


def test_the_committed_report_is_what_the_records_say(built: report.Report) -> None:
    assert report.differing(RESULTS, built) == []


def test_the_files_where_things_are_exist() -> None:
    """`where.csv` has twelve questions of a newcomer, each with the file that answers it."""
    with (ROOT / "tests" / "where.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert all((ROOT / row["file"]).is_file() for row in rows)
