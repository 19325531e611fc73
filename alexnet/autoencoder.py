"""Short binary codes of fc7 by an auto-encoder, which §6.1 suggests for retrieval."""

import torch
from torch import Tensor, nn

BITS = 128
EPOCHS = 10
# standard deviation on the code's inputs in training: only large inputs pass through it, so codes
# become binary
NOISE = 1.0


class Autoencoder(nn.Module):
    """Features [N, F] to logits of a code [N, BITS] and, through the sigmoid, back to features.

    Features are centred and scaled by what the net was made from: a mean that all share would leave
    every bit the same.
    """

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.mean = features.mean(0)
        self.spread = (features - self.mean).std().clamp(min=1e-12)
        self.encode = nn.Linear(features.shape[1], BITS)
        self.decode = nn.Linear(BITS, features.shape[1])

    def centred(self, features: Tensor) -> Tensor:
        """Features around 0 with a spread of 1."""
        return (features - self.mean) / self.spread

    def forward(self, centred: Tensor, noise: Tensor) -> Tensor:
        """Centred features rebuilt from a noisy code."""
        rebuilt: Tensor = self.decode(torch.sigmoid(self.encode(centred) + NOISE * noise))
        return rebuilt


def train_autoencoder(features: Tensor, seed: int) -> Autoencoder:
    """Fit the auto-encoder to features float32 [N, F] by squared error, repeatably, on the CPU.

    `EPOCHS` passes in batches of 100.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Autoencoder(features)
    centred = net.centred(features)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        order = torch.randperm(len(features), generator=generator)
        for start in range(0, len(order), 100):
            batch = centred[order[start : start + 100]]
            noise = torch.randn(len(batch), BITS, generator=generator)
            loss = (net(batch, noise) - batch).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net


@torch.no_grad()
def binary_codes(net: Autoencoder, features: Tensor) -> Tensor:
    """Codes of 0 and 1, float32 [N, BITS].

    The squared distance of two codes is their number of differing bits.
    """
    logits: Tensor = net.encode(net.centred(features))
    return (logits > 0).float()
