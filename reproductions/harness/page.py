"""The page that people read: judged rows to Markdown. Formats numbers itself, so that nothing is rounded behind our back."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

import pandas as pd
from scipy import stats

from reproductions.harness.claim import Claim, Exact, SpeedUp, at_scale
from reproductions.harness.judge import Judged, Tuned, best_rate, epochs_of, sweep_table
from reproductions.harness.record import Stored

HEAD = "<!-- Generated from the records by `nox -s report`; this page is never edited. -->"
METHOD = """\
- The unit of replication is a whole training run with its own seed (weights and image order). Epochs and images are not.
- Speed-ups are judged on log(epochs), with Welch's t interval over seeds; the rule, its words and its thresholds stand in
  `reproductions/harness/verdict.py` and are fixed before the runs. n must equal what was planned, no more and no less.
- The paper's number is one run per arm; `compatible` says that such a pair could have drawn it.
- A run that never reaches the target within its budget is censored: it counts as later than all that did, and the ratio
  becomes a bound. No run is dropped.
- Records made from other data, by other code or on other hardware form rows of their own and are never pooled. A record made by
  code or with a recipe that has changed since is `stale`, one made under another declaration of its claim is `exploratory`.
- `confirmed` takes the claim's own data, verified by checksum, at its own scale; elsewhere the strongest word is `consistent`.
- sd is the standard deviation over seeds; [low, high] is a 95 % confidence interval of the mean or ratio, never of one run."""


def only_standin(stored: Sequence[Stored]) -> bool:
    """Whether there are records and all are of the stand-in images."""
    return bool(stored) and all(item.record.scale == "smoke" for item in stored)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table; every cell is text already, so that nothing is formatted behind our back."""
    if not rows:
        return "(none)"
    frame = pd.DataFrame([{k: str(v).replace("|", "\\|").replace("\n", " ") for k, v in row.items()} for row in rows])
    return str(frame.to_markdown(index=False, disable_numparse=True))


def number(value: float | None, digits: int = 2) -> str:
    """A number for people: thousands separated, `digits` after the point; "–" where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def count(value: float | None) -> str:
    """A count, or a share with three digits after the point."""
    return number(value, 0 if value is None or float(value).is_integer() else 3)


def measured(row: Judged) -> str:
    """The measured number of a row with its 95 % interval."""
    if isinstance(row.question, Exact):
        unit = " %" if row.question.unit == "percent" else ""
        return count(row.measured) + unit if row.members else "–"
    v = row.verdict
    if v.ratio is None:
        return "–"
    if v.low is not None and v.high is not None:
        return f"{v.ratio:.2f}× [{v.low:.2f}, {v.high:.2f}]"
    return f"{v.magnitude} {v.ratio:.2f}× (no interval)"


def paper(row: Judged) -> str:
    """The paper's number of a row."""
    question = row.question
    if isinstance(question, SpeedUp):
        return f"{question.paper:g}×"
    unit = " %" if question.unit == "percent" else ""
    return ("≤ " if question.at_most else "") + count(question.paper) + unit


def _verdict_row(row: Judged) -> dict[str, str]:
    word = f"**{row.verdict.word}**" if not getattr(row.question, "sensitivity", False) else f"{row.verdict.word} (sensitivity)"
    return {
        "Claim": f"`{row.cell}`",
        "§": row.claim.source,
        "What is asked": row.question.text,
        "Paper": paper(row),
        "2012 log": count(row.question.log) if isinstance(row.question, Exact) and row.question.log is not None else "–",
        "Scale": row.scale,
        "Data": row.data,
        "n of planned": f"{row.n} of {row.planned}",
        "Measured [95 %]": measured(row),
        "Verdict": word,
        "Evidence": f"[page](#{row.claim.name}), {len(row.members)} records",
    }


def verdict_table(rows: Sequence[Judged]) -> str:
    """The first table of the report."""
    return _table([_verdict_row(row) for row in rows])


def short_table(rows: Sequence[Judged]) -> str:
    """The verdicts as the README shows them."""
    return _table(
        [
            {
                "Claim": row.question.text,
                "§": row.claim.source,
                "Paper": paper(row),
                "Measured [95 %]": measured(row),
                "n": f"{row.n} of {row.planned}",
                "Data": row.data.split(" ")[0].rstrip(",") if row.members else "–",
                "Verdict": row.verdict.word + (" (sensitivity)" if getattr(row.question, "sensitivity", False) else ""),
            }
            for row in rows
        ]
    )


def page(claims: dict[str, Claim], rows: list[Judged], stored: list[Stored], broken: list[str], names: dict[int, str]) -> str:
    """The whole of report.md. `names` are the pictures of rows by the row's `id()`."""
    parts = [HEAD, "# AlexNet (2012): do the claims hold?"]
    if only_standin(stored):
        parts.append(
            "**Everything below comes from the built-in stand-in images. It proves that the code runs and is no evidence for "
            "or against any claim.**"
        )
    parts += [_summary(rows, stored), "## Verdicts", verdict_table(rows)]
    shown = [claim for claim in claims.values() if any(row.claim is claim for row in rows)]
    parts += [_claim_page(claim, [row for row in rows if row.claim is claim], names) for claim in shown]
    parts += ["## Failures and negative results", _failures(rows, stored, broken)]
    parts += ["## Cost", _cost(stored), "## Provenance", _provenance(stored)]
    parts += ["## Reproduce any row", _commands(rows), "## Method", METHOD]
    return "\n\n".join(parts) + "\n"


def _summary(rows: Sequence[Judged], stored: Sequence[Stored]) -> str:
    words: dict[str, int] = {}
    for row in rows:
        words[row.verdict.word] = words.get(row.verdict.word, 0) + 1
    counts = ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
    hours = sum(item.record.cost.wall_seconds for item in stored) / 3600
    return f"{len(stored)} records, {hours:.2f} hours of runs; questions: {counts}."


def _claim_page(claim: Claim, rows: Sequence[Judged], names: dict[int, str]) -> str:
    parts = [f"## {claim.name}", f"**{claim.statement}**"]
    prose = [block for block in claim.protocol.split("\n\n") if block and not block.startswith("    ")]
    parts += [" ".join(block.split()) for block in prose]
    for row in rows:
        if isinstance(row.question, SpeedUp):
            parts += _speedup_section(row, names.get(id(row)))
    notes = [
        f"- `{row.cell}` is {row.verdict.word}: {row.question.note}"
        for row in rows
        if isinstance(row.question, Exact) and row.question.note and row.verdict.word == "refuted"
    ]
    if notes:
        parts += ["### Where it fails", "\n".join(notes)]
    if claim.deviations:
        parts += ["### Differences from the paper", "\n".join(f"- {line}" for line in claim.deviations)]
    return "\n\n".join(parts)


def _speedup_section(row: Judged, picture: str | None) -> list[str]:
    assert isinstance(row.question, SpeedUp)
    question, v = at_scale(row.question, row.claim.scales[row.scale]), row.verdict
    kind = "Sensitivity" if question.sensitivity else "Verdict"
    parts = [f"### {kind}: {question.text} ({row.scale}; {row.data}; {row.hardware})"]
    parts.append(
        f"Rule: {row.planned} seeds per arm; the paper's ratio is {question.paper:g}×, the smallest worth having "
        f"{question.worthwhile:g}×; a run that has not reached {question.target:g} % in {question.fast.recipe.epochs} epochs is "
        "censored."
    )
    line = f"**{v.word}** — {measured(row)}. {v.reason[:1].upper()}{v.reason[1:]}."
    if v.prediction:
        low, high = v.prediction
        line += f" One more run per arm would give a ratio in [{low:.2f}, {high:.2f}] (95 % prediction interval)."
    parts.append(line)
    if picture:
        parts.append(f"![{question.text}]({picture})")
    if row.members:
        parts += [_table([_arm_row(row, variant.name) for variant in question.variants]), _table(_seed_rows(row))]
    if row.sweep:
        parts += [f"#### Learning rates of {question.name}", *_sweep_section(row)]
    if row.extra:
        parts.append("Shown, not counted (repeats, seeds outside the plan, stale or exploratory): " + _paths(row.extra))
    return parts


def _arm_row(row: Judged, variant: str) -> dict[str, str]:
    items = row.arm(variant)
    epochs = [e for e in epochs_of(items) if e is not None]
    errors = [m.value for item in items if (m := item.record.metrics.get("test_error")) and m.value is not None]
    speed = [item.record.cost.images_per_second for item in items if item.record.cost.images_per_second]
    diverged = sum(item.record.status == "diverged" for item in items)
    return {
        "Arm": variant,
        "rate": f"{items[0].record.recipe['learning_rate']:g}" if items else "–",
        "n": str(len(items)),
        "epochs to target, mean [95 %]": interval(epochs),
        "sd": number(statistics.stdev(epochs)) if len(epochs) > 1 else "–",
        "min–max": f"{min(epochs):.2f}–{max(epochs):.2f}" if epochs else "–",
        "censored": str(len(items) - len(epochs) - diverged),
        "diverged": str(diverged),
        "test error at the end (%)": interval(errors),
        "images/s (median)": number(statistics.median(speed), 0) if speed else "–",
    }


def interval(values: Sequence[float]) -> str:
    """Mean with its 95 % t interval; without an interval for a single value."""
    if not values:
        return "–"
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.2f}"
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:.2f} [{mean - half:.2f}, {mean + half:.2f}]"


def _seed_rows(row: Judged) -> list[dict[str, str]]:
    return [
        {
            "Arm": item.record.variant,
            "seed": str(item.record.seed),
            "status": item.record.status,
            "epochs to target": number(item.record.metrics["epochs_to_target"].value),
            "test error (%)": number(m.value) if (m := item.record.metrics.get("test_error")) else "–",
            "minutes": f"{item.record.cost.wall_seconds / 60:.1f}",
            "attempts": str(item.record.cost.attempts),
            "record": f"`{path_of(item)}`",
        }
        for item in row.members
    ]


def _sweep_section(row: Judged) -> list[str]:
    question = row.question
    assert isinstance(question, SpeedUp)
    sweep, table = at_scale(question, row.claim.scales[row.scale]).sweep, sweep_table(row)
    rows, lines = [], []
    for variant in question.variants:
        rates, used = table[variant.name], variant.recipe.learning_rate
        best = best_rate(rates)
        cells = {f"{rate:g}": ", ".join(_tuned(run) for run in rates.get(rate, [])) or "–" for rate in sweep.rates}
        rows.append({"Arm": variant.name, **cells, "best": "–" if best is None else f"{best:g}", "used": f"{used:g}"})
        if best is not None and best != used:
            lines.append(f"- The rate used for {variant.name}, {used:g}, is not this sweep's best, {best:g}.")
        if best in (sweep.rates[0], sweep.rates[-1]):
            lines.append(f"- The best rate of {variant.name}, {best:g}, lies on the edge of the grid: a better one may lie beyond.")
    made, asked = sum(len(runs) for rates in table.values() for runs in rates.values()), 2 * len(sweep.rates) * len(sweep.seeds)
    if made < asked:
        lines.append(
            f"- {asked - made} of {asked} tuning runs are still to be made; the rates used were chosen from those that are."
        )
    head = (
        f"Epochs to {question.target:g} %, or the training error after {sweep.epochs} epochs where that came first; tuning seed "
        f"{', '.join(map(str, sweep.seeds))}, which never enters the verdict:"
    )
    return [head, _table(rows), *(["\n".join(lines)] if lines else [])]


def _tuned(run: Tuned) -> str:
    if run.epochs is not None:
        return f"{run.epochs:.2f} epochs"
    return "diverged" if math.isinf(run.error) else f"{run.error:.1f} %"


def _failures(rows: Sequence[Judged], stored: Sequence[Stored], broken: Sequence[str]) -> str:
    negative = ("refuted", "reversed", "not supported", "direction only", "inconclusive", "stale", "exploratory")
    lines = [
        f"`{row.cell}` ({row.scale}): {row.verdict.word}; {row.verdict.reason}" for row in rows if row.verdict.word in negative
    ]
    unfinished = [item for item in stored if item.record.status != "ok"]
    lines += [
        f"{item.record.status}: `{path_of(item)}`{': ' + item.record.failure if item.record.failure else ''}"
        for item in unfinished
        if item.record.role != "tune" or item.record.status == "failed"
    ]
    tuning = [item.record.status for item in unfinished if item.record.role == "tune"]
    lines += [
        f"{tuning.count(word)} tuning runs {word}: see the tables of learning rates" for word in sorted(set(tuning) - {"failed"})
    ]
    return "\n".join(f"- {line}" for line in [*lines, *broken]) or "(none)"


def _cost(stored: Sequence[Stored]) -> str:
    groups: dict[tuple[str, str, str, str], list[Stored]] = {}
    for item in stored:
        record = item.record
        if record.role != "inspect":
            groups.setdefault(
                (record.claim, record.role, record.scale, f"{record.machine.hardware}, {record.machine.threads} threads"), []
            ).append(item)
    return _table([
        {
            "Claim": claim,
            "runs for": role,
            "scale": scale,
            "machine": machine,
            "runs": str(len(items)),
            "hours": f"{sum(i.record.cost.wall_seconds for i in items) / 3600:.2f}",
            "images/s (median)": number(statistics.median(i.record.cost.images_per_second or 0 for i in items), 0),
            "peak memory (GB)": f"{max(i.record.cost.peak_memory_bytes or 0 for i in items) / 1e9:.2f}",
        }
        for (claim, role, scale, machine), items in sorted(groups.items())
    ])  # fmt: skip


def _provenance(stored: Sequence[Stored]) -> str:
    groups: dict[tuple[str, ...], int] = {}
    for item in stored:
        r = item.record
        commit = f"{(r.code.commit or 'no git')[:10]}{', changed since' if r.code.dirty else ''}"
        data = f"{r.data.name} {r.data.fingerprint} ({r.data.source})" if r.data else "–"
        versions = ", ".join(f"{name} {version}" for name, version in r.machine.versions.items())
        key = (r.code.hash, commit, data, f"{r.machine.hardware}, {r.machine.precision}", versions)
        groups[key] = groups.get(key, 0) + 1
    names = ("code", "commit", "data", "machine", "versions")
    return _table([{"records": str(count), **dict(zip(names, key, strict=True))} for key, count in sorted(groups.items())])


def _commands(rows: Sequence[Judged]) -> str:
    table: list[dict[str, str]] = []
    for row in {(row.cell, row.scale): row for row in rows}.values():
        scale = " --scale smoke" if row.scale == "smoke" else ""
        where = " --results results/smoke" if row.scale == "smoke" else ""
        command, explain = f"`nox -s reproduce -- {row.claim.name}{scale}`", f"`python -m reproductions explain {row.cell}{where}`"
        table.append({"Row": f"`{row.cell}` ({row.scale})", "Run it": command, "See its records": explain})
    return _table(table)


def path_of(item: Stored) -> str:
    """A record's folder below the results folder."""
    return "/".join(item.folder.parts[-4:])


def _paths(items: Sequence[Stored]) -> str:
    return ", ".join(f"`{path_of(item)}`" for item in items)
