"""Names and sentences that a newcomer had to read twice do not come back."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("alexnet", "reproductions", "examples")
CODE = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
PAGES = [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]
TABLES = sorted((ROOT / "reproductions").rglob("*.toml"))
# metaphors for mechanisms, and clauses where a noun of the field would do
PHRASES = re.compile(
    r"takes away|taken away|what is shown of|stand-in|way through the house|worth having"
    r"|goes on where it was|is no business of|this very|sent anywhere",
    re.IGNORECASE,
)
NAMES = {"told", "heeds", "unshared", "kept", "heart", "wishes", "standing", "standings", "bench"}


@pytest.mark.parametrize("path", [*CODE, *PAGES, *TABLES], ids=lambda path: path.name)
def test_no_sentence_has_a_phrase_that_readers_stumbled_over(path: Path) -> None:
    """In docs, docstrings, comments, messages and the tables that reports are made of."""
    text = " ".join(path.read_text().split())
    assert not PHRASES.findall(text)


def names_of(tree: ast.AST) -> set[str]:
    """Every name that a module defines or uses."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
    return found


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.name)
def test_no_name_is_a_riddle(path: Path) -> None:
    parts = {part for name in names_of(ast.parse(path.read_text())) for part in name.split("_")}
    assert not {part.lower() for part in parts} & NAMES
