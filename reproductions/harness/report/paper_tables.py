"""Tables 1 and 2 as the paper prints them, with a measured column for each scale with records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reproductions.harness.claims.claim import SCALES
from reproductions.harness.judge.many import intervals
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.report.words import chance, plain_word


@dataclass(frozen=True)
class Line:
    """A row as printed: the model, its errors in percent, and the questions that measure them."""

    model: str
    printed: tuple[str, ...]
    cells: tuple[str, ...] = ()  # "claim.question" for each column; "": none


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper."""

    number: int
    caption: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def cells(self) -> list[str]:
        """All questions that measure one of its numbers, from top to bottom."""
        return [cell for line in self.lines for cell in line.cells if cell]


TABLES = (
    PaperTable(
        1,
        "errors on the test images of ILSVRC-2010 in percent, ten crops averaged but in the last "
        "row",
        ("Top-1", "Top-5"),
        (
            Line("Sparse coding [2]", ("47.1", "28.2")),
            Line("SIFT + FVs [24]", ("45.7", "25.7")),
            Line("CNN", ("37.5", "17.0"), ("table1_ilsvrc2010.top1", "table1_ilsvrc2010.top5")),
            Line(
                "CNN, central crop (footnote)",
                ("39.0", "18.3"),
                ("table1_ilsvrc2010.top1_centre", "table1_ilsvrc2010.top5_centre"),
            ),
        ),
    ),
    PaperTable(
        2,
        "errors on the validation and test images of ILSVRC-2012, ten crops averaged, in percent; "
        "the labels of those test images were never published",
        ("Top-1 (val)", "Top-5 (val)", "Top-5 (test)"),
        (
            Line("SIFT + FVs [7]", ("–", "–", "26.2")),
            Line(
                "1 CNN",
                ("40.7", "18.2", "–"),
                ("table2_ilsvrc2012.top1", "table2_ilsvrc2012.top5", ""),
            ),
            Line("5 CNNs", ("38.1", "16.4", "16.4"), ("ensembles.top1", "ensembles.top5", "")),
            Line("1 CNN*", ("39.0", "16.6", "–"), ("pretraining.top1", "pretraining.top5", "")),
            Line(
                "7 CNNs*",
                ("36.7", "15.4", "15.3"),
                ("pretraining.seven_top1", "pretraining.seven_top5", ""),
            ),
        ),
    ),
)
CELLS = tuple(cell for table in TABLES for cell in table.cells)
Measured = Mapping[tuple[str, str], VerdictRow]  # by question and scale


def measured_rows(table: PaperTable, rows: Sequence[VerdictRow]) -> Measured:
    """Of each of its questions and scales the row with the most seeds."""
    found: dict[tuple[str, str], VerdictRow] = {}
    for row in sorted(rows, key=lambda row: -row.n):
        if row.cell in table.cells and row.members:
            found.setdefault((row.cell, row.scale), row)
    return found


def laid_out(table: PaperTable, rows: Sequence[VerdictRow]) -> list[dict[str, str]]:
    """The table's rows by column: as printed, then measured at each scale with records."""
    found = measured_rows(table, rows)
    scales = [scale for scale in SCALES if any(scale == at for _, at in found)]
    lines = []
    for line in table.lines:
        cells = {"Model": line.model, **dict(zip(table.columns, line.printed, strict=True))}
        for scale in scales:
            for column, cell in zip(table.columns, line.cells or [""] * 9, strict=False):
                if any((other, scale) in found for other in _column(table, column)):
                    row = found.get((cell, scale))
                    cells[f"{column}, {scale}"] = _measured(row) if row else "–"
        lines.append(cells)
    return lines


def measured_note(table: PaperTable, rows: Sequence[VerdictRow]) -> str:
    """What the measured columns rest on; "" without any."""
    found = measured_rows(table, rows).values()
    if not found:
        return ""
    seeds = sorted({row.n for row in found})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return (
        f"Measured: mean and 95 % interval of {count} runs; below scale `paper` other images and a "
        f"smaller network. {chance(intervals(found), 'miss the true mean')}"
    )


def _column(table: PaperTable, column: str) -> list[str]:
    """The questions of a column."""
    place = table.columns.index(column)
    return [line.cells[place] for line in table.lines if line.cells]


def _measured(row: VerdictRow) -> str:
    word = "" if row.verdict.word == "–" else f", {plain_word(row)}"
    return row.measured_text.replace(" %", "") + word
