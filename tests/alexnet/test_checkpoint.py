"""A checkpoint resumes only its own training; broken ones are renamed, passing faults harmless."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from machine import small_disk, without_privileges
from networks import ALEXNET, CPU, Splits, bits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from alexnet import checkpoint
from alexnet.checkpoint import BrokenError, Checkpoint
from alexnet.config import Recipe
from alexnet.training import Training, train


def train_one(
    splits: Splits, checkpoint: Checkpoint | None, seed: int = 0, batch: int = 40, **options: Any
) -> Training:
    """One epoch in five rows."""
    recipe, net = replace(ALEXNET.recipe, batch_size=batch, epochs=1), ALEXNET.config.build(seed)
    images = splits["train"], splits["test"]
    return train(net, recipe, *images, seed=seed, device=CPU, checkpoint=checkpoint, **options)


class Stop(Exception):  # noqa: N818
    pass


def begun(splits: Splits, path: Path, run: str = "a", **options: Any) -> bytes:
    """The checkpoint of a training that was stopped after two rows."""
    rows: list[object] = []

    def stop(row: object) -> None:
        rows.append(row)
        if len(rows) == 2:
            raise Stop

    with pytest.raises(Stop):
        train_one(splits, Checkpoint(path, {"run": run}, interval=0), on_row=stop, **options)
    return path.read_bytes()


def spoiling(change: Callable[[bytes], bytes]) -> Callable[..., object]:
    return lambda splits, path: path.write_bytes(change(begun(splits, path)))


def of_another_network(splits: Splits, path: Path) -> None:
    """As after a change of the code: all is whole, and does not fit."""
    begun(splits, path)
    about = json.loads(path.read_bytes().split(b"\n")[2])
    state = checkpoint.read(path)
    state["net"]["a new layer"] = torch.zeros(1)
    checkpoint.write(path, state, about)


def hostile(_: Splits, path: Path) -> None:
    path.write_bytes(b"cos\nsystem\n(S'touch " + os.fsencode(path.parent) + b"/exploded'\ntR.")


DAMAGED = "does not match its checksum (0.0 minutes of training)"
UNFIT: dict[str, tuple[Callable[..., object], str]] = {
    "another seed": (
        lambda splits, path: begun(splits, path, seed=1),
        "belongs to another run: seed is '1' and not '0'",
    ),
    "another recipe": (
        lambda splits, path: begun(splits, path, batch=50),
        "belongs to another run: recipe.batch_size is '50' and",
    ),
    "other images": (
        lambda splits, path: begun({**splits, "train": splits["test"]}, path),
        "belongs to another run: images is",
    ),
    "another run": (
        lambda splits, path: begun(splits, path, "b"),
        "belongs to another run: run is 'b' and not 'a'",
    ),
    "one byte": (spoiling(lambda old: old[:-900] + bytes([old[-900] ^ 1]) + old[-899:]), DAMAGED),
    "half": (spoiling(lambda old: old[: len(old) // 2]), DAMAGED),
    "nothing": (spoiling(lambda _: b""), "is not a checkpoint in the current format"),
    "a network": (of_another_network, "was saved from another network"),
    "hostile": (hostile, "is not a checkpoint in the current format"),
}


@pytest.mark.parametrize("harm", UNFIT)
def test_what_does_not_fit_is_moved_aside_and_the_training_starts(
    splits: Splits, tmp_path: Path, harm: str
) -> None:
    path, said = tmp_path / "c.pt", list[str]()
    prepare, why = UNFIT[harm]
    prepare(splits, path)
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
    tensors = torch.randn(20, 3, 4, 4), torch.arange(20) % 10
    attempts = []
    for name in ("", "", "a", "b", "b"):
        data = Named(name, *tensors) if name else TensorDataset(*tensors)
        net = nn.Sequential(nn.Flatten(), nn.Linear(48, 10))
        loader, checkpoint = DataLoader(data, batch_size=10), Checkpoint(tmp_path / "c.pt")
        recipe = Recipe(learning_rate=0.01, epochs=1)
        attempts.append(train(net, recipe, loader, device=CPU, checkpoint=checkpoint).attempts)
    assert attempts == [1, 2, 1, 1, 2]


def test_a_training_that_ended_is_not_trained_again(splits: Splits, tmp_path: Path) -> None:
    path, rows = tmp_path / "c.pt", list[object]()
    done = train_one(splits, Checkpoint(path))
    again = train_one(splits, Checkpoint(path), on_row=rows.append)
    assert (again.attempts, rows, bits(again)) == (2, [], bits(done))


def test_short_memory_is_no_fault_of_the_file(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For which torch's allocator raises a plain RuntimeError."""
    path = tmp_path / "c.pt"
    content = begun(splits, path)

    def no_memory(*_: object, **__: object) -> None:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"
        )

    monkeypatch.setattr(torch, "load", no_memory)
    with pytest.raises(OSError, match="can't allocate memory") as caught:
        train_one(splits, Checkpoint(path, {"run": "a"}))
    assert (caught.value.errno, caught.value.filename) == (errno.ENOMEM, str(path))
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]
    assert path.read_bytes() == content


def test_a_file_that_may_not_be_read_stays(splits: Splits) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        path = Path(folder) / "c.pt"
        content = begun(splits, path)
        path.chmod(0)
        with without_privileges(), pytest.raises(PermissionError):
            train_one(splits, Checkpoint(path, {"run": "a"}))
        path.chmod(0o600)
        assert path.read_bytes() == content
        assert [p.name for p in path.parent.iterdir()] == ["c.pt"]


def test_at_most_one_a_minute_and_one_at_the_end(splits: Splits, tmp_path: Path) -> None:
    """With a clock of 25 seconds a row, the first, the fourth and the last row are written."""
    path, now, written, seen = tmp_path / "c.pt", [0.0], list[int](), list[float]()

    def on_row(row: Any) -> None:
        now[0] += 25
        written.append(json.loads(path.read_bytes().split(b"\n")[2])["step"])
        seen.append(row.checkpoint_seconds)

    done = train_one(splits, Checkpoint(path, clock=lambda: now[0]), on_row=on_row)
    steps = [row.step for row in done.history]
    assert written == [steps[0]] * 3 + [steps[3]] * 2
    assert json.loads(path.read_bytes().split(b"\n")[2])["step"] == steps[-1]
    assert (seen, seen[0], len(set(seen))) == (sorted(seen), 0.0, 3)


def test_no_room_is_found_out_before_the_first_step(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    rows: list[object] = []
    with pytest.raises(OSError, match=r"0.0 GB are free, and a training with its") as caught:
        train_one(splits, Checkpoint(tmp_path / "c.pt"), on_row=rows.append)
    assert (caught.value.errno, rows) == (errno.ENOSPC, [])


def test_a_disk_that_fills_up_leaves_the_last_checkpoint(splits: Splits, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    content = begun(splits, path)
    with small_disk(1000), pytest.raises(OSError, match="too large"):
        train_one(splits, Checkpoint(path, {"run": "a"}, interval=0))
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_a_crafted_file_is_no_checkpoint(tmp_path: Path) -> None:
    for state in (None, [], {"net": {}}, {"net": None, "history": [{"a": 1}]}):
        checkpoint.write(tmp_path / "c.pt", state, {})
        with pytest.raises(BrokenError, match="does not fit this optimizer or history"):
            checkpoint.restore(None, checkpoint.read(tmp_path / "c.pt"))  # type: ignore[arg-type]
