"""Pictures carry the digest of the numbers that they draw."""

import io
from pathlib import Path

from PIL import Image
from records import full_set

from reproductions.harness import figures
from reproductions.harness.claim import digest, discover
from reproductions.harness.judge import Judged, judge
from reproductions.harness.record import read_records


def row_of(root: Path) -> Judged:
    full_set(root)
    return next(row for row in judge(discover()["fig1_relu"], read_records(root)[0]) if row.members)


def test_every_seed_is_drawn(tmp_path: Path) -> None:
    numbers = figures.numbers_of(row_of(tmp_path))
    assert set(numbers["curves"]) == {f"{arm} seed {seed}" for arm in ("relu", "tanh") for seed in range(5)}
    assert numbers["curves"]["relu seed 0"][0] == (0.2, round(75 - 50 * 0.2 / 6.1, 4))
    assert numbers["paper"] == (6.0, 36.0)
    assert numbers["target"] == 25.0


def test_the_picture_is_one_and_names_its_numbers(tmp_path: Path) -> None:
    row = row_of(tmp_path)
    numbers = figures.numbers_of(row)
    content = figures.draw(row, numbers)
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == (840, 504)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20) or []}
    assert {(0x1B, 0x6C, 0xA8), (0xC0, 0x39, 0x2B)} <= colours
    (tmp_path / "p.png").write_bytes(content)
    assert figures.stored_digest(tmp_path / "p.png") == digest(numbers)
    assert figures.stored_digest(tmp_path / "none.png") is None
