"""The report's texts and figures, and the tables in documents: a pure function of the records."""

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd

from alexnet.io import locked, write_atomic
from reproductions.harness.claims.claim import Claim
from reproductions.harness.errors import RecordError, UnreadableError
from reproductions.harness.judge.many import adjusted
from reproductions.harness.judge.rows import VerdictRow, judge
from reproductions.harness.records.files import EvidenceError, Fault
from reproductions.harness.records.load import read_records
from reproductions.harness.records.store import Stored
from reproductions.harness.report.discrepancies import (
    HEADER,
    discrepancies_csv,
    discrepancies_tables,
)
from reproductions.harness.report.figures import (
    CSV_HEADS,
    FOREST,
    Figure,
    csv_name,
    forest,
    picture_of,
    stored_digest,
)
from reproductions.harness.report.format import path_of
from reproductions.harness.report.page import HEAD, only_synthetic, page, short_table
from reproductions.harness.rule.effect import Effect

RUNS = "claim,question,variant,scale,seed,kind,purpose,status,"  # how runs.csv begins
STARTS = {".md": (HEAD,), ".csv": (RUNS, HEADER, *CSV_HEADS)}  # how the report's texts begin


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
    drawn: dict[str, Figure | None] = {FOREST: forest(rows)}
    shown: dict[int, str] = {}
    for row in rows:
        name = _picture_name(row, drawn)
        try:
            picture = picture_of(row)
        except EvidenceError as error:
            faults.append(replace(error.fault, why=f"{error.fault.why}: no picture is drawn of it"))
            drawn[name] = None
            continue
        if picture:
            drawn[name], shown[id(row)] = picture, picture.markdown(name)
    pictures = {name: picture for name, picture in drawn.items() if picture}
    broken = [str(fault) for fault in faults]
    texts = {
        "report.md": page(claims, rows, stored, broken, shown),
        "report.json": json.dumps(_as_json(rows, stored, broken), indent=1, ensure_ascii=False)
        + "\n",
        "runs.csv": _runs(stored, root).to_csv(index=False, lineterminator="\n"),
        "discrepancies.csv": discrepancies_csv(),
        **{csv_name(name): picture.csv() for name, picture in pictures.items()},
    }
    return Report(texts, pictures, tuple(faults), rows, claims=tuple(claims))


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
    """The files under `root` that differ from the records, and our pictures that no record needs.

    While anything is left out, nobody knows what it asks for: then no picture is too many.
    """
    wrong = [name for name, text in built.texts.items() if _content(root / name) != text.encode()]
    files = built.files
    wrong += [name for name in files if stored_digest(root / name) != files[name].digest]
    there = sorted(
        path
        for path in (root / "figures").glob("*.*")
        if path.suffix in (".png", ".svg", ".csv")
        and _called_after(path, (Path(FOREST).stem, *built.claims))
        and is_ours(path)
    )
    old = {f"figures/{path.name}" for path in there} - files.keys() - built.texts.keys()
    return wrong + sorted(old) * (not built.faults)


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


def _short(value: float | None) -> float | None:
    """Nine digits, since more would differ between processors' libraries; None if not finite."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.9g}")


def _errors(effect: Effect | None) -> dict[str, Any]:
    """The pairs that count, those at their bound, and the standard errors by their source."""
    if effect is None:
        return {"pairs": 0, "pairs_at_bound": 0, "error_seeds": None, "error_images": None}
    images = None if effect.images is None else _short(math.sqrt(effect.images))
    return {
        "pairs": effect.n,
        "pairs_at_bound": effect.n - effect.whole,
        "error_seeds": _short(math.sqrt(effect.seeds)) if effect.n > 1 else None,
        "error_images": images,
    }


def _as_json(
    rows: Sequence[VerdictRow], stored: Sequence[Stored], broken: Sequence[str]
) -> dict[str, Any]:
    return {
        "records": len(stored),
        "broken": list(broken),
        "rows": [
            {
                "cell": row.cell,
                "source": row.claim.section,
                "text": row.question.text,
                "paper": row.question.paper,
                "scale": row.scale,
                "data": row.data,
                "hardware": row.hardware,
                "kinds": row.kinds_as_data,
                "planned": row.planned,
                "n": row.n,
                "measured": _short(row.verdict.effect),
                "low": _short(row.verdict.low),
                "high": _short(row.verdict.high),
                **_errors(row.verdict.measured),
                "verdict": row.verdict.word,
                "mark": row.verdict.mark,
                "word": row.word,
                "marks": list(row.marks),
                "rule_since": row.rule_since,
                "reason": row.verdict.reason,
                "sensitivity": row.sensitivity,
                "evidence": [path_of(item) for item in row.members],
            }
            for row in rows
        ],
    }


def _runs(stored: Sequence[Stored], root: Path) -> pd.DataFrame:
    measures = sorted(
        {name for item in stored if item.record.shared for name in item.record.metrics}
        - {"train_error"}
    )
    lines = []
    for item in stored:
        r = item.record
        line: dict[str, Any] = {
            "claim": r.claim,
            "question": r.question,
            "variant": r.variant,
            "scale": r.scale,
            "seed": r.seed,
            "kind": r.kind,
            "purpose": r.purpose,
            "status": r.status,
            "learning_rate": r.recipe.get("learning_rate"),
            "data": r.data.name if r.data else None,
            "fingerprint": r.data.fingerprint if r.data else None,
            "canonical": r.data.canonical if r.data else None,
            "hardware": r.machine.hardware,
            "threads": r.machine.threads,
            "precision": r.machine.precision,
            "wall_seconds": r.cost.wall_seconds,
            "images": r.cost.images,
            "images_per_second": r.cost.images_per_second,
            "attempts": r.cost.attempts,
            "training_version": r.version.training,
            "commit": r.code.commit,
            "uncommitted": r.code.dirty,
            "started": r.started,
            "record": str(item.folder.relative_to(root)),
        }
        names = ["train_error", "epochs_to_target", "test_error", *measures]
        line |= {name: r.metrics[name].value if name in r.metrics else None for name in names}
        lines.append(line)
    return pd.DataFrame(lines)


START, END = "<!-- made by `report`, a test checks it -->", "<!-- end of what `report` makes -->"


def tables_of(rows: Sequence[VerdictRow]) -> dict[str, str]:
    """The text between the comments of each document, by its path in the checkout."""
    return {"README.md": short_table(rows), "docs/text-against-code.md": discrepancies_tables()}


def outdated(checkout: Path, rows: Sequence[VerdictRow]) -> dict[Path, str]:
    """The documents whose table is not that of `rows`, with the text they should have.

    One without the comments is left alone.
    """
    found = {}
    for name, table in tables_of(rows).items():
        path = checkout / name
        text = path.read_text() if path.exists() else ""
        before, start, rest = text.partition(START)
        _, end, after = rest.partition(END)
        new = f"{before}{start}\n\n{table}\n\n{end}{after}"
        if end and new != text:
            found[path] = new
    return found
