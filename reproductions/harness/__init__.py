"""What a claim file needs to declare a claim. Everything else is imported from its own module."""

from reproductions.harness.claims import computed, imagenet
from reproductions.harness.claims.claim import Claim
from reproductions.harness.claims.epoch_ratio import EpochRatio, Sweep
from reproductions.harness.claims.extra import Extra
from reproductions.harness.claims.imagenet import (
    ALEXNET_2012,
    BF16,
    CLIPPED_WINDOWS,
    COURSE_145,
    FIVE_CNNS,
    IMAGENET_2010,
    IMAGENET_2012,
    NEW_ORDER,
    NON_OVERLAPPING,
    ONE_COLUMN,
    SIX_CONV,
    ablated,
    both_errors,
    both_values,
    imagenet_scales,
    pretraining_scales,
)
from reproductions.harness.claims.metrics import MetricSpec
from reproductions.harness.claims.questions import Count, Difference, Value
from reproductions.harness.claims.variant import Ensemble, Scale, Variant

__all__ = [
    "ALEXNET_2012",
    "BF16",
    "CLIPPED_WINDOWS",
    "COURSE_145",
    "FIVE_CNNS",
    "IMAGENET_2010",
    "IMAGENET_2012",
    "NEW_ORDER",
    "NON_OVERLAPPING",
    "ONE_COLUMN",
    "SIX_CONV",
    "Claim",
    "Count",
    "Difference",
    "Ensemble",
    "EpochRatio",
    "Extra",
    "MetricSpec",
    "Scale",
    "Sweep",
    "Value",
    "Variant",
    "ablated",
    "both_errors",
    "both_values",
    "computed",
    "imagenet",
    "imagenet_scales",
    "pretraining_scales",
]
