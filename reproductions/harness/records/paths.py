"""Where records and reports are stored.

Imports nothing of ours: the options of every command are defined with it.
"""

from pathlib import Path

REPOSITORY = Path(__file__).parents[3]  # the checkout; of an installed package, where that is
IN_CHECKOUT = (REPOSITORY / "noxfile.py").is_file()
# CUBLAS_WORKSPACE_CONFIG: without it cuBLAS is not deterministic, and torch refuses it
WORKSPACE = ":4096:8"
# The committed records and their report; without a checkout a folder where the command is given.
RESULTS = REPOSITORY / "results" if IN_CHECKOUT else Path("results")


def root_of(results: Path, scale: str) -> Path:
    """Records of synthetic images go to `smoke/` with a report of their own; real rows stay."""
    return results / "smoke" if scale == "smoke" else results
