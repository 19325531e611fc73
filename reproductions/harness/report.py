"""Records to report.md, report.json, runs.csv and figures: a pure function of the records; imports no torch."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from alexnet.files import locked, write_atomic
from reproductions.harness.arrays import read_kernels
from reproductions.harness.claim import SHARED, Claim, Exact, digest
from reproductions.harness.examples import read_examples
from reproductions.harness.figures import Picture, picture_of, stored_digest
from reproductions.harness.judge import Judged, judge
from reproductions.harness.page import only_standin, page
from reproductions.harness.record import RecordError, Stored, read_records
from reproductions.harness.wording import path_of


@dataclass(frozen=True)
class Built:
    """A report in memory: texts and pictures by file name, lines on broken records, and the rows."""

    texts: dict[str, str]
    pictures: dict[str, Picture]
    broken: list[str]
    rows: list[Judged]


def build(root: Path, claims: dict[str, Claim]) -> Built:
    """Judge all records under `root` and write the report in memory."""
    stored, broken = read_records(root)
    whole = []
    for item in stored:
        try:
            item.history()
            read_kernels(item.folder)
            whole.append(item)
            read_examples(item.folder)  # broken, they cost the picture and no number
        except RecordError as error:
            broken.append(str(error).replace(f"{root}/", ""))
    rows = [row for claim in claims.values() for row in judge(claim, whole)]
    if only_standin(whole):
        rows = [row for row in rows if row.members]
    pictures: dict[str, Picture] = {}
    shown: dict[int, str] = {}
    for row in rows:
        if picture := picture_of(row):
            name = _picture_name(row, pictures)
            pictures[name], shown[id(row)] = picture, picture.markdown(name)
    texts = {
        "report.md": page(claims, rows, whole, broken, shown),
        "report.json": json.dumps(_as_json(rows, whole, broken), indent=1, ensure_ascii=False) + "\n",
        "runs.csv": _runs(whole, root).to_csv(index=False, lineterminator="\n"),
    }
    return Built(texts, pictures, broken, rows)


def write(root: Path, claims: dict[str, Claim]) -> Built:
    """Rebuild the report's files where they differ; pictures are drawn again only if their numbers changed."""
    with locked(root / ".work" / "report.lock"):  # of two processes that end together, the later one sees all records
        built = build(root, claims)
        for name in differing(root, built):
            if name in built.pictures:
                write_atomic(root / name, built.pictures[name].png())
            elif name in built.texts:
                write_atomic(root / name, built.texts[name])
            else:
                (root / name).unlink()
    return built


def differing(root: Path, built: Built) -> list[str]:
    """The files under `root` that are not what the records say, and pictures that no record asks for."""
    wrong = [
        name for name, text in built.texts.items() if not (root / name).is_file() or (root / name).read_bytes() != text.encode()
    ]
    for name, picture in built.pictures.items():
        if stored_digest(root / name) != digest(picture.numbers):
            wrong.append(name)
    there = sorted(f"figures/{path.name}" for path in (root / "figures").glob("*.png"))
    return wrong + [name for name in there if name not in built.pictures]


def _picture_name(row: Judged, taken: Iterable[str]) -> str:
    base = row.claim.name if row.question.name == row.claim.questions[0].name else f"{row.claim.name}-{row.question.name}"
    names = [f"figures/{base}.png", *(f"figures/{base}-{k}.png" for k in range(2, 100))]
    return next(name for name in names if name not in taken)


def _short(value: float | None) -> float | None:
    """Nine digits: more would differ in the last bits between processors and their mathematical libraries."""
    return None if value is None else float(f"{value:.9g}")


def _as_json(rows: Sequence[Judged], stored: Sequence[Stored], broken: Sequence[str]) -> dict[str, Any]:
    return {
        "records": len(stored),
        "broken": list(broken),
        "rows": [
            {
                "cell": row.cell, "source": row.claim.source, "text": row.question.text, "paper": row.question.paper,
                "scale": row.scale, "data": row.data, "hardware": row.hardware,
                "kinds": row.kinds_as_data, "planned": row.planned, "n": row.n,
                "measured": _short(row.measured if isinstance(row.question, Exact) else row.verdict.effect),
                "low": _short(row.verdict.low), "high": _short(row.verdict.high),
                "prediction": row.verdict.prediction and [_short(end) for end in row.verdict.prediction],
                "verdict": row.verdict.word, "magnitude": row.verdict.magnitude, "reason": row.verdict.reason,
                "censored": row.verdict.censored, "sensitivity": row.sensitivity,
                "evidence": [path_of(item) for item in row.members],
            }
            for row in rows
        ],
    }  # fmt: skip


def _runs(stored: Sequence[Stored], root: Path) -> pd.DataFrame:
    """One flat row per record, plain numbers."""
    measures = sorted({name for item in stored if item.record.role in SHARED for name in item.record.metrics} - {"train_error"})
    lines = []
    for item in stored:
        r = item.record
        line: dict[str, Any] = {
            "claim": r.claim, "question": r.question, "variant": r.variant, "scale": r.scale, "seed": r.seed, "role": r.role,
            "status": r.status, "learning_rate": r.recipe.get("learning_rate"), "data": r.data.name if r.data else None,
            "fingerprint": r.data.fingerprint if r.data else None, "canonical": r.data.canonical if r.data else None,
            "hardware": r.machine.hardware, "threads": r.machine.threads, "precision": r.machine.precision,
            "wall_seconds": r.cost.wall_seconds, "images": r.cost.images, "images_per_second": r.cost.images_per_second,
            "attempts": r.cost.attempts, "training_version": r.version.training, "commit": r.code.commit,
            "uncommitted": r.code.dirty, "started": r.started,
            "record": str(item.folder.relative_to(root)),
        }  # fmt: skip
        names = ["train_error", "epochs_to_target", "test_error", *measures]
        line |= {name: r.metrics[name].value if name in r.metrics else None for name in names}
        lines.append(line)
    return pd.DataFrame(lines)
