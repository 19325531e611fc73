"""What a claim file needs to declare a claim. Everything else is imported from its own module."""

from reproductions.harness.baseline import (
    FIVE_CNNS,
    NON_OVERLAPPING,
    ONE_COLUMN,
    ORIGINAL,
    SIX,
    ablated,
    both_errors,
    imagenet_scales,
    pretraining_scales,
)
from reproductions.harness.claim import Claim, Difference, Exact, SpeedUp, Sweep, Value
from reproductions.harness.variant import Ensemble, Scale, Variant

__all__ = [
    "FIVE_CNNS",
    "NON_OVERLAPPING",
    "ONE_COLUMN",
    "ORIGINAL",
    "SIX",
    "Claim",
    "Difference",
    "Ensemble",
    "Exact",
    "Scale",
    "SpeedUp",
    "Sweep",
    "Value",
    "Variant",
    "ablated",
    "both_errors",
    "imagenet_scales",
    "pretraining_scales",
]
