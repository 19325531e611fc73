"""Networks at a scale, and which networks an average has."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.config import AlexNetConfig, AlexNetRecipe
from reproductions.harness.claims.imagenet import (
    ALEXNET_2012,
    FIVE_CNNS,
    SIX_CONV,
    imagenet_scales,
    pretraining_scales,
)
from reproductions.harness.claims.variant import Ensemble, Variant

SCALES = pretraining_scales()
TUNED = Variant("tuned", SIX_CONV.config, AlexNetRecipe.finetuning(), pretrained=SIX_CONV)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(2, 6))
def test_no_two_averages_share_a_network_and_none_is_left_out(
    counts: list[int], averages: int
) -> None:
    names = [replace(ALEXNET_2012, name=f"v{k}") for k in range(len(counts))]
    ensemble = Ensemble("e", tuple(zip(names, counts, strict=True)))
    for k, count in enumerate(counts):
        used = [seed for number in range(averages) for seed in ensemble.seeds(number)[k][1]]
        assert used == list(range(averages * count))
        assert all(len(ensemble.seeds(number)[k][1]) == count for number in range(averages))


def test_five_networks_are_five_at_every_scale_that_is_evidence() -> None:
    at = {name: FIVE_CNNS.at(name, scale) for name, scale in imagenet_scales().items()}
    assert {name: ensemble.members[0][1] for name, ensemble in at.items()} == {
        "paper": 5,
        "reduced": 5,
        "mini": 5,
        "smoke": 2,
    }
    assert at["mini"].members[0][0] == ALEXNET_2012.at("mini", imagenet_scales()["mini"])
    assert at["mini"].seeds(2) == ((at["mini"].members[0][0], (10, 11, 12, 13, 14)),)


@pytest.mark.parametrize(
    ("name", "classes", "before", "epochs"),
    [
        ("paper", 1000, 21_841, 8),
        ("reduced", 100, 200, 30),
        ("mini", 100, 200, 6),
        ("smoke", 5, 10, 2),
    ],
)
def test_a_network_has_the_classes_of_its_images(
    name: str, classes: int, before: int, epochs: int
) -> None:
    tuned = TUNED.at(name, SCALES[name])
    assert isinstance(tuned.config, AlexNetConfig)
    assert tuned.pretrained is not None
    assert (tuned.config.classes, tuned.pretrained.config.classes) == (classes, before)
    assert tuned.pretrained.recipe.epochs == epochs
    assert replace(tuned.pretrained.config, classes=classes) == tuned.config, "all other layers fit"
    assert len(tuned.config.conv_widths) == 6
    assert tuned.pretrained.pretrained is None
