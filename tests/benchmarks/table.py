"""The table of the benchmarks: benchmarks.json, a row per entry, and benchmarks.md from it."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alexnet.io import write_atomic
from reproductions.harness.report.format import table
from reproductions.harness.rule.text import number

Entry = dict[str, Any]  # one row in benchmarks.json: `measured` or `missing`
SECTIONS = {"CPU": "On a processor", "GPU": "On a GPU", "growth": "How cost grows"}
HEAD = """\
<!-- Made from benchmarks.json by `nox -s bench`; this page is never edited. -->

# How fast it is, beside others

`nox -s bench` measures every row again that can be measured on the machine at hand and leaves the
others as they are. A ratio is the peer's seconds over ours: all take turns in one process, n
times, after a turn that does not count; the table has the median with the lowest and the highest.
*Of the limit* is the time of work that cannot be left out, done in the same turns, over ours."""


@dataclass(frozen=True)
class Row:
    """What is compared, where, and which ratio is wanted."""

    what: str
    where: str  # "CPU", "GPU"; or "growth", where another size of ours is the peer
    ours: str
    peer: str
    bar: float | None = None  # the lowest median that will do
    tried: str = ""  # to reach the bar; shown where it is missed

    @property
    def key(self) -> str:
        """What makes it this row; the words on ours and on what was tried may change."""
        return _key(asdict(self))


def _key(entry: Entry) -> str:
    return f"{list(SECTIONS).index(entry['where'])} {entry['what']} | {entry['peer']}"


def measured(row: Row, ratios: Sequence[float], **about: Any) -> Entry:
    """The entry of a row.

    `about`: hardware, threads (None where they do not matter), torch and date; images_per_second,
    limit, fraction and bound where known.
    """
    spread = {
        "n": len(ratios),
        "median": statistics.median(ratios),
        "min": min(ratios),
        "max": max(ratios),
    }
    return asdict(row) | spread | {"ratios": list(ratios)} | about


def missing(row: Row, reason: str) -> Entry:
    """The entry of a row that cannot be measured here."""
    return asdict(row) | {"missing": reason}


def is_missed(entry: Entry) -> bool:
    """Whether the entry has a bar and does not reach it."""
    return "median" in entry and entry["bar"] is not None and entry["median"] < entry["bar"]


def merged(old: Iterable[Entry], new: Iterable[Entry]) -> list[Entry]:
    """New entries replace old ones; what could not be measured now keeps its figures."""
    found = {_key(entry): entry for entry in old}
    for entry in new:
        if "median" in entry or "median" not in found.get(_key(entry), {}):
            found[_key(entry)] = entry
    return [found[key] for key in sorted(found)]


def update(folder: Path, new: Iterable[Entry]) -> None:
    """Bring both files of a folder up to date."""
    path = folder / "benchmarks.json"
    entries = merged(json.loads(path.read_text()) if path.exists() else [], new)
    write_atomic(path, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
    write_atomic(folder / "benchmarks.md", markdown(entries))


def markdown(entries: Sequence[Entry]) -> str:
    """The whole of benchmarks.md."""
    parts = [HEAD]
    for where, title in SECTIONS.items():
        if lines := [_line(entry) for entry in entries if entry["where"] == where]:
            parts += [f"## {title}", table(lines)]
    if missed := [_why(entry) for entry in entries if is_missed(entry)]:
        parts += ["## Bars that are not reached", "\n".join(missed)]
    return "\n\n".join(parts) + "\n"


def ratio(entry: Entry) -> str:
    """The median ratio with its range."""
    low, middle, high = (
        number(entry[end], 2 if entry["median"] < 10 else 1) for end in ("min", "median", "max")
    )
    return f"{middle} ({low}–{high})"


def _line(entry: Entry) -> dict[str, str]:
    bar = "–" if entry["bar"] is None else f"{entry['bar']:g}"
    line = {"What": entry["what"], "Ours": entry["ours"], "Peer": entry["peer"]}
    if "missing" in entry:
        return line | {"Ratio": f"not measured yet: {entry['missing']}", "Bar": bar}
    threads = f"{entry['threads']} threads, " if entry["threads"] else ""
    return line | {
        "Ratio": ratio(entry),
        "Bar": f"{bar}, missed" if is_missed(entry) else bar,
        "Of the limit": f"{entry['fraction']:.2f} of {entry['limit']}"
        if entry.get("limit")
        else "–",
        "Ours, images/s": number(entry.get("images_per_second"), 0),
        "n": str(entry["n"]),
        "Machine": f"{entry['hardware']}, {threads}torch {entry['torch']}",
        "Date": entry["date"],
    }


def _why(entry: Entry) -> str:
    words = [
        (
            f"- **{entry['what']}** against {entry['peer']}: {ratio(entry)} where {entry['bar']:g} "
            "is wanted."
        )
    ]
    words += [f"Time goes to {entry['bound']}."] if entry.get("bound") else []
    return " ".join([*words, entry["tried"]]).rstrip()
