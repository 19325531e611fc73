"""Numbers as people read them."""

import pytest

from reproductions.harness.rule import text as wording


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "–"),
        ([2.5], "2.50"),
        ([1.0, 3.0], "2.00 [-10.71, 14.71]"),
        ([6.0, 6.0, 6.0], "6.00 [6.00, 6.00]"),
    ],
)
def test_interval(values: list[float], text: str) -> None:
    """For 1 and 3: t(0.975, 1) = 12.706, sd √2, so 2 ± 12.706."""
    assert wording.interval(values) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (60965224.0, "60,965,224"), (1.4518, "1.452"), (0, "0")]
)
def test_count(value: float | None, text: str) -> None:
    assert wording.count(value) == text
