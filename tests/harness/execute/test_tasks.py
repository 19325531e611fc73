"""What each kind of run does: a training becomes a record with metrics, or diverged."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from networks import ALEXNET, LOCAL, Network, Splits

from alexnet.config import Recipe
from reproductions.harness.claims.claim import Claim, discover, faults_of, planned_runs
from reproductions.harness.claims.metrics import METRICS, MetricSpec
from reproductions.harness.claims.questions import Difference, Value
from reproductions.harness.claims.variant import Scale, Variant
from reproductions.harness.execute.context import RunContext, set_up
from reproductions.harness.execute.measure import measure, metrics_of
from reproductions.harness.execute.run import make
from reproductions.harness.execute.trained import Trained
from reproductions.harness.judge.rows import judge
from reproductions.harness.records.load import read_records

pytestmark = pytest.mark.numerical


def test_a_planned_run_becomes_a_record(splits: Splits, tmp_path: Path) -> None:
    claim = discover()["cifar_lrn_gain"]
    run = next(run for run in planned_runs(claim, "smoke") if run.variant == "11pct")
    bench = RunContext(tmp_path, {"synthetic": splits}, set_up("cpu", 1), 1)
    folder = make(run, claim, bench)
    assert folder is not None
    (stored,), broken = read_records(tmp_path)
    assert broken == []
    record = stored.record
    assert (record.claim, record.kind, record.status) == ("cifar-synthetic", "train", "ok")
    assert record.metrics.keys() == {"top1_ten", "train_error"}
    assert record.cost.images == 2 * 320
    assert "norm" in record.machine.versions
    assert record.weights is None
    assert make(run, claim, bench) == folder, "it is there already"


@pytest.mark.parametrize(("network", "name"), [(LOCAL, "cifar_lrn_gain"), (ALEXNET, "depth")])
def test_a_training_whose_last_update_lost_its_weights_diverged(
    network: Network, name: str, splits: Splits
) -> None:
    """Losses are from before the update, so all of them are finite."""
    done = network.train(splits, epochs=1)
    assert not done.diverged
    next(done.net.parameters()).data.fill_(torch.inf)
    claim = discover()[name]
    run = planned_runs(claim, "smoke")[0]
    trained = Trained(done, splits["train"], splits["test"], network.recipe, run)
    assert trained.diverged
    assert measure(trained, claim) == {}


@dataclass(frozen=True)
class MlpConfig:
    """A user's own network: nothing but a frozen dataclass that builds a module."""

    hidden: int
    classes: int = 10
    image_size: int = 32

    def build(self, seed: int | None = None) -> torch.nn.Module:
        torch.manual_seed(seed or 0)
        return torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.Linear(3 * self.image_size**2, self.hidden),
            torch.nn.ReLU(),
            torch.nn.Linear(self.hidden, self.classes),
        )


def share_of_zeros(trained: Trained) -> float:
    """A metric of a claim's own: hidden units that give zero, percent."""
    ((_, (images,)), *_) = trained.test_batches.in_order(100)
    return 100 * float((trained.net[:3](images) == 0).float().mean())


def test_a_users_own_network_is_an_arm_of_a_claim(splits: Splits, tmp_path: Path) -> None:
    recipe = Recipe(learning_rate=1e-4, batch_size=32, epochs=2)
    small, large = (Variant(f"mlp-{n}", MlpConfig(n), recipe) for n in (8, 64))
    question = Difference(
        name="width",
        text="top-1 error reduction by more hidden units",
        of=small,
        minus=large,
        metric="top1",
        min_effect=1.0,
        seeds=(0, 1),
    )
    scales = {"smoke": Scale("synthetic")}
    shares = replace(question, name="share", metric="share_of_zeros")
    claim = Claim(
        section="§0",
        questions=(question, shares),
        scales=scales,
        statement="Wide is good.",
        own_metrics=(MetricSpec(share_of_zeros),),
    )
    assert faults_of(claim) == []
    context = RunContext(tmp_path, {"synthetic": splits}, set_up("cpu", 1), 1)
    for run in planned_runs(claim, "smoke"):
        assert (run.claim, run.family) == ("own-synthetic", "own")
        assert make(run, claim, context) is not None
    stored, faults = read_records(tmp_path)
    assert faults == []
    assert stored[0].record.metrics.keys() == {"top1", "train_error", "share_of_zeros"}
    assert 0 < stored[0].record.metrics["share_of_zeros"].value < 100
    rows = judge(claim, stored)
    assert [(row.n, row.planned, row.verdict.word) for row in rows] == [(2, 2, "–")] * 2


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (lambda: 1 / 0, "the metric odd: ZeroDivisionError: division by zero"),
        (lambda: float("nan"), "the metric odd is nan and not a finite number"),
        (lambda: None, "the metric odd: TypeError: float() argument must be "),
    ],
    ids=["raises", "nan", "none"],
)
def test_a_metric_without_a_number_fails_the_run_and_keeps_its_checkpoint(
    splits: Splits, tmp_path: Path, number: Callable[[], float], why: str
) -> None:
    def odd(_: Trained) -> float:
        return number()

    arm = Variant("mlp", MlpConfig(8), Recipe(learning_rate=1e-4, batch_size=32, epochs=1))
    question = Value(name="odd", text="an odd number", arm=arm, metric="odd", paper=1.0)
    claim = Claim(
        section="§0",
        questions=(question,),
        scales={"smoke": Scale("synthetic", seeds=1)},
        own_metrics=(MetricSpec(odd),),
    )
    context = RunContext(tmp_path, {"synthetic": splits}, set_up("cpu", 1), 1)
    make(planned_runs(claim, "smoke")[0], claim, context)
    (stored,), _ = read_records(tmp_path)
    assert stored.record.status == "failed"
    assert str(stored.record.failure).startswith(why)
    assert list(tmp_path.glob(".work/*.pt"))


def test_a_run_is_measured_by_what_all_claims_ask_of_it() -> None:
    """A network that claims share is asked once for all of them; others for less."""
    claims = discover()

    def names(claim: str, variant: str) -> set[str]:
        runs = planned_runs(claims[claim], "smoke")
        run = next(run for run in runs if run.variant == variant and run.purpose == "verdict")
        return {spec.name for spec in metrics_of(run, claims[claim])}

    others = {"epochs_to_target", "test_error", "top1_ten_member", "top5_ten_member"}
    assert names("depth", "original") == METRICS.keys() - others
    assert names("depth", "without-conv3") == {"train_error", "top1_ten"}
    assert names("two_gpu_gain", "one-column") == {"train_error", "top1_ten", "top5_ten"}
    assert names("fig1_relu", "tanh") == {"train_error", "epochs_to_target", "test_error"}
