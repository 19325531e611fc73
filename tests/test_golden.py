"""The code gives the stored numbers, or has a raised version (`golden.py`)."""

import json
from pathlib import Path
from typing import Any

import pytest
from golden import (
    EditedError,
    Golden,
    GoldenRun,
    checksum,
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


@pytest.mark.parametrize("edit", ["number", "half", "words", "gone", "shape"])
def test_a_file_edited_by_hand_is_named_in_one_line(edit: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    write_stored({"relu": {"history.loss": [2.5, 2.25]}}, path)
    assert read_stored(path)["runs"] == {"relu": {"history.loss": [2.5, 2.25]}}
    text = path.read_text(encoding="utf-8")
    new = {
        "number": text.replace("2.25", "2.26"),
        "half": text[: len(text) // 2],
        "words": "golden",
        "shape": "[1]",
    }
    if edit == "gone":
        path.unlink()
    else:
        path.write_text(new[edit], encoding="utf-8")
    with pytest.raises(
        EditedError, match=r"runs\.json .*: restore it with `git checkout HEAD .*runs\.json`$"
    ):
        read_stored(path)


@pytest.mark.parametrize(
    ("key", "raised", "allowed"),
    [
        ("history.loss", {}, False),
        ("history.loss", {"training": {"cifar": 2}}, True),
        ("history.loss", {"training": {"alexnet": 2}, "metrics": {"errors": 2}}, False),
        ("metrics.errors.test", {"training": {"cifar": 2}}, False),
        ("metrics.errors.test", {"metrics": {"errors": 2}}, True),
        ("metrics.errors.test", {"metrics": {"codes": 2}}, False),
    ],
)
def test_new_numbers_need_a_new_version(
    key: str, raised: dict[str, dict[str, int]], allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = {"versions": json.loads(json.dumps(versions()))}
    for table, names in raised.items():
        for name, number in names.items():
            monkeypatch.setitem(versions()[table], name, number)
    run = GoldenRun("cifar", RUNS["cifar-relu"].run)
    assert refused(run, stored, {key: [1.0]}, {key: [9.0]}) == ([] if allowed else [key])
    assert refused(run, stored, {key: [1.0]}, {key: [1.0]}) == []


def test_the_checksum_is_of_versions_and_numbers() -> None:
    content: dict[str, Any] = {
        "versions": {"training": {"cifar": 1}},
        "runs": {"relu": {"history.loss": [1.0]}},
    }
    assert checksum(content) != checksum({**content, "versions": {"training": {"cifar": 2}}})
    assert checksum(content) != checksum({**content, "runs": {"relu": {"history.loss": [1.5]}}})
