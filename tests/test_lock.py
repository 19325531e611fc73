"""The locked environment has the project's requirements and the libraries in the records."""

import json
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


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
