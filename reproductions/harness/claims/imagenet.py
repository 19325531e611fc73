"""The AlexNet that every ablation starts from, and the four scales of the ImageNet claims."""

from dataclasses import replace
from typing import Any

from alexnet.config import AlexNetConfig, AlexNetRecipe
from reproductions.harness.claims.claim import Difference
from reproductions.harness.claims.variant import Arm, Ensemble, Scale, Variant

# net #145, which printed Table 1
ORIGINAL = Variant("original", AlexNetConfig.original(), AlexNetRecipe.original())


def ablated(name: str, config: AlexNetConfig | None = None, **recipe: Any) -> Variant:
    """The original with another network or with single changes of its recipe."""
    return Variant(name, config or ORIGINAL.config, replace(ORIGINAL.recipe, **recipe))


# What more than one claim trains
ONE_COLUMN = ablated("one-column", AlexNetConfig.original().one_column())  # net #145-half (§3.2)
# §3.4: s = z = 2
NON_OVERLAPPING = ablated("non-overlapping", replace(AlexNetConfig.original(), pool_size=2))
SIX = ablated("six-convolutions", AlexNetConfig.original().six_convolutions())  # §6; layers-146.cfg
FIVE_CNNS = Ensemble("five-cnns", ((ORIGINAL, 5),))  # Table 2: "5 CNNs"


def both_errors(
    text: str,
    lower: Arm,
    higher: Arm,
    *,
    paper: tuple[float | None, float | None],
    min_effect: float,
    higher_metrics: tuple[str, str] = ("", ""),
    log: tuple[float | None, float | None] = (None, None),
    seeds: tuple[int, ...] = Difference.seeds,
    prefix: str = "",
) -> tuple[Difference, Difference]:
    """The same question of top-1 and of top-5 error, both of ten views; pairs are in that order.

    They are named `prefix` and "top1", "top5"; the rest is as in `Difference`.
    """
    top1, top5 = (
        Difference(
            f"{prefix}top{k}",
            f"top-{k} error reduction by {text}",
            lower,
            higher,
            f"top{k}_ten",
            printed,
            min_effect,
            higher_metric=higher_metric,
            log=logged,
            seeds=seeds,
        )
        for k, printed, higher_metric, logged in zip(
            (1, 5), paper, higher_metrics, log, strict=True
        )
    )
    return top1, top5


def imagenet_scales(
    dataset: str = "imagenet2012", targets: tuple[float, float, float] | None = None
) -> dict[str, Scale]:
    """The claim's ImageNet; Tiny ImageNet; a quarter of the net on it; synthetic images.

    `targets` are the training errors of a speed-up at the three scales below `paper`, in percent.
    """
    reduced, mini, smoke = targets or (None, None, None)
    return {
        "paper": Scale(dataset),
        "reduced": Scale("tiny-imagenet", seeds=3, target=reduced),
        "mini": Scale("tiny-imagenet", seeds=3, target=mini),
        "smoke": Scale("synthetic", seeds=2, target=smoke),
    }


def pretraining_scales() -> dict[str, Scale]:
    """ILSVRC-2012 after Fall 2011; at smaller scales half of the classes after all of them.

    The 2012 log has about eight epochs of Fall 2011 (`layer-params-146-2011.cfg`): as many images
    as 93 of ILSVRC-2012.
    """
    return {
        "paper": Scale("imagenet2012", pretraining=Scale("fall2011", epochs=8)),
        "reduced": Scale("tiny-imagenet-half", seeds=3, pretraining=Scale("tiny-imagenet")),
        "mini": Scale("tiny-imagenet-half", seeds=3, pretraining=Scale("tiny-imagenet")),
        "smoke": Scale("synthetic-half", seeds=2, pretraining=Scale("synthetic")),
    }
