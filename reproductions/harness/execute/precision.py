"""A run's precision: the one requested, that of its seed's other arms, or the one measured."""

from dataclasses import replace
from typing import Any

import torch

from alexnet.data.loader import batches_of
from alexnet.distributed import broadcast, rank_and_world_size
from alexnet.precision import PRECISIONS, TOLERANCE, Choice, Probe, choose_precision, native_bf16
from reproductions.harness.claims.claim import Claim, blocks, planned_runs
from reproductions.harness.claims.imagenet import ALEXNET_2012
from reproductions.harness.claims.runs import PlannedRun
from reproductions.harness.claims.variant import Scale
from reproductions.harness.execute.context import RunContext
from reproductions.harness.plan.counted import earliest_first, first_on, kind_to_complete, why_not
from reproductions.harness.records.load import read_records


def asked(run: PlannedRun, claim: Claim, context: RunContext) -> Choice | None:
    """The precision of `context.precision`, else of the seed's records by this machine; else None.

    Where several processes train together all of them call this, and the first decides.
    """
    if run.kind != "train":
        return None
    choice = Choice(context.precision, "set by --precision") if context.precision else None
    if choice is None:
        choice = broadcast(_made(run, claim, context) if rank_and_world_size()[0] == 0 else None)
    if choice and choice.precision == "bf16" and not native_bf16(context.device):
        choice = replace(
            choice, reason=f"{choice.reason}; this device emulates it, many times slower than fp32"
        )
    return choice


def _made(run: PlannedRun, claim: Claim, context: RunContext) -> Choice | None:
    """The precision in which this kind of machine completes the seed, and the record it is from."""
    together = [
        block for block in blocks(claim, run.scale) if run.key in {arm.key for arm in block}
    ]
    stored = earliest_first(read_records(context.root)[0])
    known, dirty = context.fingerprints, context.dirty
    for block in (*together, (run,)):
        answers = {
            arm.key: [
                item
                for item in stored
                if item.record.key == arm.key and not why_not(item, arm, known, dirty=dirty)
            ]
            for arm in block
        }
        kind = kind_to_complete(block, answers, context.hardware, context.way, dirty=dirty)
        recorded = {context.recorded(precision): precision for precision in PRECISIONS}
        if kind and kind[1] in recorded:
            have = [arm for arm in block if first_on(answers[arm.key], kind)]
            named = next((arm for arm in have if arm.key != run.key), run)
            return Choice(
                recorded[kind[1]],
                f"same as {named.variant} seed {run.seed} on this kind of machine",
            )
    return None


def measured(run: PlannedRun, claim: Claim, context: RunContext) -> Choice | None:
    """The precision that the baseline of a run's comparisons measures; None without training."""
    if run.kind != "train":
        return None
    images, device = context.images[str(run.dataset)]["train"], context.device
    config, recipe = _baseline(run, claim)

    def probe() -> Probe:
        """The network at the start of seed 0 and its first batch."""
        net = config.build(0).to(device, memory_format=torch.channels_last)
        batches = batches_of(images, net, recipe, device, mean_of=images)
        return (net, *next(batches.epoch(0, 0, recipe.batch_size)))

    return choose_precision(
        config, recipe.batch_size, device, getattr(config, "bf16_tolerance", TOLERANCE), probe
    )


def _baseline(run: PlannedRun, claim: Claim) -> tuple[Any, Any]:
    """Config and recipe that decide for a scale: of AlexNets the original, else the first."""
    if run.family == "alexnet":
        base = ALEXNET_2012.at(run.scale, Scale(run.dataset))
        return base.config, base.recipe
    verdicts = (r for r in planned_runs(claim, run.scale) if r.kind == "train" and r.of_verdict)
    first = next(verdicts, run)
    return first.network_config, first.training_recipe
