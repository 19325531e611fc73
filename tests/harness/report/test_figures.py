"""Figures carry the digest of their numbers and style, and say in words what they show."""

import csv
import io
import re
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor
from records import (
    colour_gap,
    example_files_of,
    full_set,
    make_alexnet,
    make_record,
    store,
    write_record,
)

from reproductions.harness.claims.claim import discover
from reproductions.harness.claims.metrics import METRICS
from reproductions.harness.judge.rows import VerdictRow, judge
from reproductions.harness.records.arrays import array_files
from reproductions.harness.records.examples import COLUMNS, SHEET, SIDE, cut
from reproductions.harness.records.load import read_records
from reproductions.harness.report.figures import (
    Figure,
    csv_name,
    forest,
    picture_of,
    retrieval,
    stored_digest,
    style,
    words,
)
from reproductions.harness.report.figures.forest import limits
from reproductions.harness.report.figures.retrieval import BARS, EDGE, LEFT, PLACES, ROW, SECOND
from reproductions.harness.report.figures.retrieval import TOP as FIRST

CLAIMS = discover()
LABELS = ["cat", "a [dog] of $x^2$", "a fish whose name is far too long"]


def rows_of(root: Path, claim: str = "fig1_relu") -> list[VerdictRow]:
    return judge(CLAIMS[claim], read_records(root)[0])


def row_of(root: Path, claim: str = "fig1_relu", question: str = "") -> VerdictRow:
    found = (row for row in rows_of(root, claim) if row.members)
    return next(row for row in found if question in ("", row.question.name))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seeds per arm of Figure 1; only read."""
    root = tmp_path_factory.mktemp("whole")
    full_set(root)
    return root


@pytest.fixture
def speedup(whole: Path) -> Figure:
    return picture_of(row_of(whole))


def lrn(root: Path, gains: tuple[float, ...] = (1.0, 1.5, 2.0), errors: float = 60.0) -> None:
    """Runs with and without normalisation, which has so many points of top-1 error less."""
    for seed, gain in enumerate(gains):
        for variant, more in (("original", 0.0), ("without-norm", gain)):
            metrics = {"top1_ten": errors + more, "top5_ten": 30.0 + more}
            write_record(root, make_alexnet(variant, seed, "lrn_gain", **metrics), 4.0)


def retrieved(root: Path, labels: list[str], **options: int) -> VerdictRow:
    """Two runs, the second with examples."""
    for seed in (0, 1):
        record = make_alexnet(
            "original", seed, retrieval_pixels=2.0 + seed, retrieval_features=20.0
        )
        write_record(root, record, 4.0, files=example_files_of(labels, **options) if seed else None)
    return row_of(root, "fig4_retrieval")


def painted(picture: Figure) -> np.ndarray:
    """The figure before its colours are reduced, uint8 [height, width, 3]."""
    with Image.open(io.BytesIO(replace(picture, palette=False).picture(".png"))) as image:
        return np.asarray(image.convert("RGB"))


def colours_of(pixels: np.ndarray) -> set[tuple[int, ...]]:
    return set(map(tuple, pixels.reshape(-1, 3).tolist()))


def texts_of(picture: Figure) -> list[str]:
    axes = picture.draw(picture.numbers).axes
    return [text.get_text() for part in axes for text in part.texts]


def table_of(picture: Figure) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(picture.csv())))


# every figure


def test_both_pictures_carry_the_digest(speedup: Figure, tmp_path: Path) -> None:
    names = speedup.files("figures/p.png")
    assert names == ("figures/p.png", "figures/p.svg")
    for name in names:
        path = tmp_path / Path(name).name
        path.write_bytes(speedup.picture(path.suffix))
        assert stored_digest(path) == speedup.digest
    assert stored_digest(tmp_path / "none.png") is None
    (tmp_path / "mine.svg").write_text("<svg/>")
    assert stored_digest(tmp_path / "mine.svg") is None
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.width == 1000


def test_the_digest_changes_with_numbers_and_with_style(
    speedup: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(speedup, numbers={**speedup.numbers, "target": 24.0})
    assert other.digest != speedup.digest
    before = speedup.digest
    monkeypatch.setitem(style.RULES, "font.size", 11)
    assert speedup.digest != before


USERS = "font.size: 30\nlines.linewidth: 9\nfigure.facecolor: red\nsvg.hashsalt: me\nbackend: pdf\n"


def test_a_users_settings_change_no_byte(
    whole: Path, speedup: Figure, tmp_path: Path, clean_env: dict[str, str]
) -> None:
    """A process of its own, with the user's matplotlibrc and a style that was chosen before."""
    (tmp_path / "matplotlibrc").write_text(USERS)
    code = f"""
from pathlib import Path
import matplotlib.style
matplotlib.style.use("dark_background")
from reproductions.harness.claims.claim import discover
from reproductions.harness.judge.rows import judge
from reproductions.harness.records.load import read_records
from reproductions.harness.report.figures import picture_of
figure = picture_of(judge(discover()["fig1_relu"], read_records(Path({str(whole)!r}))[0])[0])
for suffix in (".png", ".svg"):
    Path({str(tmp_path)!r}, "theirs" + suffix).write_bytes(figure.picture(suffix))
assert matplotlib.rcParams["figure.facecolor"] == "black"
"""
    root = Path(__file__).parents[3]
    env = {**clean_env, "MATPLOTLIBRC": str(tmp_path), "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env=env, cwd=root)
    for suffix in (".png", ".svg"):
        assert (tmp_path / f"theirs{suffix}").read_bytes() == speedup.picture(suffix)


def test_text_is_large_enough_and_stays_text(speedup: Figure) -> None:
    sizes = [size for key, size in style.RULES.items() if key.endswith("size")]
    assert min(sizes) >= 9
    assert style.DPI == 120
    svg = speedup.picture(".svg").decode()
    assert "ReLU, mean of 5 seeds" in svg
    assert "<title>" in svg


def test_markdown_links_numbers_command_and_commit(speedup: Figure) -> None:
    picture, line = speedup.markdown("../figures/p.png").split("\n\n")
    assert re.fullmatch(r"!\[[^\[\]]+\]\(\.\./figures/p\.png\)", picture)
    assert "](../figures/p.csv)" in line
    assert "](../figures/p.svg)" in line
    assert "`nox -s reproduce -- fig1_relu --scale paper`; records of `ffffffffff`" in line
    assert csv_name("figures/p.png") == "figures/p.csv"


def test_words_cannot_end_the_text_alternative() -> None:
    picture = Figure({}, "a [dog]\nof](http", lambda _: None, caption="A caption.", svg=False)
    assert picture.markdown("p.png").startswith("![a (dog) of)(http](p.png)\n\nA caption.\n\n")


def luminance(colour: str) -> float:
    """How light a colour is, 0 to 1, as the W3C has it."""
    parts = [value / 255 for value in ImageColor.getrgb(colour)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_arms_differ_in_lightness_in_mark_and_in_line() -> None:
    relu, tanh = style.NETWORKS["relu"], style.NETWORKS["tanh"]
    for one, other in ((relu, tanh), (style.BASELINE, style.COMPARED)):
        assert contrast(one.colour, other.colour) > 2
        assert one.marker != other.marker
        assert one.line != other.line


def test_a_thing_has_one_look_everywhere() -> None:
    assert style.look_of(["relu-modern", "tanh-modern"], "tanh-modern").colour == style.ORANGE
    assert style.look_of(["one-column", "original"], "original") == style.BASELINE
    assert style.look_of(["original", "one-column"], "one-column") == style.COMPARED
    assert style.look_of(["one-column", "original"], "one-column") == style.COMPARED


def test_every_word_has_a_mark_of_its_own_that_is_seen() -> None:
    looks = [*style.VERDICTS.values(), style.PAPER, style.LOG]
    assert all(contrast(look.colour, "white") > 2 for look in looks)
    for one, other in combinations(looks, 2):
        assert (one.marker, one.filled) != (other.marker, other.filled)


def test_every_metric_is_said_in_words() -> None:
    assert METRICS.keys() <= words.METRICS.keys()
    assert words.axis("my_own_metric") == "my own metric"


# Figure 1


def test_every_seed_is_drawn(speedup: Figure) -> None:
    numbers = speedup.numbers
    assert {arm: list(runs) for arm, runs in numbers["curves"].items()} == {
        "relu": ["0", "1", "2", "3", "4"],
        "tanh": ["0", "1", "2", "3", "4"],
    }
    first = 78 / 391  # of an epoch: the first row ends at a whole batch
    assert numbers["curves"]["relu"]["0"][0] == (round(first, 4), round(75 - 50 * first / 6.1, 4))
    assert numbers["paper"] == (6.0, 36.0)
    assert numbers["target"] == 25.0
    assert numbers["reached"]["tanh"]["3"] == 38.1
    assert numbers["ratios"]["0"] == pytest.approx(36.5 / 6.1)
    assert "of 5 ReLU and 5 tanh runs, the target of 25 % as a line" in speedup.words


def test_the_judged_number_is_in_picture_and_table(speedup: Figure, whole: Path) -> None:
    verdict = row_of(whole).verdict
    judged = speedup.numbers["judged"]
    assert (judged["effect"], judged["low"], judged["high"]) == pytest.approx(
        (verdict.effect, verdict.low, verdict.high)
    )
    assert (
        f"Measured {row_of(whole).measured_text}; paper 6×: confirmed"
        in (speedup.numbers["title"][-1])
    )
    found = {line["quantity"]: line["value"] for line in table_of(speedup)}
    assert float(found["ratio, mean"]) == judged["effect"]
    assert float(found["the paper's"]) == 6.0
    assert {style.BLUE.lower(), style.ORANGE.lower()} <= set(
        re.findall(r"#[0-9a-f]{6}", speedup.picture(".svg").decode())
    )


def test_a_title_names_the_images_and_not_their_fingerprint(whole: Path, tmp_path: Path) -> None:
    store(
        tmp_path,
        *(make_record(arm, seed, canonical=False) for arm in ("relu", "tanh") for seed in (0, 1)),
    )
    own, copy = (picture_of(row_of(root)).numbers["title"] for root in (whole, tmp_path))
    assert own[-2] == "CIFAR-10, 5 seeds, scale paper"
    assert copy[-2] == "CIFAR-10 (unofficial copy), 2 of 5 seeds, scale paper"
    assert not any("0123" in line for line in own + copy)


def test_an_open_interval_can_be_drawn(tmp_path: Path) -> None:
    for seed in range(3):
        slow = None if seed == 2 else 36.0 + seed
        store(tmp_path, make_record("relu", seed), make_record("tanh", seed, epochs=slow))
    picture = picture_of(row_of(tmp_path))
    assert picture.numbers["judged"]["high"] == float("inf")
    assert picture.numbers["reached"]["tanh"]["2"] is None
    assert painted(picture).shape[1] == 1000
    assert painted(forest([row_of(tmp_path)])).shape[1] == 1000


def test_a_target_read_over_a_pass_is_drawn_on_that_curve(tmp_path: Path) -> None:
    for seed in range(2):
        for variant, epochs in (("original", 5.0), ("without-dropout", 2.5)):
            run = make_alexnet(variant, seed, "dropout", gap=1.0)
            write_record(tmp_path, run, epochs)
    numbers = picture_of(row_of(tmp_path, "dropout", "iterations")).numbers
    assert "over the last pass" in numbers["label"]
    assert min(point[0] for point in numbers["curves"]["original"]["0"]) == 1.0


# differences and values


def test_a_difference_has_both_values_of_every_seed(tmp_path: Path) -> None:
    lrn(tmp_path)
    picture = picture_of(row_of(tmp_path, "lrn_gain", "top1"))
    assert picture.numbers["pairs"] == {"0": (60, 61.0), "1": (60, 61.5), "2": (60, 62.0)}
    assert picture.numbers["judged"]["paper"] == 1.4
    assert picture.numbers["judged"]["log"] == 1.37
    assert picture.numbers["sides"] == ["2012 network", "without norm"]
    lines = [line for line in table_of(picture) if line["quantity"] == "difference"]
    assert [float(line["value"]) for line in lines] == [1.0, 1.5, 2.0]
    assert len(picture.draw(picture.numbers).axes) == 2
    top5 = picture_of(row_of(tmp_path, "lrn_gain", "top5"))
    assert top5.numbers["pairs"]["0"] == (30.0, 31.0)


def test_a_difference_within_a_run_names_its_sides(tmp_path: Path) -> None:
    for seed in range(2):
        record = make_alexnet("original", seed, "ten_view_gain", top1=61.0 + seed, top1_ten=60.0)
        write_record(tmp_path, record, 4.0)
    picture = picture_of(row_of(tmp_path, "ten_view_gain", "top1"))
    assert picture.numbers["sides"] == ["ten crops", "central crop"]
    assert picture.numbers["pairs"] == {"0": (60.0, 61.0), "1": (60.0, 62.0)}
    assert painted(picture).shape[1] == 1000


def test_a_printed_number_is_beside_every_seed(tmp_path: Path) -> None:
    for seed in range(3):
        record = make_alexnet("original", seed, "table1_ilsvrc2010", top1_ten=70.0 + seed)
        write_record(tmp_path, record, 4.0)
    picture = picture_of(row_of(tmp_path, "table1_ilsvrc2010", "top1"))
    assert picture.numbers["seeds"] == {"0": 70.0, "1": 71.0, "2": 72.0}
    assert picture.numbers["judged"]["paper"] == 37.5
    assert painted(picture).shape[1] == 1000


def test_rows_without_anything_to_draw_have_no_picture(tmp_path: Path) -> None:
    assert picture_of(rows_of(tmp_path)[0]) is None
    write_record(tmp_path, make_alexnet("original", 0, "lrn_gain"))
    write_record(tmp_path, make_alexnet("without-norm", 0, "lrn_gain"))
    assert all(picture_of(row) is None for row in rows_of(tmp_path, "lrn_gain"))


# Figure 3


def test_kernels_stand_by_column_in_the_order_of_their_colour(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).standard_normal((24, 3, 5, 5)).astype(np.float32)
    weights[3] = weights[3].mean(0)  # grey
    for seed in range(2):
        metrics = {"colour_gap": colour_gap(weights), "colour_gap_by_chance": 3.0}
        record = make_alexnet("original", seed, "fig3_kernels", **metrics)
        write_record(tmp_path, record, 4.0, files=array_files(None, weights))
    picture = picture_of(row_of(tmp_path, "fig3_kernels"))
    left, right = picture.numbers["kernels"]["0"]
    assert np.array(left).shape == np.array(right).shape == (12, 5, 5, 3)
    assert np.ptp(np.array(left)[0], axis=-1).max() == 0, "the least coloured is the first"
    shares = [line for line in table_of(picture) if line["seed"] == "0"]
    halves = [
        np.mean([float(line["colour_share"]) for line in shares if line["column"] == column])
        for column in "12"
    ]
    assert 100 * abs(halves[0] - halves[1]) == pytest.approx(colour_gap(weights), abs=1e-4)
    assert picture.numbers["pairs"]["0"][1] == pytest.approx(colour_gap(weights))
    assert painted(picture).shape[1] == 1000


# Figure 4


def test_the_examples_of_the_first_run_that_has_them_are_drawn(tmp_path: Path) -> None:
    picture = picture_of(retrieved(tmp_path, LABELS))
    assert [example["label"] for example in picture.numbers["examples"]["images"]] == LABELS
    assert "mini-seed1" in picture.caption
    assert "scale mini" in picture.caption
    assert "averaged over 10 crops" in picture.caption
    assert "10,000 training images" in picture.caption
    assert (
        f"{LABELS[0]}, taken for other 0 (50 %), itself guess 2 of 5, neighbours alike 2 of 6 by "
        "features and 1" in picture.words
    )
    assert f"{LABELS[1]}, taken for other 0 (50 %), itself guess no of 5" in picture.words
    assert picture.files("p.png") == ("p.png",), "photographs are large as SVG"
    right = [line for line in table_of(picture) if line["class"] == line["label"]]
    assert [line["list"] for line in right].count("fc7 neighbour") == 6


def test_every_photograph_stands_where_it_belongs(tmp_path: Path) -> None:
    """To the pixel: what is 32 pixels a side is shown at 64, the test image at 128.

    Marked neighbours are compared inside.
    """
    pixels = painted(picture_of(retrieved(tmp_path, LABELS)))
    pictures = cut(example_files_of(LABELS)[SHEET])
    inside = slice(22, SIDE - 4)
    for k, (own, *others) in enumerate(pictures):
        y = FIRST + ROW * k
        large = own.repeat(4, 0).repeat(4, 1)
        assert (pixels[y:, EDGE:][: 2 * SIDE, : 2 * SIDE] == large).all()
        places = [(y + strip, x) for strip in (0, SECOND) for x in PLACES]
        for (top, left), picture in zip(places, others, strict=True):
            shown = pixels[top:, left:][:SIDE, :SIDE]
            assert (
                shown[inside, inside] == picture.repeat(2, 0).repeat(2, 1)[inside, inside]
            ).all()
    assert len(np.unique(pictures)) == len(LABELS) * COLUMNS, (
        "else the test could not tell them apart"
    )


def test_what_is_right_is_told_by_colour_and_by_text(tmp_path: Path) -> None:
    picture = picture_of(retrieved(tmp_path, LABELS))
    pixels, texts = painted(picture), texts_of(picture)
    right, other = map(ImageColor.getrgb, (retrieval.RIGHT, retrieval.OTHER))
    bars = [pixels[FIRST + ROW * k :, LEFT:][: 2 * SIDE, :BARS] for k in range(3)]
    assert [right in colours_of(part) for part in bars] == [True, False, True]
    lengths = [(bars[0] == colour).all(-1).sum(1).max() for colour in (other, right)]
    assert lengths == [BARS, BARS * 0.3 / 0.5]
    blue = ImageColor.getrgb(style.BLUE)
    framed = [
        (strip, PLACES.index(x))
        for strip in (0, 1)
        for x in PLACES
        if blue in colours_of(pixels[FIRST + SECOND * strip + SIDE - 1, x : x + SIDE])
    ]
    assert framed == [(0, 0), (0, 2), (1, 5)]
    assert texts.count("✓") == 3 * 3
    assert {
        "cat",
        "✓ cat",
        "a [dog] of $x^2$ (not among the 5)",
        "a fish whose name is far to…",
        "30 %",
        "✓ of the same class: 6 of 18 by fc7, 3 by pixels",
    } <= set(texts)


def test_no_text_of_the_examples_leaves_its_column(tmp_path: Path) -> None:
    labels = ["W" * 40, "m" * 26, *["European fire salamander"] * 6]
    picture = picture_of(retrieved(tmp_path, labels))
    with style.styled():
        figure = picture.draw(picture.numbers)
        figure.canvas.draw()
    ends = {EDGE: PLACES[0], LEFT + 4: LEFT + BARS, PLACES[0]: figure.bbox.width}
    for text in figure.axes[0].texts:
        limit = ends.get(text.get_position()[0])
        # those are wider than any class of ImageNet
        if limit and not set(text.get_text()) & {"W", "m"}:
            assert text.get_window_extent().x1 <= limit, text.get_text()


def test_photographs_give_the_same_bytes_twice_and_carry_their_digest(tmp_path: Path) -> None:
    picture = picture_of(retrieved(tmp_path, LABELS, side=64))
    content = picture.picture(".png")
    assert content == picture_of(row_of(tmp_path, "fig4_retrieval")).picture(".png")
    (tmp_path / "p.png").write_bytes(content)
    assert stored_digest(tmp_path / "p.png") == picture.digest
    with Image.open(io.BytesIO(content)) as image:
        assert (image.mode, image.size) == ("P", (1000, FIRST + 3 * ROW))


def test_another_sheet_or_probability_is_another_digest(tmp_path: Path) -> None:
    digests = {
        picture_of(retrieved(tmp_path / f"{number}-{side}", labels, side=side)).digest
        for number, labels in enumerate((LABELS, LABELS[:2], ["cat", "cow", "hen"]))
        for side in (32, 64)
    }
    assert len(digests) == 6


def test_no_probability_at_all_can_be_drawn(tmp_path: Path) -> None:
    row = retrieved(tmp_path, ["cat"])
    for path in tmp_path.rglob("examples.json"):
        text = path.read_text()
        for share in ("0.5", "0.3", "0.1", "0.05"):
            text = text.replace(share, "0.0")
        path.write_text(text)
    assert painted(picture_of(row)).shape == (FIRST + ROW, 1000, 3)


# the overview


def test_the_overview_has_a_line_per_question_with_records(whole: Path, tmp_path: Path) -> None:
    lrn(tmp_path)
    rows = [*rows_of(whole), *(row for claim in CLAIMS for row in rows_of(tmp_path, claim))]
    picture = forest(rows)
    shown = table_of(picture)
    numbers = [row for row in rows if row.question.trained and row.verdict.effect is not None]
    trained = [row for row in numbers if row.verdict.word != "–"]
    assert sorted(line["question"] for line in shown) == sorted(row.cell for row in trained)
    assert [line["question"] for line in shown][:2] == ["fig1_relu.speedup", "lrn_gain.top1"]
    ratios, points, *_ = picture.numbers["panels"]
    assert [line["effect"] for line in ratios["lines"]] == [pytest.approx(5.99, abs=0.01)]
    assert points["lines"][0]["paper"] == 1.4
    assert points["lines"][0]["log"] == 1.37
    assert "5.99× [" in ratios["lines"][0]["beside"][0]
    assert "confirmed; scale paper, n" in ratios["lines"][0]["beside"][1]
    assert picture.words.startswith(f"{len(trained)} questions, a line each")
    assert "; 1 confirmed, " in picture.words
    assert painted(picture).shape[1] == 1000
    assert forest([row for row in rows if not row.n]) is None


def line(effect: float, low: float, high: float, paper: float | None = None) -> dict[str, object]:
    found = {"effect": effect, "low": low, "high": high, "paper": paper, "log": None}
    return {**found, "zero": 0.0, "ratio": False, "unit": "points"}


def test_an_absurdly_wide_interval_does_not_set_the_axis() -> None:
    lines = [line(1.0, 0.5, 1.5, 1.4), line(2.0, 0.0, 3.0), line(-0.7, -67.0, 66.0)]
    low, high = limits(lines)
    assert -2 < low < -0.7
    assert 3 < high < 4
    ratio = {**line(6.0, 0.0, float("inf"), 6.0), "zero": 1.0, "ratio": True, "unit": "×"}
    low, high = limits([ratio])
    assert 0.5 < low < 1
    assert 6 < high < 10
