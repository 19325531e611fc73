"""A figure: its numbers, the digest that its files carry, and its PNG, SVG, CSV and Markdown."""

import csv
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from reproductions.harness.claims.runs import digest
from reproductions.harness.report.figures import style

TAG = "Numbers"  # the field of a picture that holds the digest
IN_SVG = re.compile(rf"<dc:identifier>{TAG} ([0-9a-f]+)</dc:identifier>".encode())
UNSEEN = str.maketrans("[]\n\r", "()  ")  # what would end a text alternative


@dataclass(frozen=True)
class Figure:
    """The numbers that decide a figure's pixels, its text alternative, and how to draw it."""

    numbers: dict[str, Any]
    words: str  # for those who do not see it
    draw: Callable[[dict[str, Any]], Any]  # makes matplotlib's Figure of the numbers
    columns: tuple[str, ...] = ()  # of its CSV
    rows: Sequence[Sequence[object]] = ()
    caption: str = ""
    source: str = ""  # how its runs are made and by which code they were, in Markdown
    svg: bool = True  # False: of photographs, where it would be large
    palette: bool = True  # a PNG of 256 colours, a third of the bytes

    @property
    def digest(self) -> str:
        """Changes with the numbers, with the style and with the words, which an SVG holds."""
        return digest([style.SIGNATURE, self.numbers, self.words])

    def files(self, name: str) -> tuple[str, ...]:
        """The pictures of a figure whose PNG is `name`."""
        return (name, _beside(name, "svg")) if self.svg else (name,)

    def picture(self, suffix: str) -> bytes:
        """The content of one of its pictures, ".png" or ".svg", which carries the digest."""
        drawn = io.BytesIO()
        with style.styled():
            figure = self.draw(self.numbers)
            if suffix == ".svg":
                about = {"Title": self.words, "Identifier": f"{TAG} {self.digest}"}
                clean = dict.fromkeys(("Date", "Creator"))
                figure.savefig(drawn, format="svg", metadata={**about, **clean})
                return _trimmed(drawn.getvalue())
            figure.savefig(drawn, format="png", metadata={TAG: self.digest, "Software": None})
        return _in_few_colours(drawn) if self.palette else drawn.getvalue()

    def csv(self) -> str:
        """Its numbers as a table."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.columns, *self.rows])
        return text.getvalue()

    def markdown(self, name: str) -> str:
        """The picture in a page, `name` being its PNG as seen from there."""
        parts = [f"![{self.words.translate(UNSEEN)}]({name})"]
        parts += [self.caption] if self.caption else []
        links = f"[its numbers]({_beside(name, 'csv')})" if self.columns else ""
        links += "" if not self.svg else f", [as SVG]({_beside(name, 'svg')})"
        source = f"; {self.source}" if self.source else ""
        parts += [f"<sub>Figure: {links.removeprefix(', ')}{source}</sub>"]
        return "\n\n".join(parts)


def _beside(name: str, suffix: str) -> str:
    return f"{name.removesuffix('.png')}.{suffix}"


def csv_name(name: str) -> str:
    """The CSV of a figure whose PNG is `name`."""
    return _beside(name, "csv")


def short(value: float | None) -> float | None:
    """Nine digits, since more would differ between processors' libraries; None is no number."""
    if value is None or math.isnan(value):
        return None
    return value if math.isinf(value) else float(f"{value:.9g}")


def stored_digest(path: Path) -> str | None:
    """The digest in a picture that is there, None if it is missing or no picture of ours."""
    try:
        if path.suffix == ".svg":
            with path.open("rb") as file:
                found = IN_SVG.search(file.read(100_000))
            return found[1].decode() if found else None
        with Image.open(path) as picture:
            return picture.info.get(TAG)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
        return None


def _trimmed(svg: bytes) -> bytes:
    """Without the spaces at the ends of lines that matplotlib leaves."""
    return re.sub(rb"[ \t]+\n", b"\n", svg)


def _in_few_colours(drawn: io.BytesIO) -> bytes:
    """A drawn PNG with a palette of 256 colours and the same digest."""
    stored, note = io.BytesIO(), PngInfo()
    with Image.open(drawn) as picture:
        note.add_text(TAG, picture.info[TAG])
        picture.convert("RGB").quantize(256).save(stored, "PNG", pnginfo=note, optimize=True)
    return stored.getvalue()
