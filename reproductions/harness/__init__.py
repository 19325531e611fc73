"""What a claim file needs to declare a claim. Everything else is imported from its own module."""

from reproductions.harness.baseline import NON_OVERLAPPING, ONE_COLUMN, ORIGINAL, ablated, both_errors, imagenet_scales
from reproductions.harness.claim import Claim, Difference, Exact, Scale, SpeedUp, Sweep, Value, Variant

__all__ = [
    "NON_OVERLAPPING",
    "ONE_COLUMN",
    "ORIGINAL",
    "Claim",
    "Difference",
    "Exact",
    "Scale",
    "SpeedUp",
    "Sweep",
    "Value",
    "Variant",
    "ablated",
    "both_errors",
    "imagenet_scales",
]
