"""Imports run one way, libraries are locked, and no riddle comes back into words and names."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from records import full_set

ROOT = Path(__file__).parents[1]
CODE = [
    path
    for name in ("alexnet", "reproductions", "examples")
    for path in (ROOT / name).rglob("*.py")
]
TREES = {path.relative_to(ROOT): ast.parse(path.read_text()) for path in sorted(CODE)}


def imported(*folder: str) -> set[str]:
    """What the modules of a folder import of this project."""
    names: set[str] = set()
    for path, tree in TREES.items():
        for node in ast.walk(tree) if path.parts[: len(folder)] == folder else ():
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.startswith(("alexnet.", "reproductions."))}


def test_the_library_knows_nothing_of_claims() -> None:
    found = imported("alexnet")
    assert found
    assert not any(name.startswith("reproductions") for name in found)


@pytest.mark.parametrize("package", ["models", "ops", "config"])
def test_the_networks_import_neither_data_nor_optimiser(package: str) -> None:
    allowed = ("alexnet.models", "alexnet.ops", "alexnet.config", "alexnet.io", "alexnet.weights")
    assert all(name.startswith(allowed) for name in imported("alexnet", package))


# What each package of the harness may import of the others.
LOW = {"rule", "claims", "records", "plan"}
HARNESS = {
    "rule": set(),
    "claims": {"rule"},
    "records": {"rule", "claims"},
    "plan": {"rule", "claims", "records"},
    "judge": LOW,
    "report": LOW | {"judge"},
    "execute": LOW,
    "launch": LOW | {"judge", "report", "execute"},
    "cli": LOW | {"judge", "report", "execute", "launch"},
}


def test_every_package_of_the_harness_is_in_the_table() -> None:
    folders = {path.parts[2] for path in TREES if path.parts[1] == "harness" and path.parts[3:]}
    assert folders == {*HARNESS}


@pytest.mark.parametrize("package", HARNESS)
def test_the_harness_imports_one_way(package: str) -> None:
    parts = [name.split(".") for name in imported("reproductions", "harness", package)]
    found = {part for names in parts if names[1] == "harness" for part in names[2:3]}
    assert found & HARNESS.keys() <= HARNESS[package] | {package}


# a tenth of a second each, or more
HEAVY = {"torch", "torchvision", "pandas", "numpy", "scipy", "PIL", "matplotlib", "submitit"}


@pytest.mark.parametrize(
    ("command", "shown"),
    [("--help", "explain"), ("list", "fig1_relu"), ("status", "fig1_relu/tanh/paper-seed4")],
)
def test_looking_things_up_imports_nothing_heavy(
    command: str, shown: str, clean_env: dict[str, str], tmp_path: Path
) -> None:
    """The whole command, with records to judge, and what is loaded at its end."""
    full_set(tmp_path)
    code = f"""import atexit, sys
atexit.register(lambda: print("loaded:", *{HEAVY} & sys.modules.keys()))
from reproductions.__main__ import app
app({[command] if command == "--help" else [command, "--results", str(tmp_path)]})"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean_env
    )
    assert shown in done.stdout
    assert done.stdout.endswith("loaded:\n")


def locked() -> dict[str, str]:
    """Versions by name."""
    lines = (ROOT / "results" / "environment.lock").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_every_requirement_is_locked_to_a_version_that_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    versions = locked()
    for line in project["project"]["dependencies"] + project["dependency-groups"]["test"]:
        asked = Requirement(line)
        assert versions[canonicalize_name(asked.name)] in asked.specifier, (
            f"{line}: lock the environment again"
        )


def test_the_newest_records_were_made_with_the_locked_libraries() -> None:
    records = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in (ROOT / "results" / "records").rglob("record.json")
    ]
    made_with = max(records, key=lambda record: record["started"])["machine"]["versions"]
    assert {name: made_with[name] for name in ("torch", "numpy")} == {
        name: locked()[name] for name in ("torch", "numpy")
    }


PAGES = [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("reproductions/**/*.toml")]
# metaphors for mechanisms, and clauses where a noun of the field would do
PHRASES = re.compile(
    r"takes away|taken away|what is shown of|stand-in|way through the house|worth having"
    r"|goes on where it was|is no business of|this very|sent anywhere",
    re.IGNORECASE,
)
NAMES = {"told", "heeds", "unshared", "kept", "heart", "wishes", "standing", "standings", "bench"}


def test_no_sentence_has_a_phrase_that_readers_stumbled_over() -> None:
    """In docs, docstrings, comments, messages and the tables that reports are made of."""
    for path in (*CODE, *PAGES):
        assert not PHRASES.findall(" ".join(path.read_text().split())), path


def test_no_name_is_a_riddle() -> None:
    for path, tree in TREES.items():
        names: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Name | ast.arg):
                names.add(node.id if isinstance(node, ast.Name) else node.arg)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
        assert not {part.lower() for name in names for part in name.split("_")} & NAMES, path
