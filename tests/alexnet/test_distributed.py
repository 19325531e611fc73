"""Several processes train what one trains."""

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from networks import ALEXNET, CPU

from alexnet import evaluation
from alexnet.data.imageset import ImageSet, open_imageset
from alexnet.data.loader import batches_of
from alexnet.evaluation import features, predict
from alexnet.models import AlexNet

pytestmark = pytest.mark.numerical

CONFIG = replace(ALEXNET.config, dropout=False)  # whose masks are each process's own
OPTIONS = {
    "epochs": 2,
    "lr_milestones": (1,),
    "conv1_lr_milestones": (),
    "conv1_freeze_epoch": 1,
    "color_noise_end": 1,
    "config": CONFIG,
}


def in_another_process(
    target: Callable[..., None], *arguments: object
) -> multiprocessing.process.BaseProcess:
    """Forked from a server that has imported torch once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch._dynamo"])
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def train_share(rank: int, world_size: int, images: Path, folder: Path) -> None:
    """Train and evaluate as one of several processes; write down what came out."""
    torch.set_num_threads(1)
    evaluation.BATCH = 7  # several batches for each process
    if world_size > 1:
        store = f"file://{folder}/store{world_size}"
        dist.init_process_group("gloo", init_method=store, rank=rank, world_size=world_size)
    splits = {split: open_imageset(images / split) for split in ("train", "test")}
    checkpoint = folder / f"c{world_size}.pt"
    done = ALEXNET.train(splits, checkpoint=checkpoint, **OPTIONS)
    batches = batches_of(splits["test"], done.net, ALEXNET.recipe, CPU, mean_of=splits["train"])
    found = {
        "rows": [(row.step, row.images, row.train_loss, row.train_error) for row in done.history],
        "validation": done.validation_errors,
        "weights": done.net.state_dict(),
        "one": predict(done.net, batches)[0],
        "ten": predict(done.net, batches, crops=10)[0],
        "features": features(done.net, batches, precision="fp32"),
        "again": ALEXNET.train(splits, checkpoint=checkpoint, **OPTIONS).attempts,
    }
    torch.save(found, folder / f"{world_size}-{rank}.pt")
    if world_size > 1:
        dist.destroy_process_group()


def test_several_processes_train_what_one_does(
    tmp_path: Path, imagesets: Path, splits: dict[str, ImageSet]
) -> None:
    assert len(splits["train"]) == 320
    places = [(rank, world_size) for world_size in (2, 3) for rank in range(world_size)]
    processes = [in_another_process(train_share, *place, imagesets, tmp_path) for place in places]
    train_share(0, 1, imagesets, tmp_path)
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 5
    alone = torch.load(tmp_path / "1-0.pt")
    for rank, world_size in places:
        found = torch.load(tmp_path / f"{world_size}-{rank}.pt")
        assert found["again"] == 2  # all of them found the checkpoint
        for ours, theirs in zip(found["rows"], alone["rows"], strict=True):
            assert ours[:2] == theirs[:2]  # every image of every batch counted once
            assert ours[2:] == pytest.approx(theirs[2:], rel=1e-4)
        # two of 100 images may all but tie
        assert found["validation"] == pytest.approx(alone["validation"], abs=2.0)
        for name, weight in alone["weights"].items():
            atol = 1e-4 * weight.abs().max().item() + 1e-6
            torch.testing.assert_close(found["weights"][name], weight, rtol=0, atol=atol)
        for name in ("one", "ten", "features"):
            torch.testing.assert_close(found[name], alone[name], rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(found["one"].sum(1), torch.ones(100))  # every image once
        net = AlexNet(CONFIG)
        net.load_state_dict(found["weights"])  # all processes agree on one network
