"""Training: every network learns, repeats to the bit and survives a kill."""

import signal
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import ALEXNET, CIFAR, CPU, LOCAL, NETWORKS, Network, Splits, bits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from alexnet.checkpoint import Checkpoint
from alexnet.config import AlexNetRecipe, LocallyConnectedRecipe, Recipe
from alexnet.data.loader import Loader, batches_of
from alexnet.evaluation import argmax_correct, evaluate
from alexnet.optim import PaperSGD, layer_groups
from alexnet.training import Row, Training, set_layer_rates, train, train_step

pytestmark = pytest.mark.numerical


@pytest.fixture(params=NETWORKS.values(), ids=str)
def network(request: pytest.FixtureRequest) -> Network:
    return request.param


@pytest.fixture(scope="module")
def whole(splits: Splits) -> dict[str, Training]:
    """A training of each network that nothing interrupts."""
    return {name: network.train(splits) for name, network in NETWORKS.items()}


def started(
    network: Network, recipe: object = None, precision: str = "fp32", **changes: object
) -> Training:
    net = replace(network.config, **changes).build(0).to(memory_format=torch.channels_last)
    optimizer = PaperSGD(layer_groups(net), lr=0.0, momentum=0.9)
    state = Training(net, optimizer, precision)
    set_layer_rates(state, recipe or network.recipe, 0)
    return state


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_one_batch_overfits(network: Network, precision: str, splits: Splits) -> None:
    if network is CIFAR and precision == "bf16":
        pytest.skip("half a minute where bf16 is emulated")
    changes = {
        CIFAR: {"learning_rate": 0.02},
        LOCAL: {},
        ALEXNET: {"learning_rate": 0.01, "color_noise": "none"},
    }
    recipe = replace(network.recipe, **changes[network])
    state = started(
        network, recipe, precision, **({"dropout": False} if network is ALEXNET else {})
    )
    batches = batches_of(splits["train"], state.net, recipe, CPU, mean_of=splits["train"])
    images, labels = next(batches.epoch(0, 0, 16))
    losses = [train_step(state, state.net, images, labels)[0].item() for _ in range(120)]
    assert losses[0] > 2
    assert losses[-1] < 0.05


def test_learns_the_synthetic_images(splits: Splits) -> None:
    done = CIFAR.train(splits, epochs=15, batch_size=32)
    assert done.history[-1].train_error < 30
    batches = batches_of(splits["test"], done.net, CIFAR.recipe, CPU, mean_of=splits["train"])
    assert isinstance(batches, Loader)
    correct = argmax_correct(done.net, batches, "fp32")
    assert correct.shape == (100,)
    assert correct.float().mean() > 0.4  # chance is 0.1
    errors = evaluate(done.net, splits["test"], mean_of=splits["train"], recipe=CIFAR.recipe)
    assert errors["top1"] == pytest.approx(100 * (1 - correct.float().mean().item()))


RATES = {
    "cifar": [0.01] * 3,
    "locally connected": [1e-3, 1e-4, 1e-5],
    "alexnet": [2e-3, 2e-4, 2e-4, 2e-5],
}


def test_history_counts_every_image_once_per_epoch(
    network: Network, whole: dict[str, Training]
) -> None:
    rows, epochs = whole[network.name].history, network.recipe.epochs
    assert [row.step for row in rows] == [
        7 * k + step for k in range(epochs) for step in (1, 3, 4, 6, 7)
    ]
    assert [sum(row.images for row in rows[k : k + 5]) for k in range(0, 5 * epochs, 5)] == [
        320
    ] * epochs
    assert [row.epoch for row in rows[4::5]] == list(range(1, epochs + 1))
    assert [row.learning_rate for row in rows[::5]] == pytest.approx(RATES[network.name], rel=1e-12)
    validated = [row.validation_error is not None for row in rows]
    assert validated == [False, False, False, False, network.validated] * epochs


def test_the_validation_error_is_the_central_crops(
    whole: dict[str, Training], splits: Splits
) -> None:
    done = whole["alexnet"]
    errors = evaluate(done.net, splits["test"], mean_of=splits["train"], recipe=ALEXNET.recipe)
    assert done.validation_errors[-1] == errors["top1"]


def test_same_seed_same_bits_and_seed_0_is_a_seed(
    network: Network, whole: dict[str, Training], splits: Splits
) -> None:
    torch.manual_seed(999)  # the global generators neither matter nor change
    np.random.seed(999)  # noqa: NPY002
    done = network.train(splits)
    assert bits(done) == bits(whole[network.name])
    assert bits(network.train(splits, seed=1, epochs=1)) != bits(network.train(splits, epochs=1))
    net = network.config.build(5)
    state = torch.get_rng_state()
    train(net, replace(network.recipe, epochs=1), splits["train"], seed=0, device=CPU)
    assert torch.equal(torch.get_rng_state(), state)


class Masked(nn.Module):
    """A network of one dropout, which remembers its masks."""

    def __init__(self) -> None:
        super().__init__()
        self.masks: list[bytes] = []
        self.out = nn.Linear(3, 10)

    def forward(self, images: Tensor) -> Tensor:
        mask = nn.functional.dropout(torch.ones(64), 0.5, self.training)
        self.masks.append(mask.numpy().tobytes())
        return self.out(images.mean((2, 3)))


def test_dropout_depends_on_seed_and_step_alone(splits: Splits) -> None:
    """In any network, by any layer that draws from torch's generators."""
    masks = []
    for seed in (0, 1, 0):
        net = Masked()
        train(
            net,
            Recipe(learning_rate=1e-6, batch_size=48, epochs=2),
            splits["train"],
            seed=seed,
            device=CPU,
        )
        masks.append(net.masks)
    assert masks[0] == masks[2]
    assert len({*masks[0], *masks[1]}) == 2 * 2 * 7


class Stop(Exception):  # noqa: N818
    pass


# in an epoch, at its end, after a drop, and where conv1 is frozen
@pytest.mark.parametrize("step", [4, 7, 10, 20, 25])
def test_an_interrupted_training_ends_with_the_bits_of_an_uninterrupted_one(
    network: Network, whole: dict[str, Training], splits: Splits, tmp_path: Path, step: int
) -> None:
    if step > 7 * network.recipe.epochs:
        pytest.skip("it is over by then")

    def stop(row: Row) -> None:
        if row.step == step:
            raise Stop

    with pytest.raises(Stop):
        network.train(splits, checkpoint=tmp_path / "c.pt", on_row=stop)
    resumed = network.train(splits, checkpoint=tmp_path / "c.pt")
    assert resumed.attempts == 2
    assert bits(resumed) == bits(whole[network.name])


def test_a_resumed_training_remembers_its_plateau(splits: Splits, tmp_path: Path) -> None:
    still = {"lr_milestones": (), "plateau_patience": 1, "learning_rate": 1e-9, "epochs": 10}
    seen: list[float] = []

    def stop(row: Row) -> None:
        seen.append(row.learning_rate)
        if row.step == 18:
            raise Stop

    with pytest.raises(Stop):
        ALEXNET.train(splits, checkpoint=tmp_path / "c.pt", on_row=stop, **still)
    resumed = ALEXNET.train(
        splits,
        checkpoint=tmp_path / "c.pt",
        on_row=lambda row: seen.append(row.learning_rate),
        **still,
    )
    assert len(resumed.validation_errors) == 5  # three drops, and the end
    assert seen[::5] == pytest.approx([1e-9, 1e-9, 1e-10, 1e-11, 1e-12], rel=1e-9)
    assert all(len(set(seen[k : k + 5])) == 1 for k in range(0, 25, 5))


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
from networks import NETWORKS
from alexnet.data.imageset import open_imageset
torch.set_num_threads(1)
def kill(row):
    if row.step == 10:
        os.kill(os.getpid(), signal.SIGKILL)
name, folder, checkpoint = sys.argv[2:]
splits = {split: open_imageset(Path(folder) / split) for split in ("train", "test")}
NETWORKS[name].train(splits, checkpoint=Path(checkpoint), on_row=kill)
"""


@pytest.mark.usefixtures("other_process_rounds_alike")
def test_kill_9_in_mid_epoch(
    network: Network,
    whole: dict[str, Training],
    splits: Splits,
    imagesets: Path,
    tmp_path: Path,
    clean_env: dict[str, str],
) -> None:
    """Another process trains and is killed by the kernel; this one ends with the same bits."""
    tests = str(Path(__file__).parents[1])
    arguments = [sys.executable, "-c", KILLED, tests, network.name, imagesets, tmp_path / "c.pt"]
    killed = subprocess.run(arguments, env=clean_env, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    seen: list[int] = []
    resumed = network.train(
        splits, checkpoint=tmp_path / "c.pt", on_row=lambda row: seen.append(row.step)
    )
    assert seen[0] == 11  # it went on where the other stopped
    assert bits(resumed) == bits(whole[network.name])


@pytest.mark.parametrize(("window", "rows"), [("row", 1), ("pass", 5)])
def test_stops_below_the_target_and_at_the_budget(splits: Splits, window: str, rows: int) -> None:
    stopped = CIFAR.train(
        splits, batch_size=32, epochs=15, target_train_error=60.0, target_window=window
    )
    errors, images = zip(*((row.train_error, row.images) for row in stopped.history), strict=True)
    means = [
        np.average(errors[k - rows : k], weights=images[k - rows : k])
        for k in range(rows, len(errors) + 1)
    ]
    assert means[-1] < 60
    assert all(mean >= 60 for mean in means[:-1])
    assert CIFAR.train(splits, batch_size=32, epochs=1, target_train_error=0.0).step == 10


def test_a_diverged_training_stops(network: Network, splits: Splits) -> None:
    done = network.train(splits, learning_rate=1e30)
    assert done.diverged
    assert done.step <= 14
    assert done.validation_errors in ([], [100.0])


def rates(
    recipe: object, network: Network, epoch: int
) -> dict[tuple[str, str], tuple[float, float]]:
    state = started(network)
    set_layer_rates(state, recipe, epoch)
    assert {group["momentum"] for group in state.optimizer.param_groups} == {0.9}
    return {
        group["layer"]: (group["lr"], group["weight_decay"])
        for group in state.optimizer.param_groups
    }


def test_rates_and_decays_of_alexnets_layers() -> None:
    found = rates(AlexNetRecipe.original(), ALEXNET, 70)
    assert len(found) == 16
    assert found["conv1", "weight"] == (pytest.approx(1e-5), 5e-4)
    assert found["conv1", "bias"] == (pytest.approx(2e-5), 0)
    assert found["fc8", "weight"] == (pytest.approx(1e-4), 5e-4)
    assert found["fc8", "bias"] == (pytest.approx(2e-4), 0)
    assert found["conv5", "bias"] == (pytest.approx(2e-4), 0)
    assert rates(AlexNetRecipe.original(), ALEXNET, 72)["conv1", "bias"] == (0, 0)
    assert rates(AlexNetRecipe.paper(), ALEXNET, 0)["conv1", "bias"] == (0.01, 0)
    tuned = rates(AlexNetRecipe.finetuning(), ALEXNET, 0)
    assert tuned["fc8", "weight"] == (pytest.approx(0.01), 5e-4)


@pytest.mark.parametrize(
    ("epoch", "rate"), [(0, 1e-3), (429, 1e-3), (430, 1e-4), (439, 1e-4), (440, 1e-5), (449, 1e-5)]
)
def test_rates_and_decays_of_locally_connected_layers(epoch: int, rate: float) -> None:
    """Weights' rates drop, biases' do not; each layer has its own decay, biases none."""
    decays = {"conv1": 0.0, "conv2": 0.0, "local3": 0.004, "local4": 0.004, "fc10": 0.01}
    weights = {(layer, "weight"): (pytest.approx(rate), decay) for layer, decay in decays.items()}
    biases = {(layer, "bias"): (0.002, 0.0) for layer in decays}
    assert rates(LocallyConnectedRecipe.published_11pct(), LOCAL, epoch) == weights | biases


def test_rates_and_decays_of_figure_1() -> None:
    found = rates(Recipe(learning_rate=0.002, weight_decay=0.1), CIFAR, 3)
    assert {pair for (_, kind), pair in found.items() if kind == "weight"} == {(0.002, 0.1)}
    assert {pair for (_, kind), pair in found.items() if kind == "bias"} == {(0.004, 0.0)}


def test_conv1_is_frozen_and_nothing_else(splits: Splits) -> None:
    net = ALEXNET.config.build(0)
    after = [{name: weight.detach().clone() for name, weight in net.named_parameters()}]

    def snapshot(row: Row) -> None:
        if row.step % 7 == 0:
            after.append({name: weight.detach().clone() for name, weight in net.named_parameters()})

    frozen = {"lr_milestones": (), "conv1_lr_milestones": (), "conv1_freeze_epoch": 1}
    recipe = replace(ALEXNET.recipe, epochs=3, **frozen)
    train(net, recipe, splits["train"], splits["test"], device=CPU, on_row=snapshot)
    assert len(after) == 4
    for name in after[0]:
        moved = [not torch.equal(a[name], b[name]) for a, b in pairwise(after)]
        assert moved == ([True, False, False] if "conv1" in name else [True, True, True]), name


def test_what_the_user_froze_stays_frozen_and_nothing_else_does(splits: Splits) -> None:
    net = ALEXNET.config.build(0)
    net.layers["conv2"].requires_grad_(False)
    net.layers["conv1"].eval()
    modes = [module.training for module in net.modules()]
    evaluate(net, splits["test"], mean_of=splits["train"], recipe=ALEXNET.recipe)
    assert [module.training for module in net.modules()] == modes
    before = net.layers["conv2"].weight.clone()
    recipe = replace(ALEXNET.recipe, epochs=2, conv1_freeze_epoch=1)
    train(net, recipe, splits["train"], device=CPU)
    assert torch.equal(net.layers["conv2"].weight, before)
    frozen = [name for name, weight in net.named_parameters() if not weight.requires_grad]
    assert frozen == ["layers.conv2.weight", "layers.conv2.bias"]


def test_images_of_two_sets_are_refused(splits: Splits) -> None:
    test = splits["test"]
    for what, value in {"classes": test.meta.classes[::-1], "shape": (9, 9, 3)}.items():
        other = {**splits, "test": replace(test, meta=replace(test.meta, **{what: value}))}
        with pytest.raises(ValueError, match=f"training and test images have different {what}"):
            ALEXNET.train(other)


def test_what_cannot_be_done_is_one_line(splits: Splits, tmp_path: Path) -> None:
    net = CIFAR.config.build(0)
    with pytest.raises(ValueError, match="no precision is called 'half'; say fp32 or bf16"):
        train(net, CIFAR.recipe, splits["train"], precision="half")
    with pytest.raises(ValueError, match="waits for a plateau of the test error needs test images"):
        train(ALEXNET.config.build(0), AlexNetRecipe.paper(), splits["train"])
    with pytest.raises(ValueError, match="one crop of an image is evaluated or ten, not 5"):
        evaluate(net, splits["test"], mean_of=splits["train"], crops=5)
    with pytest.raises(ValueError, match="the network has 200 classes, the images 10"):
        CIFAR.train(splits, config=replace(CIFAR.config, classes=200))
    few = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4))
    with pytest.raises(ValueError, match="the network has 4 outputs, and there is an image of "):
        train(few, CIFAR.recipe, splits["train"], device=CPU)
    with pytest.raises(ValueError, match="the network has 4 outputs, and there is an image of "):
        evaluate(few, splits["test"], mean_of=splits["train"])
    with pytest.raises(ValueError, match="has no decay for 'conv3'"):
        train(net, LOCAL.recipe, splits["train"])

    class Other:
        """As a recipe, without fields."""

        def __getattr__(self, name: str) -> object:
            return getattr(CIFAR.recipe, name)

    with pytest.raises(TypeError, match=r"cannot tell .* from others; use a dataclass"):
        train(net, Other(), splits["train"], device=CPU, checkpoint=Checkpoint(tmp_path / "c.pt"))


def test_any_network_and_a_data_loader(splits: Splits) -> None:
    """A custom module without config, on a DataLoader: the loss falls, tests are evaluated."""
    data = splits["train"]
    pixels = torch.from_numpy(data.images).permute(0, 3, 1, 2).float() - 120
    loader = DataLoader(
        TensorDataset(pixels / 60, torch.from_numpy(data.labels)), batch_size=32, shuffle=True
    )
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 64), nn.ReLU(), nn.Linear(64, 10))
    recipe = Recipe(learning_rate=0.01, batch_size=32, epochs=6)
    done = train(net, recipe, loader, loader, device=CPU)
    assert len(done.validation_errors) == 6
    assert done.validation_errors[-1] < done.validation_errors[0]
    assert done.history[-1].images == 64
    assert evaluate(net, loader, mean_of=loader)["top1"] == done.validation_errors[-1]
    with pytest.raises(ValueError, match="ten crops of an image need an ImageSet"):
        evaluate(net, loader, mean_of=loader, crops=10)
    for pair in ((loader, splits["test"]), (splits["train"], loader)):
        with pytest.raises(TypeError, match="both ImageSets or both DataLoaders"):
            train(net, recipe, *pair, device=CPU)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_same_seed_same_bits_on_a_gpu(network: Network, splits: Splits) -> None:
    from reproductions.harness.execute.context import set_up

    device = set_up("cuda", 1)
    first, second = (network.train(splits, device=device) for _ in range(2))
    for a, b in zip(first.net.parameters(), second.net.parameters(), strict=True):
        assert torch.equal(a, b)
    assert first.validation_errors == second.validation_errors
