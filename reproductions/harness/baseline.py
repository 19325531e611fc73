"""The AlexNet that every ablation starts from, and the four scales at which the ImageNet claims run."""

from dataclasses import replace
from typing import Any

from alexnet.config import AlexNetConfig, AlexNetRecipe
from reproductions.harness.claim import Difference, Scale, Variant

ORIGINAL = Variant("original", AlexNetConfig.original(), AlexNetRecipe.original())  # net #145, which printed Table 1


def ablated(name: str, config: AlexNetConfig | None = None, **recipe: Any) -> Variant:
    """The original with another network or with single changes of its recipe."""
    return Variant(name, config or ORIGINAL.config, replace(ORIGINAL.recipe, **recipe))


# What more than one claim trains
ONE_COLUMN = ablated("one-column", AlexNetConfig.original().one_column())  # net #145-half (§3.2)
NON_OVERLAPPING = ablated("non-overlapping", replace(AlexNetConfig.original(), pool_size=2))  # §3.4: s = z = 2


def both_errors(
    text: str,
    lower: Variant,
    higher: Variant,
    *,
    paper: tuple[float, float],
    log: tuple[float, float],
    worthwhile: float,
) -> tuple[Difference, Difference]:
    """The questions of an ablation: what it adds to the top-1 and the top-5 error of ten views; pairs are in that order."""
    top1, top5 = (
        Difference(f"top{k}", f"top-{k} error that {text}", lower, higher, f"top{k}_ten", printed, worthwhile, log=logged)
        for k, printed, logged in zip((1, 5), paper, log, strict=True)
    )
    return top1, top5


def imagenet_scales(dataset: str = "imagenet2012", targets: tuple[float, float, float] | None = None) -> dict[str, Scale]:
    """The claim's own ImageNet; the same network on Tiny ImageNet; a quarter of it on Tiny ImageNet; stand-in images.

    `targets` are the training errors of a speed-up at the three scales below `paper`, in percent.
    """
    reduced, mini, smoke = targets or (None, None, None)
    return {
        "paper": Scale(dataset),
        "reduced": Scale("tiny-imagenet", seeds=3, target=reduced),
        "mini": Scale("tiny-imagenet", seeds=3, target=mini),
        "smoke": Scale("stand-in", seeds=2, target=smoke),
    }
