"""In which precision a run is made: the one asked for, that of its seed's other arms, or what a baseline network measures here."""

from dataclasses import replace
from typing import Any

from alexnet import train, train_local
from alexnet.config import AlexNetConfig, CifarNetConfig, Recipe
from alexnet.config_local import LocalNetConfig, LocalRecipe
from alexnet.data.augment import Views
from alexnet.parallel import place, told
from alexnet.precision import PRECISIONS, Choice, native_bf16
from reproductions.harness.baseline import ORIGINAL
from reproductions.harness.bench import Bench
from reproductions.harness.claim import Claim, PlannedRun, blocks, planned_runs, typed
from reproductions.harness.counted import earliest_first, first_on, kind_to_complete, why_not
from reproductions.harness.record import Stored, read_records
from reproductions.harness.variant import Scale

TRAINED = ("tune", "evaluate", "train", "unshared")  # the roles of runs that train a network


def asked(run: PlannedRun, claim: Claim, bench: Bench, *, dirty: bool) -> Choice | None:
    """What `bench.precision` insists on, else that of the seed's records by this kind of machine; None where there are none.

    Where several processes train together all of them call this, and the first decides. With `dirty` records of uncommitted code
    count too.
    """
    if run.role not in TRAINED:
        return None
    choice = Choice(bench.precision, "as --precision says") if bench.precision else None
    if choice is None:
        choice = told(_made(run, claim, bench, dirty=dirty) if place()[0] == 0 else None)
    if choice and choice.precision == "bf16" and not native_bf16(bench.device):
        choice = replace(choice, reason=f"{choice.reason}; this device emulates it, many times slower than fp32")
    return choice


def _made(run: PlannedRun, claim: Claim, bench: Bench, *, dirty: bool) -> Choice | None:
    """The precision in which this kind of machine completes the seed, by the rule of the plan, and which record has it."""
    together = [block for block in blocks(claim, run.scale) if run.key in {arm.key for arm in block}]
    for block in (*together, (run,)):
        answers = {arm.key: _answers(arm, bench, dirty=dirty) for arm in block}
        kind = kind_to_complete(block, answers, bench.hardware, bench.way, dirty=dirty)
        recorded = {bench.recorded(precision): precision for precision in PRECISIONS}
        if kind and kind[1] in recorded:
            have = [arm for arm in block if first_on(answers[arm.key], kind)]
            named = next((arm for arm in have if arm.key != run.key), run)
            return Choice(recorded[kind[1]], f"as {named.variant} of seed {run.seed}, made on this kind of machine")
    return None


def _answers(arm: PlannedRun, bench: Bench, *, dirty: bool) -> list[Stored]:
    found = earliest_first(read_records(bench.root, arm)[0])
    return [item for item in found if not why_not(item, arm, bench.fingerprints, dirty=dirty)]


def measured(run: PlannedRun, claim: Claim, bench: Bench) -> Choice | None:
    """What the baseline of a run's comparisons measures on its data set; None for a run that trains nothing."""
    if run.role not in TRAINED:
        return None
    images, device = bench.images[str(run.dataset)]["train"], bench.device
    net, recipe = _baseline(run, claim)
    if isinstance(net, AlexNetConfig):
        return train.alexnet_precision(net, recipe, device, lambda: Views(images, images, net.image_size, recipe, device))
    if isinstance(net, LocalNetConfig):
        return train_local.local_precision(net, recipe, device, lambda: train_local.views_of(net, images, images, device))
    return train.cifar_precision(net, recipe, device, lambda: train.training_batches(net, images, images, device))


def _baseline(run: PlannedRun, claim: Claim) -> tuple[Any, Any]:
    """Network and recipe that decide for all of a scale: of AlexNets the original, of other nets the claim's first."""
    if run.role == "train":
        base = ORIGINAL.at(run.scale, Scale(run.dataset))
        return base.config, base.recipe
    first = next((r for r in planned_runs(claim, run.scale) if r.role in ("evaluate", "unshared")), run)
    kinds = (LocalNetConfig, LocalRecipe) if run.role == "unshared" else (CifarNetConfig, Recipe)
    return typed(kinds[0], first.config), typed(kinds[1], first.recipe)
