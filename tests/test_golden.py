"""The code gives the stored numbers, or has a raised version (`golden.py`)."""

import json
from typing import Any

import pytest
from golden import (
    Golden,
    distance,
    golden_runs,
    moved,
    read_stored,
    refused,
    rounded,
    versions,
    write_stored,
)

pytestmark = pytest.mark.numerical

RUNS = golden_runs()


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Golden:
    """The runs of this session: each is made once, where a test asks for it."""
    return Golden(tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="session")
def stored() -> dict[str, Any]:
    """What the file holds.

    New numbers are accepted only beside what it held: without, none would have moved.
    """
    return read_stored()


@pytest.fixture(scope="session")
def accepted(request: pytest.FixtureRequest) -> Any:
    """Where new numbers go; they are written at the end, if every run was made and accepted."""
    runs: dict[str, Any] = {}
    yield runs
    if request.config.getoption("--accept-golden") and not request.session.testsfailed:
        assert runs.keys() == RUNS.keys(), (
            "nothing is stored: today's versions would stand over runs that were not made"
        )
        write_stored({name: runs[name] for name in RUNS})


@pytest.mark.parametrize("name", RUNS)
def test_numbers_are_the_stored_ones(
    name: str,
    golden: Golden,
    stored: dict[str, Any],
    accepted: dict[str, Any],
    request: pytest.FixtureRequest,
) -> None:
    run, old, new = RUNS[name], stored["runs"].get(name, {}), golden.numbers(name)
    if request.config.getoption("--accept-golden"):
        kept = refused(run, stored, old, new)
        assert not kept, (
            f"{kept} moved under the same version; raise it in alexnet/version.py first"
        )
        accepted[name] = rounded(new) if moved(run, old, new) else old
        return
    apart = {key: distance(key, old.get(key, []), new.get(key, [])) for key in moved(run, old, new)}
    assert not apart, (
        f"{name}: moved by {apart}; raise a version and give --accept-golden, or mend the code"
    )


def test_an_interrupted_run_has_the_bits_of_an_uninterrupted_one(golden: Golden) -> None:
    whole, resumed = golden.numbers("original"), golden.numbers("original-interrupted")
    assert resumed == whole
    record = json.loads(
        (golden.record("original-interrupted") / "record.json").read_text(encoding="utf-8")
    )
    assert record["cost"]["attempts"] == 2


def test_stored_numbers_are_of_todays_versions(
    stored: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("--accept-golden"):
        assert stored["versions"] == versions(), (
            "a version was raised: store the new numbers with `pytest --accept-golden`"
        )
