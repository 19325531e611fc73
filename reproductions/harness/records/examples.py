"""Figure 4 for one run: a few test images, their predicted classes, nearest training images.

A record that has them holds two files that people can open too: `examples.json`, and
`examples.jpg`, a sheet of small pictures with one row per test image: itself, its nearest training
images by fc7, its nearest by pixels. Reading them imports no torch.
"""

import io
import os
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pydantic import Field, ValidationError

from alexnet.data.imageset import Meta
from reproductions.harness.records.files import EvidenceError, read
from reproductions.harness.records.schema import RecordModel

SHOWN = 8  # test images, as in Figure 4 (left)
BEST = 5  # classes of each, as there
NEAREST = 6  # training images of each, as in Figure 4 (right)
COLUMNS = 1 + 2 * NEAREST
SIDE = 64  # pixels, at most; larger images are made smaller
TEXT, SHEET = "examples.json", "examples.jpg"
QUALITY = 90  # of the sheet: 197 kB for 104 images of Tiny ImageNet, 957 kB as PNG


class Guess(RecordModel):
    """A class that a network takes an image for."""

    name: str
    probability: float = Field(ge=0, le=1)


class Example(RecordModel):
    """One test image. Neighbours are named by their class, the nearest first."""

    label: str
    best: tuple[Guess, ...] = Field(min_length=BEST, max_length=BEST)  # the most probable first
    by_features: tuple[str, ...] = Field(min_length=NEAREST, max_length=NEAREST)
    by_pixels: tuple[str, ...] = Field(min_length=NEAREST, max_length=NEAREST)

    @property
    def alike(self) -> tuple[int, int]:
        """How many neighbours are of its class: by features, by pixels."""
        return self.by_features.count(self.label), self.by_pixels.count(self.label)


class Examples(RecordModel):
    """The examples of a run."""

    views: int  # over which probabilities are averaged
    among: int  # training images among which neighbours were sought
    images: tuple[Example, ...] = Field(min_length=1, max_length=SHOWN)


def class_names(meta: Meta) -> list[str]:
    """What people call each class: its first English word if the data set has words, else its name.

    Classes that share a word have their name beside it: ImageNet has two cranes.
    """
    words = [word.split(",")[0] for word in meta.words or meta.classes]
    times = Counter(words)
    return [
        word if times[word] == 1 else f"{word} ({name})"
        for word, name in zip(words, meta.classes, strict=True)
    ]


def thumbnails(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Square images [N, H, H, 3] at no more than `SIDE` pixels a side."""
    side = min(SIDE, images.shape[1])
    return np.stack(
        [
            np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS))
            for image in images
        ]
    )


def example_files(examples: Examples, pictures: NDArray[np.uint8]) -> dict[str, bytes]:
    """A record's two files by name, from examples and uint8 pictures [images, COLUMNS, S, S, 3]."""
    rows, columns, side = pictures.shape[:3]
    sheet = Image.fromarray(
        pictures.transpose(0, 2, 1, 3, 4).reshape(rows * side, columns * side, 3)
    )
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return {TEXT: examples.model_dump_json(indent=1).encode() + b"\n", SHEET: buffer.getvalue()}


def read_examples(folder: Path) -> tuple[Examples, bytes] | None:
    """The examples of a record and their sheet; None where it has none.

    EvidenceError if they cannot be read or do not fit.
    """
    if not any(os.path.lexists(folder / name) for name in (TEXT, SHEET)):
        return None
    text, sheet = read(folder / TEXT), read(folder / SHEET)
    try:
        examples = Examples.model_validate_json(text)
    except ValidationError as error:
        raise EvidenceError(TEXT, f"is broken ({error.errors()[0]['msg']})") from error
    try:
        rows = len(cut(sheet))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise EvidenceError(SHEET, f"is broken ({' '.join(str(error).split())})") from error
    if rows != len(examples.images):
        raise EvidenceError(SHEET, f"has {rows} rows of pictures for {len(examples.images)} images")
    return examples, sheet


def cut(sheet: bytes) -> NDArray[np.uint8]:
    """The pictures of a sheet, uint8 [images, COLUMNS, S, S, 3].

    Raises ValueError or OSError if it is none.
    """
    try:
        opened = Image.open(io.BytesIO(sheet), formats=["JPEG"])
    # its own words hold an address in memory, another in every report
    except UnidentifiedImageError as error:
        raise ValueError("the sheet is no JPEG") from error
    with opened as picture:
        width, height = picture.size
        side = width // COLUMNS
        if picture.mode != "RGB" or not 0 < side <= SIDE or width % COLUMNS or height % side:
            raise ValueError(
                f"a sheet of {width} by {height} pixels is none of {COLUMNS} square pictures a row"
            )
        return (
            np.asarray(picture)
            .reshape(height // side, side, COLUMNS, side, 3)
            .transpose(0, 2, 1, 3, 4)
        )
