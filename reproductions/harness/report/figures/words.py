"""What figures say: titles, names of networks, metrics and images, and the rows of their CSV."""

import math
import textwrap
from collections.abc import Iterable
from typing import Any

from reproductions.harness.claims.question import Question
from reproductions.harness.claims.questions import Difference
from reproductions.harness.judge.rows import VerdictRow
from reproductions.harness.report.figures.figure import short

IMAGES = {
    "cifar10": "CIFAR-10",
    "tiny-imagenet": "Tiny ImageNet",
    "tiny-imagenet-half": "half of Tiny ImageNet",
    "imagenet2010": "ImageNet (ILSVRC-2010)",
    "imagenet2012": "ImageNet (ILSVRC-2012)",
    "fall2009": "ImageNet (Fall 2009)",
    "fall2011": "ImageNet (Fall 2011)",
    "synthetic": "synthetic images",
    "synthetic-half": "half of the synthetic images",
}
# what an axis measures, and what one of several metrics on it is called
METRICS = {
    "top1": ("top-1 error (%)", "central crop"),
    "top5": ("top-5 error (%)", "central crop"),
    "top1_ten": ("top-1 error, ten crops (%)", "ten crops"),
    "top5_ten": ("top-5 error, ten crops (%)", "ten crops"),
    "top1_ten_member": ("top-1 error, ten crops (%)", "one network"),
    "top5_ten_member": ("top-5 error, ten crops (%)", "one network"),
    "top1_train": ("top-1 error on training images (%)", "training images"),
    "gap": ("test minus training error (points)", "gap"),
    "train_error": ("running training error (%)", "last epoch"),
    "first_epoch_error": ("running training error, first epoch (%)", "first epoch"),
    "epochs_to_target": ("epochs to the target", "epochs"),
    "test_error": ("test error (%)", "test images"),
    "colour_gap": ("colour difference of two halves (points)", "the columns"),
    "colour_gap_by_chance": ("colour difference of two halves (points)", "random halves"),
    "colour_gap_p": ("random halves at least as far apart (%)", "the columns"),
    "orientation": ("energy in one orientation (%)", "trained kernels"),
    "orientation_at_start": ("energy in one orientation (%)", "initial kernels"),
    "pixel_rank_features": ("rank in pixel distance (%)", "nearest by fc7"),
    "pixel_rank_pixels": ("rank in pixel distance (%)", "nearest by pixels"),
    "retrieval_pixels": ("neighbours of the same class (%)", "by pixels"),
    "retrieval_pixel_codes": ("neighbours of the same class (%)", "by codes of pixels"),
    "retrieval_features": ("neighbours of the same class (%)", "by fc7 features"),
    "retrieval_codes": ("neighbours of the same class (%)", "by binary codes"),
}
NETWORKS = {
    "relu": "ReLU",
    "tanh": "tanh",
    "relu-modern": "ReLU",
    "tanh-modern": "tanh",
    "original": "2012 network",
}
RUN_COLUMNS = ("arm", "seed", "quantity", "epoch", "value")


def network(name: str) -> str:
    """A variant's name as people say it."""
    return NETWORKS.get(name, name.replace("-", " "))


def axis(metric: str) -> str:
    """What an axis of a metric is called."""
    return METRICS.get(metric, (metric.replace("_", " "), ""))[0]


def called(metric: str) -> str:
    """A metric among others on one axis."""
    return METRICS.get(metric, ("", ""))[1] or metric.replace("_", " ")


def images(row: VerdictRow) -> str:
    """The images of a row's runs."""
    data = row.members[0].record.data
    if data is None:
        return "no images"
    copy = "" if data.canonical or row.scale == "smoke" else " (unofficial copy)"
    dirty = ", uncommitted code" if row.members[0].record.code.dirty else ""
    return f"{IMAGES.get(data.name, data.name)}{copy}{dirty}"


def seeds(row: VerdictRow) -> str:
    """How many seeds count of those planned."""
    count = f"{row.n}" if row.n == row.planned else f"{row.n} of {row.planned}"
    return f"{count} seed{'' if count == '1' else 's'}"


def measured(row: VerdictRow) -> str:
    """The number with its interval, without its unit where that is the axis's."""
    text = row.measured_text.removesuffix(" (no interval)")
    return text if row.question.is_ratio else text.replace(row.question.unit_text, "")


def paper(question: Question) -> str:
    """What the paper says."""
    none = isinstance(question, Difference) and question.no_difference
    return "no difference" if none else question.paper_text.replace("–", "says nothing")


def title(row: VerdictRow) -> list[str]:
    """What is asked, of what, and the answer."""
    question = row.question
    asked = f"{row.claim.section}: {question.text}"
    log = "" if question.log_2012 is None else f", 2012 log {question.log_text}"
    answer = f"Measured {row.measured_text}; paper {paper(question)}{log}"
    word = "" if row.verdict.word == "–" else f": {row.word}"
    return [
        *textwrap.wrap(asked, 90),
        f"{images(row)}, {seeds(row)}, scale {row.scale}",
        f"{answer}{word}",
    ]


def judged(row: VerdictRow) -> dict[str, Any]:
    """What is judged, as numbers; an open end of the interval is infinite, of a ratio 0."""
    verdict, question = row.verdict, row.scaled
    return {
        "effect": short(verdict.effect),
        "low": short(verdict.low),
        "high": short(verdict.high),
        "paper": short(question.paper),
        "log": short(question.log_2012),
        "least": short(getattr(question, "min_effect", None)),
        "ratio": question.is_ratio,
        "unit": question.unit,
        "word": verdict.word,
        "zero": 1.0 if question.is_ratio else 0.0,
    }


def source(row: VerdictRow) -> str:
    """The command that makes a row's runs, and the commits that its records name."""
    scale = f" --scale {row.scale}" if len(row.claim.scales) > 1 else ""
    made = {
        (item.record.code.commit or "no commit", item.record.code.dirty) for item in row.members
    }
    commits = ", ".join(
        f"`{commit[:10]}`{' with uncommitted changes' if dirty else ''}"
        for commit, dirty in sorted(made, key=str)
    )
    return f"`nox -s reproduce -- {row.claim.name}{scale}`; records of {commits}"


def judged_rows(row: VerdictRow, name: str) -> list[tuple[object, ...]]:
    """The lines of a CSV that hold the judged number and its interval."""
    numbers = judged(row)
    named = {"effect": f"{name}, mean", "low": "95 % interval, low", "high": "95 % interval, high"}
    named |= {"paper": "the paper's", "log": "the 2012 log's"}
    return [
        ("", "", text, "", numbers[key]) for key, text in named.items() if numbers[key] is not None
    ]


def finite(values: Iterable[float | None]) -> list[float]:
    """Those that are numbers."""
    return [value for value in values if value is not None and math.isfinite(value)]


def arms_of(row: VerdictRow, question: Question) -> list[list[Any]]:
    """A row's records, a list per arm in the question's order."""
    return [row.arm(arm.name) for arm in question.arms]
