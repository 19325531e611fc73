"""Training AlexNet: it learns, it survives a kill, it freezes what it should, and several processes do what one does."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from test_train import bits
from torch import Tensor

from alexnet import train
from alexnet.checkpoint import Checkpoint
from alexnet.config import AlexNetConfig, AlexNetRecipe
from alexnet.data.augment import Views
from alexnet.data.imageset import ImageSet, open_imageset
from alexnet.evaluate import errors, features, probabilities
from alexnet.model import AlexNet, init_alexnet
from alexnet.schedule import rate_of
from alexnet.train import AlexNetRow, AlexNetRun, fit_alexnet

pytestmark = pytest.mark.numerical

CPU = torch.device("cpu")
CONFIG = AlexNetConfig.original().smoke()
# All that happens in the 93 epochs of net #145 in four, each of seven batches of 48 images and the last of 32.
RECIPE = replace(
    AlexNetRecipe.original(),
    learning_rate=0.002,
    batch_size=48,
    epochs=4,
    drops=(1, 3),
    conv1_drops=(2,),
    conv1_freeze=3,
    noise_off=2,
)


def run(
    splits: dict[str, ImageSet], recipe: AlexNetRecipe = RECIPE, config: AlexNetConfig = CONFIG, seed: int = 0, **options: object
) -> AlexNetRun:
    options = {"precision": "fp32", **options}
    if "checkpoint" in options:
        options["checkpoint"] = Checkpoint(options["checkpoint"], interval=0)  # type: ignore[arg-type]
    return fit_alexnet(config, recipe, splits["train"], splits["test"], seed=seed, device=CPU, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def uninterrupted(splits: dict[str, ImageSet]) -> AlexNetRun:
    return run(splits)


@pytest.fixture
def root(imagesets: Path, splits: dict[str, ImageSet]) -> tuple[Path, Path]:
    """Where the training and the test images lie, for other processes."""
    return imagesets / "train", imagesets / "test"


def weights(net: torch.nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in net.named_parameters()}


def test_one_batch_overfits(splits: dict[str, ImageSet]) -> None:
    views = Views(splits["train"], splits["train"], CONFIG.image_size, replace(RECIPE, noise="none"), CPU)
    state = train.start_alexnet(replace(CONFIG, dropout=False), RECIPE, views, 0, "fp32", None)
    train.set_rates(state, RECIPE, 0, 0.01)
    images, labels = next(views.epoch(0, 0, 16))
    losses = [train.train_step(state, images, labels)[0].item() for _ in range(120)]
    assert losses[0] > 2
    assert losses[-1] < 0.05


def test_every_row_says_what_was_trained(uninterrupted: AlexNetRun) -> None:
    rows = uninterrupted.history
    assert [row.step for row in rows] == [7 * epoch + step for epoch in range(4) for step in (1, 3, 4, 6, 7)]
    assert [sum(row.images for row in rows[k : k + 5]) for k in (0, 5, 10, 15)] == [320] * 4
    assert all(isinstance(row, AlexNetRow) for row in rows)
    assert [row.learning_rate for row in rows[::5]] == pytest.approx([2e-3, 2e-4, 2e-4, 2e-5], rel=1e-12)
    assert [row.validation_error is not None for row in rows] == [False, False, False, False, True] * 4
    assert uninterrupted.validation_errors == [row.validation_error for row in rows[4::5]]


def test_the_validation_error_is_that_of_the_central_view(uninterrupted: AlexNetRun, splits: dict[str, ImageSet]) -> None:
    held_out = Views(splits["test"], splits["train"], CONFIG.image_size, RECIPE, CPU)
    found = probabilities(uninterrupted.net, held_out, views=1, precision="fp32")
    assert uninterrupted.validation_errors[-1] == errors(found, torch.from_numpy(splits["test"].labels))["top1"]


def test_same_seed_same_bits(uninterrupted: AlexNetRun, splits: dict[str, ImageSet]) -> None:
    torch.manual_seed(999)  # the global state must not matter
    np.random.seed(999)  # noqa: NPY002
    assert bits(run(splits)) == bits(uninterrupted)
    assert bits(run(splits, replace(RECIPE, epochs=1), seed=1)) != bits(run(splits, replace(RECIPE, epochs=1)))


def test_dropout_masks_depend_on_seed_epoch_and_step(splits: dict[str, ImageSet]) -> None:
    views = Views(splits["train"], splits["train"], CONFIG.image_size, RECIPE, CPU)
    net = AlexNet(CONFIG)
    masks = set()
    for seed in range(3):
        for epoch in range(2):
            for _ in train.presented(net, net, views, seed, epoch, 7, 0):
                generator = torch.Generator().manual_seed(net.dropout_key)
                masks.add((torch.rand(64, generator=generator) < 0.5).numpy().tobytes())
    assert len(masks) == 3 * 2 * 7


class Stop(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize("step", [4, 7, 20, 25])  # in an epoch, at its end, after the light is out, with conv1 frozen
def test_an_interrupted_run_ends_with_the_bits_of_an_uninterrupted_one(
    uninterrupted: AlexNetRun, splits: dict[str, ImageSet], tmp_path: Path, step: int
) -> None:
    def stop(row: train.Row) -> None:
        if row.step == step:
            raise Stop

    with pytest.raises(Stop):
        run(splits, checkpoint=tmp_path / "c.pt", on_row=stop)
    resumed = run(splits, checkpoint=tmp_path / "c.pt")
    assert resumed.attempts == 2
    assert bits(resumed) == bits(uninterrupted)


def test_a_resumed_run_remembers_its_plateau(splits: dict[str, ImageSet], tmp_path: Path) -> None:
    recipe = replace(RECIPE, drops=(), plateau=1, learning_rate=1e-9, epochs=10)  # learns nothing
    seen: list[float] = []

    def stop(row: train.Row) -> None:
        seen.append(row.learning_rate)  # type: ignore[attr-defined]
        if row.step == 18:
            raise Stop

    with pytest.raises(Stop):
        run(splits, recipe, checkpoint=tmp_path / "c.pt", on_row=stop)
    resumed = run(splits, recipe, checkpoint=tmp_path / "c.pt", on_row=lambda row: seen.append(row.learning_rate))  # type: ignore[attr-defined]
    found = resumed.validation_errors
    assert len(found) == 5  # three drops, and the end
    assert seen == [rate_of(recipe, epoch, found[:epoch]) for epoch in range(5) for _ in range(5)]
    assert seen[::5] == pytest.approx([1e-9, 1e-9, 1e-10, 1e-11, 1e-12], rel=1e-9)


def test_conv1_is_frozen_and_nothing_else(splits: dict[str, ImageSet]) -> None:
    recipe = replace(RECIPE, epochs=3, drops=(), conv1_drops=(), conv1_freeze=1)
    after: list[dict[str, Tensor]] = []
    state: dict[str, AlexNetRun] = {}
    start = train.start_alexnet

    def kept(*arguments: object) -> AlexNetRun:
        state["run"] = start(*arguments)  # type: ignore[arg-type]
        after.append(weights(state["run"].net))
        return state["run"]

    def snapshot(row: train.Row) -> None:
        if row.step % 7 == 0:
            after.append(weights(state["run"].net))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "start_alexnet", kept)
        run(splits, recipe, on_row=snapshot)
    assert len(after) == 4
    for name in after[0]:
        moved = [not torch.equal(a[name], b[name]) for a, b in pairwise(after)]
        assert moved == ([True, False, False] if "conv1" in name else [True, True, True]), name


def test_rates_of_layers_and_biases(splits: dict[str, ImageSet]) -> None:
    views = Views(splits["train"], splits["train"], CONFIG.image_size, RECIPE, CPU)
    state = train.start_alexnet(CONFIG, RECIPE, views, 0, "fp32", None)

    def groups(recipe: AlexNetRecipe, epoch: int) -> dict[tuple[str, str], tuple[float, float]]:
        train.set_rates(state, recipe, epoch, rate_of(recipe, epoch, []))
        return {group["named"]: (group["lr"], group["weight_decay"]) for group in state.optimizer.param_groups}

    found = groups(AlexNetRecipe.original(), 70)
    assert len(found) == 16
    assert found["conv1", "weight"] == (pytest.approx(1e-5), 5e-4)
    assert found["conv1", "bias"] == (pytest.approx(2e-5), 0)
    assert found["fc8", "weight"] == (pytest.approx(1e-4), 5e-4)
    assert found["fc8", "bias"] == (pytest.approx(2e-4), 0)
    assert found["conv5", "bias"] == (pytest.approx(2e-4), 0)
    assert groups(AlexNetRecipe.original(), 72)["conv1", "bias"] == (0, 0)
    assert groups(AlexNetRecipe.paper(), 0)["conv1", "bias"] == (0.01, 0)
    assert groups(AlexNetRecipe.finetuning(), 0)["fc8", "weight"] == (pytest.approx(0.01), 5e-4)
    assert {group["momentum"] for group in state.optimizer.param_groups} == {0.9}


def test_starts_from_given_weights_where_they_fit(splits: dict[str, ImageSet]) -> None:
    other = AlexNet(replace(CONFIG, classes=7))
    init_alexnet(other, 5)
    short = replace(RECIPE, learning_rate=1e-30, epochs=1)
    found = weights(run(splits, short, initial=other.state_dict()).net)
    drawn = AlexNet(CONFIG)
    init_alexnet(drawn, 0)
    for name, weight in weights(drawn).items():
        expected = weight if name.startswith("layers.fc8") else dict(other.state_dict())[name]
        torch.testing.assert_close(found[name], expected, rtol=0, atol=1e-20)


def test_images_of_other_classes_are_refused(splits: dict[str, ImageSet]) -> None:
    with pytest.raises(ValueError, match="the network has 200 classes, the images 10"):
        run(splits, config=replace(CONFIG, classes=200))


def test_a_last_batch_too_small_for_all_processes_is_refused(splits: dict[str, ImageSet], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "place", lambda: (0, 3))
    with pytest.raises(ValueError, match="a batch of 2 images is too small for 3 processes"):
        run(splits, replace(RECIPE, batch_size=53))


def test_a_diverged_run_stops_and_claims_nothing(splits: dict[str, ImageSet]) -> None:
    done = run(splits, replace(RECIPE, learning_rate=1e30))
    assert done.diverged
    assert done.step <= 7
    assert done.validation_errors in ([], [100.0])


def in_another_process(target: Callable[..., None], *arguments: object) -> multiprocessing.process.BaseProcess:
    """Forked from a server that has imported torch once, and with it what its optimisers import at their first step."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch._dynamo"])
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def killed_run(train_folder: Path, test_folder: Path, checkpoint: Path) -> None:
    torch.set_num_threads(1)

    def kill(row: train.Row) -> None:
        if row.step == 10:
            os.kill(os.getpid(), signal.SIGKILL)

    run({"train": open_imageset(train_folder), "test": open_imageset(test_folder)}, checkpoint=checkpoint, on_row=kill)


@pytest.mark.usefixtures("other_process_rounds_alike")
def test_kill_9_in_mid_epoch(
    uninterrupted: AlexNetRun, splits: dict[str, ImageSet], tmp_path: Path, root: tuple[Path, Path]
) -> None:
    killed = in_another_process(killed_run, *root, tmp_path / "c.pt")
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    seen: list[int] = []
    resumed = run(splits, checkpoint=tmp_path / "c.pt", on_row=lambda row: seen.append(row.step))
    assert seen[0] == 11  # it went on where the other stopped
    assert bits(resumed) == bits(uninterrupted)


TOGETHER = replace(RECIPE, epochs=2, drops=(1,), conv1_drops=(), conv1_freeze=1, noise_off=1)


def share(rank: int, world: int, train_folder: Path, test_folder: Path, folder: Path) -> None:
    """Train without dropout, whose masks are each process's own, and evaluate; the first process writes down what came out."""
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting{world}", rank=rank, world_size=world)
    splits = {"train": open_imageset(train_folder), "test": open_imageset(test_folder)}
    checkpoint = folder / f"c{world}.pt"
    done = run(splits, TOGETHER, replace(CONFIG, dropout=False), checkpoint=checkpoint)
    held_out = Views(splits["test"], splits["train"], CONFIG.image_size, TOGETHER, CPU)
    found = {
        "rows": [(row.step, row.images, row.train_loss, row.train_error) for row in done.history],
        "validation": done.validation_errors,
        "weights": weights(done.net),
        "one": probabilities(done.net, held_out, views=1, precision="fp32", batch_size=7),
        "ten": probabilities(done.net, held_out, views=10, precision="fp32"),
        "features": features(done.net, held_out, precision="fp32"),
        "again": run(splits, TOGETHER, replace(CONFIG, dropout=False), checkpoint=checkpoint).attempts,
    }
    torch.save(found, folder / f"{world}-{rank}.pt")
    if world > 1:
        dist.destroy_process_group()


def test_several_processes_train_what_one_does(tmp_path: Path, root: tuple[Path, Path]) -> None:
    processes = [in_another_process(share, rank, world, *root, tmp_path) for world in (2, 3) for rank in range(world)]
    share(0, 1, *root, tmp_path)
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 5
    alone = torch.load(tmp_path / "1-0.pt")
    for world in (2, 3):
        for rank in range(world):
            found = torch.load(tmp_path / f"{world}-{rank}.pt")
            assert found["again"] == 2  # all of them found the checkpoint
            for ours, theirs in zip(found["rows"], alone["rows"], strict=True):
                assert ours[:2] == theirs[:2]  # every image of every batch counted once
                assert ours[2:] == pytest.approx(theirs[2:], rel=1e-4)
            assert found["validation"] == pytest.approx(alone["validation"], abs=2.0)  # two of 100 images may all but tie
            for name, weight in alone["weights"].items():
                torch.testing.assert_close(found["weights"][name], weight, rtol=0, atol=1e-4 * weight.abs().max().item() + 1e-6)
            for name in ("one", "ten", "features"):
                torch.testing.assert_close(found[name], alone[name], rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(found["one"].sum(1), torch.ones(100))  # no image twice, none left out
        net = AlexNet(replace(CONFIG, dropout=False))
        net.load_state_dict(found["weights"])  # what all processes agree on is one network


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_same_seed_same_bits_on_a_gpu(splits: dict[str, ImageSet]) -> None:
    from reproductions.harness.bench import set_up  # not for the other processes, where it takes long

    device = set_up("cuda", 1)
    first, second = (
        fit_alexnet(CONFIG, RECIPE, splits["train"], splits["test"], seed=0, device=device, precision="fp32") for _ in range(2)
    )
    for a, b in zip(first.net.parameters(), second.net.parameters(), strict=True):
        assert torch.equal(a, b)
    assert first.validation_errors == second.validation_errors
