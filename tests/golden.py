"""Golden runs: tiny trainings of every kind through the code that makes records, and their numbers.

    python tests/golden.py                       # the numbers of all runs on this machine, as JSON
    python tests/golden.py --only cifar-relu     # of some runs alone
    python tests/golden.py --check               # which numbers moved beyond their tolerance?
    python tests/golden.py --against COMMIT      # do both trees give the same bits here?

`tests/golden/runs.json` holds the numbers under short names of their own, with the versions of the
code (`alexnet/version.py`) that gave them. `test_golden.py` compares within TOLERANCE; `pytest
--accept-golden` stores new numbers where the version was raised. Names that the code may change are
mapped below.
"""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402

from alexnet import version  # noqa: E402
from alexnet.autoencoder import Autoencoder, binary_codes  # noqa: E402
from alexnet.config import (  # noqa: E402
    AlexNetConfig,
    AlexNetRecipe,
    CifarNetConfig,
    LocallyConnectedConfig,
    LocallyConnectedRecipe,
    Recipe,
)
from alexnet.data.imageset import pack  # noqa: E402
from alexnet.data.loader import batches_of  # noqa: E402
from alexnet.evaluation import features, predict  # noqa: E402
from alexnet.weights import import_weights, network  # noqa: E402
from reproductions.harness.claims.claim import discover  # noqa: E402
from reproductions.harness.claims.metrics import OF_NETWORKS  # noqa: E402
from reproductions.harness.claims.runs import PlannedRun, family_of  # noqa: E402
from reproductions.harness.execute.context import RunContext, set_up  # noqa: E402
from reproductions.harness.execute.run import make  # noqa: E402

STORED = ROOT / "tests" / "golden" / "runs.json"
Numbers = dict[str, list[float]]  # of one run: "history.loss", "metrics.codes.neighbours", ...

# How far a number may be from the stored one: for losses, weights and scores as a share of the
# largest number in the list, for others (points of an error, images) as they are. Ten times the
# largest distance in fp32, and more than that distance in bf16 and of counts of images, that
# were seen with torch 2.15 on two cores of an AMD EPYC with AVX2: under the settings of
# .ci/run, with two threads, and under 26 draws of `RoundByShape`. fp32: losses 4.2e-5, weights
# 3.0e-5, scores 2.4e-5, errors 1.6 points, shares 1.8 points; bf16 (emulated): 5.6e-3, 1.6e-2,
# 1.5e-3, 7, 4. Where filters are not shared rounding grows in the course of the run: losses 3e-3
# after its 30 steps, 6e-4 on an Intel Haswell that QEMU emulated.
KINDS = ("loss", "error", "weights", "scores", "share", "exact")
TOLERANCE = {
    "fp32": (5e-4, 3.2, 3e-4, 3e-4, 3.0, 1e-9),
    "fp32 unshared": (1e-2, 3.2, 3e-4, 3e-4, 3.0, 1e-9),
    "bf16": (2e-2, 12.0, 5e-2, 1e-2, 10.0, 1e-9),
}

# Short names of this file for columns of a record's history and for its metrics, by group.
HISTORY = {
    "step": ("step", "exact"),
    "epoch": ("epoch", "exact"),
    "images": ("images", "exact"),
    "loss": ("train_loss", "loss"),
    "error": ("train_error", "error"),
    "rate": ("learning_rate", "exact"),
    "validation": ("validation_error", "error"),
}
METRICS = {
    "errors.last-epoch": ("train_error", "error"),
    "errors.first-epoch": ("first_epoch_error", "error"),
    "errors.epochs-to-target": ("epochs_to_target", "loss"),
    "errors.test": ("test_error", "error"),
    "errors.top1": ("top1", "error"),
    "errors.top5": ("top5", "error"),
    "errors.top1-ten": ("top1_ten", "error"),
    "errors.top5-ten": ("top5_ten", "error"),
    "errors.top1-member": ("top1_ten_member", "error"),
    "errors.top5-member": ("top5_ten_member", "error"),
    "errors.training": ("top1_train", "error"),
    "errors.gap": ("gap", "error"),
    "retrieval.features": ("retrieval_features", "share"),
    "retrieval.pixels": ("retrieval_pixels", "exact"),
    "retrieval.rank-by-features": ("pixel_rank_features", "share"),
    "retrieval.rank-by-pixels": ("pixel_rank_pixels", "share"),
    "codes.neighbours": ("retrieval_codes", "share"),
    "codes.of-pixels": ("retrieval_pixel_codes", "share"),
    "codes.bits": ("", "exact"),  # of no record: what a code is long
    "colour.gap": ("colour_gap", "weights"),
    "colour.by-chance": ("colour_gap_by_chance", "weights"),
    "colour.p": ("colour_gap_p", "share"),
    "orientation.mean": ("orientation", "weights"),
    "orientation.at-start": ("orientation_at_start", "weights"),
}
# What golden runs are asked; others have all that is measured of their kind in any case.
METRICS_OF: dict[type, tuple[str, ...]] = {
    LocallyConnectedConfig: ("top1",),
    AlexNetConfig: tuple(OF_NETWORKS.keys() - {"epochs_to_target", "test_error"}),
}
ARRAYS = {"answers": "share", "weights": "weights", "scores": "scores", "centre": "scores"}


@dataclass(frozen=True)
class GoldenRun:
    """One tiny run: what is trained and by which family's version."""

    run: PlannedRun
    precision: str = "fp32"
    interrupt: int = 0  # stop after so many rows of history, then go on from the checkpoint
    processes: int = 1  # that train it together

    @property
    def family(self) -> str:
        """Its name in `alexnet.version.TRAINING`."""
        return str(self.run.family)

    @property
    def limits(self) -> dict[str, float]:
        """How far numbers may be, by their kind."""
        unshared = isinstance(self.run.network_config, LocallyConnectedConfig)
        name = f"{self.precision} unshared" if unshared else self.precision
        return dict(zip(KINDS, TOLERANCE[name], strict=True))


def planned(
    name: str, config: Any, recipe: Any, *needs: PlannedRun, images: str = "all", **fields: Any
) -> PlannedRun:
    """A training of the harness that claims share; `fields` are others of `PlannedRun`."""
    shared: dict[str, Any] = {"question": "", "kind": "train", "scale": "smoke", "seed": 0}
    shared["metrics"] = METRICS_OF.get(type(config), ())
    return PlannedRun(
        claim=f"{family_of(config) if config else needs[0].family}-golden",
        variant=name,
        dataset=images,
        declaration="golden",
        needs=needs,
        network_config=config,
        training_recipe=recipe,
        **shared | fields,
    )


CIFAR = CifarNetConfig(widths=(8, 8, 16), init_std=(0.01, 0.05, 0.05, 0.05))
MODERN = replace(CIFAR, init="modern")
SLOW = Recipe(
    learning_rate=0.002,
    batch_size=32,
    weight_decay=0.01,
    epochs=3,
    target_train_error=50.0,
    target_window="row",
)
LATE = replace(SLOW, target_train_error=40.0, inputs="standardised")
LOCAL = LocallyConnectedRecipe(batch_size=32, learning_rate=0.002, epochs=3, lr_milestones=(2,))
# learn something in 32 steps
LIVELY: dict[str, Any] = {"conv_init_std": 0.08, "conv3plus_init_std": 0.12, "fc_init_std": 0.08}
ORIGINAL = replace(AlexNetConfig.original().smoke(), **LIVELY)
RECIPE = replace(
    AlexNetRecipe.original(),
    learning_rate=0.003,
    batch_size=40,
    epochs=4,
    lr_milestones=(2,),
    conv1_lr_milestones=(1,),
    conv1_freeze_epoch=3,
    color_noise_end=3,
    images_per_draw=8,
)
PAPER = replace(AlexNetRecipe.paper(), batch_size=40, epochs=4, plateau_patience=1)
TUNED = replace(
    AlexNetRecipe.finetuning(),
    batch_size=40,
    epochs=2,
    lr_milestones=(1,),
    conv1_lr_milestones=(0,),
    conv1_freeze_epoch=1,
    fc8_lr_multiplier_epochs=1,
    color_noise_end=1,
)


def golden_runs() -> dict[str, GoldenRun]:
    """All golden runs by name."""
    tanh, figure_1 = {"activation": "tanh"}, {"question": "golden"}
    first = planned("original", ORIGINAL, RECIPE)
    second = replace(first, seed=1)
    six = planned("six", ORIGINAL.six_convolutions(), RECIPE)
    half = replace(ORIGINAL.six_convolutions(), classes=5)
    wide = LocallyConnectedConfig.published_11pct().smoke()
    paper = replace(AlexNetConfig.paper().smoke(), **LIVELY)
    runs = {
        "cifar-relu": planned("relu", CIFAR, SLOW, **figure_1),
        "cifar-tanh": planned("tanh", replace(CIFAR, **tanh), SLOW, **figure_1),
        "cifar-he": planned("he", MODERN, LATE, **figure_1),
        "cifar-glorot": planned("glorot", replace(MODERN, **tanh), LATE, **figure_1),
        "cifar-bf16": (planned("bf16", MODERN, LATE, **figure_1), "bf16"),
        "local": planned("local", LocallyConnectedConfig().smoke(), LOCAL),
        "local-norm": planned("local-norm", wide, LOCAL),
        "original": first,
        "original-seed1": second,
        "original-bf16": (replace(first, variant="bf16"), "bf16"),
        "original-interrupted": (replace(first, variant="interrupted"), "fp32", 7),
        "original-two-processes": (replace(first, variant="two"), "fp32", 0, 2),
        "paper": planned("paper", paper, PAPER),
        "six": six,
        "fine-tuned": planned("tuned", half, TUNED, six, images="half"),
        "average": planned("average", None, None, first, second, kind="ensemble"),
    }
    return {
        name: GoldenRun(*run) if isinstance(run, tuple) else GoldenRun(run)
        for name, run in runs.items()
    }


def images(folder: Path) -> dict[str, Any]:
    """320 + 100 images of 32×32 in ten classes from integers alone, and every second class."""
    found: dict[str, Any] = {"all": {}, "half": {}}
    for key, (split, count) in enumerate((("train", 320), ("test", 100))):
        rng = np.random.Generator(np.random.Philox(key=[2012, key]))
        labels = np.arange(count) % 10
        y, x = np.mgrid[0:32, 0:32]
        k = labels[:, None, None] + 1
        stripes = ((k * x + (7 * k % 11) * y) % 32 < 16)[..., None]
        colour = np.stack([labels * 7 % 10, labels * 3 % 10, (labels + 4) % 10], -1)[
            :, None, None, :
        ]
        shade = rng.integers(0, 60, (count, 1, 1, 1))
        noise = rng.integers(0, 80, (count, 32, 32, 3))
        pixels = (9 * colour + 25 * stripes + shade + noise).astype(np.uint8)
        for name, own in (("all", labels >= 0), ("half", labels % 2 == 0)):
            names = tuple(map(str, range(10 if name == "all" else 5)))
            marks = labels[own] if name == "all" else labels[own] // 2
            found[name][split] = pack(
                folder / f"{name}-{split}",
                pixels[own],
                marks,
                name=name,
                split=split,
                classes=names,
                canonical=False,
                source="golden",
            )
    return found


class StopHereError(Exception):
    """Stands for a kill between two rows of history."""


class Golden:
    """The golden runs of this process: each is made once, on demand, in one results folder."""

    def __init__(self, root: Path, threads: int = 1) -> None:
        self.root, self.threads = root, threads
        self.runs = golden_runs()
        self.bench = RunContext(root / "results", images(root), set_up("cpu", threads), threads)
        self.claim = discover()["formulas"]  # one that trains nothing
        self.made: dict[str, Path] = {}
        self.deterministic: dict[str, bool] = {}

    def numbers(self, name: str) -> Numbers:
        """The numbers of a golden run."""
        golden = self.runs[name]
        for need in golden.run.needs:
            self.record(next(n for n, other in self.runs.items() if other.run == need))
        folder = self.record(name)
        found = {**history_of(folder), **metrics_of(folder), **self.arrays_of(golden, folder)}
        if golden.family == "cifar":  # whose rate and validation are stored by no name
            found.pop("history.rate", None)
            found.pop("history.validation", None)
        found["history.deterministic"] = [float(self.deterministic.get(name, True))]
        return found

    def record(self, name: str) -> Path:
        """The folder of a golden run's record."""
        if name not in self.made:
            golden = self.runs[name]
            self.made[name] = self.together(name) if golden.processes > 1 else self.alone(name)
            assert (
                json.loads((self.made[name] / "record.json").read_text())["machine"]["precision"]
                == golden.precision
            )
        return self.made[name]

    def alone(self, name: str) -> Path:
        """Made in this process, with a stop on the way where it has one."""
        golden, rows = self.runs[name], 0

        def on_row(_: Any) -> None:
            nonlocal rows
            rows += 1
            self.deterministic[name] = torch.are_deterministic_algorithms_enabled()
            if rows == golden.interrupt:
                raise StopHereError

        for _ in range(2):
            try:
                folder = make(
                    golden.run, self.claim, replace(self.bench, precision=golden.precision), on_row
                )
            except StopHereError:
                continue
            assert folder is not None
            return folder
        raise AssertionError(f"{name} was interrupted twice")

    def together(self, name: str) -> Path:
        """Made by several processes of their own."""
        own = ["--rank-of", name, "--root", str(self.root), "--threads", str(self.threads)]
        command = [sys.executable, __file__, *own]
        world = self.runs[name].processes
        ranks = [subprocess.Popen([*command, "--rank", str(rank)]) for rank in range(world)]
        assert [rank.wait() for rank in ranks] == [0] * world
        return Path((self.root / f"{name}.folder").read_text())

    def arrays_of(self, golden: GoldenRun, folder: Path) -> Numbers:
        """The answers per image and, if kept, the weights and ten-crop probabilities, in short."""
        found: Numbers = {}
        if (folder / "correct.npy").exists():
            found["arrays.answers"] = [float(np.unpackbits(np.load(folder / "correct.npy")).sum())]
        if (folder / "weights.safetensors").exists():
            config, weights = import_weights(folder / "weights.safetensors")
            found["arrays.weights"] = [
                n for _, tensor in sorted(weights.items()) for n in shadow(tensor)
            ]
            splits, net = self.bench.images[str(golden.run.dataset)], network(config, weights)
            plain = AlexNetRecipe(color_noise="none")
            batches = batches_of(
                splits["test"], net, plain, torch.device("cpu"), mean_of=splits["train"]
            )
            found["arrays.scores"] = shadow(predict(net, batches, crops=10)[0])
            found["arrays.centre"] = shadow(predict(net, batches)[0])
            seen = features(net, batches, precision="fp32")
            found["metrics.codes.bits"] = [float(binary_codes(Autoencoder(seen), seen).shape[1])]
        return found


def shadow(tensor: torch.Tensor) -> list[float]:
    """A tensor in two numbers: its norm, and its product with a fixed vector over that norm."""
    flat = tensor.detach().double().flatten()
    ray = torch.cos(torch.arange(len(flat), dtype=torch.float64) * 0.7 + 0.3)
    return [flat.norm().item(), (flat @ ray).item() / ray.norm().item()]


def history_of(folder: Path) -> Numbers:
    """The columns of a history, by their short names."""
    with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        f"history.{short}": [float(row[column]) for row in rows if row[column]]
        for short, (column, _) in HISTORY.items()
        if rows and column in rows[0]
    }


def metrics_of(folder: Path) -> Numbers:
    """The metrics of a record, by their group and short names. Every metric must have one."""
    metrics = json.loads((folder / "record.json").read_text(encoding="utf-8"))["metrics"]
    names = {name: short for short, (name, _) in METRICS.items()}
    return {
        f"metrics.{names[name]}": [m["value"]]
        for name, m in metrics.items()
        if m["value"] is not None
    }


def kind_of(key: str) -> str:
    """Which tolerance a number has."""
    part, _, rest = key.partition(".")
    if part == "metrics":
        return METRICS[rest][1]
    return ARRAYS[rest] if part == "arrays" else HISTORY.get(rest, ("", "exact"))[1]


def distance(key: str, old: list[float], new: list[float]) -> float:
    """The largest difference of two lists; for losses, weights, scores relative to the largest."""
    if len(old) != len(new):
        return float("inf")
    apart = max((abs(a - b) for a, b in zip(old, new, strict=True)), default=0.0)
    relative = kind_of(key) in ("loss", "weights", "scores")
    return apart / max(map(abs, old)) if relative and any(old) else apart


def moved(golden: GoldenRun, old: Numbers, new: Numbers) -> list[str]:
    """The numbers too far from the stored ones, or present on one side only."""
    return [
        key
        for key in sorted(old.keys() | new.keys())
        if key not in old
        or key not in new
        or not distance(key, old[key], new[key]) <= golden.limits[kind_of(key)]
    ]


def version_behind(golden: GoldenRun, key: str) -> tuple[str, str]:
    """The version to raise before another number under `key` may be stored: table and name."""
    part, group, *_ = key.split(".")
    # what is computed of trained weights
    if key in ("arrays.answers", "arrays.scores", "arrays.centre"):
        return "metrics", "errors"
    return ("metrics", group) if part == "metrics" else ("training", golden.family)


class EditedError(Exception):
    """The stored numbers are not what was written."""


def versions() -> dict[str, dict[str, int]]:
    """Today's versions."""
    return {"training": version.TRAINING, "metrics": version.METRICS}


def read_stored(path: Path = STORED) -> dict[str, Any]:
    """The stored versions and numbers.

    Raises EditedError where the file was changed by hand or cannot be read.
    """
    advice = f"restore it with `git checkout HEAD {path}`"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["checksum"] != checksum(found):
            raise EditedError(f"{path} was edited by hand: {advice}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EditedError(
            f"{path} cannot be read ({type(error).__name__}: {error}): {advice}"
        ) from error
    return dict(found)


def checksum(content: dict[str, Any]) -> str:
    """sha256 of the versions and numbers."""
    text = json.dumps([content["versions"], content["runs"]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_stored(runs: dict[str, Numbers], path: Path = STORED) -> None:
    """Store numbers with today's versions, one line for each list."""
    content: dict[str, Any] = {"versions": versions(), "runs": runs}
    lines = [
        "{",
        f' "checksum": "{checksum(content)}",',
        f' "versions": {json.dumps(versions())},',
        ' "runs": {',
    ]
    for name, numbers in runs.items():
        rows = ",\n".join(
            f"   {json.dumps(key)}: {json.dumps(values)}" for key, values in numbers.items()
        )
        lines += [
            f"  {json.dumps(name)}: {{",
            rows,
            "  }" + ("" if name == list(runs)[-1] else ","),
        ]
    fresh = path.with_suffix(".partial")
    fresh.write_text("\n".join([*lines, " }", "}", ""]), encoding="utf-8")
    fresh.replace(path)


def rounded(numbers: Numbers) -> Numbers:
    """Nine digits: enough for every tolerance."""
    return {key: [float(f"{value:.9g}") for value in values] for key, values in numbers.items()}


def refused(golden: GoldenRun, stored: dict[str, Any], old: Numbers, new: Numbers) -> list[str]:
    """The moved numbers that may not be stored, since their version was not raised."""
    behind = {key: version_behind(golden, key) for key in moved(golden, old, new) if key in old}
    same = {
        key
        for key, (table, name) in behind.items()
        if stored["versions"][table].get(name) == versions()[table][name]
    }
    return sorted(same)


def train_one_rank(name: str, root: Path, rank: int, threads: int) -> None:
    """One of the processes that make a run together."""
    golden = Golden(root / f"rank{rank}", threads)
    golden.bench = replace(golden.bench, root=root / "results")
    made = golden.runs[name]
    dist.init_process_group(
        "gloo",
        init_method=f"file://{root}/{name}.cross_column_layers",
        rank=rank,
        world_size=made.processes,
    )
    folder = make(made.run, golden.claim, replace(golden.bench, precision=made.precision))
    dist.destroy_process_group()
    if folder is not None:
        (root / f"{name}.folder").write_text(str(folder))


def all_numbers(names: list[str], threads: int) -> dict[str, Numbers]:
    """The numbers of some golden runs, made in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        golden = Golden(Path(folder), threads)
        return {name: golden.numbers(name) for name in names or golden.runs}


def against(commit: str, names: list[str], threads: int) -> int:
    """Make the runs with this tree and with that of `commit`; 0 if all bits are equal, else 1."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            options = [word for name in names for word in ("--only", name)]
            command = [sys.executable, "tests/golden.py", "--threads", str(threads), *options]
            clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
            outputs = [
                subprocess.run(command, cwd=t, check=True, stdout=subprocess.PIPE, env=clean).stdout
                for t in (tree, ROOT)
            ]
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)
    before, after = (json.loads(output) for output in outputs)
    differing = [
        f"{name} {key}"
        for name in before.keys() & after.keys()
        for key in before[name].keys() | after[name].keys()
        if before[name].get(key) != after[name].get(key)
    ]
    alone = sorted(before.keys() ^ after.keys())
    print(
        f"{len(before.keys() & after.keys())} runs in both trees; numbers with other bits: "
        f"{len(differing)}"
    )
    print("\n".join(sorted(differing) + [f"{name}: in one tree alone" for name in alone]))
    return int(bool(differing))


def check(names: list[str], threads: int) -> int:
    """Print each number beyond its tolerance with the version behind it; 1 if there are any."""
    stored, runs = read_stored()["runs"], golden_runs()
    lines = [
        f"{' '.join(version_behind(runs[name], key))}: {name} {key}"
        for name, numbers in all_numbers(names, threads).items()
        for key in moved(runs[name], stored.get(name, {}), numbers)
    ]
    print("\n".join(lines) or "no number moved")
    return int(bool(lines))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names, commit = list(golden_runs()), {"metavar": "COMMIT"}
    parser.add_argument("--only", action="append", default=[], choices=names, help="this run alone")
    parser.add_argument("--against", **commit, help="compare every bit with another commit's tree")
    parser.add_argument("--check", action="store_true", help="print what moved; status 1 if any")
    parser.add_argument("--threads", type=int, default=1)
    for hidden in ("--rank-of", "--root", "--rank"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.rank_of:
        train_one_rank(args.rank_of, Path(args.root), int(args.rank), args.threads)
        return 0
    if args.against:
        return against(args.against, args.only, args.threads)
    if args.check:
        return check(args.only, args.threads)
    print(json.dumps(all_numbers(args.only, args.threads), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
