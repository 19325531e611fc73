"""Records to the report's pages, tables, report.json, runs.csv, discrepancies.csv and figures.

A pure function of the records; imports no torch.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from alexnet.io import locked, write_atomic
from reproductions.harness.claims.claim import Claim
from reproductions.harness.errors import RecordError, UnreadableError
from reproductions.harness.judge.many import adjusted
from reproductions.harness.judge.rows import VerdictRow, judge
from reproductions.harness.records.files import EvidenceError, Fault
from reproductions.harness.records.load import read_records
from reproductions.harness.records.store import Stored
from reproductions.harness.report.as_json import report_json
from reproductions.harness.report.claim_page import claim_page, page_name, title_of
from reproductions.harness.report.discrepancies import HEADER, discrepancies_csv
from reproductions.harness.report.figures import (
    CSV_HEADS,
    FOREST,
    Figure,
    csv_name,
    forest,
    picture_of,
    stored_digest,
)
from reproductions.harness.report.format import HEAD
from reproductions.harness.report.latex import TEX_HEAD, latex_tables, tex_names
from reproductions.harness.report.page import only_synthetic, page, statements_page
from reproductions.harness.report.runs_csv import runs_csv
from reproductions.harness.report.runs_page import runs_page

RUNS = "claim,question,variant,scale,seed,kind,purpose,status,"  # how runs.csv begins
FIGURE_FILES = (".png", ".svg", ".csv")
# how the report's texts begin
STARTS = {".md": (HEAD,), ".csv": (RUNS, HEADER, *CSV_HEADS), ".tex": (TEX_HEAD,)}


@dataclass(frozen=True)
class Report:
    """A report in memory: texts and pictures by file name, what was left out, and the rows."""

    texts: dict[str, str]
    pictures: dict[str, Figure]  # by the name of their PNG
    faults: tuple[Fault, ...]  # of records, and of files that pictures alone need
    rows: list[VerdictRow]
    # files in the report's places that it did not make, and did not touch
    foreign: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()  # by name: pictures are called after them

    @property
    def files(self) -> dict[str, Figure]:
        """The figure of each picture's file, PNG and SVG."""
        figures = self.pictures.items()
        return {file: figure for name, figure in figures for file in figure.files(name)}


def build(root: Path, claims: dict[str, Claim]) -> Report:
    """Judge all records under `root`, check them against their evidence, build the report.

    Raises UnreadableError where a record cannot be read, or none counts of those that the last
    report was made of: a report without them would say less than is known.
    """
    stored, faults = read_records(root)
    if hidden := [fault for fault in faults if fault.unreadable]:
        more = f" (and {len(hidden) - 1} more)" if len(hidden) > 1 else ""
        raise UnreadableError(
            f"{root}/{hidden[0].where} {hidden[0].why}{more}; no report is written without it"
        )
    if not stored and (listed := _listed(root / "report.json")):
        first = f" ({faults[0].where} {faults[0].why})" if faults else ""
        raise UnreadableError(
            f"no record under {root} counts{first}, and report.json lists {listed}; restore them "
            "or move it away"
        )
    rows = adjusted([row for claim in claims.values() for row in judge(claim, stored)])
    if only_synthetic(stored):
        rows = [row for row in rows if row.members]
    pictures, shown = _pictures(rows, faults)
    overview = pictures[FOREST].markdown(FOREST) if FOREST in pictures else ""
    texts = _texts(root, claims, rows, stored, [str(fault) for fault in faults], shown, overview)
    texts |= {csv_name(name): picture.csv() for name, picture in pictures.items()}
    return Report(texts, pictures, tuple(faults), rows, claims=tuple(claims))


def _pictures(
    rows: Sequence[VerdictRow], faults: list[Fault]
) -> tuple[dict[str, Figure], dict[int, str]]:
    """The pictures by file, and as the claims' pages show them by the `id()` of their row.

    Files that a picture alone needs and that are broken are added to `faults`.
    """
    pictures = {FOREST: found} if (found := forest(rows)) else {}
    shown: dict[int, str] = {}
    taken = set[str]()
    for row in rows:
        name = _picture_name(row, taken)
        try:
            picture = picture_of(row)
        except EvidenceError as error:
            faults.append(replace(error.fault, why=f"{error.fault.why}: no picture is drawn of it"))
            taken.add(name)
            continue
        if picture:
            taken.add(name)
            pictures[name], shown[id(row)] = picture, picture.markdown(f"../{name}")
    return pictures, shown


def _texts(
    root: Path,
    claims: dict[str, Claim],
    rows: list[VerdictRow],
    stored: list[Stored],
    broken: Sequence[str],
    shown: dict[int, str],
    overview: str,
) -> dict[str, str]:
    """All texts by file."""
    by_claim = {
        name: found for name in claims if (found := [row for row in rows if row.claim.name == name])
    }
    return {
        "report.md": page(claims, rows, stored, overview),
        **{
            page_name(name): claim_page(claims[name], found, shown)
            for name, found in by_claim.items()
        },
        "statements.md": statements_page(rows),
        "runs.md": runs_page(rows, stored, broken),
        **latex_tables(rows),
        "report.json": report_json(rows, stored, broken),
        "runs.csv": runs_csv(stored, root),
        "discrepancies.csv": discrepancies_csv(),
    }


def write(root: Path, claims: dict[str, Claim]) -> Report:
    """Rebuild the report's files where they differ; redraw only pictures whose numbers changed.

    A file that `report` did not make is left as it is and named in `foreign`. Raises RecordError
    where there are no records, and UnreadableError as `build` does; then nothing is written.
    """
    if not has_records(root):
        raise RecordError(f"{root} holds no records, so no report is written there")
    # of two processes that end together, the later one sees all records
    with locked(root / ".work" / "report.lock"):
        built = build(root, claims)
        files, foreign = built.files, []
        for name in differing(root, built):
            if os.path.lexists(root / name) and not is_ours(root / name):
                foreign.append(name)
            elif name in files:
                write_atomic(root / name, files[name].picture(Path(name).suffix))
            elif name in built.texts:
                write_atomic(root / name, built.texts[name])
            else:
                (root / name).unlink()
    return replace(built, foreign=tuple(foreign))


def has_records(root: Path) -> bool:
    """Whether there is a folder of records under `root`, whatever is in it."""
    return os.path.lexists(root / "records")


def is_ours(path: Path) -> bool:
    """Whether `report` made a file, by its content; False where it cannot be read."""
    if path.suffix in (".png", ".svg"):
        return stored_digest(path) is not None
    try:
        with path.open("rb") as file:
            if path.suffix == ".json":
                found = json.load(file)
                return isinstance(found, dict) and {"records", "broken", "rows"} <= found.keys()
            starts = [start.encode() for start in STARTS[path.suffix]]
            return file.read(max(map(len, starts))).startswith(tuple(starts))
    except (OSError, ValueError, RecursionError):
        return False


def _listed(path: Path) -> int:
    """How many records a report.json of ours was made of; 0 where it is none."""
    found = json.loads(path.read_bytes())["records"] if is_ours(path) else 0
    return found if isinstance(found, int) else 0


def differing(root: Path, built: Report) -> list[str]:
    """The files under `root` that differ from the records, and ours that no record needs.

    While anything is left out, nobody knows what it asks for: then no file is too many.
    """
    wrong = [name for name, text in built.texts.items() if _content(root / name) != text.encode()]
    files = built.files
    wrong += [name for name in files if stored_digest(root / name) != files[name].digest]
    old = _made_before(root, built.claims) - files.keys() - built.texts.keys()
    return wrong + sorted(old) * (not built.faults)


def _made_before(root: Path, claims: Sequence[str]) -> set[str]:
    """The figures, claims' pages and tables under `root` that `report` made."""
    drawn = [path for path in (root / "figures").glob("*") if path.suffix in FIGURE_FILES]
    found = [path for path in drawn if _called_after(path, (Path(FOREST).stem, *claims))]
    found += [path for path in (root / "claims").glob("*.md") if _is_page(path)]
    found += [root / name for name in tex_names()]
    return {str(path.relative_to(root)) for path in found if is_ours(path)}


def _is_page(path: Path) -> bool:
    """Whether a page has the name that `report` gave it; a renamed copy is the user's."""
    start = f"{HEAD}\n\n# {title_of(path.stem)}".encode()
    return (_content(path) or b"").startswith(start)


def _called_after(path: Path, claims: Sequence[str]) -> bool:
    """Whether a picture has a name that `report` gives; a renamed copy is the user's."""
    return any(path.stem == claim or path.stem.startswith(f"{claim}-") for claim in claims)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _picture_name(row: VerdictRow, taken: Iterable[str]) -> str:
    first = row.question.name == row.claim.questions[0].name
    base = row.claim.name if first else f"{row.claim.name}-{row.question.name}"
    names = (f"figures/{base}{f'-{k}' if k > 1 else ''}.png" for k in count(1))
    return next(name for name in names if name not in taken)
