"""The AlexNet that every ablation starts from, the four scales, and what claims share in words."""

from dataclasses import replace
from typing import Any

from alexnet.config import AlexNetConfig, AlexNetRecipe
from reproductions.harness.claims.questions import Difference, Value
from reproductions.harness.claims.variant import Arm, Ensemble, Scale, Variant

# net #145, which printed Table 1
ALEXNET_2012 = Variant("original", AlexNetConfig.original(), AlexNetRecipe.original())
# Differences from the paper that several claims share
NEW_ORDER = "Images are drawn in a new order every epoch; the 2012 code kept one order."
COURSE_145 = "Both nets have the course of net #145 on ILSVRC-2010"  # and what it was in 2012
BF16 = (
    "Products are in bf16 where a processor has it and is faster so, with sums and weights in "
    "fp32; 2012 was fp32 throughout."
)
CLIPPED_WINDOWS = (
    "Windows of 2 leave out the last row and column of odd sides, so that all layers keep their "
    "sizes"
)


def ablated(name: str, config: AlexNetConfig | None = None, **recipe: Any) -> Variant:
    """The 2012 network with another configuration or with single changes of its recipe."""
    return Variant(name, config or ALEXNET_2012.config, replace(ALEXNET_2012.recipe, **recipe))


# What more than one claim trains
ONE_COLUMN = ablated("one-column", AlexNetConfig.original().one_column())  # net #145-half (§3.2)
# §3.4: s = z = 2
NON_OVERLAPPING = ablated("non-overlapping", replace(AlexNetConfig.original(), pool_size=2))
SIX_CONV = ablated("six-convolutions", AlexNetConfig.original().six_convolutions())  # §6
FIVE_CNNS = Ensemble("five-cnns", ((ALEXNET_2012, 5),))  # Table 2: "5 CNNs"


def both_errors(
    text: str,
    *,
    of: Arm,
    minus: Arm,
    paper: tuple[float | None, float | None] = (None, None),
    min_effect: float,
    metrics: tuple[str, str] = ("top1_ten", "top5_ten"),
    minus_metrics: tuple[str, str] = ("top1_ten", "top5_ten"),
    log_2012: tuple[float | None, float | None] = (None, None),
    seeds: tuple[int, ...] = Difference.seeds,
    prefix: str = "",
) -> tuple[Difference, Difference]:
    """Reductions of top-1 and of top-5 error, of ten crops; pairs are in that order.

    They are named `prefix` and "top1", "top5"; the rest is as in `Difference`.
    """
    top1, top5 = (
        Difference(
            name=f"{prefix}top{k}",
            text=f"top-{k} error reduction by {text}",
            of=of,
            minus=minus,
            metric=metrics[place],
            minus_metric=minus_metrics[place],
            paper=paper[place],
            min_effect=min_effect,
            log_2012=log_2012[place],
            seeds=seeds,
        )
        for place, k in enumerate((1, 5))
    )
    return top1, top5


def both_values(
    text: str,
    *,
    arm: Arm,
    paper: tuple[float, float],
    metrics: tuple[str, str] = ("top1_ten", "top5_ten"),
    log_2012: tuple[float | None, float | None] = (None, None),
    seeds: tuple[int, ...] = Value.seeds,
    prefix: str = "",
    suffix: str = "",
) -> tuple[Value, Value]:
    """The printed top-1 and top-5 error of an arm; pairs are in that order.

    They are named `prefix`, "top1" or "top5", and `suffix`; the rest is as in `Value`.
    """
    top1, top5 = (
        Value(
            name=f"{prefix}top{k}{suffix}",
            text=f"top-{k} error {text}",
            arm=arm,
            metric=metrics[place],
            paper=paper[place],
            log_2012=log_2012[place],
            seeds=seeds,
        )
        for place, k in enumerate((1, 5))
    )
    return top1, top5


def imagenet_scales(
    dataset: str = "imagenet2012", targets: tuple[float, float, float] | None = None
) -> dict[str, Scale]:
    """The claim's ImageNet; Tiny ImageNet; a quarter of the net on it; synthetic images.

    `targets` are the training errors of an epoch ratio at the three scales below `paper`, percent.
    """
    reduced, mini, smoke = targets or (None, None, None)
    return {
        "paper": Scale(dataset),
        "reduced": Scale("tiny-imagenet", seeds=3, target=reduced),
        "mini": Scale("tiny-imagenet", seeds=3, target=mini),
        "smoke": Scale("synthetic", seeds=2, target=smoke),
    }


IMAGENET_2010 = imagenet_scales("imagenet2010")
IMAGENET_2012 = imagenet_scales("imagenet2012")


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
