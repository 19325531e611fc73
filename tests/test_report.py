"""The report: the same bytes from the same records, and every number where it belongs."""

import csv
import io
import json
import re
import shutil
from pathlib import Path

import pytest
from records import curve, example_files_of, full_set, make_alexnet, make_record, store

from reproductions.harness import report
from reproductions.harness.claim import discover
from reproductions.harness.figures import stored_digest
from reproductions.harness.record import write_record

CLAIMS = {name: claim for name, claim in discover().items() if name in ("fig1_relu", "fig2_architecture")}
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Five seeds per arm, a sweep, a repeat, a pair on another copy of which one diverged, and a file that is no record."""
    full_set(tmp_path)
    odd = {"hardware": "an | odd\nGPU", "fingerprint": "ba9876543210"}
    store(tmp_path, make_record("relu", 0), make_record("relu", 1, **odd))  # type: ignore[arg-type]
    store(tmp_path, make_record("tanh", 1, epochs=None, status="diverged", **odd))  # type: ignore[arg-type]
    broken = tmp_path / "records" / "fig1_relu" / "relu" / "paper-seed9-00000000"
    broken.mkdir()
    (broken / "record.json").write_text("{")
    return tmp_path


def without_code(text: str) -> str:
    """The page with what depends on today's code replaced: the code's digest and, with it, the records' ids."""
    return re.sub(r"(seed\d+)-[0-9a-f]{8}", r"\1-ID", text)


def test_the_page_is_the_golden_one(results: Path) -> None:
    """Byte for byte. To accept a change: delete the file, run this test twice, read the difference in git."""
    page = without_code(report.build(results, CLAIMS).texts["report.md"])
    golden = GOLDEN / "report.md"
    if not golden.exists():
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(page)
        pytest.fail(f"{golden} was missing and is written now; read it and commit it")
    assert page == golden.read_text()


def test_twice_gives_the_same_bytes_and_checks(results: Path) -> None:
    built = report.write(results, CLAIMS)
    files = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    again = report.build(results, CLAIMS)
    assert again.texts == built.texts
    assert report.differing(results, again) == []
    report.write(results, CLAIMS)
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == files


def test_the_same_records_elsewhere_give_the_same_bytes(results: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(results, elsewhere)
    assert report.build(elsewhere, CLAIMS).texts == report.build(results, CLAIMS).texts


@pytest.mark.parametrize("name", ["report.md", "report.json", "runs.csv", "figures/fig1_relu.png"])
def test_the_check_finds_any_difference(results: Path, name: str) -> None:
    built = report.write(results, CLAIMS)
    content = (results / name).read_bytes()
    (results / name).unlink()
    assert report.differing(results, built) == [name]
    (results / "figures" / "old.png").write_bytes(b"")
    assert report.differing(results, built) == [name, "figures/old.png"]
    (results / "figures" / "old.png").unlink()
    (results / name).write_bytes(content[:-1] if name.endswith("json") else content.replace(b"6", b"7"))
    if not name.endswith(".png"):
        assert report.differing(results, built) == [name]
        (results / name).write_bytes(content.replace(b"\n", b"\r\n"))
        assert report.differing(results, built) == [name]


def test_a_pictures_numbers_are_checked(results: Path) -> None:
    report.write(results, CLAIMS)
    folder = next((results / "records" / "fig1_relu" / "tanh").glob("paper-seed2-*"))
    text = (folder / "history.csv").read_text()
    (folder / "history.csv").write_text(text.replace("10000,1.0,", "10000,1.0,1", 1))
    wrong = report.differing(results, report.build(results, CLAIMS))
    assert "figures/fig1_relu.png" in wrong
    (results / "figures" / "fig1_relu.png").write_bytes(b"not a picture")
    assert stored_digest(results / "figures" / "fig1_relu.png") is None


def test_a_picture_that_no_record_asks_for_goes(results: Path) -> None:
    report.write(results, CLAIMS)
    assert (results / "figures" / "fig1_relu-2.png").exists()
    shutil.rmtree(next((results / "records" / "fig1_relu" / "tanh").glob("paper-seed1-*")).parent)
    shutil.rmtree(results / "records" / "fig1_relu" / "relu")
    report.write(results, CLAIMS)
    assert not list((results / "figures").glob("*"))


def test_broken_examples_cost_the_picture_and_no_number(tmp_path: Path) -> None:
    claims = {"fig4_retrieval": discover()["fig4_retrieval"]}
    folders = [
        write_record(
            tmp_path,
            make_alexnet("original", seed, retrieval_pixels=2.0 + seed / 10, retrieval_features=20.0 + seed),
            curve(4.0),
            files=example_files_of(["cat", "dog"]) if seed == 0 else None,
        )
        for seed in range(3)
    ]
    whole = report.write(tmp_path, claims)
    page = whole.texts["report.md"]
    assert page.count("](figures/fig4_retrieval.png)\n\nRecord `records/alexnet-tiny-imagenet/original/mini-seed0-") == 1
    assert report.differing(tmp_path, report.build(tmp_path, claims)) == []
    (folders[0] / "examples.jpg").write_bytes(b"no picture")
    built = report.write(tmp_path, claims)
    (line,) = built.broken
    assert line.startswith("records/alexnet-tiny-imagenet/original/mini-seed0-")
    assert "its examples are broken (the sheet is no JPEG)" in line
    assert f"- {line}" in built.texts["report.md"]
    assert built.pictures == {}
    assert not list((tmp_path / "figures").iterdir())
    assert [(row.n, row.verdict) for row in built.rows] == [(row.n, row.verdict) for row in whole.rows]
    assert built.rows[0].n == 3


def test_every_number_is_in_report_json(results: Path) -> None:
    data = json.loads(report.build(results, CLAIMS).texts["report.json"])
    row = next(r for r in data["rows"] if r["cell"] == "fig1_relu.speedup" and r["n"] == 5)
    assert row["verdict"] == "confirmed"
    assert row["low"] < row["measured"] < row["high"]
    assert len(row["evidence"]) == 10
    assert any("paper-seed9" in line for line in data["broken"])


def test_runs_csv_has_plain_numbers(results: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(report.build(results, CLAIMS).texts["runs.csv"])))
    assert len(rows) == 10 + 10 + 3
    assert float(next(r for r in rows if r["variant"] == "tanh" and r["seed"] == "3")["epochs_to_target"]) == 38.1
    assert next(r for r in rows if r["status"] == "diverged")["epochs_to_target"] == ""


def test_a_page_of_nothing(tmp_path: Path) -> None:
    page = report.build(tmp_path, CLAIMS).texts["report.md"]
    table = page.split("## Verdicts")[1].split("\n## ")[0]
    assert table.count("not run") == sum(len(claim.questions) for claim in CLAIMS.values())


def test_a_page_of_standins_says_so_first(tmp_path: Path) -> None:
    full = tmp_path / "smoke"
    for seed in range(2):
        store(full, make_record("relu", seed, scale="smoke"), make_record("tanh", seed, scale="smoke"))
    page = report.build(full, CLAIMS).texts["report.md"]
    assert "no evidence" in page.split("##")[0]
    assert "**none**" in page
    assert "confirmed" not in page.split("## Method")[0]
