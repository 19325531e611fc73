"""Binary codes keep what the features tell apart, also where all features share a large mean."""

import pytest
import torch

from alexnet.autoencoder import BITS, binary_codes, train_autoencoder
from alexnet.evaluation import retrieval_precision

pytestmark = pytest.mark.numerical


def clusters(per_class: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ten clusters in 40 dimensions, around a mean a hundred times as large as their spread."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(10, 40, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(10).repeat_interleave(per_class)
    return 100 + centres[labels] + 0.3 * torch.randn(len(labels), 40, generator=generator), labels


def test_codes_find_what_features_find() -> None:
    (stored, stored_labels), (queries, labels) = clusters(100, 2), clusters(5, 3)
    net = train_autoencoder(stored, seed=0)
    codes = binary_codes(net, stored)
    assert codes.shape == (1000, BITS)
    assert set(codes.unique().tolist()) == {0.0, 1.0}
    before = torch.random.get_rng_state()
    again, other = (binary_codes(train_autoencoder(stored, seed=seed), stored) for seed in (0, 1))
    assert torch.equal(codes, again)
    assert not torch.equal(codes, other)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert retrieval_precision(binary_codes(net, queries), codes, labels, stored_labels) > 95
