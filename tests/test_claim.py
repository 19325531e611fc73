"""Every claim file: what it declares, and what it plans."""

import ast
from pathlib import Path

import pytest

from alexnet.config import CifarNetConfig, Recipe
from reproductions.harness.claim import Claim, Exact, PlannedRun, Scale, SpeedUp, Sweep, Variant, at_scale, discover, planned_runs
from reproductions.harness.describe import describe, variant_differences

CLAIMS = discover()
FOLDER = Path(__file__).parents[1] / "reproductions"


def test_claims_are_found_by_being_there() -> None:
    assert list(CLAIMS) == sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
    assert {"fig1_relu", "fig2_architecture"} <= CLAIMS.keys()


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_the_docstring_is_a_protocol(claim: Claim) -> None:
    assert claim.statement.endswith(".")
    assert "§" in claim.statement or "Figure" in claim.statement or "Table" in claim.statement
    assert f"nox -s reproduce -- {claim.name}" in claim.protocol
    assert f"python -m reproductions run {claim.name}" in claim.protocol
    assert claim.source in describe(claim)
    assert len((FOLDER / f"{claim.name}.py").read_text().splitlines()) <= 100


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_a_claim_file_only_declares(claim: Claim) -> None:
    """Imports, constants and one CLAIM; no loops, no I/O, no other claim."""
    body = ast.parse((FOLDER / f"{claim.name}.py").read_text()).body
    assert all(isinstance(node, ast.Expr | ast.Import | ast.ImportFrom | ast.Assign) for node in body)
    modules = [node.module for node in body if isinstance(node, ast.ImportFrom)]
    assert set(modules) <= {"dataclasses", "alexnet.config", "reproductions.harness"}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_plans_are_sound(claim: Claim) -> None:
    names = [question.name for question in claim.questions]
    assert len(set(names)) == len(names)
    for scale in claim.scales:
        runs = planned_runs(claim, scale)
        assert len({run.key for run in runs}) == len(runs), "two runs would share a record"
        assert runs
        tuned = {run.seed for run in runs if run.role == "tune"}
        assert not tuned & {run.seed for run in runs if run.role == "evaluate"}, "a tuning seed enters the verdict"


@pytest.mark.parametrize(
    "question", [q for c in CLAIMS.values() for q in c.questions if isinstance(q, SpeedUp)], ids=lambda q: q.name
)
def test_arms_differ_in_the_nonlinearity_and_the_chosen_rate_alone(question: SpeedUp) -> None:
    fields = {line.split(":")[0] for line in variant_differences(*question.variants)}
    assert fields <= {"config.activation", "recipe.learning_rate"}
    assert "config.activation" in fields
    for variant in question.variants:
        assert variant.recipe.learning_rate in question.sweep.rates
        assert variant.recipe.weight_decay == 0  # no regularisation of any kind
    assert len(set(question.seeds)) == len(question.seeds)


def example(**changes: object) -> Claim:
    recipe = Recipe(learning_rate=0.1, stop_below=25.0)
    fast, slow = Variant("fast", CifarNetConfig(), recipe), Variant("slow", CifarNetConfig("tanh"), recipe)
    fields = {"target": 25.0, "sweep": Sweep((0.1, 0.2, 0.3), (9,), 5), "seeds": (0, 1, 2), "paper": 6.0, "worthwhile": 2.0}
    question = SpeedUp("q", "text", fast, slow, paper_epochs=(6.0, 36.0), **{**fields, **changes})  # type: ignore[arg-type]
    scales = {"paper": Scale("cifar10"), "smoke": Scale("stand-in", seeds=2, rates=1, epochs=1)}
    return Claim("§0", (question,), scales, name="example", statement="It holds.")


def declarations(claim: Claim, role: str) -> set[str]:
    return {run.declaration for run in planned_runs(claim, "paper") if run.role == role}


def test_runs_of_a_speed_up() -> None:
    runs = planned_runs(example(), "paper")
    assert [(run.variant, run.seed, run.role) for run in runs] == [
        *[(f"fast-rate{rate}", 9, "tune") for rate in (0.1, 0.2, 0.3)],
        *[(f"slow-rate{rate}", 9, "tune") for rate in (0.1, 0.2, 0.3)],
        *[("fast", seed, "evaluate") for seed in range(3)],
        *[("slow", seed, "evaluate") for seed in range(3)],
    ]
    assert runs[1].recipe["learning_rate"] == 0.2
    assert runs[1].recipe["epochs"] == 5
    assert runs[-1].recipe["epochs"] == 60


def test_smoke_is_the_same_with_less() -> None:
    claim = example()
    question = at_scale(claim.questions[0], claim.scales["smoke"])  # type: ignore[arg-type]
    assert question.sweep.rates == (0.2,)
    assert question.seeds == (0, 1)
    assert question.fast.recipe.epochs == question.sweep.epochs == 1


def test_a_declaration_covers_what_the_runs_are_judged_by() -> None:
    before = declarations(example(), "evaluate")
    assert declarations(example(target=20.0), "evaluate") != before
    assert declarations(example(seeds=(0, 1)), "evaluate") != before
    assert declarations(example(paper=5.0), "evaluate") != before
    assert declarations(example(sweep=Sweep((0.1,), (9,), 5)), "evaluate") == before
    assert declarations(example(sweep=Sweep((0.1,), (9,), 5)), "tune") != declarations(example(), "tune")
    assert declarations(example(paper=5.0), "tune") == declarations(example(), "tune")


def test_exact_questions_are_one_run_without_images() -> None:
    claim = Claim("§0", (Exact("a", "t", 1, lambda: 1), Exact("b", "t", 2, lambda: 2)), {"paper": Scale(None)}, name="c")
    (run,) = planned_runs(claim, "paper")
    assert (run.variant, run.role, run.dataset) == ("count", "inspect", None)
    assert isinstance(run, PlannedRun)
