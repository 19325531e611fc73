"""Which records belong together, and what is said of them."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from records import RELU, TANH, full_set, make_alexnet, make_record, planned, store, write_record

from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.judge.rows import VerdictRow, judge
from reproductions.harness.judge.sweep import (
    SweepPoint,
    best_rate,
    level_with,
    sweep_notes,
    sweep_table,
)
from reproductions.harness.records.load import read_records
from reproductions.harness.records.schema import ParentRun
from reproductions.harness.rule.effect import Times, effect_of_times
from reproductions.harness.rule.verdict import Asked, Verdict
from reproductions.harness.rule.verdict import judge as decide

CLAIM = discover()["fig1_relu"]


def of_the_rule(mark: str = "") -> Verdict:
    """What the rule says of the five pairs of `full_set`."""
    pairs = [Times(slow, fast, 60.0) for fast, slow in zip(RELU, TANH, strict=True)]
    asked = Asked(least=2.0, paper=6.0, ratio=True)
    return replace(decide(effect_of_times(pairs), asked, "paper"), mark=mark)


def rows(root: Path) -> list[VerdictRow]:
    return [row for row in judge(CLAIM, read_records(root)[0]) if row.question.name == "speedup"]


def test_a_full_set_is_confirmed_with_the_rules_own_numbers(tmp_path: Path) -> None:
    full_set(tmp_path)
    (row,) = rows(tmp_path)
    assert row.verdict == of_the_rule()
    assert row.verdict.word == "confirmed"
    assert (row.n, row.planned, row.scale, row.cell) == (5, 5, "paper", "fig1_relu.speedup")
    assert len(row.members) == 10


def test_images_that_are_not_the_publishers_are_marked(tmp_path: Path) -> None:
    full_set(tmp_path, canonical=False)
    assert rows(tmp_path)[0].word == "confirmed (copy)"


def test_other_data_are_never_pooled(tmp_path: Path) -> None:
    full_set(tmp_path)
    other = {"fingerprint": "copy"}
    store(
        tmp_path,
        make_record("relu", 0, epochs=59.0, **other),
        make_record("tanh", 0, epochs=1.0, **other),
    )  # type: ignore[arg-type]
    by_n = {row.n: row for row in rows(tmp_path)}
    assert set(by_n) == {5, 1}
    assert by_n[5].verdict.word == "confirmed"
    assert by_n[1].verdict.word == "undecided"


def test_records_of_another_version_are_outdated_in_a_row_of_their_own(tmp_path: Path) -> None:
    for seed in range(5):
        store(
            tmp_path,
            make_record("relu", seed, training=7),
            make_record("tanh", seed, epochs=36.0, training=7),
        )
    (row,) = rows(tmp_path)
    assert row.verdict.word == "not run"
    assert "made by version 7 of training, which is 1 now" in row.verdict.reason
    full_set(tmp_path)
    assert {row.verdict.word for row in rows(tmp_path)} == {"not run", "confirmed"}


def test_another_declaration_decides_nothing(tmp_path: Path) -> None:
    full_set(tmp_path, declaration="old")
    assert rows(tmp_path)[0].verdict.word == "confirmed"


def test_a_seed_made_whole_on_another_machine_completes_the_row(tmp_path: Path) -> None:
    """Also where the first machine has one arm of the seed; that one is shown, not counted."""
    times = dict(enumerate(zip(RELU, TANH, strict=True)))
    for seed, (fast, slow) in times.items():
        kind = (
            {"hardware": "A", "precision": "bf16"}
            if seed < 3
            else {"hardware": "B", "precision": "fp32"}
        )
        store(
            tmp_path,
            make_record("relu", seed, epochs=fast, **kind),
            make_record("tanh", seed, epochs=slow, **kind),
        )
    store(tmp_path, make_record("relu", 3, epochs=59.0, hardware="A"))
    (row,) = rows(tmp_path)
    assert row.verdict == of_the_rule()
    assert dict(row.kinds) == {("A", "bf16"): (0, 1, 2), ("B", "fp32"): (3, 4)}
    assert row.hardware == "A, bf16: seeds 0, 1, 2; B, fp32: seeds 3, 4"
    assert [(item.record.seed, item.record.made_on) for item in row.extra] == [(3, ("A", "bf16"))]
    ratios = [slow / fast for fast, slow in zip(RELU, TANH, strict=True)]
    assert row.effect_on(("A", "bf16")) == pytest.approx(math.prod(ratios[:3]) ** (1 / 3))
    assert row.effect_on(("B", "fp32")) == pytest.approx(math.prod(ratios[3:]) ** (1 / 2))


def test_a_row_of_nothing_that_counts_names_no_seeds(tmp_path: Path) -> None:
    """The kinds of machine of what is shown stand apart."""
    store(tmp_path, make_record("relu", 0, hardware="B"), make_record("tanh", 1, hardware="A"))
    (row,) = rows(tmp_path)
    assert (row.n, dict(row.kinds), row.kinds_as_data) == (0, {}, [])
    assert row.hardware == "none counted: A, bf16; B, bf16"


@pytest.mark.parametrize("other", [{"hardware": "B"}, {"precision": "fp32"}])
def test_two_arms_of_different_machines_are_no_pair(tmp_path: Path, other: dict[str, str]) -> None:
    for seed in range(5):
        store(tmp_path, make_record("relu", seed), make_record("tanh", seed, epochs=36.0, **other))  # type: ignore[arg-type]
    (row,) = rows(tmp_path)
    assert (row.n, row.verdict.word, row.verdict.reason) == (0, "not run", "no seed has both arms")


def test_of_two_whole_pairs_the_one_that_was_complete_first_counts(tmp_path: Path) -> None:
    full_set(tmp_path, hardware="B", started="2026-01-02T00:00:00Z")
    store(
        tmp_path,
        make_record("relu", 0, epochs=RELU[0] + 1, hardware="A", started="2026-01-01T00:00:00Z"),
    )
    store(
        tmp_path,
        make_record("tanh", 0, epochs=TANH[0] + 1, hardware="A", started="2026-01-03T00:00:00Z"),
    )
    (row,) = rows(tmp_path)
    assert set(row.kinds) == {("B", "bf16")}


def test_of_several_records_of_a_run_the_earliest_counts(tmp_path: Path) -> None:
    full_set(tmp_path, started="2026-01-02T00:00:00Z")
    later = rows(tmp_path)[0].verdict
    store(tmp_path, make_record("relu", 0, epochs=50.0, started="2026-01-03T00:00:00Z"))
    assert rows(tmp_path)[0].verdict == later
    store(tmp_path, make_record("relu", 0, epochs=50.0, started="2026-01-01T00:00:00Z"))
    assert rows(tmp_path)[0].verdict != later


def test_uncommitted_code_is_never_counted_beside_committed_code(tmp_path: Path) -> None:
    full_set(tmp_path)
    clean = rows(tmp_path)[0].verdict
    full_set(tmp_path, dirty=True)
    committed, uncommitted = sorted(rows(tmp_path), key=lambda row: "uncommitted" in row.data)
    assert committed.verdict == clean
    assert uncommitted.data.endswith("; uncommitted code")


def test_a_metric_of_another_version_makes_its_questions_outdated(tmp_path: Path) -> None:
    for seed in range(3):
        record = make_alexnet(
            "original", seed, top1=80.0, top1_ten=79.0, retrieval_codes=30.0, retrieval_pixels=10.0
        )
        old = record.version.model_copy(update={"metrics": {**record.version.metrics, "codes": 7}})
        write_record(tmp_path, record.model_copy(update={"version": old}))
    assert alexnets(tmp_path, "ten_view_gain", "top1").n == 3
    codes = next(
        question.name
        for question in discover()["binary_codes"].questions
        if "retrieval_codes" in question.metrics
    )  # type: ignore[union-attr]
    row = alexnets(tmp_path, "binary_codes", codes)
    assert (row.verdict.word, row.n) == ("not run", 0)
    assert "made by version 7 of codes metrics, which is 1 now" in row.verdict.reason


def test_a_run_without_one_of_two_metrics_makes_no_pair(tmp_path: Path) -> None:
    for seed in range(3):
        both = {"top1": 42.0 + seed / 10, "top1_ten": 40.0}
        record = make_alexnet("original", seed, **(both if seed else {"top1_ten": 40.0}))
        write_record(tmp_path, record)
    row = alexnets(tmp_path, "ten_view_gain", "top1")
    assert row.verdict.measured is not None
    assert row.verdict.measured.n == 2
    assert row.scaled.detects([row.members]).startswith("top1 ≥ ")


def test_a_seed_that_one_arm_lacks_is_not_counted(tmp_path: Path) -> None:
    full_set(tmp_path)
    gone = next((tmp_path / "records" / "fig1_relu" / "tanh").glob("paper-seed3-*"))
    (gone / "record.json").unlink()
    (row,) = rows(tmp_path)
    assert (row.n, row.planned, row.verdict.word) == (4, 5, "confirmed")


def test_a_run_made_again_after_its_record_broke_counts(tmp_path: Path) -> None:
    full_set(tmp_path)
    broken = (
        next((tmp_path / "records" / "fig1_relu" / "tanh").glob("paper-seed3-*")) / "record.json"
    )
    broken.write_text("{")
    store(tmp_path, make_record("tanh", 3, epochs=TANH[3]))
    (row,) = rows(tmp_path)
    assert (row.n, row.verdict.word) == (5, "confirmed")


def test_a_repeat_is_shown_and_not_counted(tmp_path: Path) -> None:
    full_set(tmp_path)
    before = rows(tmp_path)[0].verdict
    store(tmp_path, make_record("relu", 0, epochs=50.0))
    (row,) = rows(tmp_path)
    assert row.verdict == before
    assert [item.repeat for item in row.extra] == [2]


def test_censored_diverged_and_failed_runs(tmp_path: Path) -> None:
    for seed in range(5):
        lost = {0: "diverged", 1: "censored"}.get(seed)
        store(tmp_path, make_record("relu", seed, epochs=6 + seed / 10))
        store(
            tmp_path, make_record("tanh", seed, epochs=None if lost else 36.0 + seed, status=lost)
        )
    store(
        tmp_path,
        make_record("relu", 0, epochs=None, status="failed").model_copy(
            update={"failure": "no memory"}
        ),
    )
    (row,) = rows(tmp_path)
    assert (row.verdict.word, row.verdict.high) == ("same direction", math.inf)
    assert row.verdict.measured is not None
    assert row.verdict.measured.at_least == 2


def test_synthetic_runs_earn_no_verdict(tmp_path: Path) -> None:
    for seed in range(2):
        store(
            tmp_path,
            make_record("relu", seed, scale="smoke"),
            make_record("tanh", seed, epochs=36.0, scale="smoke"),
        )
    (row,) = rows(tmp_path)
    assert (row.verdict.word, row.scale) == ("–", "smoke")


def test_nothing_is_not_run(tmp_path: Path) -> None:
    (row,) = rows(tmp_path)
    assert (row.verdict.word, row.n, row.planned) == ("not run", 0, 5)


def test_the_sweep_and_its_best_rate(tmp_path: Path) -> None:
    full_set(tmp_path)
    (row,) = rows(tmp_path)
    table = sweep_table(row, row.scaled)
    for arm in ("relu", "tanh"):
        assert best_rate(table[arm]) == planned(arm, 0).recipe["learning_rate"]
        assert len(table[arm]) == 5


@pytest.mark.parametrize(
    ("rates", "best"),
    [
        ({0.1: [SweepPoint(7.0, 24)], 0.2: [SweepPoint(6.0, 24)]}, 0.2),
        ({0.1: [SweepPoint(7.0, 24)], 0.2: [SweepPoint(None, 20)]}, 0.1),
        ({0.1: [SweepPoint(None, 36)], 0.2: [SweepPoint(None, 35)]}, 0.2),
        (
            {
                0.1: [SweepPoint(5.0, 24), SweepPoint(None, 30)],
                0.2: [SweepPoint(9.0, 24), SweepPoint(9.0, 24)],
            },
            0.2,
        ),
        ({}, None),
    ],
)
def test_best_rate(rates: dict[float, list[SweepPoint]], best: float | None) -> None:
    assert best_rate(rates) == best


@pytest.mark.parametrize(
    ("best", "other", "level"),
    [
        (SweepPoint(6.0, 24, 0.2, 0.1), SweepPoint(6.1, 24, 0.2, 0.1), True),
        (SweepPoint(6.0, 24, 0.2, 0.1), SweepPoint(6.2, 24, 0.2, 0.1), False),
        (SweepPoint(6.0, 24, 0.2, 0.1), SweepPoint(None, 24, 0.2, 0.1), False),
        (SweepPoint(None, 35.8, 0.2), SweepPoint(None, 36.0, 0.2), True),
        (SweepPoint(None, 35.8, 0.2), SweepPoint(None, 36.1, 0.2), False),
        (SweepPoint(None, 35.8, 0.2), SweepPoint(None, math.inf), False),
    ],
)
def test_rates_that_the_images_do_not_tell_apart(
    best: SweepPoint, other: SweepPoint, level: bool
) -> None:
    assert level_with({0.1: [best], 0.2: [other]}, 0.1) == [0.2] * level


def test_a_level_or_outermost_rate_is_said_until_runs_to_the_target_settle_it(
    tmp_path: Path,
) -> None:
    full_set(tmp_path)
    (row,) = rows(tmp_path)
    open_ = "is on the edge of the grid; no runs to the target have decided it yet."
    first = planned("tanh", 0).recipe["learning_rate"]
    scaled: Any = row.scaled
    wide = replace(scaled, sweep=replace(scaled.sweep, rates=(first, 1.0)))
    assert open_ in " ".join(sweep_notes(row, wide))
    assert open_ not in " ".join(sweep_notes(row, scaled))


def test_exact_counts(tmp_path: Path) -> None:
    claim = discover()["fig2_architecture"]
    assert {row.verdict.word for row in judge(claim, [])} == {"not run"}


def alexnets(root: Path, name: str, question: str) -> VerdictRow:
    rows = judge(discover()[name], read_records(root)[0])
    return next(row for row in rows if row.question.name == question)


def test_a_difference_of_alexnets(tmp_path: Path) -> None:
    for seed in range(3):
        write_record(tmp_path, make_alexnet("original", seed, gap=1.0 + seed / 10, top1=80.0), 4.0)
        write_record(
            tmp_path, make_alexnet("without-dropout", seed, gap=9.0 + seed / 10, top1=82.0), 2.0
        )
    gap = alexnets(tmp_path, "dropout", "gap")
    assert (gap.verdict.word, gap.n, gap.scale) == ("too short to tell", 3, "mini")
    assert gap.verdict.effect == pytest.approx(8.0)
    assert "on the test images" not in gap.verdict.reason
    iterations = alexnets(tmp_path, "dropout", "iterations")  # 90 % is above where the curves begin
    assert iterations.verdict.effect == pytest.approx(1.0)


def test_a_network_that_is_better_without_what_should_help_is_named(tmp_path: Path) -> None:
    for seed in range(3):
        write_record(tmp_path, make_alexnet("original", seed, gap=1.0, top1=80.0), 4.0)
        write_record(tmp_path, make_alexnet("without-dropout", seed, gap=12.0, top1=73.0), 2.0)
    reason = alexnets(tmp_path, "dropout", "gap").verdict.reason
    assert reason.endswith("; on the test images without-dropout is better by 7.0 points")


@pytest.mark.parametrize("diverged", [1, 3])
def test_an_alexnet_that_diverged_is_never_left_out(tmp_path: Path, diverged: int) -> None:
    for seed in range(3):
        write_record(tmp_path, make_alexnet("original", seed, gap=1.0 + seed / 10), 4.0)
        metrics = {} if seed < diverged else {"gap": 9.0}
        write_record(tmp_path, make_alexnet("without-dropout", seed, **metrics), 2.0)
    gap = alexnets(tmp_path, "dropout", "gap")
    assert gap.verdict.word == ("too short to tell" if diverged == 1 else "not run")
    assert f"{diverged} of 6 runs diverged" in gap.verdict.reason
    iterations = alexnets(tmp_path, "dropout", "iterations").verdict
    assert iterations.word == "undecided"


def test_one_network_serves_several_claims(tmp_path: Path) -> None:
    for seed in range(3):
        write_record(
            tmp_path,
            make_alexnet(
                "original", seed, top1=80.0 + seed, top1_ten=79.0 + seed, top5=55.0, top5_ten=54.0
            ),
        )
    gain = alexnets(tmp_path, "ten_view_gain", "top1")
    assert (gain.verdict.effect, gain.n) == (pytest.approx(1.0), 3)
    printed = alexnets(tmp_path, "table1_ilsvrc2010", "top1")
    assert (printed.verdict.word, printed.verdict.effect) == ("–", pytest.approx(80.0))
    assert alexnets(tmp_path, "lrn_gain", "top1").verdict.word == "not run"


def test_the_cifar_nets_are_judged_arm_against_arm(tmp_path: Path) -> None:
    errors = {"13pct": 13.0, "13pct-norm": 12.0, "11pct": 10.9, "11pct-without-norm": 11.2}
    for seed in range(3):
        for variant, error in errors.items():
            write_record(
                tmp_path,
                make_alexnet(
                    variant, seed, "cifar_lrn_gain", top1=20.0, top1_ten=error + seed / 10
                ),
            )
    found = {
        name: alexnets(tmp_path, "cifar_lrn_gain", name) for name in ("narrow", "wide", "published")
    }
    assert {name: row.verdict.effect for name, row in found.items()} == pytest.approx(
        {"narrow": 1, "wide": 0.3, "published": 2.1}
    )
    assert {(row.n, row.planned, row.scale) for row in found.values()} == {(3, 3, "mini")}


def pretrained(root: Path, seed: int, top1: float, *, other: str = "copy") -> None:
    """A fine-tuned network and what it started from, on the whole of Tiny ImageNet."""
    run = planned("six-convolutions-pretrained", seed, "mini", "pretraining")
    record = make_alexnet(run.variant, seed, "pretraining", run=run, top1_ten=top1, top5_ten=50.0)
    source = ParentRun(record="there", dataset="tiny-imagenet", fingerprint=other, weights="0" * 64)
    write_record(root, record.model_copy(update={"made_from": (source,)}))
    write_record(
        root,
        make_alexnet(
            "six-convolutions", seed, "pretraining", run=run.needs[0], top1_ten=10.0, top5_ten=1.0
        ),
    )


def scratch(root: Path, seed: int, top1: float) -> None:
    runs = planned_runs(discover()["pretraining"], "mini")
    run = next(
        r
        for r in runs
        if (r.dataset, r.variant, r.seed) == ("tiny-imagenet-half", "six-convolutions", seed)
    )
    write_record(
        root,
        make_alexnet(
            "six-convolutions", seed, "pretraining", run=run, top1_ten=top1, top5_ten=55.0
        ),
    )


def test_an_average_is_compared_with_its_own_networks(tmp_path: Path) -> None:
    for number in range(3):
        metrics = {
            "top1_ten": 76.0,
            "top1_ten_member": 78.5 + number / 10,
            "top5_ten": 50.0,
            "top5_ten_member": 51.9,
        }
        write_record(tmp_path, make_alexnet("five-cnns", number, "ensembles", **metrics))
    gain = alexnets(tmp_path, "ensembles", "gain_top1")
    assert (gain.verdict.word, gain.n, gain.planned, gain.verdict.effect) == (
        "too short to tell",
        3,
        3,
        pytest.approx(2.6),
    )
    printed = alexnets(tmp_path, "ensembles", "top1")
    assert (printed.verdict.word, printed.verdict.effect) == ("–", pytest.approx(76.0))


def test_a_pretrained_network_is_compared_on_the_images_of_both(tmp_path: Path) -> None:
    """And not with the one that it started from, which has the other's name and other images."""
    for seed in range(3):
        pretrained(tmp_path, seed, 70.0 + seed / 10)
        scratch(tmp_path, seed, 74.0 + seed / 10)
    rows = [
        row
        for row in judge(discover()["pretraining"], read_records(tmp_path)[0])
        if row.question.name == "gain_top1"
    ]
    (gain,) = rows
    assert (gain.verdict.word, gain.n, gain.verdict.effect) == (
        "too short to tell",
        3,
        pytest.approx(4.0),
    )
    assert gain.data.startswith("tiny-imagenet-half, ")
    assert not gain.extra


def test_networks_that_start_from_other_copies_are_never_pooled(tmp_path: Path) -> None:
    for seed in range(3):
        pretrained(tmp_path, seed, 70.0 + seed / 10)
        pretrained(tmp_path, seed, 90.0 + seed / 10, other="another copy")
        scratch(tmp_path, seed, 74.0 + seed / 10)
    rows = [
        row
        for row in judge(discover()["pretraining"], read_records(tmp_path)[0])
        if row.question.name == "gain_top1"
    ]
    assert sorted(row.verdict.effect or 0 for row in rows) == pytest.approx([-16.0, 4.0])
    assert [row.n for row in rows] == [3, 3]


def test_seeds_that_another_claim_asks_for_stay_there(tmp_path: Path) -> None:
    """Fifteen networks are averaged; a question of three has nothing to say of the others."""
    for seed in range(15):
        metrics = {"top1": 80.0, "top1_ten": 79.0 - seed, "top5": 55.0, "top5_ten": 54.0}
        write_record(tmp_path, make_alexnet("original", seed, "ensembles", **metrics))
    gain = alexnets(tmp_path, "ten_view_gain", "top1")
    assert (gain.n, gain.verdict.effect, gain.extra) == (3, pytest.approx(2.0), ())
