"""What is decided about GPUs before one is used, as far as a processor can show it."""

import os
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from typer.testing import CliRunner

from alexnet.config import AlexNetRecipe
from alexnet.data.augment import Views
from alexnet.data.imageset import ImageSet
from reproductions.__main__ import app
from reproductions.harness import bench, measure, provenance
from reproductions.harness.claim import discover
from reproductions.harness.dispatch import _choose
from reproductions.harness.launch import arrays, shape_of
from reproductions.harness.site import Site, Wishes
from reproductions.harness.work import prepare

WHEEL = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]  # torch 2.15 + cu132


@pytest.mark.parametrize(
    ("capability", "served"),
    [
        ((7, 0), False),
        ((7, 5), True),
        ((8, 0), True),
        ((8, 9), True),
        ((9, 0), True),
        ((6, 1), False),
        ((12, 1), True),
        ((13, 0), True),
    ],
)
def test_a_card_that_torch_has_no_code_for_is_named(capability: tuple[int, int], served: bool) -> None:
    if served:
        bench._check_card(capability, WHEEL)
    else:
        with pytest.raises(ValueError, match=rf"serves sm_75.* and not this card \(sm_{capability[0]}{capability[1]}\)"):
            bench._check_card(capability, WHEEL)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_who_asks_for_a_gpu_where_none_is_gets_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = CliRunner().invoke(app, ["run", "ten_view_gain", "--scale", "smoke", "--device", "cuda", "--results", str(tmp_path)])
    assert done.exit_code == 2
    assert done.stderr.strip().splitlines()[-1].endswith("leave --device out or give --device cpu")
    assert not list(tmp_path.rglob("record.json"))


def test_fp32_is_fp32_and_cublas_has_its_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    bench.set_up("cpu", 1)
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    CliRunner().invoke(app, ["show", "fig1_relu"])
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_on_the_processor_nothing_is_planned_for_a_gpu() -> None:
    assert not provenance.computes_on_gpu("cpu")
    assert provenance.hardware("cpu") == provenance.cpu_model()


def test_a_job_that_has_a_gpu_insists_on_it(tmp_path: Path) -> None:
    work = prepare(discover()["ten_view_gain"], tmp_path, scale="smoke", dataset=None, data=None)
    wishes = Wishes("slurm", Site(gpus=1), None, None, False, None, True)
    orders = [order for order, _ in _choose([work], wishes)[0]]
    (array,) = arrays(orders, wishes.site, 1000)
    assert shape_of(orders[0].run, wishes.site).gpus == 1
    assert array.device(None) == "cuda"
    (array,) = arrays(orders, Site(gpus=0), 1000)
    assert array.device("cpu") == "cpu"


def test_pixels_of_many_images_are_those_of_each(splits: dict[str, ImageSet]) -> None:
    views = Views(splits["train"], splits["train"], 28, AlexNetRecipe(noise="none"), torch.device("cpu"))
    whole = measure._pixels(views, torch.arange(320))
    assert whole.shape == (320, 3 * 28 * 28)
    for start in (0, 249, 250, 319):
        assert torch.equal(whole[start], measure._pixels(views, torch.tensor([start]))[0])


def test_images_are_resized_as_by_interpolate(splits: dict[str, ImageSet]) -> None:
    views = Views(splits["test"], splits["test"], 40, AlexNetRecipe(noise="none", resize=48), torch.device("cpu"))
    images = torch.from_numpy(splits["test"].images[:3]).float()
    expected = F.interpolate(images.permute(0, 3, 1, 2), size=(48, 48), mode="bilinear", antialias=False)
    assert torch.equal(views._resized(images), expected.permute(0, 2, 3, 1))
