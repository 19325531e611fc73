"""Small inputs: an ImageSet of procedural images, CIFAR-10-like folders, finished records."""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from machine import SHARED_MEMORY
from pictures import WNIDS, noise
from rounding import RoundByShape

from alexnet.data import cifar10, tiny_imagenet
from alexnet.data.imageset import ImageSet, pack
from alexnet.data.synthetic import synthetic_arrays
from reproductions.harness.execute.context import RunContext, set_up

collect_ignore = ["test_mutants.py"]  # minutes: a step of its own, which names the file


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--accept-golden` of test_golden.py."""
    parser.addoption(
        "--accept-golden",
        action="store_true",
        help="store the numbers of the golden runs; refused under the same version",
    )
    parser.addoption(
        "--round-by-shape",
        action="store_true",
        help="simulate a processor that rounds by shape (rounding.py)",
    )


@pytest.fixture(autouse=True, scope="session")
def _rounding(request: pytest.FixtureRequest) -> Iterator[None]:
    with RoundByShape() if request.config.getoption("--round-by-shape") else nullcontext():
        yield


@pytest.fixture
def other_process_rounds_alike(request: pytest.FixtureRequest) -> None:
    """For tests that compare this process's bits with another's."""
    if request.config.getoption("--round-by-shape"):
        pytest.skip("the simulated processor is this process's alone")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Tests compare bits; a command that runs in this process sets the threads it was given."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _quiet_machine() -> None:
    torch.set_num_threads(1)  # before the first fixture of a module
    # Tests that a shell starts in the background ignore Ctrl-C, and their children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's data or cache; a shared cache packs the synthetic images once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("ALEXNET_DATA", raising=False)
    # a name that never resolves: no test downloads
    monkeypatch.setattr(cifar10, "HOST", "localhost.invalid")


@pytest.fixture(scope="session")
def imagesets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `splits`."""
    return tmp_path_factory.mktemp("imagesets")


@pytest.fixture(scope="session")
def splits(imagesets: Path) -> dict[str, ImageSet]:
    """320 + 100 of the synthetic images."""
    made = {}
    for split, count in (("train", 320), ("test", 100)):
        images, labels = synthetic_arrays(split)
        made[split] = pack(
            imagesets / split,
            images[:count],
            labels[:count],
            name="synthetic",
            split=split,
            classes=cifar10.CLASSES,
            canonical=False,
            source="procedural",
        )
    return made


@pytest.fixture
def context(splits: dict[str, ImageSet], tmp_path: Path) -> RunContext:
    """Where tests make runs: `splits`, one thread of the processor and an empty results folder."""
    return RunContext(tmp_path / "results", {"synthetic": splits}, set_up("cpu", 1), 1)


@pytest.fixture
def cifar_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with 30 + 20 PNG images in CIFAR-10's layout; its counts are lowered to fit."""
    from PIL import Image

    monkeypatch.setattr(cifar10, "COUNTS", {"train": 30, "test": 20})
    root = tmp_path / "data"
    rng = np.random.default_rng(7)
    for split, count in (("train", 3), ("test", 2)):
        for name in cifar10.CLASSES:
            folder = root / split / name
            folder.mkdir(parents=True)
            for k in range(count):
                Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(
                    folder / f"{k:04}.png"
                )
    return root


@pytest.fixture
def tiny_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with `tiny-imagenet-200`: three classes, 4 + 2 images each, one of them grey."""

    monkeypatch.setattr(tiny_imagenet, "CLASSES", 3)
    monkeypatch.setattr(tiny_imagenet, "PER_CLASS", {"train": 4, "test": 2})
    folder, lines = tmp_path / "tiny-imagenet-200", []
    for number, wnid in enumerate(WNIDS):
        names = [f"train/{wnid}/images/{wnid}_{k}.JPEG" for k in range(4)]
        for name in (f"val_{number}.JPEG", f"val_{number + 3}.JPEG"):
            names.append(f"val/images/{name}")
            lines.append(f"{name}\t{wnid}\t0\t32\t44\t62\n")
        for k, name in enumerate(names):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            image = noise(64, 64, 10 * number + k)
            image = image.convert("L") if (number, k) == (1, 2) else image
            image.save(folder / name, quality=95)
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    (folder / "wnids.txt").write_text("\n".join(reversed(WNIDS)))
    words = f"n00001740\tentity\n{WNIDS[0]}\tgoldfish, Carassius auratus\n{WNIDS[2]}\tgeyser\n"
    (folder / "words.txt").write_text(words)
    return tmp_path


@pytest.fixture
def clean_env() -> dict[str, str]:
    """The environment of commands in other processes: one thread, this checkout, tests' cache."""
    root = Path(__file__).parents[1]
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")
    }
    return {**ours, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than `tmp_path`."""
    if not SHARED_MEMORY.is_dir() or SHARED_MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        yield Path(folder)
