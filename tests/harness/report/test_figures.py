"""Pictures carry the digest of the numbers that they draw, and say in words what they show."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from records import example_files_of, full_set, make_alexnet, write_record

from reproductions.harness.claims.claim import discover
from reproductions.harness.claims.runs import digest
from reproductions.harness.judge.rows import VerdictRow, judge
from reproductions.harness.records.examples import COLUMNS, SHEET, SIDE, cut
from reproductions.harness.records.load import read_records
from reproductions.harness.report.figures import (
    BARS,
    LEFT,
    PLACES,
    ROW,
    TOP,
    Figure,
    picture_of,
    stored_digest,
)

BLUE, RED, PALE_BLUE, PALE_GREY = (
    (0x1B, 0x6C, 0xA8),
    (0xC0, 0x39, 0x2B),
    (0x8F, 0xC1, 0xE3),
    (0xDD, 0xDD, 0xDD),
)
LABELS = ["cat", "a [dog] of $x^2$", "a fish whose name is far too long"]


def row_of(root: Path, claim: str = "fig1_relu") -> VerdictRow:
    return next(row for row in judge(discover()[claim], read_records(root)[0]) if row.members)


@pytest.fixture
def speedup(tmp_path: Path) -> Figure:
    full_set(tmp_path)
    return picture_of(row_of(tmp_path))


def retrieval(root: Path, labels: list[str], **options: int) -> VerdictRow:
    """Two runs, the second with examples."""
    for seed in (0, 1):
        record = make_alexnet(
            "original", seed, retrieval_pixels=2.0 + seed, retrieval_features=20.0
        )
        write_record(root, record, 4.0, files=example_files_of(labels, **options) if seed else None)
    return row_of(root, "fig4_retrieval")


def painted(picture: Figure) -> np.ndarray:
    """The figure before its colours are reduced, uint8 [height, width, 3]."""
    canvas = io.BytesIO()
    picture.draw().savefig(canvas, format="png")
    with Image.open(canvas) as image:
        return np.asarray(image.convert("RGB"))


def colours_of(pixels: np.ndarray) -> set[tuple[int, ...]]:
    return set(map(tuple, pixels.reshape(-1, 3).tolist()))


def texts_of(picture: Figure) -> list[str]:
    return [text.get_text() for text in picture.draw().axes[0].texts]


def test_every_seed_is_drawn(speedup: Figure) -> None:
    numbers = speedup.numbers
    assert set(numbers["curves"]) == {
        f"{arm} seed {seed}" for arm in ("relu", "tanh") for seed in range(5)
    }
    first = 78 / 391  # of an epoch: the first row ends at a whole batch
    assert numbers["curves"]["relu seed 0"][0] == (round(first, 4), round(75 - 50 * first / 6.1, 4))
    assert numbers["paper"] == (6.0, 36.0)
    assert numbers["target"] == 25.0
    assert speedup.words.endswith(
        "epochs of 5 relu and 5 tanh runs, and the target of 25 % as a line"
    )


def test_the_picture_is_one_and_names_its_numbers(speedup: Figure, tmp_path: Path) -> None:
    content = speedup.png()
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == (840, 504)
        assert {BLUE, RED} <= colours_of(np.asarray(picture.convert("RGB")))
    (tmp_path / "p.png").write_bytes(content)
    assert stored_digest(tmp_path / "p.png") == digest(speedup.numbers)
    assert stored_digest(tmp_path / "none.png") is None


def test_the_examples_of_the_first_run_that_has_them_are_drawn(tmp_path: Path) -> None:
    row = retrieval(tmp_path, LABELS)
    picture = picture_of(row)
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


def test_every_photograph_stands_where_it_belongs(tmp_path: Path) -> None:
    """To the pixel: what is 32 pixels a side is shown at 64, each pixel as four.

    Marked neighbours are compared inside.
    """
    pixels = painted(picture_of(retrieval(tmp_path, LABELS)))
    pictures = cut(example_files_of(LABELS)[SHEET])
    inside = slice(20, SIDE - 4)
    for k, row in enumerate(pictures):
        for x, picture in zip(PLACES, row, strict=True):
            shown = pixels[TOP + ROW * k :, x:][:SIDE, :SIDE]
            assert (
                shown[inside, inside] == picture.repeat(2, 0).repeat(2, 1)[inside, inside]
            ).all()
    assert len(np.unique(pictures)) == len(LABELS) * COLUMNS, (
        "else the test could not tell them apart"
    )


def test_what_is_right_is_told_by_colour_and_by_text(tmp_path: Path) -> None:
    picture = picture_of(retrieval(tmp_path, LABELS))
    pixels, texts = painted(picture), texts_of(picture)
    bars = [pixels[TOP + ROW * k : TOP + ROW * k + SIDE, LEFT : LEFT + BARS] for k in range(3)]
    assert [PALE_BLUE in colours_of(part) for part in bars] == [True, False, True]
    assert all(PALE_GREY in colours_of(part) for part in bars)
    lengths = [
        (bars[0] == PALE_GREY).all(-1).sum(1).max(),
        (bars[0] == PALE_BLUE).all(-1).sum(1).max(),
    ]
    assert lengths == [BARS, BARS * 0.3 / 0.5]
    framed = [x for x in PLACES if BLUE in colours_of(pixels[TOP + SIDE - 1, x : x + SIDE])]
    assert framed == [PLACES[1], PLACES[3], PLACES[12]]
    assert texts.count("✓") == 3 * 3
    assert {
        "cat",
        "✓ cat",
        "a [dog] of $x^2$ (not among the 5)",
        "a fish whose name is far …",
        "30 %",
    } <= set(texts)
    assert "nearest training images by fc7: 6 of 18 of the same class (✓)" in texts
    assert "nearest training images by pixels: 3 of 18 of the same class (✓)" in texts


def test_no_text_of_the_examples_leaves_its_column(tmp_path: Path) -> None:
    picture = picture_of(
        retrieval(tmp_path, ["W" * 40, "m" * 26, *["European fire salamander"] * 6])
    )
    figure = picture.draw()
    figure.canvas.draw()
    ends = {
        PLACES[0]: PLACES[1],
        LEFT + 2: LEFT + BARS,
        PLACES[1]: PLACES[7],
        PLACES[7]: figure.bbox.width,
    }
    for text in figure.axes[0].texts:
        limit = ends.get(text.get_position()[0])
        # those are wider than any class of ImageNet
        if limit and not set(text.get_text()) & {"W", "m"}:
            assert text.get_window_extent().x1 <= limit, text.get_text()


def test_photographs_give_the_same_bytes_twice_and_carry_their_digest(tmp_path: Path) -> None:
    picture = picture_of(retrieval(tmp_path, LABELS, side=64))
    content = picture.png()
    assert content == picture_of(row_of(tmp_path, "fig4_retrieval")).png()
    (tmp_path / "p.png").write_bytes(content)
    assert stored_digest(tmp_path / "p.png") == digest(picture.numbers)
    with Image.open(io.BytesIO(content)) as image:
        assert (image.mode, image.size) == ("P", (PLACES[-1] + SIDE + 8, TOP + 3 * ROW))


def test_another_sheet_or_probability_is_another_digest(tmp_path: Path) -> None:
    digests = set()
    for number, labels in enumerate((LABELS, LABELS[:2], ["cat", "cow", "hen"])):
        for side in (32, 64):
            digests.add(
                digest(
                    picture_of(retrieval(tmp_path / f"{number}-{side}", labels, side=side)).numbers
                )
            )
    assert len(digests) == 6


def test_no_probability_at_all_can_be_drawn(tmp_path: Path) -> None:
    row = retrieval(tmp_path, ["cat"])
    for path in tmp_path.rglob("examples.json"):
        path.write_text(
            path.read_text()
            .replace("0.5", "0.0")
            .replace("0.3", "0.0")
            .replace("0.1", "0.0")
            .replace("0.05", "0.0")
        )
    assert painted(picture_of(row)).shape == (TOP + ROW, PLACES[-1] + SIDE + 8, 3)


def test_words_cannot_end_the_text_alternative() -> None:
    picture = Figure({}, "a [dog]\nof](http", lambda: None, "A caption.")
    assert picture.markdown("p.png") == "![a (dog) of)(http](p.png)\n\nA caption."
    assert Figure({}, "a", lambda: None).markdown("p.png") == "![a](p.png)"


def test_rows_without_anything_to_draw_have_no_picture(tmp_path: Path) -> None:
    assert picture_of(judge(discover()["fig1_relu"], [])[0]) is None
    write_record(
        tmp_path,
        make_alexnet(
            "original", 0, retrieval_pixels=2.0, retrieval_features=20.0, retrieval_codes=9.0
        ),
        4.0,
    )
    assert picture_of(row_of(tmp_path, "fig4_retrieval")) is None
    assert picture_of(row_of(tmp_path, "binary_codes")) is None
