"""A real Slurm for this folder's tests: `nox -s slurm` or `pytest tests/slurm`.

Plain `pytest` does not collect this folder.
"""

import os
from collections.abc import Iterator

import pytest
from cluster import Cluster, obstacle


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-slurm",
        action="store_true",
        help="fail where Slurm cannot be started, instead of skipping",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Exit with one line where no cluster can be started."""
    if (reason := obstacle()) is not None:
        required = config.getoption("require_slurm")
        pytest.exit(reason if required else f"skipped: {reason}", returncode=int(required))


@pytest.fixture(scope="session")
def slurm_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for all tests, without accounting: `sacct` fails."""
    with Cluster(tmp_path_factory.getbasetemp()) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def slurm_accounting_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One with accounting."""
    with Cluster(tmp_path_factory.getbasetemp(), accounting=True) as cluster:
        yield cluster


def lend(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    environment = cluster.environment()
    for key in set(os.environ) - set(environment):
        monkeypatch.delenv(key)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    yield cluster
    cluster.reset()


@pytest.fixture
def slurm(slurm_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """The cluster without accounting, idle before and after; Slurm's commands use it."""
    yield from lend(slurm_cluster, monkeypatch)


@pytest.fixture
def slurm_with_accounting(
    slurm_accounting_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    """The cluster with accounting."""
    yield from lend(slurm_accounting_cluster, monkeypatch)
