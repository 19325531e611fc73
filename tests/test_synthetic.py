"""The procedural images."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.sources import open_dataset
from alexnet.data.synthetic import synthetic_arrays

pytestmark = pytest.mark.numerical


def test_the_synthetic_is_the_same_in_every_process_and_has_ten_classes() -> None:
    images, labels = synthetic_arrays("train")
    assert images.shape == (2_560, 32, 32, 3)
    assert np.bincount(labels).tolist() == [256] * 10
    command = (
        "import hashlib; from alexnet.data.synthetic import synthetic_arrays as s; "
        "print(hashlib.sha256(s('train')[0]).hexdigest())"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    other = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True, env=env
    ).stdout.strip()
    assert other == hashlib.sha256(images).hexdigest()
    assert len(open_dataset("synthetic", Path())["test"]) == 500
