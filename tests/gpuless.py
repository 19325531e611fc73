"""Triton where there is no GPU: kernels are run by its interpreter, or compiled for a GPU and looked at."""

import importlib.util
import os
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")


def _start_interpreting() -> None:
    """As on a GPU, what is not finite is no error."""
    os.environ["TRITON_INTERPRET"] = "1"  # Triton reads it when it is imported, so it needs a process of its own
    warnings.simplefilter("error")
    np.seterr(all="ignore")
    torch.set_num_threads(1)


def interpreter() -> ProcessPoolExecutor:
    """A process in which Triton interprets its kernels."""
    return ProcessPoolExecutor(1, get_context("spawn"), _start_interpreting)


def compile_for_gpu(script: str, env: dict[str, str], cache: Path) -> None:
    """Run a script that compiles kernels and asserts what became of them."""
    environment = {**env, "TRITON_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, "-c", script], check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
