"""The epoch at which a curve of errors reaches a target."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproductions.harness.rule.curves import epochs_to


@pytest.mark.parametrize(
    ("curve", "epochs"),
    [
        ([(1.0, 40.0), (2.0, 30.0), (3.0, 20.0)], 2.5),
        ([(1.0, 40.0), (2.0, 25.0)], 2.0),
        ([(0.2, 20.0)], 0.2),
        ([(1.0, 40.0), (2.0, 24.0), (3.0, 26.0), (4.0, 20.0)], 1.9375),
        ([(1.0, 40.0), (2.0, 25.1)], None),
        ([], None),
    ],
)
def test_epochs_to_25_percent(curve: list[tuple[float, float]], epochs: float | None) -> None:
    """Between (1, 40) and (2, 24) the line meets 25 at 1 + 15/16; the first time counts."""
    assert epochs_to(curve, 25.0) == epochs


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.floats(1, 99))
def test_the_crossing_is_in_the_first_row_at_the_target(errors: list[float], target: float) -> None:
    epochs = epochs_to([(k + 1.0, error) for k, error in enumerate(errors)], target)
    first = next((k for k, error in enumerate(errors) if error <= target), None)
    if first is None:
        assert epochs is None
    else:
        assert epochs is not None
        assert max(first, 1) <= epochs <= first + 1
