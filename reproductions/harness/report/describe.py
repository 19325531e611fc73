"""A claim in words: what `show` prints."""

import dataclasses
from typing import Any

from reproductions.harness.claims.claim import Claim
from reproductions.harness.claims.question import Question
from reproductions.harness.claims.variant import Arm, Ensemble, Variant


def describe(claim: Claim) -> str:
    """A claim's statement, protocol, questions, variants, scales and differences from the paper."""
    lines = [
        f"{claim.name} ({claim.section})",
        claim.statement,
        "",
        f"  nox -s reproduce -- {claim.name}",
        f"  python -m reproductions run {claim.name}    # the same without nox",
        "",
        claim.protocol,
        *([f"\nexpected: {claim.expected}"] if claim.expected else []),
    ]
    first = next(iter(claim.scales))
    shown = set[str]()
    for question in claim.questions:
        lines += ["", f"{question.name}: {question.text}"]
        lines += _describe_question(question.at(first, claim.scales[first]), shown)
    used = {
        name: " after ".join(scale.datasets) or "no images" for name, scale in claim.scales.items()
    }
    lines += ["", "scales: " + ", ".join(f"{name} ({datasets})" for name, datasets in used.items())]
    lines += [f"differs from the paper: {line}" for line in claim.differs]
    return "\n".join(lines)


def _describe_question(question: Question, shown: set[str]) -> list[str]:
    lines = [f"  rule: {question.rule()}"]
    if sweep := getattr(question, "sweep", None):
        lines.append(f"  rates tried: {sweep}")
    arms = question.arms
    for arm in arms[:1]:
        lines += _describe_arm(arm, shown)
    for arm in arms[1:]:
        if isinstance(arm, Variant) and isinstance(arms[0], Variant):
            lines.append(f"  {arm.name} differs in: {'; '.join(variant_differences(arms[0], arm))}")
        else:
            lines += _describe_arm(arm, shown)
    return lines


def _describe_arm(arm: Arm, shown: set[str]) -> list[str]:
    """A network, its recipe and parents, or the networks averaged; repeated parts by name."""
    if arm.name in shown:
        return [f"  {arm.name}: as above"]
    shown.add(arm.name)
    if isinstance(arm, Ensemble):
        averaged = " and ".join(f"{nets} of {variant.name}" for variant, nets in arm.members)
        return [
            f"  {arm.name}: the average of {averaged}",
            *(line for v, _ in arm.members for line in _describe_arm(v, shown)),
        ]
    lines = [f"  {arm.name}: {_unusual(arm.config)}", f"  recipe: {_unusual(arm.recipe)}"]
    if arm.pretrained:
        name = f"{arm.pretrained.name} of the same seed, whose weights it starts from"
        lines += _describe_arm(dataclasses.replace(arm.pretrained, name=name), shown)
    return lines


def _unusual(part: Any) -> str:
    fields = [
        f"{f.name}={getattr(part, f.name)!r}"
        for f in dataclasses.fields(part)
        if getattr(part, f.name) != f.default
    ]
    return f"{type(part).__name__}({', '.join(fields)})"


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
