"""Which precision is taken: agrees with fp32 and is faster; measured once and remembered."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexnet import precision
from alexnet.config import AlexNetConfig, CifarNetConfig
from alexnet.models import AlexNet, CifarNet, LocallyConnectedNet
from alexnet.precision import (
    MARGIN,
    ROUNDS,
    Choice,
    Measured,
    Probe,
    batch_loss,
    choose_precision,
    decide,
    image_type,
    measure,
    native_bf16,
    remembered,
)

pytestmark = pytest.mark.numerical

CONFIG = CifarNetConfig(init="modern", widths=(8, 8, 16))
CPU = torch.device("cpu")


def small() -> tuple[CifarNet, torch.Tensor, torch.Tensor]:
    net = CifarNet(CONFIG, seed=0)
    return (
        net,
        torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0)),
        torch.arange(16) % 10,
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of measurements, not there yet, of a processor that says it has bf16."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    return tmp_path / "alexnet" / "precision.json"


def choose(
    probe: Callable[[], Probe] = small, config: CifarNetConfig = CONFIG, batch_size: int = 16
) -> Choice:
    return choose_precision(config, batch_size, CPU, precision.TOLERANCE, probe)


def never() -> Probe:
    raise AssertionError("it was measured")


def test_bf16_gradients_are_near_and_leave_no_trace() -> None:
    net, images, labels = small()
    before = [weight.clone() for weight in net.parameters()]
    measured = measure(net, images, labels)
    assert 0 < measured.distance < precision.TOLERANCE
    assert measured.speedup > 0
    assert all(p.grad is None for p in net.parameters())
    assert all(map(torch.equal, before, net.parameters()))


class Watch:
    """A clock that a network's forward pass moves on, by other times in fp32 and in bf16."""

    def __init__(self, fp32: float, bf16: float) -> None:
        self.now, self.steps, self.seconds = 0.0, 0, {False: fp32, True: bf16}

    def __call__(self) -> float:
        return self.now

    def watched(self) -> Probe:
        net, images, labels = small()
        net.register_forward_hook(self.passed)
        return net, images, labels

    def passed(self, *_: object) -> None:
        self.steps += 1
        self.now += self.seconds[torch.is_autocast_enabled("cpu")]

    def __deepcopy__(self, _: object) -> "Watch":
        return self  # of the network's copy, too


@pytest.mark.parametrize(
    ("fp32", "bf16", "chosen", "why"),
    [
        (0.02, 0.01, "bf16", "2.00 times as fast"),
        (0.01, 0.0166, "fp32", "1.66 times as fast"),
        (0.0104, 0.01, "fp32", "only 1.04 times"),
        (0.01, 0.01 / MARGIN / 1.001, "bf16", "1.05 times as fast"),
    ],
)
def test_the_faster_is_taken_and_fp32_on_a_near_tie(
    fp32: float, bf16: float, chosen: str, why: str
) -> None:
    watch = Watch(fp32, bf16)
    choice = decide(measure(*watch.watched(), watch), precision.TOLERANCE)
    assert choice.precision == chosen
    assert why in choice.reason
    assert watch.steps == 2 * ROUNDS


@pytest.mark.parametrize("distance", [0.06, float("inf"), float("nan")])
def test_what_does_not_agree_is_not_taken_however_fast(distance: float) -> None:
    choice = decide(Measured(distance, 10.0), 0.05)
    assert choice.precision == "fp32"
    assert "bf16 disagrees" in choice.reason
    assert decide(Measured(0.06, 10.0), 0.1).precision == "bf16"


def test_without_native_bf16_nothing_is_measured(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert not native_bf16(CPU)
    assert str(choose(never)) == "precision fp32: no native bf16 here"
    assert not cache.exists()


def test_it_is_measured_once_for_a_network_batch_and_threads(cache: Path) -> None:
    first = choose()
    assert choose(never) == first
    probes: list[int] = []

    def probe() -> Probe:
        probes.append(1)
        return small()

    choose(probe, config=replace(CONFIG, activation="tanh"))
    choose(probe, batch_size=17)
    torch.set_num_threads(2)
    try:
        choose(probe)
    finally:
        torch.set_num_threads(1)
    assert len(probes) == 3
    assert len(remembered(cache)) == 4
    assert all(f"torch {torch.__version__}" in key for key in remembered(cache))


BROKEN = [
    b"\xff\x00",
    b"[" * 100_000,
    b" " * (1 << 21),
    b'{"KEY": {"distance": NaN, "speedup": 2}}',
    b'{"KEY": {"distance": 0.01, "speedup": -2}}',
]


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_cache_is_measured_again(cache: Path, content: bytes) -> None:
    choose()
    ((key, _),) = remembered(cache).items()
    cache.write_bytes(content.replace(b"KEY", key.encode()))
    assert remembered(cache) == {}
    assert choose().precision in precision.PRECISIONS
    assert remembered(cache).keys() == {key}


def test_gradients_that_overflow_do_not_agree_and_are_not_remembered(cache: Path) -> None:
    def lost() -> Probe:
        net, images, labels = small()
        torch.nn.init.constant_(net.conv1.weight, 1e38)
        return net, images, labels

    choice = choose(lost)
    assert (choice.precision, "disagrees" in choice.reason) == ("fp32", True)
    assert remembered(cache) == {}


def test_a_kernel_that_is_not_there_is_no_failure(cache: Path) -> None:
    def refuse(*_: object) -> None:
        if torch.is_autocast_enabled("cpu"):
            raise RuntimeError("could not create a primitive")

    def refusing() -> Probe:
        net, images, labels = small()
        net.register_forward_hook(refuse)
        return net, images, labels

    assert choose(refusing) == Choice(
        "fp32", "bf16 could not be tried (could not create a primitive)"
    )
    assert remembered(cache) == {}


TOGETHER = """
import sys, torch, torch.distributed as dist
torch.cpu.get_capabilities = lambda: {"avx512_bf16": sys.argv[1] == "0"}
from test_precision import choose, never
meeting = f"file://{sys.argv[2]}"
dist.init_process_group("gloo", init_method=meeting, rank=int(sys.argv[1]), world_size=2)
print(choose(never))
dist.destroy_process_group()
"""


def test_of_several_processes_the_first_decides(
    cache: Path, clean_env: dict[str, str], tmp_path: Path
) -> None:
    """The second runs on a processor without bf16, and measures nothing."""
    choose()
    (key,) = remembered(cache)
    cache.write_text(json.dumps({key: {"distance": 0.01, "speedup": 2.0}}))
    env = {
        **clean_env,
        "PYTHONPATH": f"{clean_env['PYTHONPATH']}:{Path(__file__).parent}",
        "XDG_CACHE_HOME": str(cache.parents[1]),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TOGETHER, str(rank), str(tmp_path / "meeting")],
            env=env,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert said == 2 * [
        ("precision bf16: 2.00 times as fast as fp32 here (gradients 1 % apart, 5 % allowed)\n")
    ]


def test_loss_is_the_mean_log_loss_in_fp32() -> None:
    net, images, labels = small()
    loss, scores = batch_loss(net, images, labels, "fp32")
    expected = -(scores.double().softmax(1).log()[torch.arange(16), labels]).mean()
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
    assert batch_loss(net, images, labels, "bf16")[1].dtype == torch.float32


def test_images_rounded_beforehand_change_no_bit() -> None:
    """Autocast would round them before the first convolution: loss, scores, gradients are equal."""
    assert image_type("fp32") == torch.float32
    alexnet, local = (
        AlexNet(AlexNetConfig.paper().smoke(), seed=0).eval(),
        LocallyConnectedNet(seed=0),
    )
    for net, side in ((small()[0], 32), (alexnet, 28), (local, 24)):
        images = 60 * torch.randn(16, 3, side, side, generator=torch.Generator().manual_seed(1))
        images = images.contiguous(memory_format=torch.channels_last)
        found = []
        for shown in (images, images.to(image_type("bf16"))):
            net.zero_grad()
            loss, scores = batch_loss(net, shown, torch.arange(16) % 10, "bf16")
            loss.backward()
            found.append(
                [loss, scores, *(parameter.grad.clone() for parameter in net.parameters())]
            )
        assert all(map(torch.equal, *found))
