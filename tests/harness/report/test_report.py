"""The report: the same bytes from the same records, and every number where it belongs."""

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from records import (
    colour_gap,
    example_files_of,
    full_set,
    make_alexnet,
    make_record,
    store,
    write_record,
)
from typer.testing import CliRunner

from reproductions.__main__ import app
from reproductions.harness.claims.claim import discover
from reproductions.harness.errors import RecordError
from reproductions.harness.records.arrays import array_files
from reproductions.harness.report import build as report
from reproductions.harness.report.figures import FOREST, stored_digest

CLAIMS = {
    name: claim for name, claim in discover().items() if name in ("fig1_relu", "fig2_architecture")
}
GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Five seeds per arm, a sweep, a repeat, a diverged pair on another copy, a bad record file."""
    full_set(tmp_path)
    odd = {"hardware": "an | odd\nGPU", "fingerprint": "ba9876543210"}
    store(tmp_path, make_record("relu", 0), make_record("relu", 1, **odd))  # type: ignore[arg-type]
    store(tmp_path, make_record("tanh", 1, epochs=None, status="diverged", **odd))  # type: ignore[arg-type]
    broken = tmp_path / "records" / "fig1_relu" / "relu" / "paper-seed9-00000000"
    broken.mkdir()
    (broken / "record.json").write_text("{")
    return tmp_path


def without_code(text: str) -> str:
    """The page with what depends on today's code replaced: its digest and the records' ids."""
    return re.sub(r"(seed\d+)-[0-9a-f]{8}", r"\1-ID", text)


@pytest.mark.parametrize("name", ["report.md", "claims/fig1_relu.md"])
def test_the_page_is_the_golden_one(results: Path, name: str) -> None:
    """Byte for byte.

    To accept a change: delete the file, run this test twice, read the difference in git.
    """
    page = without_code(report.build(results, CLAIMS).texts[name])
    golden = GOLDEN / Path(name).name
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


def test_the_same_records_elsewhere_give_the_same_bytes(
    results: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(results, elsewhere)
    assert report.build(elsewhere, CLAIMS).texts == report.build(results, CLAIMS).texts


FILES = [
    *("report.md", "statements.md", "runs.md", "claims/fig1_relu.md", "tables/empirical.tex"),
    *("report.json", "runs.csv", "discrepancies.csv", "figures/fig1_relu.png"),
]


@pytest.mark.parametrize("name", FILES)
def test_the_check_finds_any_difference(results: Path, name: str) -> None:
    built = report.write(results, CLAIMS)
    content = (results / name).read_bytes()
    (results / name).unlink()
    assert report.differing(results, built) == [name]
    shutil.copyfile(
        results / "figures" / "fig1_relu-2.png", results / "figures" / "fig1_relu-3.png"
    )
    assert report.differing(results, built) == [name], "the record that is left out may ask for it"
    assert report.differing(results, replace(built, faults=())) == [name, "figures/fig1_relu-3.png"]
    (results / "figures" / "fig1_relu-3.png").unlink()
    (results / name).write_bytes(
        content[:-1] if name.endswith("json") else content.replace(b"6", b"7")
    )
    if not name.endswith(".png"):
        assert report.differing(results, built) == [name]
        (results / name).write_bytes(content.replace(b"\n", b"\r\n"))
        assert report.differing(results, built) == [name]


def test_a_pictures_numbers_are_checked(results: Path) -> None:
    report.write(results, CLAIMS)
    folder = next((results / "records" / "fig1_relu" / "tanh").glob("paper-seed2-*"))
    text = (folder / "history.csv").read_text()
    first = text.splitlines()[1]
    (folder / "history.csv").write_text(text.replace(first, first.replace(",7", ",6")))
    wrong = report.differing(results, report.build(results, CLAIMS))
    assert "figures/fig1_relu.png" in wrong
    (results / "figures" / "fig1_relu.png").write_bytes(b"not a picture")
    assert stored_digest(results / "figures" / "fig1_relu.png") is None


def test_a_picture_that_no_record_asks_for_goes(results: Path) -> None:
    """But not while a record is left out, which may ask for it."""
    report.write(results, CLAIMS)
    pictures = sorted((results / "figures").iterdir())
    assert results / "figures" / "fig1_relu-2.png" in pictures
    shutil.rmtree(results / "records" / "fig1_relu" / "tanh")
    for folder in (results / "records" / "fig1_relu" / "relu").glob("paper-seed[0-4]-*"):
        shutil.rmtree(folder)
    report.write(results, CLAIMS)
    assert sorted((results / "figures").iterdir()) == pictures
    shutil.rmtree(results / "records" / "fig1_relu" / "relu")
    assert not report.write(results, CLAIMS).faults
    assert not list((results / "figures").iterdir())


@pytest.mark.parametrize("spoil", ["emptied", "no records", "not there"])
@pytest.mark.parametrize("arguments", [["report"], ["report", "--check"]], ids=" ".join)
def test_a_good_report_is_never_emptied(tmp_path: Path, spoil: str, arguments: list[str]) -> None:
    full_set(tmp_path)
    report.write(tmp_path, CLAIMS)
    for path in tmp_path.glob("records/*/*/*/record.json"):
        path.write_bytes(b"")
    if spoil != "emptied":
        shutil.rmtree(
            tmp_path / "records" / "fig1_relu" if spoil == "no records" else tmp_path / "records"
        )
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = CliRunner().invoke(app, [*arguments, "--results", str(tmp_path)])
    assert done.exit_code == (2 if spoil == "not there" else 4)
    assert {path: path.read_bytes() for path in before} == before
    if spoil != "not there":
        assert "no record under" in done.stderr
        assert "report.json lists 20" in done.stderr


def test_broken_examples_cost_the_picture_and_no_number(tmp_path: Path) -> None:
    claims = {"fig4_retrieval": discover()["fig4_retrieval"]}
    folders = [
        write_record(
            tmp_path,
            make_alexnet(
                "original", seed, retrieval_pixels=2.0 + seed / 10, retrieval_features=20.0 + seed
            ),
            4.0,
            files=example_files_of(["cat", "dog"]) if seed == 0 else None,
        )
        for seed in range(3)
    ]
    whole = report.write(tmp_path, claims)
    page = whole.texts["claims/fig4_retrieval.md"]
    assert (
        page.count(
            "](../figures/fig4_retrieval.png)\n\nRecord "
            "`records/alexnet-tiny-imagenet/original/mini-seed0-"
        )
        == 1
    )
    assert report.differing(tmp_path, report.build(tmp_path, claims)) == []
    (folders[0] / "examples.jpg").write_bytes(b"no picture")
    built = report.write(tmp_path, claims)
    (line,) = map(str, built.faults)
    assert line.startswith("records/alexnet-tiny-imagenet/original/mini-seed0-")
    assert "examples.jpg is broken (the sheet is no JPEG): no picture is drawn of it" in line
    assert f"- {line}" in built.texts["runs.md"]
    assert list(built.pictures) == [FOREST]
    assert (tmp_path / "figures" / "fig4_retrieval.png").exists(), "it stays while that is broken"
    assert [(row.n, row.verdict) for row in built.rows] == [
        (row.n, row.verdict) for row in whole.rows
    ]
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
    assert (
        float(
            next(r for r in rows if r["variant"] == "tanh" and r["seed"] == "3")["epochs_to_target"]
        )
        == 38.1
    )
    assert next(r for r in rows if r["status"] == "diverged")["epochs_to_target"] == ""


def test_a_page_of_nothing(tmp_path: Path) -> None:
    page = report.build(tmp_path, CLAIMS).texts["report.md"]
    assert "**Found:** Nothing has been trained yet" in page
    listed = re.findall(r"\*\*not run\*\* \((\d+)\): (.+)", page)
    assert sum(int(count) for count, _ in listed) == sum(
        len(claim.questions) for claim in CLAIMS.values()
    )
    names = ", ".join(line for _, line in listed)
    assert all(q.name in names for claim in CLAIMS.values() for q in claim.questions)


def test_a_page_of_standins_says_so_first(tmp_path: Path) -> None:
    full = tmp_path / "smoke"
    for seed in range(2):
        store(
            full, make_record("relu", seed, scale="smoke"), make_record("tanh", seed, scale="smoke")
        )
    page = report.build(full, CLAIMS).texts["report.md"]
    assert "no evidence" in page.split("##")[0]
    assert "**–**" in page
    assert "**confirmed" not in page


def test_a_users_pictures_stay(results: Path) -> None:
    """Also a copy of one of ours, which carries the mark."""
    report.write(results, CLAIMS)
    mine = [results / "figures" / name for name in ("mine.png", "copy.png", "fig1_relu-notes.png")]
    mine[0].write_bytes(b"my own")
    shutil.copyfile(results / "figures" / "fig1_relu.png", mine[1])
    mine[2].write_bytes(b"my notes")
    before = [path.read_bytes() for path in mine]
    built = report.write(results, CLAIMS)
    assert report.differing(results, built) == []
    assert [path.read_bytes() for path in mine] == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *[(name, b"my own") for name in FILES],
        *[(name, b"") for name in ("report.md", "runs.csv", "tables/empirical.tex")],
        *[(name, None) for name in ("claims/fig1_relu.md", "figures/fig1_relu.png")],
        ("report.json", b'{"rows": []}'),
    ],
)
def test_a_file_that_the_report_did_not_make_is_not_touched(
    results: Path, name: str, content: bytes | None
) -> None:
    path = results / name
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if content is None else path.write_bytes(content)
    done = CliRunner().invoke(app, ["report", "--results", str(results)])
    assert done.exit_code == 3
    assert f"{name} in {results}: not made by `report`, so not touched" in done.stderr
    assert path.is_dir() if content is None else path.read_bytes() == content
    assert all((results / other).is_file() for other in {*FILES} - {name})
    assert (
        CliRunner().invoke(app, ["report", "--check", "--results", str(results)]).exit_code == 4
    ), "there is a broken record"


def test_pages_and_tables_that_no_claim_needs_go(results: Path) -> None:
    """Only those that `report` made, under the names that it gave; and not beside a fault."""
    report.write(results, CLAIMS)
    page = (results / "claims" / "fig1_relu.md").read_bytes()
    old, copy = results / "claims" / "gone.md", results / "claims" / "notes.md"
    old.write_bytes(page.replace(b"# fig1_relu:", b"# gone:"))
    copy.write_bytes(page)
    mine = results / "tables" / "mine.tex"
    shutil.copyfile(results / "tables" / "empirical.tex", mine)
    report.write(results, CLAIMS)
    assert old.exists(), "a record is left out"
    shutil.rmtree(results / "records" / "fig1_relu" / "relu" / "paper-seed9-00000000")
    shutil.copyfile(mine, results / "tables" / "arithmetic.tex")
    report.write(results, CLAIMS)
    assert not old.exists()
    assert not (results / "tables" / "arithmetic.tex").exists(), "nothing is counted here"
    assert (copy.read_bytes(), mine.exists()) == (page, True)


def test_nothing_is_reported_where_there_are_no_records(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="holds no records"):
        report.write(tmp_path, CLAIMS)
    assert not list(tmp_path.iterdir())


SHOWN = {
    "fig3_kernels": "kernels.npy",
    "fig4_retrieval": "examples.jpg",
    "fig4_retrieval again": "examples.json",
}


@pytest.mark.parametrize(
    "broken", [b"no array", b"version https://git-lfs.github.com/spec/v1\n", None]
)
@pytest.mark.parametrize("shown", SHOWN)
def test_a_file_of_a_picture_costs_the_picture_and_no_number(
    tmp_path: Path, shown: str, broken: bytes | None
) -> None:
    """The picture that was drawn of it stays."""
    claim = shown.split(maxsplit=1)[0]
    claims = {claim: discover()[claim]}
    folders = [with_pictures(tmp_path, seed) for seed in range(3)]
    whole = report.write(tmp_path, claims)
    assert list(whole.pictures) == [FOREST, f"figures/{claim}.png"]
    path = folders[0] / SHOWN[shown]
    path.unlink() if broken is None else path.write_bytes(broken)
    built = report.write(tmp_path, claims)
    assert [(row.n, row.verdict) for row in built.rows] == [
        (row.n, row.verdict) for row in whole.rows
    ]
    assert built.rows[0].n == 3
    if broken is None and claim == "fig3_kernels":
        assert (list(built.pictures), built.faults) == (list(whole.pictures), ()), (
            "of the other seeds"
        )
        return
    (fault,) = built.faults
    assert str(fault).startswith(str(path.relative_to(tmp_path)))
    assert list(built.pictures) == [FOREST]
    assert (tmp_path / "figures" / f"{claim}.png").exists()
    assert report.differing(tmp_path, built) == []


def with_pictures(root: Path, seed: int) -> Path:
    """A record with kernels and, of the first seed, examples."""
    weights = np.random.default_rng(seed).standard_normal((24, 3, 5, 5)).astype(np.float32)
    metrics = {
        "retrieval_pixels": 2.0,
        "retrieval_features": 20.0 + seed,
        "colour_gap": colour_gap(weights),
        "colour_gap_by_chance": 5.0,
    }
    files = {
        **array_files(None, weights),
        **(example_files_of(["cat", "dog"]) if seed == 0 else {}),
    }
    record = make_alexnet("original", seed, "fig3_kernels", **metrics)
    return write_record(root, record, files=files)
