"""The networks of the paper. Each has its configuration in `config`."""

from alexnet.models.alexnet import AlexNet
from alexnet.models.cifar import CifarNet
from alexnet.models.locally_connected import LocallyConnectedNet

__all__ = ["AlexNet", "CifarNet", "LocallyConnectedNet"]
