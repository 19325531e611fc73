"""Every claim file: what it declares, and what it plans."""

import ast
import re
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from claim_lines import expected, written

import reproductions
from alexnet.config import AlexNetConfig, CifarNetConfig, Recipe
from alexnet.data.catalogue import RELEASES
from reproductions.harness.claims.claim import (
    Claim,
    asked_runs,
    discover,
    examine,
    faults_of,
    load,
    planned_runs,
)
from reproductions.harness.claims.epoch_ratio import EpochRatio, Sweep
from reproductions.harness.claims.imagenet import ALEXNET_2012
from reproductions.harness.claims.metrics import METRICS
from reproductions.harness.claims.question import Question
from reproductions.harness.claims.questions import Count, Difference, Value
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.claims.variant import Arm, Ensemble, Scale, Variant
from reproductions.harness.records.files import RESULTS
from reproductions.harness.records.load import read_records
from reproductions.harness.records.store import Stored
from reproductions.harness.report.describe import describe, variant_differences

CLAIMS = discover()
FOLDER = Path(__file__).parents[3] / "reproductions"
TRAINED = [
    (claim, question)
    for claim in CLAIMS.values()
    for question in claim.questions
    if question.trained
]


@pytest.fixture(scope="module")
def stored() -> list[Stored]:
    """The committed records."""
    return read_records(RESULTS)[0]


def networks(arm: Arm) -> list[Variant]:
    """The variants that an arm trains or averages."""
    return [variant for variant, _ in arm.members] if isinstance(arm, Ensemble) else [arm]


ALEXNETS = [
    (claim, question)
    for claim, question in TRAINED
    if isinstance(networks(question.arms[0])[0].config, AlexNetConfig)
]


def name_of(value: object) -> str:
    """A claim's or a question's name, for the names of tests."""
    return str(getattr(value, "name", value))


def test_claims_are_found_by_being_there() -> None:
    assert list(CLAIMS) == sorted(
        path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")
    )
    assert {"fig1_relu", "fig2_architecture"} <= CLAIMS.keys()


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_the_docstring_is_a_protocol(claim: Claim) -> None:
    assert claim.statement.endswith(".")
    assert "§" in claim.statement or "Figure" in claim.statement or "Table" in claim.statement
    assert f"nox -s reproduce -- {claim.name}" in describe(claim)
    assert claim.section in describe(claim)
    text = (FOLDER / f"{claim.name}.py").read_text()
    assert "§" in text.splitlines()[0]
    assert len(text.splitlines()) < 60


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_the_docstring_ends_with_results_and_costs(claim: Claim, stored: list[Stored]) -> None:
    """Those of the committed records, as `python -m tests.claim_lines` writes them."""
    assert claim.expected == expected(claim, stored)
    assert f"expected: {claim.expected}" in describe(claim)
    text = (FOLDER / f"{claim.name}.py").read_text()
    assert written(text, claim.expected) == text


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_a_claim_file_only_declares(claim: Claim) -> None:
    """Imports, constants, short formulas and one CLAIM; no loops, no I/O, no other claim."""
    body = ast.parse((FOLDER / f"{claim.name}.py").read_text()).body
    assert all(
        isinstance(node, ast.Expr | ast.Import | ast.ImportFrom | ast.Assign | ast.FunctionDef)
        for node in body
    )
    assert all(
        (node.end_lineno or 0) - node.lineno <= 9
        for node in body
        if isinstance(node, ast.FunctionDef)
    )
    assert not any(
        isinstance(node, ast.For | ast.While | ast.With) for top in body for node in ast.walk(top)
    )
    modules = {node.module for node in body if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names}
    assert modules <= {
        "dataclasses",
        "itertools",
        "math",
        "alexnet.config",
        "reproductions.harness",
    }


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_no_comma_is_missing_between_two_differences(claim: Claim) -> None:
    assert not any(re.search(r"[.;]\S*[A-Z]", line) for line in claim.differs)
    assert all(re.fullmatch(r"[A-Z].*\.", line) for line in claim.differs)


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_plans_are_sound(claim: Claim) -> None:
    names = [question.name for question in claim.questions]
    assert len(set(names)) == len(names)
    for scale in claim.scales:
        runs = planned_runs(claim, scale)
        assert len({run.key for run in runs}) == len(runs), "two runs would share a record"
        assert runs
        tuned = {run.seed for run in runs if run.purpose == "sweep"}
        assert not tuned & {run.seed for run in runs if run.purpose == "verdict"}, (
            "a tuning seed enters the verdict"
        )


def test_variants_of_one_name_are_the_same_everywhere() -> None:
    """A network is trained once for all claims that name it."""
    declared: dict[tuple[object, ...], str] = {}
    for claim in CLAIMS.values():
        for scale in claim.scales:
            for run in planned_runs(claim, scale):
                if run.shared:
                    # averages of other networks are declared apart
                    what = run.key if run.kind == "ensemble" else run.key[:3]
                    assert declared.setdefault(what, run.declaration) == run.declaration, (
                        f"{claim.name}: {run}"
                    )
    named = {
        variant.name: variant
        for _, question in ALEXNETS
        for arm in question.arms
        for variant in networks(arm)
    }
    assert len(set(map(fields_of, named.values()))) == len(named), "one variant under two names"
    averaged = {
        arm.name: arm
        for _, question in ALEXNETS
        for arm in question.arms
        if isinstance(arm, Ensemble)
    }
    assert len({arm.members for arm in averaged.values()}) == len(averaged)
    assert not averaged.keys() & named.keys()


def fields_of(variant: Variant) -> tuple[object, ...]:
    return variant.config, variant.recipe, variant.pretrained


@pytest.mark.parametrize(("claim", "question"), ALEXNETS, ids=name_of)
def test_an_imagenet_claim_has_the_four_scales(claim: Claim, question: Question) -> None:
    assert list(claim.scales) == ["paper", "reduced", "mini", "smoke"]
    assert claim.scales["paper"].dataset in RELEASES
    used = [claim.scales[name].datasets for name in ("reduced", "mini", "smoke")]
    if claim.scales["paper"].pretraining:
        assert claim.scales["paper"].datasets == ("imagenet2012", "fall2011")
        assert used == [("tiny-imagenet-half", "tiny-imagenet")] * 2 + [
            ("synthetic-half", "synthetic")
        ]
    else:
        assert used == [("tiny-imagenet",), ("tiny-imagenet",), ("synthetic",)]
    if isinstance(question, EpochRatio):
        assert all(claim.scales[name].target for name in ("reduced", "mini", "smoke"))


@pytest.mark.parametrize(("claim", "question"), ALEXNETS, ids=name_of)
def test_an_ablation_changes_one_thing_of_the_original(claim: Claim, question: Question) -> None:
    """`ALEXNET_2012` is one side of every comparison; the other differs in network or recipe alone.

    But a network that starts from another's weights is compared with that other network trained on
    the same images from the start.
    """
    if isinstance(question, Value) or any(isinstance(arm, Ensemble) for arm in question.arms):
        return
    if question.arms[0].pretrained:
        assert question.arms == (question.arms[0], question.arms[0].pretrained)
        assert question.arms[0].config == question.arms[1].config
        return
    assert ALEXNET_2012 in question.arms, claim.name
    for variant in question.arms:
        fields = {line.split(".")[0] for line in variant_differences(ALEXNET_2012, variant)}
        assert len(fields) == (variant != ALEXNET_2012)


@pytest.mark.parametrize(("claim", "question"), TRAINED, ids=name_of)
def test_a_question_asks_what_can_be_answered(claim: Claim, question: Any) -> None:
    assert len(question.seeds) >= 3, claim.name
    if isinstance(question, EpochRatio):
        assert question.paper > question.min_effect > 1
        return
    assert set(question.metrics) <= METRICS.keys()
    if not isinstance(question, Value):
        assert question.metrics[0] != question.metrics[1] or question.minus != question.of
        assert 0 < question.min_effect < (question.paper or 100)
    if question.log_2012 is not None:
        assert question.log_2012 == pytest.approx(question.paper, abs=0.06), (
            "the log rounds to what the paper prints"
        )


@pytest.mark.parametrize(
    "question", [q for _, q in TRAINED if isinstance(q, EpochRatio) and q.sweep], ids=name_of
)
def test_arms_differ_in_the_nonlinearity_and_the_chosen_rate_alone(question: EpochRatio) -> None:
    fields = {line.split(":")[0] for line in variant_differences(*question.arms)}
    assert fields <= {"config.activation", "recipe.learning_rate"}
    assert "config.activation" in fields
    for variant in question.arms:
        assert variant.recipe.learning_rate in question.sweep.rates
        assert variant.recipe.weight_decay == 0  # no regularisation of any kind
    assert len(set(question.seeds)) == len(question.seeds)


def test_normalisation_alone_is_what_two_of_three_cifar_questions_change() -> None:
    narrow, wide, published = CLAIMS["cifar_lrn_gain"].questions
    for question in (narrow, wide):
        assert isinstance(question, Difference)
        assert variant_differences(*question.arms) == ["config.lrn_layers: ('conv1', 'conv2') → ()"]
    assert published.arms == (wide.arms[0], narrow.arms[1])
    assert len(variant_differences(*published.arms)) == 7


def example(**changes: object) -> Claim:
    recipe = Recipe(learning_rate=0.1, target_train_error=25.0)
    fast, slow = (
        Variant("fast", CifarNetConfig(), recipe),
        Variant("slow", CifarNetConfig("tanh"), recipe),
    )
    fields = {
        "target": 25.0,
        "sweep": Sweep((0.1, 0.2, 0.3), (9,), 5),
        "seeds": (0, 1, 2),
        "paper": 6.0,
        "min_effect": 2.0,
    }
    question = EpochRatio(
        name="q", text="t", over=fast, of=slow, paper_epochs=(6.0, 36.0), **{**fields, **changes}
    )  # type: ignore[arg-type]
    scales = {"paper": Scale("cifar10"), "smoke": Scale("synthetic", seeds=2, rates=1, epochs=1)}
    return Claim(
        section="§0", questions=(question,), scales=scales, name="example", statement="It holds."
    )


def declarations(claim: Claim, purpose: str) -> set[str]:
    return {run.declaration for run in planned_runs(claim, "paper") if run.purpose == purpose}


def test_runs_of_a_speed_up() -> None:
    runs = planned_runs(example(), "paper")
    assert [(run.variant, run.seed, run.purpose) for run in runs] == [
        *[(f"fast-rate{rate}", 9, "sweep") for rate in (0.1, 0.2, 0.3)],
        *[(f"slow-rate{rate}", 9, "sweep") for rate in (0.1, 0.2, 0.3)],
        *[("fast", seed, "verdict") for seed in range(3)],
        *[("slow", seed, "verdict") for seed in range(3)],
    ]
    assert runs[1].recipe["learning_rate"] == 0.2
    assert runs[1].recipe["epochs"] == 5
    assert runs[-1].recipe["epochs"] == 60


def test_smoke_is_the_same_with_less() -> None:
    claim = example()
    question: Any = claim.questions[0].at("smoke", claim.scales["smoke"])
    assert question.sweep.rates == (0.2,)
    assert question.seeds == (0, 1)
    assert question.over.recipe.epochs == question.sweep.epochs == 1


def test_a_declaration_covers_what_the_runs_are_judged_by() -> None:
    before = declarations(example(), "verdict")
    assert declarations(example(target=20.0), "verdict") != before
    assert declarations(example(seeds=(0, 1)), "verdict") != before
    assert declarations(example(paper=5.0), "verdict") != before
    assert declarations(example(sweep=Sweep((0.1,), (9,), 5)), "verdict") == before
    assert declarations(example(sweep=Sweep((0.1,), (9,), 5)), "sweep") != declarations(
        example(), "tune"
    )
    assert declarations(example(paper=5.0), "sweep") == declarations(example(), "sweep")


def test_exact_questions_are_one_run_without_images() -> None:
    counts = (
        Count(name="a", text="t", paper=1, measure=lambda: 1),
        Count(name="b", text="t", paper=2, measure=lambda: 2),
    )
    claim = Claim(section="§0", questions=counts, scales={"paper": Scale(None)}, name="c")
    (run,) = planned_runs(claim, "paper")
    assert (run.variant, run.kind, run.dataset) == ("count", "count", None)
    assert isinstance(run, PlannedRun)


def test_two_arms_of_one_name_that_differ_are_a_fault() -> None:
    claim = example()
    question: Any = claim.questions[0]
    other = replace(question.over, recipe=replace(question.over.recipe, momentum=0.5))
    twin = replace(question, name="twin", over=other, sweep=None)
    plain = replace(question, name="plain", sweep=None)
    both = replace(claim, questions=(plain, twin))
    assert faults_of(both) == [
        "two different runs would be the record cifar-cifar10/fast/paper-seed0 at scale paper"
    ]


def test_a_run_that_another_needs_too_is_asked_for_its_metrics() -> None:
    average, net = (CLAIMS[name].questions[0] for name in ("ensembles", "table2_ilsvrc2012"))
    claim = replace(CLAIMS["ensembles"], questions=(average, replace(net, name="single")))
    planned = {run.key: run for run in planned_runs(claim, "paper")}
    asked = asked_runs(claim, "paper")
    assert [planned[run.key].metrics for run in asked] == [run.metrics for run in asked]


def test_the_cifar_nets_are_the_same_at_mini_in_a_tenth_of_their_course() -> None:
    paper, mini = (
        {run.key[1::2]: run for run in planned_runs(CLAIMS["cifar_lrn_gain"], scale)}
        for scale in ("paper", "mini")
    )
    assert (len(paper), len(mini)) == (4 * 5, 4 * 3)
    assert {run.claim for run in (*paper.values(), *mini.values())} == {"cifar-cifar10"}
    for key, run in mini.items():
        assert run.config == paper[key].config
        assert run.recipe["epochs"] == paper[key].recipe["epochs"] / 10


def test_an_alexnet_belongs_to_its_images_and_not_to_a_claim() -> None:
    (first, *_), (second, *_) = (
        planned_runs(CLAIMS[name], "mini") for name in ("table2_ilsvrc2012", "ten_view_gain")
    )
    assert first == second
    assert (first.claim, first.variant, first.kind) == (
        "alexnet-tiny-imagenet",
        "original",
        "train",
    )
    assert first.config["conv_widths"] == [24, 64, 96, 96, 64]


@pytest.mark.parametrize("scale", ["paper", "reduced", "mini", "smoke"])
def test_what_all_claims_train_at_a_scale(scale: str) -> None:
    """All variants once per data set: mostly one seed each, more where averaged or fine-tuned."""
    runs = {run.key: run for claim, _ in ALEXNETS for run in planned_runs(claim, scale)}
    trained = Counter((run.claim, run.variant) for run in runs.values() if run.kind == "train")
    averaged = Counter((run.claim, run.variant) for run in runs.values() if run.kind == "ensemble")
    seeds = {"paper": 5, "reduced": 3, "mini": 3, "smoke": 2}[scale]
    whole, half = (
        ("synthetic", "synthetic-half")
        if scale == "smoke"
        else ("tiny-imagenet", "tiny-imagenet-half")
    )
    if scale == "paper":  # ILSVRC-2010 and 2012 both have the original
        whole = half = "imagenet2012"
    five, two = (2, 1) if scale == "smoke" else (5, 2)
    averages = 2 if scale == "smoke" else 3
    expected = {  # those of which there are more than a question's seeds
        (f"alexnet-{whole}", "original"): five * averages,
        (f"alexnet-{half}", "original"): five * averages,
        (f"alexnet-{half}", "six-convolutions-pretrained"): max(seeds, two * averages),
        ("alexnet-fall2011" if scale == "paper" else f"alexnet-{whole}", "six-convolutions"): max(
            seeds, two * averages
        ),
    }
    assert {name: count for name, count in trained.items() if count != seeds} == {
        k: n for k, n in expected.items() if n != seeds
    }
    assert expected.keys() <= trained.keys()
    assert len(trained) == (17 if scale == "paper" else 16)
    assert set(averaged.values()) == {averages}
    assert len(averaged) == (2 if scale == "paper" else 3)


def test_committed_counts_are_what_the_code_counts_today(stored: list[Stored]) -> None:
    """They cost seconds, so no version has to be trusted."""
    counted = {item.record.claim: item.record for item in stored if item.record.kind == "count"}
    for name, claim in CLAIMS.items():
        for question in (q for q in claim.questions if isinstance(q, Count)):
            assert counted[name].metrics[question.name].value == question.measure(), (
                f"{name}.{question.name}"
            )


SOUND = '''"""Two is two (§1)."""

from reproductions.harness import *

NET = Variant("net", ALEXNET_2012.config, ALEXNET_2012.recipe)
CLAIM = Claim(
    section="§1",
    questions=(Value(name="error", text="an error", arm=NET, metric="top1", paper=40.0),),
    scales={"smoke": Scale("synthetic", seeds=2)},
)
'''


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("paper=40.0", "paper='forty'", "error: 'forty' is no finite number"),
        ("arm=NET", "arm='net'", "error: 'net' is no variant and no ensemble"),
        ("top1", "top-1", "error: no metric is called 'top-1'; did you mean 'top1'?"),
        ('"smoke"', '"smok"', "scale 'smok' is unknown; there are paper, reduced, mini, smoke"),
        ('"error"', '"an error"', "an error: the name 'an error' is not of a-z, 0-9 and _"),
        ("paper=40.0),)", "paper=40.0))", "its declaration cannot be read (TypeError: "),
        ("paper=40.0)", "paper=40.0, seeds=(0, 0))", "error: it has a seed twice"),
        (
            "scales=",
            "own_metrics=(MetricSpec(type('gap', (), {})),), scales=",
            "own_metrics: 'gap' is the name of",
        ),
        ("scales=", "own_metrics={'odd': max}, scales=", "own_metrics: 'odd' is no MetricSpec"),
        ("CLAIM =", "CLAMI =", "declares no CLAIM = Claim(...)"),
        ("CLAIM =", "CLAIM = 1 +", "cannot be loaded (TypeError: "),
        ('"""Two is two (§1)."""', "", "has no docstring"),
        (
            'Scale("synthetic"',
            'Scale("synthetics"',
            "no data set is called 'synthetics'; did you mean 'synthetic'?",
        ),
    ],
)
def test_what_is_wrong_with_a_claim_file_is_one_line(
    old: str, new: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_claim_to_load.py").write_text(SOUND.replace(old, new))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "a_claim_to_load", raising=False)
    _, faults = load("a_claim_to_load")
    assert [line[: len(fault)] for line in faults] == [fault]
    (tmp_path / "a_claim_to_load.py").write_text(SOUND)


def test_two_claims_may_not_give_two_metrics_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "def odd(net):\n    return 1.0\n\n\nCLAIM ="
    text = SOUND.replace("CLAIM =", own).replace(
        "scales=", "own_metrics=(MetricSpec(odd),), scales="
    )
    for name in ("odd_one", "odd_two"):
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(reproductions, "__path__", [str(tmp_path)])
    claims, faults = examine()
    assert list(claims) == ["odd_one"]
    line = "own_metrics: 'odd' is the name of another metric, of odd_one"
    assert faults == [f"reproductions/odd_two.py: {line}"]
