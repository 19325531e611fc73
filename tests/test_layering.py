"""Imports run one way, and what only reads records never loads torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from records import full_set

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "alexnet").rglob("*.py"), *(ROOT / "reproductions").rglob("*.py")])


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize(
    "path", [p for p in FILES if "alexnet" in p.relative_to(ROOT).parts], ids=str
)
def test_the_library_knows_nothing_of_claims(path: Path) -> None:
    assert not any(name.startswith("reproductions") for name in imported(path))


@pytest.mark.parametrize("package", ["models", "ops", "config"])
def test_the_networks_import_neither_data_nor_optimiser(package: str) -> None:
    allowed = ("alexnet.models", "alexnet.ops", "alexnet.config", "alexnet.io", "alexnet.weights")
    found = {name for path in (ROOT / "alexnet" / package).glob("*.py") for name in imported(path)}
    ours = {name for name in found if name.startswith("alexnet.")}
    assert all(name.startswith(allowed) for name in ours)


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


@pytest.mark.parametrize("package", HARNESS)
def test_the_harness_imports_one_way(package: str) -> None:
    folder = ROOT / "reproductions" / "harness" / package
    assert {path.name for path in folder.parent.iterdir() if path.is_dir()} - {"__pycache__"} == {
        *HARNESS
    }
    parts = [name.split(".") for path in folder.glob("*.py") for name in imported(path)]
    found = {
        name[2] for name in parts if name[:2] == ["reproductions", "harness"] and len(name) > 2
    }
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
