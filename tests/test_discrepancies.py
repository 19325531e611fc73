"""The table of text against code: its numbers and names match the code; it has no verdicts."""

import csv
import io
import re
from dataclasses import fields, replace

import pytest

from alexnet.config import AlexNetConfig, AlexNetRecipe
from reproductions.harness.claims.claim import discover
from reproductions.harness.report.discrepancies import (
    discrepancies,
    discrepancies_csv,
    discrepancies_tables,
)
from reproductions.harness.report.statements import statements

ENTRIES = {item.name: item for item in discrepancies()}
PROFILES = (AlexNetConfig, AlexNetRecipe)
NET, NET_145 = AlexNetConfig.paper(), AlexNetConfig.original()
TEXT, CODE = AlexNetRecipe.paper(), AlexNetRecipe.original()
LAYERS = NET.layers()
SHARES = [100 * layer.parameters / sum(layer.parameters for layer in LAYERS) for layer in LAYERS]
# the largest of R, G and B in ImageNet, grey levels²: 121.78² in the 2012 data
EIGENVALUE = 14_830.4
NOISE = 0.1 * EIGENVALUE  # of one standard deviation, by the text


def test_each_quotes_the_paper_and_gives_no_verdict() -> None:
    for item in discrepancies():
        assert "“" in item.text or item.name == "image_order"  # of which the text says nothing
        assert not re.search("confirmed|refuted|consistent", item.model_dump_json())


def test_every_switch_between_the_profiles_is_in_the_table() -> None:
    """A field on which `paper()` and `original()` differ is named by its discrepancy."""
    for kind in PROFILES:
        text, code = kind.paper(), kind.original()  # type: ignore[attr-defined]
        for field in fields(kind):
            if getattr(text, field.name) != getattr(code, field.name):
                assert [item for item in discrepancies() if f"`{field.name}`" in item.this_suite], (
                    field.name
                )


def test_every_name_in_the_table_exists() -> None:
    claims = discover()
    known = {field.name for kind in PROFILES for field in fields(kind)} | {
        f"{name}()" for kind in PROFILES for name in vars(kind)
    }
    known |= claims.keys() | {
        f"{claim.name}.{question.name}" for claim in claims.values() for question in claim.questions
    }
    named = {name for item in discrepancies() for name in re.findall("`([^`]+)`", item.this_suite)}
    assert named <= known | ENTRIES.keys()


def crops(size: int) -> int:
    """How many crops and flips of a stored image there are."""
    return 2 * (256 - size + 1) ** 2


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("input_size", [f"{crops(224):,}", f"{crops(227):,}", LAYERS[0].side, NET.input_padding]),
        ("crop_count", [f"{crops(224):,}"]),
        ("neurons", [f"{LAYERS[0].units:,}", f"{sum(layer.units for layer in LAYERS):,}"]),
        ("convolution_share", [f"{SHARES[2]:.3f}", f"{SHARES[3]:.3f}"]),
        ("colour_noise", [f"{NOISE:,.0f}", f"{0.1 * EIGENVALUE**0.5:.1f}", f"{NOISE / 255:.1f}"]),
        ("schedule", CODE.lr_milestones),
        ("epochs", [CODE.epochs, TEXT.epochs]),
        ("initial_weights", [NET_145.conv3plus_init_std, NET.conv3plus_init_std]),
        ("conv1_rate", [CODE.conv1_lr_milestones[0], CODE.conv1_freeze_epoch]),
        ("noise_end", [CODE.color_noise_end]),
        ("noise_divisor", [CODE.color_noise_divisor]),
        ("crop_draws", [CODE.images_per_draw]),
    ],
)
def test_numbers_are_those_of_the_code(name: str, numbers: list[object]) -> None:
    text = f"{ENTRIES[name].text} {ENTRIES[name].code_2012} {ENTRIES[name].this_suite}"
    for number in numbers:
        assert re.search(rf"(?<![\d.,]){re.escape(str(number))}(?![\d])", text), number


def test_227_pixels_need_no_zeros() -> None:
    whole = replace(NET, image_size=227)
    assert (whole.input_padding, whole.layers()[0].side) == (0, 55)


def test_text_and_code_agree_on_the_rest() -> None:
    """What docs/text-against-code.md says they agree on."""
    for recipe in (TEXT, CODE):
        assert (recipe.batch_size, recipe.momentum) == (128, 0.9)
        assert (recipe.weight_decay, recipe.learning_rate) == (0.0005, 0.01)
    assert len(CODE.lr_milestones) == 3
    assert [layer.bias for layer in LAYERS] == [layer.bias for layer in NET_145.layers()]


def test_the_csv_and_the_tables_have_a_row_for_each() -> None:
    rows = list(csv.DictReader(io.StringIO(discrepancies_csv())))
    assert rows == [item.model_dump() for item in discrepancies()]
    assert discrepancies_tables().count("\n| `") == len(rows) == len(ENTRIES)


def test_the_statements_name_differences_that_exist() -> None:
    said = [f"{statement.reason}{statement.remark}" for statement in statements()]
    named = re.findall("`([^`]+)`", " ".join(text.partition("text against")[2] for text in said))
    assert named
    assert set(named) <= ENTRIES.keys()
