"""What the documents say is so: their commands exist and run, and their tables are the report's."""

import ast
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reproductions.__main__ import RESULTS, app
from reproductions.harness import documents, report
from reproductions.harness.claim import discover

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS = [*PAGES, *sorted((ROOT / "reproductions").glob("*.py"))]
TEXT = "\n".join(path.read_text() for path in DOCUMENTS)


def arguments_after(pattern: str) -> list[list[str]]:
    """The arguments of every such command in the documents, without comments, placeholders and what follows in a sentence."""
    found = re.findall(pattern + r"((?: [\w./~=-]+)*)", TEXT)
    return [list(words) for words in dict.fromkeys(tuple(shlex.split(text)) for text in found)]


def test_every_nox_session_that_is_named_exists() -> None:
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    sessions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    named = set(re.findall(r"nox -s (\w+)", TEXT))
    assert {"reproduce", "tests", "report", "compare"} <= named <= sessions


@pytest.mark.parametrize(
    "arguments", arguments_after("nox -s reproduce --") + arguments_after("python -m reproductions run"), ids=" ".join
)
def test_every_run_command_is_understood(arguments: list[str], tmp_path: Path) -> None:
    """Each is carried out as a dry run on the stand-in's scale, with its own options."""
    if not set(arguments) & {*discover(), "all"}:
        arguments = ["fig1_relu", *arguments]
    known = [a for a in arguments if not a.startswith("~")]
    known = [a for a in known if a != "--results"]
    scale = [] if "--scale" in known else ["--scale", "smoke"]
    done = CliRunner().invoke(app, ["run", *known, *scale, "--dry-run", "--results", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "plan: " in done.stdout


def test_every_command_is_in_the_readme_and_every_named_one_exists() -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    named = {words[0] for words in arguments_after("python -m reproductions") if words} - {"COMMAND"}
    assert named <= commands
    readme = (ROOT / "README.md").read_text()
    assert [command for command in sorted(commands) if not re.search(rf"`{command}[` ]", readme)] == []


def test_the_tables_in_the_documents_are_the_reports() -> None:
    rows = report.build(RESULTS, discover()).rows
    assert documents.outdated(ROOT, rows) == {}
    for name, table in documents.tables_of(rows).items():
        assert table in (ROOT / name).read_text(), "the comments around the table are there"


def test_an_outdated_table_is_made_anew_between_its_comments(tmp_path: Path) -> None:
    rows = report.build(RESULTS, discover()).rows
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


def test_the_readmes_tree_is_the_checkout() -> None:
    tree = (ROOT / "README.md").read_text().split("## The way through the house")[1]
    there = {path.name for top in ("alexnet", "reproductions", "tests") for path in (ROOT / top).rglob("*.py")}
    assert set(re.findall(r"\w+\.py\b", tree)) <= there | {path.name for path in ROOT.glob("*.py")}
    for folder in ("alexnet", "reproductions"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "__init__.py":
                assert path.name in tree, path


def test_the_committed_report_is_what_the_records_say() -> None:
    assert report.differing(RESULTS, report.build(RESULTS, discover())) == []
