"""The benchmarks' table: entries kept and replaced, its page, and a benchmark written to it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.table import Row, is_missed, markdown, measured, merged, missing, update
from hypothesis import given
from hypothesis import strategies as st

from reproductions.harness.records import provenance

ROOT = Path(__file__).parents[1]
FAST = Row("normalising", "CPU", "ours in C", "torch", bar=5, tried="Wider tiles were no faster.")
GPU = Row("normalising", "GPU", "ours in torch", "torch", bar=12)
GROWTH = Row("images/s, batch 256", "growth", "ours", "batch 128")
HERE = {"hardware": "a processor", "threads": 2, "torch": "2.15", "date": "2026-01-02"}


def on(row: Row, *ratios: float, **about: Any) -> dict[str, Any]:
    return measured(row, ratios, **{**HERE, **about})


def test_an_entry_has_the_median_and_the_range_of_its_rounds() -> None:
    entry = on(FAST, 7.0, 4.0, 6.0)
    assert [entry[name] for name in ("n", "median", "min", "max", "ratios", "bar")] == [
        3,
        6.0,
        4.0,
        7.0,
        [7.0, 4.0, 6.0],
        5,
    ]
    assert not is_missed(entry)
    assert is_missed(on(FAST, 4.0, 4.9, 7.0))
    assert not is_missed(on(GROWTH, 0.1))


def test_what_cannot_be_measured_here_keeps_its_figures() -> None:
    elsewhere = on(GPU, 13.0, hardware="an H200", date="2025-12-31")
    assert merged([elsewhere], [missing(GPU, "no CUDA GPU here"), on(FAST, 6.0)]) == [
        on(FAST, 6.0),
        elsewhere,
    ]
    assert merged([missing(GPU, "no GPU")], [missing(GPU, "no CUDA GPU here")]) == [
        missing(GPU, "no CUDA GPU here")
    ]
    assert merged([missing(GPU, "no GPU"), elsewhere], []) == [elsewhere]
    assert merged([elsewhere], [on(GPU, 11.0)]) == [on(GPU, 11.0)]


ENTRIES = st.lists(
    st.builds(on, st.sampled_from([FAST, GPU, GROWTH]), st.floats(0.1, 100))
    | st.builds(missing, st.just(GPU), st.text(max_size=3))
)


@given(ENTRIES, ENTRIES)
def test_every_row_is_there_once_and_measuring_again_changes_nothing(
    old: list[dict[str, Any]], new: list[dict[str, Any]]
) -> None:
    found = merged(old, new)
    names = [(entry["where"], entry["what"]) for entry in found]
    # which have the order of the sections
    assert names == sorted({(entry["where"], entry["what"]) for entry in old + new})
    assert merged(found, new) == found


def test_the_page_says_what_was_missed_and_why() -> None:
    slow = on(
        FAST,
        4.0,
        3.0,
        4.5,
        limit="a copy",
        fraction=0.25,
        images_per_second=12345.6,
        bound="`_Normalise` 90 %",
    )
    text = markdown([slow, missing(GPU, "no CUDA GPU here"), on(GROWTH, 1.5)])
    processor, gpu, growth, missed = text.split("\n## ")[1:]
    cells = [cell.strip() for cell in processor.splitlines()[-1].strip("|").split("|")]
    assert cells == [
        "normalising",
        "ours in C",
        "torch",
        "4.00 (3.00–4.50)",
        "5, missed",
        "0.25 of a copy",
        "12,346",
        "3",
        "a processor, 2 threads, torch 2.15",
        "2026-01-02",
    ]
    assert "| a processor, torch 2.15 |" in markdown([on(FAST, 6.0, threads=None)])
    assert "not measured yet: no CUDA GPU here" in gpu
    assert "1.50 (1.50–1.50)" in growth
    why = "Time goes to `_Normalise` 90 %. Wider tiles were no faster."
    assert missed.splitlines()[2:] == [
        f"- **normalising** against torch: 4.00 (3.00–4.50) where 5 is wanted. {why}"
    ]
    assert "not reached" not in markdown([on(FAST, 50.0)])


def test_both_files_are_brought_up_to_date(tmp_path: Path) -> None:
    update(tmp_path, [on(GPU, 13.0, hardware="an H200")])
    update(tmp_path, [on(FAST, 6.0), missing(GPU, "no CUDA GPU here")])
    entries = json.loads((tmp_path / "benchmarks.json").read_text())
    assert [entry["hardware"] for entry in entries] == ["a processor", "an H200"]
    assert (tmp_path / "benchmarks.md").read_text() == markdown(entries)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["benchmarks.json", "benchmarks.md"]


TINY = """
from table import Row
def test_tiny(race):
    row = Row("summing", "CPU", "a little", "a hundred times more", 2)
    race.prepare(row)
    race(lambda: sum(range(10_000)), {row: lambda: sum(range(1_000_000))}, images=10_000)
def test_elsewhere(race):
    race.needs(False, "no such machine", Row("flying", "GPU", "ours", "theirs"))
"""


def test_a_benchmark_is_measured_into_the_table(tmp_path: Path, clean_env: dict[str, str]) -> None:
    (tmp_path / "test_tiny.py").write_text(TINY)
    env = clean_env | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'benchmarks'}"}
    options = [
        "-c",
        "/dev/null",
        "--rootdir",
        str(tmp_path),
        "-p",
        "conftest",
        "-p",
        "no:cacheprovider",
        "--benchmark-only",
    ]
    command = [
        sys.executable,
        "-m",
        "pytest",
        *options,
        str(tmp_path),
        "--table",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tiny, elsewhere = json.loads((tmp_path / "out" / "benchmarks.json").read_text())
    assert tiny["n"] == 7
    assert 10 < tiny["median"] < 1000
    assert tiny["hardware"] == provenance.cpu_model()
    assert elsewhere["missing"] == "no such machine"


def test_the_committed_table_is_what_its_json_says() -> None:
    """Both are there or none."""
    texts = [
        path.read_text() if (path := ROOT / "results" / f"benchmarks.{kind}").exists() else ""
        for kind in ("json", "md")
    ]
    assert texts[1] == (markdown(json.loads(texts[0])) if texts[0] else "")
