"""Short binary codes of fc7 by an auto-encoder, as §6.1 suggests in place of Euclidean distance between 4096-d vectors."""

import torch
from torch import Tensor, nn

BITS = 128
EPOCHS = 10
NOISE = 1.0  # standard deviation on the code's inputs in training: only large inputs pass through it, so codes become binary


class CodeNet(nn.Module):
    """Features [N, F] to logits of a code [N, BITS] and, through the sigmoid, back to features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encode = nn.Linear(width, BITS)
        self.decode = nn.Linear(BITS, width)

    def forward(self, features: Tensor, noise: Tensor) -> Tensor:
        """The features rebuilt from a noisy code."""
        rebuilt: Tensor = self.decode(torch.sigmoid(self.encode(features) + NOISE * noise))
        return rebuilt


def learn_codes(features: Tensor, seed: int) -> CodeNet:
    """Fit the auto-encoder to features float32 [N, F] by squared error, in `EPOCHS` passes of 100 at a time; CPU, repeatable."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = CodeNet(features.shape[1])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        order = torch.randperm(len(features), generator=generator)
        for start in range(0, len(order), 100):
            index = order[start : start + 100]
            batch = features[index]
            loss = (net(batch, torch.randn(len(index), BITS, generator=generator)) - batch).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net


@torch.no_grad()
def binary_codes(net: CodeNet, features: Tensor) -> Tensor:
    """Codes of 0 and 1, float32 [N, BITS]: the squared distance of two is their number of differing bits."""
    logits: Tensor = net.encode(features)
    return (logits > 0).float()
