"""AlexNet in a training loop of one's own, as for any other module.

    python examples/own_loop.py photos/train     # a folder with one subfolder for each class

Nothing of the suite but the network and its images is used. On a GPU, say `.cuda()` as usual.
"""

import sys

import torch
from torch.nn.functional import cross_entropy

from alexnet import AlexNet, AlexNetConfig, images

photos = images(sys.argv[1])
middle = slice(16, 240)  # 224 of the 256 stored pixels
mean = torch.from_numpy(photos.mean_image)[middle, middle].permute(2, 0, 1)
net = AlexNet(AlexNetConfig(classes=len(photos.meta.classes)))
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
for epoch in range(3):
    for index in torch.randperm(len(photos)).split(32):
        pixels = torch.from_numpy(photos.images[index.numpy()])[:, middle, middle]
        scores = net(pixels.permute(0, 3, 1, 2).float() - mean)
        loss = cross_entropy(scores, torch.from_numpy(photos.labels[index.numpy()]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch + 1}: loss {loss.item():.3f}")
