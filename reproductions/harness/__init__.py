"""What a claim file needs to declare a claim. Everything else is imported from its own module."""

from reproductions.harness.claims.claim import Claim, Difference, Exact, SpeedUp, Sweep, Value
from reproductions.harness.claims.imagenet import (
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
from reproductions.harness.claims.variant import Ensemble, Scale, Variant

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
