"""The page that people read: judged rows to Markdown."""

import statistics
from collections.abc import Sequence

from reproductions.harness.claims.claim import Claim
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.records.store import Stored
from reproductions.harness.report.discrepancies import summary
from reproductions.harness.report.format import path_of, table
from reproductions.harness.report.question_section import section
from reproductions.harness.report.statements import ledger_table
from reproductions.harness.rule.text import number

HEAD = "<!-- Generated from the records by `nox -s report`; this page is never edited. -->"
LEDGER = (
    "Every quantitative statement of the paper, with the rows above that decide it, or why none "
    "does. Numbers of other people are quoted, not judged."
)
DISCREPANCIES = (
    "The paper's text and the code that printed its numbers differ in {}. "
    "[`discrepancies.csv`](discrepancies.csv) has each with its section, the file of 2012 and "
    "what this suite does. They are compared, not judged, and no count above has them."
)
SHORT = {  # the rows of the README in the paper's order, and what it calls them
    "fig1_relu.speedup": "epochs to 25 % training error: tanh / ReLU",
    "two_gpu_gain.top1": "top-1 improvement from two columns",
    "lrn_gain.top1": "top-1 improvement from response normalisation",
    "overlap_gain.top1": "top-1 improvement from overlapping pooling",
    "color_noise_gain.top1": "top-1 improvement from colour noise",
    "dropout.iterations": "epochs to the same training error: with / without dropout",
    "fig3_kernels.colour": "colour gap between the columns' kernels, minus that of random halves",
    "depth.conv4": "top-1 loss without conv4",
}
METHOD = """\
- The unit of replication is a whole training run with its own seed (weights and image order).
  Epochs and images are not.
- A seed draws the same initial weights and the same order of images in both arms, so differences
  (of ratios: of logarithms) per seed are judged. The rule and its words are in
  `reproductions/harness/rule/verdict.py`, fixed before the runs.
- The interval of a mean error also holds what a finite set of test images adds, counted once.
- A run that never reaches the target within its budget is censored: it enters at its budget, and
  the interval is open on that side. No run is dropped.
- Records made from other data, by another version of the code or with uncommitted changes form rows
  of their own and are never pooled. A record whose recipe or version has changed since is outdated.
  Both arms of a seed are made on one kind of machine and in one precision, the earliest on which
  both exist; seeds of several kinds stand in one row, which names them.
- An AlexNet is trained once for all claims that ask for it, so its record holds the declaration of
  its variant and not that of every claim: that their rules were fixed before the run is seen from
  the commit in the record and the history of the claim file.
- `confirmed` takes the claim's own network, images and schedule; at smaller scales the strongest
  word is `same direction`. "copy" marks images that are not the publisher's own bytes.
- sd is the standard deviation over seeds; [low, high] is a 95 % confidence interval of the mean or
  ratio, never of one run."""


def only_synthetic(stored: Sequence[Stored]) -> bool:
    """Whether there are records and all are of the synthetic images."""
    return bool(stored) and all(item.record.scale == "smoke" for item in stored)


def _verdict_row(row: VerdictRow) -> dict[str, str]:
    word = f"**{row.word}**" if not row.sensitivity else f"{row.word} (sensitivity)"
    return {
        "Claim": f"`{row.cell}`",
        "§": row.claim.section,
        "What is asked": row.question.text,
        "Paper": row.question.paper_text,
        "2012 log": row.question.log_text,
        "Scale": row.scale,
        "Data": row.data,
        "n of planned": f"{row.n} of {row.planned}",
        "Measured [95 %]": row.measured_text,
        "Verdict": word,
        "Evidence": f"[page](#{row.claim.name}), {len(row.members)} records",
    }


def verdict_table(rows: Sequence[VerdictRow]) -> str:
    """The first table of the report."""
    return table([_verdict_row(row) for row in rows])


def short_table(rows: Sequence[VerdictRow]) -> str:
    """The README's table: a trained result per section of the paper, and how many counts hold."""
    lines = []
    for cell, text in SHORT.items():
        mine = sorted(
            (row for row in rows if row.cell == cell), key=lambda row: row.n != row.planned
        )
        lines += [  # of those that are complete the first, which has the most faithful scale
            {
                "§": row.claim.section,
                "Claim": f"[{text}](reproductions/{row.claim.name}.py)",
                "Paper": row.question.paper_text,
                "Measured [95 %]": row.measured_text,
                "n": f"{row.n} of {row.planned}",
                "Scale": row.scale,
                "Verdict": row.word,
            }
            for row in mine[:1]
        ]
    counted = [row.verdict.word for row in rows if row.members and not row.question.trained]
    tally = ", ".join(f"{counted.count(word)} {word}" for word in dict.fromkeys(sorted(counted)))
    return f"{table(lines)}\n\nOf {len(counted)} counts and formulas without training: {tally}."


def page(
    claims: dict[str, Claim],
    rows: list[VerdictRow],
    stored: list[Stored],
    broken: list[str],
    shown: dict[int, str],
) -> str:
    """The whole of report.md.

    `shown` are the pictures of rows, in Markdown, by the row's `id()`.
    """
    parts = [HEAD, "# AlexNet (2012): do the claims hold?"]
    if only_synthetic(stored):
        parts.append(
            "**Everything below comes from the built-in synthetic images. It proves that the code "
            "runs and is no evidence for or against any claim.**"
        )
    parts += [_summary(rows, stored), "## Verdicts", verdict_table(rows)]
    asked = [claim for claim in claims.values() if any(row.claim is claim for row in rows)]
    parts += [
        _claim_page(claim, [row for row in rows if row.claim is claim], shown) for claim in asked
    ]
    parts += ["## The paper's 58 statements", LEDGER, ledger_table(rows)]
    parts += ["## Text against code", DISCREPANCIES.format(summary())]
    parts += ["## Failures and negative results", _failures(rows, stored, broken)]
    parts += ["## Cost", _cost(stored), "## Provenance", _provenance(stored)]
    parts += ["## Reproduce any row", _commands(rows), "## Method", METHOD]
    return "\n\n".join(parts) + "\n"


def _summary(rows: Sequence[VerdictRow], stored: Sequence[Stored]) -> str:
    words: dict[str, int] = {}
    for row in rows:
        words[row.verdict.word] = words.get(row.verdict.word, 0) + 1
    counts = ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
    hours = sum(item.record.cost.wall_seconds for item in stored) / 3600
    return f"{len(stored)} records, {hours:.2f} hours of runs; questions: {counts}."


def _claim_page(claim: Claim, rows: Sequence[VerdictRow], shown: dict[int, str]) -> str:
    parts = [f"## {claim.name}", f"**{claim.statement}**"]
    parts += [" ".join(block.split()) for block in claim.protocol.split("\n\n") if block]
    for row in rows:
        if row.question.trained:
            parts += section(row, shown.get(id(row)))
    notes = [
        f"- `{row.cell}` is {row.verdict.word}: {row.question.note}"
        for row in rows
        if row.verdict.word == "does not hold" and row.question.note
    ]
    if notes:
        parts += ["### Where it fails", "\n".join(notes)]
    if claim.differs:
        parts += [
            "### Differences from the paper",
            "\n".join(f"- {line}" for line in claim.differs),
        ]
    return "\n\n".join(parts)


def _failures(rows: Sequence[VerdictRow], stored: Sequence[Stored], broken: Sequence[str]) -> str:
    negative = (
        "does not hold",
        "opposite direction",
        "no effect",
        "different size",
        "undecided",
        "too short to tell",
    )
    lines = [
        f"`{row.cell}` ({row.scale}): {row.verdict.word}; {row.verdict.reason}"
        for row in rows
        if row.verdict.word in negative
    ]
    unfinished = [item for item in stored if item.record.status != "ok"]
    lines += [
        f"{item.record.status}: "
        f"`{path_of(item)}`{': ' + item.record.failure if item.record.failure else ''}"
        for item in unfinished
        if item.record.purpose != "sweep" or item.record.status == "failed"
    ]
    tuning = [item.record.status for item in unfinished if item.record.purpose == "sweep"]
    lines += [
        f"{tuning.count(word)} tuning runs {word}: see the tables of learning rates"
        for word in sorted(set(tuning) - {"failed"})
    ]
    return "\n".join(f"- {line}" for line in [*lines, *broken]) or "(none)"


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
    lines: list[dict[str, str]] = []
    for row in {(row.cell, row.scale): row for row in rows}.values():
        scale = f" --scale {row.scale}" if len(row.claim.scales) > 1 else ""
        where = " --results results/smoke" if row.scale == "smoke" else ""
        command, explain = (
            f"`nox -s reproduce -- {row.claim.name}{scale}`",
            f"`python -m reproductions explain {row.cell}{where}`",
        )
        lines.append(
            {"Row": f"`{row.cell}` ({row.scale})", "Run it": command, "See its records": explain}
        )
    return table(lines)
