"""What each kind of run does: a training becomes a record with metrics, or diverged."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from networks import ALEXNET, LOCAL, Splits

from alexnet.config import Recipe
from alexnet.data.loader import Loader
from reproductions.harness.claims.claim import Claim, discover, faults_of, planned_runs
from reproductions.harness.claims.questions import Difference, Value
from reproductions.harness.claims.variant import Scale, Variant
from reproductions.harness.execute.context import RunContext, set_up
from reproductions.harness.execute.metrics import measure_alexnet, measure_locally_connected
from reproductions.harness.execute.run import make
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
    assert record.metrics.keys() == {"top1", "top1_ten", "train_error"}
    assert record.cost.images == 2 * 320
    assert "norm" in record.machine.versions
    assert record.weights is None
    assert make(run, claim, bench) == folder, "it is there already"


@pytest.mark.parametrize(
    ("network", "measure"), [(LOCAL, measure_locally_connected), (ALEXNET, measure_alexnet)]
)
def test_a_training_whose_last_update_lost_its_weights_diverged(
    network, measure, splits: Splits
) -> None:
    """Losses are from before the update, so all of them are finite."""
    done = network.train(splits, epochs=1)
    assert not done.diverged
    next(done.net.parameters()).data.fill_(torch.inf)
    found = measure(done, splits["train"], splits["test"], network.recipe, None)
    assert (found.status, found.metrics, found.correct) == ("diverged", {}, None)


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


def share_of_zeros(net: torch.nn.Module, batches: Loader) -> float:
    """A metric of a claim's own: hidden units that give zero, percent."""
    ((_, (images,)), *_) = batches.in_order(100)
    return 100 * float((net[:3](images) == 0).float().mean())


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
        own_metrics={"share_of_zeros": share_of_zeros},
    )
    assert faults_of(claim) == []
    context = RunContext(tmp_path, {"synthetic": splits}, set_up("cpu", 1), 1)
    for run in planned_runs(claim, "smoke"):
        assert (run.claim, run.family) == ("own-synthetic", "own")
        assert make(run, claim, context) is not None
    stored, faults = read_records(tmp_path)
    assert faults == []
    assert {"top1", "gap", "train_error"} <= stored[0].record.metrics.keys()
    assert 0 < stored[0].record.metrics["share_of_zeros"].value < 100
    rows = judge(claim, stored)
    assert [(row.n, row.planned, row.verdict.word) for row in rows] == [(2, 2, "none")] * 2


@pytest.mark.parametrize(
    ("measure", "why"),
    [
        (lambda *_: 1 / 0, "the metric odd: ZeroDivisionError: division by zero"),
        (lambda *_: float("nan"), "the metric odd is nan and not a finite number"),
    ],
    ids=["raises", "nan"],
)
def test_a_metric_without_a_number_fails_the_run_and_keeps_its_checkpoint(
    splits: Splits, tmp_path: Path, measure: Callable[..., float], why: str
) -> None:
    arm = Variant("mlp", MlpConfig(8), Recipe(learning_rate=1e-4, batch_size=32, epochs=1))
    question = Value(name="odd", text="an odd number", arm=arm, metric="odd", paper=1.0)
    claim = Claim(
        section="§0",
        questions=(question,),
        scales={"smoke": Scale("synthetic", seeds=1)},
        own_metrics={"odd": measure},
    )
    context = RunContext(tmp_path, {"synthetic": splits}, set_up("cpu", 1), 1)
    make(planned_runs(claim, "smoke")[0], claim, context)
    (stored,), _ = read_records(tmp_path)
    assert (stored.record.status, stored.record.failure) == ("failed", why)
    assert list(tmp_path.glob(".work/*.pt"))
