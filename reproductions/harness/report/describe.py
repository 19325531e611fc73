"""Claims and numbers in words: `show`, `explain` and `compare`."""

import dataclasses
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from reproductions.harness.claims.claim import (
    Claim,
    Difference,
    Exact,
    SpeedUp,
    Sweep,
    Trained,
    Value,
    as_data,
    at_scale,
    planned_runs,
)
from reproductions.harness.claims.variant import Arm, Ensemble, Variant
from reproductions.harness.judge.rows import VerdictRow, epochs_of, judge, values_of
from reproductions.harness.judge.student_t import t_quantile
from reproductions.harness.judge.verdict import estimate, welch
from reproductions.harness.plan.counted import not_deciding
from reproductions.harness.records import provenance
from reproductions.harness.records.store import Stored
from reproductions.harness.report.format import interval, paper, path_of

FORMULAS = {
    Difference: "formula: mean of the higher arm − mean of the lower arm, Welch's t interval over "
    "seeds (of one arm: run by run)",
    Value: "formula: mean over seeds with its t interval, against the prediction interval of "
    "one more run",
}


def describe(claim: Claim) -> str:
    """A claim's statement, protocol, questions, variants, scales and differences from the paper."""
    lines, told = (
        [
            f"{claim.name} ({claim.source})",
            claim.statement,
            "",
            f"  nox -s reproduce -- {claim.name}",
            f"  python -m reproductions run {claim.name}    # the same without nox",
            "",
            claim.protocol,
        ],
        set[str](),
    )
    for question in claim.questions:
        lines += ["", f"{question.name}: {question.text}"]
        if isinstance(question, Exact):
            bound = "at most " if question.at_most else ""
            lines.append(
                f"  paper: {bound}{question.paper:,g}, tolerance {100 * question.tolerance:g} %"
            )
        elif isinstance(question, SpeedUp) and question.sweep:
            lines += _describe_speedup(question, question.sweep)
        else:
            lines += _describe_trained(at_scale(claim, question, next(iter(claim.scales))), told)
    used = {
        name: " after ".join(scale.datasets) or "no images" for name, scale in claim.scales.items()
    }
    lines += ["", "scales: " + ", ".join(f"{name} ({datasets})" for name, datasets in used.items())]
    lines += [f"differs from the paper: {line}" for line in claim.deviations]
    return "\n".join(lines)


def _describe_trained(question: Trained, told: set[str]) -> list[str]:
    first, last = question.variants[0], question.variants[-1]
    lines = [
        (
            f"  paper: {'a direction alone' if question.paper is None else f'{question.paper:g}'}; "
            f"seeds: {_list(question.seeds)}"
        )
    ]
    if not isinstance(question, Value):
        lines[0] += f"; the smallest effect of interest: {question.min_effect:g}"
    if isinstance(question, SpeedUp):
        lines.append(
            f"  target: {question.target:g} % running training error at scale paper; the report "
            "names the others"
        )
    else:
        lines.append(f"  metric: {' and '.join(metrics_of(question))}")
    lines += _describe_arm(first, told)
    if isinstance(first, Variant) and isinstance(last, Variant) and first != last:
        lines.append(f"  {last.name} differs in: {'; '.join(variant_differences(first, last))}")
    elif first != last:
        lines += _describe_arm(last, told)
    return lines


def _describe_arm(arm: Arm, told: set[str]) -> list[str]:
    """A network, its recipe and parents, or the networks averaged; repeated parts by name."""
    if arm.name in told:
        return [f"  {arm.name}: as above"]
    told.add(arm.name)
    if isinstance(arm, Ensemble):
        averaged = " and ".join(f"{nets} of {variant.name}" for variant, nets in arm.members)
        return [
            f"  {arm.name}: the average of {averaged}",
            *(line for v, _ in arm.members for line in _describe_arm(v, told)),
        ]
    lines = [f"  {arm.name}: {as_data(arm.config)}", f"  recipe: {as_data(arm.recipe)}"]
    if arm.pretrained:
        before = dataclasses.replace(
            arm.pretrained,
            name=f"{arm.pretrained.name} of the same seed, whose weights it starts from",
        )
        lines += _describe_arm(before, told)
    return lines


def metrics_of(question: Trained) -> tuple[str, ...]:
    """The metrics of a record that a question asks for."""
    if isinstance(question, SpeedUp):
        return ("epochs_to_target",)
    return tuple(dict.fromkeys(question.metrics))


def _describe_speedup(question: SpeedUp, sweep: Sweep) -> list[str]:
    rates = ", ".join(f"{rate:g}" for rate in sweep.rates)
    return [
        f"  paper: {question.paper:g}×; the smallest of interest: {question.min_effect:g}×",
        (
            f"  target: {question.target:g} % training error within {question.fast.recipe.epochs} "
            "epochs"
        ),
        f"  seeds: {_list(question.seeds)}",
        f"  rates tried: {rates} on seed {_list(sweep.seeds)}, {sweep.epochs} epochs",
        f"  {question.fast.name}: {as_data(question.fast.config)}",
        f"  recipe: {as_data(question.fast.recipe)}",
        (
            f"  {question.slow.name} differs in: "
            f"{'; '.join(variant_differences(question.fast, question.slow))}"
        ),
    ]


def _list(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


def variant_differences(first: Variant, second: Variant) -> list[str]:
    """The fields in which two variants differ, as "config.activation: 'relu' → 'tanh'"."""
    lines = []
    for part in ("config", "recipe"):
        old, new = getattr(first, part), getattr(second, part)
        lines += [
            f"{part}.{f.name}: {getattr(old, f.name)!r} → {getattr(new, f.name)!r}"
            for f in dataclasses.fields(old)
            if getattr(old, f.name) != getattr(new, f.name)
        ]
    starts = [variant.pretrained and variant.pretrained.name for variant in (first, second)]
    return lines + ([f"pretrained: {starts[0]} → {starts[1]}"] if starts[0] != starts[1] else [])


def _numbers(row: VerdictRow, item: Stored) -> dict[str, str]:
    """What one record adds to a row, in words by metric."""
    if isinstance(row.question, SpeedUp):
        (epochs,) = epochs_of([item], row.target)
        return {"epochs": "not reached" if epochs is None else f"{epochs:.4f}"}
    names = (row.question.name,) if isinstance(row.question, Exact) else metrics_of(row.question)
    return {
        name: ", ".join(f"{value:,.4f}" for value in values_of([item], name)) or "none"
        for name in names
    }


def unlike_today(row: VerdictRow, item: Stored) -> list[str]:
    """Informational fields in which a counted record differs from a run made here today."""
    run = next(
        (run for run in planned_runs(row.claim, row.scale) if run.key == item.record.key), None
    )
    return not_deciding(item.record, run, provenance.here()) if run else []


def explain_data(claim: Claim, name: str, stored: Sequence[Stored]) -> list[dict[str, Any]]:
    """What `explain_cell` says, as data: one entry for each row of the question."""
    return [_row_data(row) for row in judge(claim, stored) if row.question.name == name]


def _row_data(row: VerdictRow) -> dict[str, Any]:
    v = row.verdict
    return {
        "cell": row.cell,
        "scale": row.scale,
        "data": row.data,
        "verdict": v.word,
        "reason": v.reason,
        "effect": v.effect,
        "low": v.low,
        "high": v.high,
        "n": row.n,
        "planned": row.planned,
        "kinds": row.kinds_as_data,
        "records": [
            {
                "record": path_of(item),
                "variant": item.record.variant,
                "seed": item.record.seed,
                "values": _numbers(row, item),
                "version": item.record.version.model_dump(),
                "commit": item.record.code.commit,
                "uncommitted": item.record.code.dirty,
                "hardware": item.record.kind[0],
                "precision": item.record.kind[1],
                "differs": unlike_today(row, item),
            }
            for item in row.members
        ],
        "not counted": [path_of(item) for item in row.extra],
    }


def explain_cell(claim: Claim, name: str, stored: Sequence[Stored]) -> str:
    """Formula, values, records and provenance of every row of one question."""
    rows = [row for row in judge(claim, stored) if row.question.name == name]
    return "\n\n".join("\n".join(_explain_row(row)) for row in rows)


def _explain_row(row: VerdictRow) -> list[str]:
    v = row.verdict
    lines = [
        f"{row.cell} at scale {row.scale}: {v.word} ({v.reason})",
        f"data: {row.data}; hardware: {row.hardware}; n {row.n} of {row.planned}",
    ]
    if isinstance(row.question, SpeedUp):
        lines.append(
            "formula: exp(mean log epochs of the slow arm − mean log epochs of the fast arm), "
            "Welch's t interval over seeds"
        )
    elif isinstance(row.question, Exact):
        lines.append(f"formula: a count; measured {row.measured}, paper {row.question.paper:,g}")
    else:
        lines.append(FORMULAS[type(row.question)])
    if v.effect is not None and v.low is not None and v.high is not None:
        lines.append(
            f"effect {v.effect:.4f}, 95 % interval [{v.low:.4f}, {v.high:.4f}]; paper {paper(row)}"
        )
    for item in row.members:
        r = item.record
        value = ", ".join(f"{name} {number}" for name, number in _numbers(row, item).items())
        dirty = " with uncommitted changes" if r.code.dirty else ""
        commit = f"commit {(r.code.commit or 'none')[:10]}{dirty}"
        made = f"training version {r.version.training}, " if r.version.training else ""
        lines.append(
            f"  {r.variant} seed {r.seed}: {value}; {made}{commit}; {', '.join(r.kind)}; "
            f"{path_of(item)}"
        )
        lines += [f"    made from records/{part.record}" for part in r.made_from]
    unlike = Counter(line for item in row.members for line in unlike_today(row, item))
    lines += [
        f"  differs from a run made here today (informational): {line} ({n} records)"
        for line, n in unlike.items()
    ]
    lines += [f"  not counted: {path_of(item)}" for item in row.extra]
    return lines


def compare_sets(
    claims: Sequence[Claim], ours: Sequence[Stored], theirs: Sequence[Stored]
) -> list[dict[str, Any]]:
    """By arm, two sets' epochs to the target, their ratio with a 95 % interval, and differences.

    Of each question the row with the most records is taken, also where the code has changed since.
    """
    rows = []
    for claim in claims:
        sides = [_largest(judge(claim, stored)) for stored in (ours, theirs)]
        rows += [
            row
            for key in sides[0].keys() & sides[1].keys()
            for row in _compare_rows(sides[0][key], sides[1][key])
        ]
    return sorted(rows, key=lambda row: (row["cell"], row["scale"], row["arm"]))


def _made(row: VerdictRow) -> list[Stored]:
    """The runs of a row that were made for the verdict, counted or not."""
    return [
        *row.members,
        *(item for item in row.extra if item.record.role != "tune" and not item.repeat),
    ]


def _largest(rows: Sequence[VerdictRow]) -> dict[tuple[str, str], VerdictRow]:
    best: dict[tuple[str, str], VerdictRow] = {}
    for row in rows:
        key = (row.cell, row.scale)
        if _made(row) and (key not in best or len(_made(row)) > len(_made(best[key]))):
            best[key] = row
    return best


def _compare_rows(a: VerdictRow, b: VerdictRow) -> list[dict[str, Any]]:
    differs = "; ".join(provenance_differences(_made(a)[0], _made(b)[0])) or "nothing recorded"
    verdicts = f"{a.verdict.word} / {b.verdict.word}"

    def row(arm: str, ours: Any, theirs: Any, ratio: str) -> dict[str, Any]:
        names = {"cell": a.cell, "scale": a.scale, "arm": arm, "ours": ours, "theirs": theirs}
        return {**names, "theirs / ours [95 %]": ratio, "verdicts": verdicts, "differs in": differs}

    if not isinstance(a.question, SpeedUp | Exact):
        return [row(*cells) for cells in _compare_metrics(a, b)]
    if isinstance(a.question, Exact):
        ours, theirs = (_made(side)[0].record.metrics[a.question.name].value for side in (a, b))
        return [row("", ours, theirs, "equal" if ours == theirs else "different")]
    rows = []
    for variant in a.question.variants:
        arms = [
            [
                e
                for e in epochs_of(
                    [item for item in _made(side) if item.record.variant == variant.name],
                    side.target,
                )
                if e is not None
            ]
            for side in (a, b)
        ]
        cells = [
            f"{statistics.fmean(arm):.2f} epochs (n={len(arm)})" if arm else "–" for arm in arms
        ]
        rows.append(row(variant.name, cells[0], cells[1], _ratio(*arms)))
    return rows


def _compare_metrics(a: VerdictRow, b: VerdictRow) -> list[tuple[str, str, str, str]]:
    """Arm and metric, both means, and the difference with its interval."""
    assert isinstance(a.question, Difference | Value)
    lines = []
    for variant in a.question.variants:
        for name in metrics_of(a.question):
            arms = [
                values_of(
                    [item for item in _made(side) if item.record.variant == variant.name], name
                )
                for side in (a, b)
            ]
            cells = [f"{interval(arm)} (n={len(arm)})" for arm in arms]
            enough = min(map(len, arms)) > 1
            low, high = estimate(*arms).interval() if enough else (0.0, 0.0)
            apart = (
                f"apart by [{low:.2f}, {high:.2f}]" if enough else "too few seeds for an interval"
            )
            lines.append((f"{variant.name} {name}", cells[0], cells[1], apart))
    return lines


def _ratio(ours: list[float], theirs: list[float]) -> str:
    if not ours or not theirs:
        return "–"
    if len(ours) < 2 or len(theirs) < 2:
        return (
            f"{statistics.fmean(theirs) / statistics.fmean(ours):.2f} (too few seeds for an "
            "interval)"
        )
    effect, error, df = welch([math.log(e) for e in ours], [math.log(e) for e in theirs])
    half = t_quantile(0.975, df) * error
    return f"{math.exp(effect):.2f} [{math.exp(effect - half):.2f}, {math.exp(effect + half):.2f}]"


def provenance_differences(a: Stored, b: Stored) -> list[str]:
    """What two records do not share of data, code, machine and versions."""
    x, y = a.record, b.record
    pairs = {
        "data": (
            x.data and f"{x.data.name} {x.data.fingerprint}",
            y.data and f"{y.data.name} {y.data.fingerprint}",
        ),
        "version": (x.version.model_dump(), y.version.model_dump()),
        "hardware": (x.machine.hardware, y.machine.hardware),
        "threads": (x.machine.threads, y.machine.threads),
        "precision": (x.machine.precision, y.machine.precision),
        **{
            name: (x.machine.versions.get(name), y.machine.versions.get(name))
            for name in x.machine.versions
        },
    }
    return [f"{name}: {old} → {new}" for name, (old, new) in pairs.items() if old != new]
