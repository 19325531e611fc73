"""The page on the runs: what failed, what they cost, what they were made with."""

import statistics
from collections.abc import Sequence

from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.records.store import Stored
from reproductions.harness.report.format import bullets, path_of, table, whole_page
from reproductions.harness.report.order import in_paper_order
from reproductions.harness.report.words import plain_word
from reproductions.harness.rule.text import number

NEGATIVE = (
    "does not hold",
    "opposite direction",
    "no effect",
    "different size",
    "undecided",
    "too short to tell",
)


def runs_page(rows: Sequence[VerdictRow], stored: Sequence[Stored], broken: Sequence[str]) -> str:
    """The whole of runs.md."""
    hours = sum(item.record.cost.wall_seconds for item in stored) / 3600
    parts = [
        f"{len(stored)} records, {hours:.2f} hours of runs. `runs.csv` has them one by one.",
        *("## Left out", bullets(broken)) * bool(broken),
        "## Failures and negative results",
        bullets([*_negative(rows), *_unfinished(stored)]),
        *("## Cost", _cost(stored), "## Provenance", _provenance(stored)),
        *("## Commands", "Each page under `claims/` has those of its claim.", _commands(rows)),
        "[All verdicts](report.md)",
    ]
    return whole_page("Runs: failures, cost, provenance, commands", parts)


def _negative(rows: Sequence[VerdictRow]) -> list[str]:
    """The rows without the claimed result, together where word, scale and reason are the same."""
    found: dict[str, list[str]] = {}
    for row in in_paper_order(rows):
        if row.verdict.word in NEGATIVE:
            why = f"{plain_word(row)} ({row.scale}; {row.verdict.reason})"
            found.setdefault(why, []).append(f"`{row.cell}`")
    return [f"{why}: {', '.join(cells)}" for why, cells in found.items()]


def _unfinished(stored: Sequence[Stored]) -> list[str]:
    """Runs that failed, diverged or missed their target; of a sweep only their number."""
    unfinished = [item for item in stored if item.record.status != "ok"]
    lines = [
        f"{item.record.status}: "
        f"`{path_of(item)}`{': ' + item.record.failure if item.record.failure else ''}"
        for item in unfinished
        if item.record.purpose != "sweep" or item.record.status == "failed"
    ]
    tuning = [item.record.status for item in unfinished if item.record.purpose == "sweep"]
    return lines + [
        f"{tuning.count(word)} tuning runs {word}: see the tables of learning rates"
        for word in sorted(set(tuning) - {"failed"})
    ]


def _cost(stored: Sequence[Stored]) -> str:
    groups: dict[tuple[str, str, str, str], list[Stored]] = {}
    for item in stored:
        record = item.record
        if record.kind != "count":
            groups.setdefault(
                (
                    record.claim,
                    record.purpose if record.kind == "train" else record.kind,
                    record.scale,
                    f"{record.machine.hardware}, {record.machine.threads} threads",
                ),
                [],
            ).append(item)
    return table(
        [
            {
                "Claim": claim,
                "runs for": purpose,
                "scale": scale,
                "machine": machine,
                "runs": str(len(items)),
                "hours": f"{sum(i.record.cost.wall_seconds for i in items) / 3600:.2f}",
                "images/s (median)": number(statistics.median(speeds), 0)
                if (speeds := _speeds(items))
                else "–",
                "peak memory (GB)": f"{_peak_memory(items) / 1e9:.2f}",
            }
            for (claim, purpose, scale, machine), items in sorted(groups.items())
        ]
    )


def _peak_memory(items: Sequence[Stored]) -> int:
    """Bytes of the largest of these runs."""
    return max(item.record.cost.peak_memory_bytes or 0 for item in items)


def _speeds(items: Sequence[Stored]) -> list[float]:
    """Images per second of the runs that train."""
    return [
        item.record.cost.images_per_second for item in items if item.record.cost.images_per_second
    ]


def _provenance(stored: Sequence[Stored]) -> str:
    groups: dict[tuple[str, ...], int] = {}
    for item in stored:
        r = item.record
        dirty = " with uncommitted changes" if r.code.dirty else ""
        commit = f"{(r.code.commit or 'no git')[:10]}{dirty}"
        data = f"{r.data.name} {r.data.fingerprint} ({r.data.source})" if r.data else "–"
        versions = ", ".join(f"{name} {version}" for name, version in r.machine.versions.items())
        made = ", ".join(f"{name} {number}" for name, number in r.version.metrics.items())
        made = made if r.version.training is None else f"training {r.version.training}; {made}"
        key = (made, commit, data, f"{r.machine.hardware}, {r.machine.precision}", versions)
        groups[key] = groups.get(key, 0) + 1
    names = ("version", "commit", "data", "machine", "versions")
    return table(
        [
            {"records": str(count), **dict(zip(names, key, strict=True))}
            for key, count in sorted(groups.items())
        ]
    )


def _commands(rows: Sequence[VerdictRow]) -> str:
    """A claim's command for each scale in the report."""
    lines = [
        f"nox -s reproduce -- {row.claim.name}"
        + f" --scale {row.scale}" * (len(row.claim.scales) > 1)
        for row in in_paper_order(rows)
    ]
    code = "\n".join(dict.fromkeys(lines))
    return f"```bash\n{code}\n```"
