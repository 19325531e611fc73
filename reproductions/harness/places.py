"""Where records and reports lie. Imports nothing of ours: the options of every command are defined with it."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]  # the checkout
WORKSPACE = ":4096:8"  # CUBLAS_WORKSPACE_CONFIG: without it cuBLAS is not deterministic, and torch refuses it
RESULTS = REPOSITORY / "results"  # the committed records and their report


def root_of(results: Path, scale: str) -> Path:
    """Records of stand-in images live in `smoke/` below the results, with a report of their own: they change no real row."""
    return results / "smoke" if scale == "smoke" else results
