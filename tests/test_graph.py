"""Steps as graphs: what a run does with them, by a graph that needs no GPU, and the real ones where there is a GPU.

The stand-in for a CUDA graph does what one does: it makes the step again on the tensors with which it was made the first time.
"""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import test_train
import test_train_alexnet
import test_train_local
import torch
from test_train import bits
from torch import Tensor, nn

from alexnet import graph
from alexnet.config import AlexNetConfig
from alexnet.data.imageset import ImageSet
from alexnet.graph import Graphs
from alexnet.kernels.views import Chosen
from alexnet.optim import PaperSGD
from alexnet.train import Run, fit, fit_alexnet
from alexnet.train_local import fit_local

CPU = torch.device("cpu")
Capture = Callable[[Callable[[], None], torch.Generator | None], Callable[[], None]]


def local(splits: dict[str, ImageSet], device: torch.device = CPU) -> Run:
    config, recipe = test_train_local.CONFIG, test_train_local.RECIPE
    return fit_local(config, recipe, splits["train"], seed=0, device=device, precision="fp32")


def cifar(splits: dict[str, ImageSet], device: torch.device = CPU) -> Run:
    recipe = replace(test_train.RECIPE, batch_size=48)
    return fit(test_train.CONFIG, recipe, splits["train"], seed=0, device=device, precision="fp32")


def alexnet(splits: dict[str, ImageSet], device: torch.device = CPU) -> Run:
    config, recipe = replace(AlexNetConfig.original().smoke(), dropout=True), test_train_alexnet.RECIPE
    return fit_alexnet(config, recipe, splits["train"], splits["test"], seed=0, device=device, precision="fp32")


TRAININGS = {"Figure 1": cifar, "local": local, "AlexNet": alexnet}


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Callable[[Capture], None]:
    """Makes a processor take graphs, captured in the given way."""

    def capture_by(way: Capture) -> None:
        monkeypatch.setattr(graph, "possible", lambda source, sums: True)
        monkeypatch.setattr(graph, "capture", way)

    return capture_by


@pytest.mark.parametrize("name", TRAININGS)
def test_a_run_has_the_same_bits_through_graphs(name: str, splits: dict[str, ImageSet], captured) -> None:
    """Each has seven batches an epoch, of which the last is smaller: two graphs. AlexNet's loses its noise and freezes a layer."""
    expected, made = TRAININGS[name](splits), []

    def capture(body: Callable[[], None], generator: torch.Generator | None) -> Callable[[], None]:
        made.append(generator)
        body()
        return body

    captured(capture)
    found = TRAININGS[name](splits)
    assert bits(found) == bits(expected)
    assert len(made) == {"Figure 1": 2, "local": 2, "AlexNet": 6}[name]
    assert not found.graphs.refused
    assert all((generator is not None) == (name == "AlexNet") for generator in made)


def fails(body: Callable[[], None], generator: torch.Generator | None) -> Callable[[], None]:
    body()
    raise RuntimeError("operation not permitted when stream is capturing\nand more")


def goes_astray(body: Callable[[], None], generator: torch.Generator | None) -> Callable[[], None]:
    return lambda: (body(), body())  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("capture", "reason"), [(fails, r"RuntimeError: operation .* capturing\)"), (goes_astray, "its bits differ")]
)
def test_a_graph_that_fails_its_check_is_left_after_one_warning(
    capture: Capture, reason: str, splits: dict[str, ImageSet], captured
) -> None:
    expected = cifar(splits)
    captured(capture)
    with pytest.warns(RuntimeWarning, match=reason) as said:
        found = cifar(splits)
    assert len(said) == 1
    assert found.graphs.refused
    assert bits(found) == bits(expected)


class Doubling:
    """A step that is easy to follow: the weight is multiplied by what is chosen, the sum counts the steps."""

    resident = True

    def __init__(self) -> None:
        self.net, self.total, self.calls = nn.Linear(1, 1, bias=False), torch.zeros(()), 0
        nn.init.ones_(self.net.weight)

    def show(self, chosen: Any) -> tuple[Tensor, Tensor]:
        return chosen.index.float(), chosen.index

    def step(self, chosen: Chosen) -> None:
        self.calls += 1
        images, labels = self.show(chosen)
        with torch.no_grad():
            self.net.weight.mul_(images.prod())
        self.total += len(labels)

    def through(self, graphs: Graphs) -> Callable[[Chosen], None]:
        return graphs.of(self.step, self, self.net, PaperSGD(self.net.parameters(), lr=0.1), [self.total])


def choice(*index: int) -> Chosen:
    count = len(index)
    return Chosen(torch.tensor(index), torch.zeros(count, 2, dtype=torch.int64), torch.zeros(count, dtype=torch.bool))


def test_the_check_trains_nothing_and_each_choice_counts(captured) -> None:
    captured(lambda body, generator: body)
    task, graphs = Doubling(), Graphs()
    step = task.through(graphs)
    for index in ((2, 3), (5,), (7, 1), (2,)):
        step(choice(*index))
    assert task.net.weight.item() == 6 * 5 * 7 * 2
    assert task.total == 6
    assert len(graphs.captured) == 2
    assert task.calls == 4 + 2 * 2  # two of each check


def test_what_is_not_a_number_is_no_fault(captured) -> None:
    captured(lambda body, generator: body)
    task, graphs = Doubling(), Graphs()
    nn.init.constant_(task.net.weight, torch.nan)
    task.through(graphs)(choice(2))
    assert not graphs.refused


def test_graphs_are_made_anew_for_other_layers_and_kept_from_row_to_row(captured) -> None:
    captured(lambda body, generator: body)
    task, graphs = Doubling(), Graphs()
    optimizer = PaperSGD(task.net.parameters(), lr=0.1)
    for _ in range(2):
        graphs.of(task.step, task, task.net, optimizer, [task.total])(choice(2))
    first = dict(graphs.captured)
    graphs.of(task.step, task, task.net, optimizer, [task.total])(choice(3))
    assert graphs.captured == first
    task.net.weight.requires_grad_(False)
    graphs.of(task.step, task, task.net, optimizer, [task.total])(choice(1))
    assert list(graphs.captured) == list(first)
    assert graphs.captured != first


def test_a_processor_has_none() -> None:
    task = Doubling()
    assert task.through(Graphs()) == task.step


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", TRAININGS)
def test_a_run_has_the_same_bits_through_cuda_graphs(
    name: str, splits: dict[str, ImageSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    from reproductions.harness.bench import set_up

    device = set_up("cuda", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        found = TRAININGS[name](splits, device)
    assert found.graphs.captured
    monkeypatch.setattr(graph, "possible", lambda source, sums: False)
    expected = TRAININGS[name](splits, device)
    ours, theirs = ([*run.net.parameters(), *map(run.optimizer.velocity, run.net.parameters())] for run in (found, expected))
    assert all(map(torch.equal, ours, theirs))
    assert [replace(row, seconds=0) for row in found.history] == [replace(row, seconds=0) for row in expected.history]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_row_waits_for_the_gpu_at_its_end_alone(splits: dict[str, ImageSet]) -> None:
    """With its graphs made, the steps of a row call nothing that waits."""
    from alexnet import train
    from reproductions.harness.bench import set_up

    device = set_up("cuda", 1)
    recipe = replace(test_train_alexnet.RECIPE, batch_size=32)
    views = train.Views(splits["train"], splits["train"], test_train_alexnet.CONFIG.image_size, recipe, device)
    run = train.start_alexnet(test_train_alexnet.CONFIG, recipe, views, 0, "fp32", None)
    train.set_rates(run, recipe, 0, 0.01)
    train.train_row(run, train.presented(run.net, run.net, views, 0, 0, 10, 0), 10, 10)
    feed = train.presented(run.net, run.net, views, 0, 1, 10, 0)
    step = train.stepper(run, feed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls the mode a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        for chosen in feed.chosen:
            step(chosen)
    finally:
        torch.cuda.set_sync_debug_mode("default")
