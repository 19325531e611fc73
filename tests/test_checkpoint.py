"""A checkpoint resumes only its own training; broken ones are renamed, passing faults harmless."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from machine import small_disk, without_privileges
from networks import CPU, NETWORKS, Network
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from alexnet import checkpoint
from alexnet.checkpoint import MARK, BrokenError, Checkpoint
from alexnet.config import Recipe
from alexnet.data.imageset import ImageSet
from alexnet.training import Training, train

Splits = dict[str, ImageSet]


Train = Callable[..., Training]


def trainer(network: Network) -> Train:
    """One epoch of a network, in five rows."""

    def train_one(
        splits: Splits,
        checkpoint: Checkpoint | None,
        seed: int = 0,
        batch: int = 40,
        **options: Any,
    ) -> Training:
        recipe = replace(network.recipe, batch_size=batch, epochs=1)
        images = splits["train"], splits["test"] if network.validated else None
        net = network.config.build(seed)
        return train(net, recipe, *images, seed=seed, device=CPU, checkpoint=checkpoint, **options)

    return train_one


TRAINERS = {name: trainer(network) for name, network in NETWORKS.items()}


@pytest.fixture(params=TRAINERS.values(), ids=TRAINERS)
def train_one(request: pytest.FixtureRequest) -> Train:
    return request.param


class Stop(Exception):  # noqa: N818
    pass


def stopped_after(rows: int) -> Callable[[object], None]:
    left = [rows]

    def stop(_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Stop

    return stop


def begun(train_one: Train, splits: Splits, path: Path, **options: Any) -> bytes:
    """The checkpoint of a training that was stopped after two rows."""
    with pytest.raises(Stop):
        train_one(
            splits, Checkpoint(path, {"run": "a"}, interval=0), on_row=stopped_after(2), **options
        )
    return path.read_bytes()


def bits(run: Training) -> list[object]:
    rows = [replace(row, seconds=0.0, checkpoint_seconds=0.0) for row in run.history]
    return [*rows, *(tensor.detach().numpy().tobytes() for tensor in run.net.state_dict().values())]


def of_another_seed(train_one: Train, splits: Splits, path: Path) -> None:
    begun(train_one, splits, path, seed=1)


def of_another_recipe(train_one: Train, splits: Splits, path: Path) -> None:
    begun(train_one, splits, path, batch=50)


def of_other_images(train_one: Train, splits: Splits, path: Path) -> None:
    begun(train_one, {**splits, "train": splits["test"]}, path)


def of_another_run(train_one: Train, splits: Splits, path: Path) -> None:
    with pytest.raises(Stop):
        train_one(splits, Checkpoint(path, {"run": "b"}, interval=0), on_row=stopped_after(2))


def spoiling(change: Callable[[bytes], bytes]) -> Callable[..., None]:
    def spoil(train_one: Train, splits: Splits, path: Path) -> None:
        path.write_bytes(change(begun(train_one, splits, path)))

    return spoil


def another_number(old: bytes) -> bytes:
    """In the JSON, where it can be read, of a training that got further."""
    return old.replace(b'"step": ', b'"step": 1', 1)


def of_another_network(train_one: Train, splits: Splits, path: Path) -> None:
    """As after a change of the code: all is whole, and does not fit."""
    begun(train_one, splits, path)
    about = json.loads(path.read_bytes().split(b"\n")[2])
    state = checkpoint.read(path)
    state["net"]["a new layer"] = torch.zeros(1)
    checkpoint.write(path, state, about)


def hostile(train_one: Train, splits: Splits, path: Path) -> None:
    path.write_bytes(b"cos\nsystem\n(S'touch " + os.fsencode(path.parent) + b"/exploded'\ntR.")


UNFIT = {
    "another seed": (of_another_seed, "belongs to another run: seed is '1' and not '0'"),
    "another recipe": (of_another_recipe, "belongs to another run: recipe.batch_size is '50' and"),
    "other images": (of_other_images, "belongs to another run: images is"),
    "another run": (of_another_run, "belongs to another run: run is 'b' and not 'a'"),
    "one byte": (
        spoiling(lambda old: old[:-900] + bytes([old[-900] ^ 1]) + old[-899:]),
        "does not match its checksum (0.0 minutes",
    ),
    "a number": (spoiling(another_number), "does not match its checksum (0.0 minutes of training)"),
    "half": (
        spoiling(lambda old: old[: len(old) // 2]),
        "does not match its checksum (0.0 minutes of training)",
    ),
    "the mark": (spoiling(lambda _: MARK), "does not match its checksum"),
    "too long": (spoiling(lambda old: old + b"\0"), "does not match its checksum"),
    "nothing": (spoiling(lambda _: b""), "is not a checkpoint in the current format"),
    "a network": (of_another_network, "was saved from another network"),
    "hostile": (hostile, "is not a checkpoint in the current format"),
}


@pytest.mark.parametrize("harm", UNFIT)
def test_what_does_not_fit_is_moved_aside_and_the_training_starts(
    splits: Splits, tmp_path: Path, harm: str
) -> None:
    path, said, train_one = tmp_path / "c.pt", list[str](), TRAINERS["alexnet"]
    prepare, why = UNFIT[harm]
    prepare(train_one, splits, path)
    content = path.read_bytes()
    done = train_one(splits, Checkpoint(path, {"run": "a"}, interval=0, say=said.append))
    assert done.attempts == 1
    assert bits(done) == bits(train_one(splits, None))
    assert (tmp_path / "c.pt.broken-1").read_bytes() == content
    (line,) = said
    assert line.startswith(f"{path}: {why}")
    assert line.endswith("renamed to c.pt.broken-1, training restarts from the beginning")
    assert "\n" not in line
    assert not (tmp_path / "exploded").exists()


class Named(TensorDataset):
    """As torchvision's, which say what they hold."""

    def __init__(self, name: str, *tensors: torch.Tensor) -> None:
        super().__init__(*tensors)
        self.name = name

    def __repr__(self) -> str:
        return f"Dataset {self.name}\n    at {self.tensors[0].shape}"


def test_a_data_loader_is_known_by_what_its_data_set_says(tmp_path: Path) -> None:
    """Not by its place in memory: another process goes on, and another data set starts anew."""
    images, labels = torch.randn(20, 3, 4, 4), torch.arange(20) % 10
    recipe = Recipe(learning_rate=0.01, epochs=1)
    attempts = []
    for data in (
        TensorDataset(images, labels),
        TensorDataset(images, labels),
        Named("a", images, labels),
        Named("b", images, labels),
        Named("b", images, labels),
    ):
        net = nn.Sequential(nn.Flatten(), nn.Linear(48, 10))
        loader, checkpoint = DataLoader(data, batch_size=10), Checkpoint(tmp_path / "c.pt")
        attempts.append(train(net, recipe, loader, device=CPU, checkpoint=checkpoint).attempts)
    assert attempts == [1, 2, 1, 1, 2]


def test_its_own_is_gone_on_from(train_one: Train, splits: Splits, tmp_path: Path) -> None:
    path, said = tmp_path / "c.pt", list[str]()
    begun(train_one, splits, path)
    rows: list[int] = []
    done = train_one(
        splits,
        Checkpoint(path, {"run": "a"}, say=said.append),
        on_row=lambda row: rows.append(row.step),
    )
    assert (done.attempts, len(rows), said) == (2, 3, [])
    assert bits(done) == bits(train_one(splits, None))
    again = train_one(
        splits, Checkpoint(path, {"run": "a"}), on_row=lambda row: rows.append(row.step)
    )
    assert (again.attempts, len(rows)) == (3, 3), "its end was written"
    assert bits(again) == bits(done)


def no_memory(*_: object, **__: object) -> None:
    """What torch raises for its allocator: a plain RuntimeError."""
    raise RuntimeError(
        "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried "
        "to allocate"
    )


def test_short_memory_is_no_fault_of_the_file(
    train_one: Train, splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.pt"
    content = begun(train_one, splits, path)
    monkeypatch.setattr(torch, "load", no_memory)
    with pytest.raises(OSError, match="can't allocate memory") as caught:
        train_one(splits, Checkpoint(path, {"run": "a"}))
    assert (caught.value.errno, caught.value.filename) == (errno.ENOMEM, str(path))
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]
    assert path.read_bytes() == content


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that any user may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def test_a_file_that_may_not_be_read_stays(train_one: Train, splits: Splits, shared: Path) -> None:
    path = shared / "c.pt"
    content = begun(train_one, splits, path)
    path.chmod(0)
    with without_privileges(), pytest.raises(PermissionError):
        train_one(splits, Checkpoint(path, {"run": "a"}))
    path.chmod(0o600)
    assert path.read_bytes() == content
    assert [p.name for p in shared.iterdir()] == ["c.pt"]


def test_what_is_no_file_stays(train_one: Train, splits: Splits, tmp_path: Path) -> None:
    (tmp_path / "c.pt" / "mine").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        train_one(splits, Checkpoint(tmp_path / "c.pt"))
    assert (tmp_path / "c.pt" / "mine").is_dir()


def test_at_most_one_a_minute_and_one_at_the_end(
    train_one: Train, splits: Splits, tmp_path: Path
) -> None:
    """With a clock of 25 seconds a row, the first, the fourth and the last row are written."""
    path, now, written, seen = tmp_path / "c.pt", [0.0], list[int](), list[float]()

    def on_row(row: Any) -> None:
        now[0] += 25
        written.append(json.loads(path.read_bytes().split(b"\n")[2])["step"])
        seen.append(row.checkpoint_seconds)

    done = train_one(splits, Checkpoint(path, clock=lambda: now[0]), on_row=on_row)
    steps = [row.step for row in done.history]
    assert len(steps) == 5
    assert written == [steps[0]] * 3 + [steps[3]] * 2
    assert json.loads(path.read_bytes().split(b"\n")[2])["step"] == steps[-1]
    assert seen == sorted(seen)
    assert (seen[0], len(set(seen))) == (0.0, 3), (
        "the history has the time of what was written before each row"
    )


def test_no_room_is_found_out_before_the_first_step(
    train_one: Train, splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    rows: list[object] = []
    with pytest.raises(
        OSError, match=r"0.0 GB are free, and a training with its checkpoints needs"
    ) as caught:
        train_one(splits, Checkpoint(tmp_path / "c.pt"), on_row=rows.append)
    assert (caught.value.errno, rows) == (errno.ENOSPC, [])


def test_a_disk_that_fills_up_leaves_the_last_checkpoint(
    train_one: Train, splits: Splits, tmp_path: Path
) -> None:
    path = tmp_path / "c.pt"
    content = begun(train_one, splits, path)
    with small_disk(1000), pytest.raises(OSError, match="too large"):
        train_one(splits, Checkpoint(path, {"run": "a"}, interval=0))
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_a_crafted_file_is_no_checkpoint(tmp_path: Path) -> None:
    for state in (None, [], {"net": {}}, {"net": None, "history": [{"a": 1}]}):
        checkpoint.write(tmp_path / "c.pt", state, {})
        with pytest.raises(BrokenError, match="does not fit this optimizer or history"):
            checkpoint.restore(None, checkpoint.read(tmp_path / "c.pt"))  # type: ignore[arg-type]
