"""Shared by the benchmarks: interleaved timing, and the table written to `--table`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from interleaved import Race
from table import update


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--table",
        type=Path,
        metavar="FOLDER",
        help="bring benchmarks.json and benchmarks.md there up to date",
    )


@pytest.fixture
def race(benchmark: Any, pytestconfig: pytest.Config) -> Iterator[Race]:
    """Rows are written as each test ends: a kill costs the row at which it happens."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    searching = torch.backends.cudnn.benchmark
    given = Race(benchmark)
    yield given
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = searching
    folder = pytestconfig.getoption("table", None)
    if folder and given.entries:
        update(folder, given.entries)
