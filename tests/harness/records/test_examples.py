"""Figure 4's examples: made by hand, stored, read back, and refused when broken."""

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from records import example_files_of, make_alexnet, write_record

from alexnet.config import AlexNetConfig, AlexNetRecipe
from alexnet.data.imageset import ImageSet
from alexnet.data.loader import Loader
from alexnet.evaluation import features, predict
from alexnet.models import AlexNet
from alexnet.optim import PaperSGD
from alexnet.training import Training
from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.execute.context import RunContext, set_up
from reproductions.harness.execute.examples import examples_of
from reproductions.harness.execute.run import make
from reproductions.harness.execute.tasks import EXAMPLES_RUN
from reproductions.harness.execute.trained import Trained
from reproductions.harness.records.examples import (
    COLUMNS,
    NEAREST,
    SHEET,
    TEXT,
    class_names,
    cut,
    read_examples,
)
from reproductions.harness.records.files import EvidenceError

CONFIG, RECIPE, CPU = (
    AlexNetConfig.original().smoke(),
    AlexNetRecipe.original().smoke(),
    torch.device("cpu"),
)
# eight of the 100 test images of `splits`, evenly spread: 99 k / 7
CHOSEN = [0, 14, 28, 42, 57, 71, 85, 99]


@pytest.fixture
def untrained() -> Training:
    net = AlexNet(CONFIG, seed=0)
    return Training(net, PaperSGD(net.parameters(), lr=0.0), "fp32")


def trained(done: Training, splits: dict[str, ImageSet]) -> Trained:
    run = planned_runs(discover()["fig4_retrieval"], "smoke")[0]
    return Trained(done, splits["train"], splits["test"], RECIPE, run)


def unpacked(files: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def nearest(query: np.ndarray, stored: np.ndarray, count: int = NEAREST) -> list[int]:
    flat = query.reshape(-1).astype(np.float64)
    distance = [float(np.square(flat - row.reshape(-1)).sum()) for row in stored.astype(np.float64)]
    return np.argsort(distance)[:count].tolist()


def test_what_is_taken_is_what_a_slow_search_finds(
    untrained: Training, splits: dict[str, ImageSet], tmp_path: Path
) -> None:
    train, test = splits["train"], splits["test"]
    found, sheet = read_examples(
        unpacked(examples_of(trained(untrained, splits)), tmp_path / "record")
    )
    asked, known = (
        Loader(split, train, CONFIG.image_size, RECIPE.augment, CPU) for split in (test, train)
    )
    shares = predict(untrained.net, asked, crops=10)[0].numpy()
    fc7 = [features(untrained.net, split, precision="fp32").numpy() for split in (asked, known)]
    inner = slice(2, 30)  # the central 28 of 32 pixels
    grey = [
        (split.images[:, inner, inner] - train.mean_image[inner, inner]).reshape(len(split), -1)
        for split in (test, train)
    ]
    assert (found.views, found.among, len(found.images)) == (10, 320, 8)
    pictures = cut(sheet)
    assert pictures.shape == (8, COLUMNS, 32, 32, 3)
    for example, row, k in zip(found.images, pictures, CHOSEN, strict=True):
        alike = [nearest(mine[k], theirs) for mine, theirs in (fc7, grey)]
        names = [
            tuple(train.meta.classes[label] for label in train.labels[index]) for index in alike
        ]
        assert example.label == test.meta.classes[test.labels[k]]
        assert [test.meta.classes.index(guess.name) for guess in example.best] == np.argsort(
            -shares[k]
        )[:5].tolist()
        assert [guess.probability for guess in example.best] == [
            round(float(p), 4) for p in np.sort(shares[k])[:-6:-1]
        ]
        assert [example.by_features, example.by_pixels] == names
        assert nearest(row[0], test.images, 1) == [k], (
            "the picture is that of the image, up to JPEG"
        )
        assert [nearest(picture, train.images, 1)[0] for picture in row[1:]] == alike[0] + alike[1]


def test_a_network_that_was_lost_at_the_end_has_none(
    untrained: Training, splits: dict[str, ImageSet]
) -> None:
    with torch.no_grad():
        untrained.net.layers["fc8"].bias.fill_(torch.nan)
    assert examples_of(trained(untrained, splits)) == {}


def test_one_run_alone_has_examples(splits: dict[str, ImageSet], tmp_path: Path) -> None:
    """The first that the claim asks for; records of the others stay small."""
    claim = discover()["fig4_retrieval"]
    runs = planned_runs(claim, "smoke")
    assert (runs[0].variant, runs[0].seed) == EXAMPLES_RUN
    bench = RunContext(tmp_path, {"synthetic": splits}, set_up("cpu", 1), 1)
    folders = [make(run, claim, bench) for run in runs[:2]]
    assert len(read_examples(folders[0])[0].images) == 8
    assert read_examples(folders[1]) is None


def test_classes_are_called_by_their_first_word(splits: dict[str, ImageSet]) -> None:
    meta = replace(
        splits["test"].meta,
        classes=("n1", "n2", "n3"),
        words=("crane", "goldfish, Carassius auratus", "crane, a bird"),
    )
    assert class_names(meta) == ["crane (n1)", "goldfish", "crane (n3)"]
    assert class_names(replace(meta, words=())) == ["n1", "n2", "n3"]


def test_round_trip(tmp_path: Path) -> None:
    files = example_files_of(["cat", "dog", "fish"])
    folder = write_record(tmp_path, make_alexnet("original", 0, top1=50.0), files=files)
    found, sheet = read_examples(folder)
    assert sheet == files[SHEET]
    assert json.loads(files[TEXT]) == json.loads(found.model_dump_json())
    assert [example.label for example in found.images] == ["cat", "dog", "fish"]
    assert found.images[0].alike == (2, 1)
    assert read_examples(write_record(tmp_path, make_alexnet("original", 1, top1=50.0))) is None


def as_png(sheet: bytes) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(sheet)) as picture:
        picture.save(buffer, "PNG")
    return buffer.getvalue()


def blank(width: int, height: int, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (width, height)).save(buffer, "JPEG")
    return buffer.getvalue()


def with_images(text: bytes, times: int) -> bytes:
    fields = json.loads(text)
    return json.dumps({**fields, "images": fields["images"][:1] * times}).encode()


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        (TEXT, lambda _: None),
        (TEXT, lambda old: old.replace(b"0.5", b"NaN", 1)),
        (TEXT, lambda old: old.replace(b'"cat",', b"", 1)),
        (TEXT, lambda old: with_images(old, 1)),
        (SHEET, lambda old: old[: len(old) // 2]),
        (SHEET, as_png),
        (SHEET, lambda _: blank(32 * COLUMNS + 1, 64)),
        (SHEET, lambda _: blank(32 * COLUMNS, 64, "L")),
    ],
)
def test_broken_examples_are_named(
    tmp_path: Path, name: str, spoil: Callable[[bytes], bytes | None]
) -> None:
    folder = unpacked(example_files_of(["cat", "dog"]), tmp_path / "record")
    old = (folder / name).read_bytes()
    new = spoil(old)
    assert new != old
    (folder / name).unlink() if new is None else (folder / name).write_bytes(new)
    said = []
    for _ in range(2):
        with pytest.raises(EvidenceError) as caught:
            read_examples(folder)
        said.append(str(caught.value))
    assert re.fullmatch(r"examples\.(json|jpg) (is broken|is missing|has).*", said[0])
    assert said[0] == said[1], "it is in the report, which is the same every time"
    assert "0x" not in said[0]
