"""What is decided about GPUs before one is used, as far as a processor can show it."""

import os
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from reproductions.__main__ import app
from reproductions.harness.claims.claim import discover, planned_runs
from reproductions.harness.cli import examine
from reproductions.harness.execute import context
from reproductions.harness.launch.job_files import JobRequest
from reproductions.harness.launch.local import run_locally
from reproductions.harness.launch.slurm_arrays import job_arrays
from reproductions.harness.launch.slurm_config import SlurmConfig, computing_on
from reproductions.harness.records import provenance

# torch 2.15 + cu132
WHEEL = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]
RUN = planned_runs(discover()["ten_view_gain"], "smoke")[0]


def test_a_card_that_torch_has_no_code_for_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for capability in ((7, 5), (8, 9), (9, 0), (10, 3), (13, 0)):
        context.check_card(capability, WHEEL)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla V100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: WHEEL)
    state, found = examine._gpu()
    assert state == "broken"
    assert found.startswith("Tesla V100: this PyTorch build supports sm_75")
    with pytest.raises(ValueError, match=r"supports sm_75.*, not this GPU \(sm_70\)"):
        context.choose_device(None)
    assert context.choose_device("cpu").type == "cpu"


def test_fp32_is_fp32_and_cublas_has_its_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    context.set_up("cpu", 1)
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    CliRunner().invoke(app, ["show", "fig1_relu"])
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_a_job_with_a_gpu_trains_on_it(tmp_path: Path) -> None:
    assert computing_on(SlurmConfig(), None) == SlurmConfig()
    asked = SlurmConfig(partition="gpu", gpus=1)
    assert computing_on(SlurmConfig(partition="gpu"), "cuda") == asked
    with pytest.raises(ValueError, match="--device cuda with 0 GPUs"):
        computing_on(SlurmConfig(gpus=0), "cuda")
    request = JobRequest(RUN, "ten_view_gain", tmp_path, None)
    for gpus, device in ((1, "cuda"), (0, "cpu")):
        (array,) = job_arrays([request], SlurmConfig(gpus=gpus), 1000)
        assert (array.resources.gpus, array.device("cpu")) == (gpus, device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_job_with_a_gpu_never_trains_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A local job given a GPU that torch does not see: it ends with one line and makes nothing."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    request = JobRequest(RUN, "ten_view_gain", tmp_path / "smoke", None)
    lines: list[str] = []
    run_locally([request], tmp_path, None, 1, [0], 1, lines.append)
    (line,) = lines
    assert ": failed: " in line
    assert "leave --device out or give --device cpu" in line
    assert not list(tmp_path.rglob("record.json"))


@pytest.mark.parametrize(
    ("options", "scale"), [("", "reduced"), ("--gpus 0", "mini"), ("--device cpu", "mini")]
)
def test_jobs_without_gpus_are_planned_for_processors(
    options: str, scale: str, tiny_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the submitting machine has a GPU."""
    monkeypatch.setattr(provenance, "computes_on_gpu", lambda device: device != "cpu")
    command = f"run ten_view_gain --launch slurm --dry-run {options}".split()
    folders = ["--data", str(tiny_images), "--results", str(tmp_path)]
    done = CliRunner().invoke(app, [*command, *folders])
    assert done.exit_code == 0, done.output
    assert f"(scale {scale})" in done.stdout


OLD = "The NVIDIA driver on your system is too old (found version 11040)"


@pytest.mark.parametrize(
    ("built", "visible", "driver", "why"),
    [
        (None, "", "", "this torch is built without CUDA"),
        ("13.2", "", "", "CUDA_VISIBLE_DEVICES hides every GPU"),
        ("13.2", "0", f"{OLD}. Please update your GPU driver", OLD),
        ("13.2", "0", "", "no CUDA device found"),
    ],
)
def test_why_there_is_no_gpu(
    built: str | None, visible: str, driver: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init() -> None:
        if driver:
            raise RuntimeError(driver)

    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert context.why_no_cuda() == why
