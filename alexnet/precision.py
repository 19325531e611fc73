"""The number format of convolutions: the fastest here that agrees with fp32. Generators, too."""

import copy
import hashlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from alexnet.distributed import broadcast, rank_and_world_size
from alexnet.io import cache_root, locked, write_atomic

PRECISIONS = ("fp32", "bf16")
Probe = tuple[nn.Module, Tensor, Tensor]  # a network, a batch of images and its labels

# A network's config says how far bf16 gradients may be from fp32 ones, as a share of their length
# (`bf16_tolerance`). bf16 keeps 8 bits; one rounding is wrong by up to 0.4 %, and the roundings of
# a four-layer net's backward pass add to a few times that.
TOLERANCE = 0.05  # of a network that does not say
MARGIN = 1.05  # bf16 must be so many times as fast: on a near tie the more precise format is taken
ROUNDS = 8  # steps in each precision, at most
BUDGET = 1.5  # seconds after which no further ones begin, so 3 s in all if one takes 1.5
CACHE_SIZE = 500  # measurements in the cache
LARGEST = 1 << 20  # bytes of a file that is read as one


@dataclass(frozen=True)
class Choice:
    """A precision and why it is taken, for a line to the user."""

    precision: str  # of PRECISIONS
    reason: str

    def __str__(self) -> str:
        return f"precision {self.precision}: {self.reason}"


@dataclass(frozen=True)
class Measured:
    """What a few training steps in both precisions say of bf16."""

    distance: Annotated[float, Field(ge=0, allow_inf_nan=False)]  # |g_bf16 − g_fp32| / |g_fp32|
    speedup: Annotated[float, Field(gt=0, allow_inf_nan=False)]  # seconds in fp32 / seconds in bf16


MEASUREMENTS = TypeAdapter(dict[str, Measured])


def native_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 in hardware.

    Emulated bf16 is slower than fp32 by a factor of ten and more.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)  # type: ignore[no-any-return]
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def image_type(precision: str) -> torch.dtype:
    """The type of a network's input images: autocast would round them to it in any case."""
    return torch.bfloat16 if precision == "bf16" else torch.float32


def choose_precision(
    config: Any,
    batch_size: int,
    device: torch.device,
    tolerance: float,
    probe: Callable[[], Probe],
    clock: Callable[[], float] = time.perf_counter,
) -> Choice:
    """bf16 if the device has it, its gradients agree and its steps are faster; else fp32.

    `tolerance` is how far gradients may be from those in fp32, as a share of their length.

    Measured once for a network (`config`, `batch_size`), processor, version of torch and number of
    threads, in the batch that `probe` makes, then remembered under the cache folder. Where several
    processes train together the first one decides for all.
    """
    choice = Choice("fp32", "no native bf16 here")
    if rank_and_world_size()[0] == 0 and native_bf16(device):
        network = f"{type(config).__name__} {_digest(config)}, batch {batch_size}"
        threads = f"{torch.get_num_threads()} threads"
        key = f"{_processor(device)}, torch {torch.__version__}, {threads}, {network}"
        try:
            choice = decide(_once(key, lambda: measure(*probe(), clock)), tolerance)
        except RuntimeError as error:  # a kernel that is not there, or no memory for the trial
            choice = Choice(
                "fp32", f"bf16 could not be tried ({' '.join(str(error).split())[:200]})"
            )
    return broadcast(choice)


def decide(measured: Measured, tolerance: float) -> Choice:
    """What follows from a measurement."""
    far, speedup = measured.distance, measured.speedup
    apart = f"gradients {100 * far:.2g} % apart, {100 * tolerance:.0f} % allowed"
    if not far <= tolerance:
        return Choice("fp32", f"bf16 disagrees with fp32 here ({apart})")
    if speedup >= MARGIN:
        return Choice("bf16", f"{speedup:.2f} times as fast as fp32 here ({apart})")
    if speedup >= 1:
        return Choice("fp32", f"bf16 is only {speedup:.2f} times as fast here, {MARGIN:.2f} needed")
    return Choice("fp32", f"{1 / speedup:.2f} times as fast as bf16 here")


def measure(
    net: nn.Module, images: Tensor, labels: Tensor, clock: Callable[[], float] = time.perf_counter
) -> Measured:
    """Make training steps in both precisions in turn, without updates; `net` is left as it was.

    The first of each gives the gradients and warms up: the very first took up to 1.6 times as long
    as later ones (1 and 2 threads of a busy AMD EPYC, n = 4). It is bf16's, so where there is no
    time for more a near tie goes to fp32. Else the fastest later step of each counts, since
    whatever disturbs a step makes it slower.
    """
    net, end = copy.deepcopy(net), clock() + BUDGET
    seconds: dict[str, list[float]] = {precision: [] for precision in reversed(PRECISIONS)}
    gradients = {}
    for precision, taken in seconds.items():
        taken.append(step_seconds(net, images, labels, precision, clock))
        gradients[precision] = torch.cat(
            [p.grad.flatten() for p in net.parameters() if p.grad is not None]
        )
    while len(seconds["fp32"]) < ROUNDS and clock() < end:
        for precision, taken in seconds.items():
            taken.append(step_seconds(net, images, labels, precision, clock))
    fastest = {precision: min(taken[1:] or taken) for precision, taken in seconds.items()}
    distance = float((gradients["bf16"] - gradients["fp32"]).norm() / gradients["fp32"].norm())
    return Measured(distance, fastest["fp32"] / fastest["bf16"])


def step_seconds(
    net: nn.Module, images: Tensor, labels: Tensor, precision: str, clock: Callable[[], float]
) -> float:
    """Seconds of a forward and a backward pass; the gradients stay in the parameters."""
    images = images.to(image_type(precision))
    net.train().zero_grad(set_to_none=True)
    with same_random_numbers(images.device):  # both precisions draw the same dropout masks
        _finish(images.device)
        began = clock()
        batch_loss(net, images, labels, precision)[0].backward()  # type: ignore[no-untyped-call]
        _finish(images.device)
        return clock() - began


@contextmanager
def same_random_numbers(device: torch.device) -> Iterator[None]:
    """Torch's generators start from 0, and are afterwards what they were."""
    with own_generators(device):
        seed_generators(device, 0)
        yield


def check_precision(precision: str) -> None:
    """Raise ValueError unless it is one of PRECISIONS."""
    if precision not in PRECISIONS:
        raise ValueError(f"no precision is called {precision!r}; say {' or '.join(PRECISIONS)}")


def batch_loss(
    net: nn.Module, images: Tensor, labels: Tensor, precision: str
) -> tuple[Tensor, Tensor]:
    """Mean log-loss and class scores (fp32 [N, classes]) of a batch; weights stay fp32.

    Raises ValueError if a label on the processor has no score.
    """
    with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16"):
        scores = net(images)
    scores = scores.float()
    if labels.device.type == "cpu":  # a look at a GPU's labels would wait for it
        check_outputs(scores, labels)
    return cross_entropy(scores, labels), scores


def check_outputs(scores: Tensor, labels: Tensor) -> None:
    """Raise ValueError unless there is a score [N, classes] for every label."""
    if len(labels) and scores.shape[1] <= labels.max():
        outputs = f"the network has {scores.shape[1]} outputs"
        raise ValueError(f"{outputs}, and there is an image of class {labels.max()}")


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _processor(device: torch.device) -> str:
    """What computes, as far as it decides the speed."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    capabilities = torch.cpu.get_capabilities()
    limit = torch.backends.cpu.get_cpu_capability()
    name = capabilities.get("cpu_name", "processor")
    return f"{name} {limit} {_digest(sorted(capabilities.items()))}"


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]


def _once(key: str, measured: Callable[[], Measured]) -> Measured:
    """The measurement that is remembered under `key`, or a new one.

    Of processes that start at once one measures.
    """
    path = cache_root() / "precision.json"
    with ExitStack() as held:
        with suppress(OSError):  # a cache that cannot be written
            held.enter_context(locked(path.with_suffix(".lock")))
        known = remembered(path)
        if key not in known:
            known[key] = measured()
            if math.isfinite(known[key].distance):
                with suppress(OSError):
                    last = dict(list(known.items())[-CACHE_SIZE:])
                    write_atomic(path, MEASUREMENTS.dump_json(last, indent=1))
        return known[key]


def remembered(path: Path) -> dict[str, Measured]:
    """The measurements in a file; none if it is no such file, whatever else it is."""
    try:
        if path.is_file() and path.stat().st_size <= LARGEST:
            return MEASUREMENTS.validate_json(path.read_bytes())
    except (OSError, ValueError):
        pass
    return {}


def own_generators(device: torch.device) -> AbstractContextManager[None]:
    """Afterwards the generators of the processor and of `device` are what they were."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def seed_generators(device: torch.device, seed: int) -> None:
    """Seed the generators of the processor and of `device`; those of other devices stay."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
