"""The paper on one page: what is built and how it is trained, every number with its source. Imports no torch.

"§" is a section of the 2012 paper; a file name is one of the 2012 source release (cuda-convnet and the
Computer History Museum's copy of the AlexNet directory).
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class CifarNetConfig:
    """The four-weight-layer CIFAR-10 net of `layers-19pct.cfg`: three convolutions and one fully connected layer.

    §3.1 names neither the file nor the widths of Figure 1's network; this is the smallest net of the release and the only
    one with exactly four weight layers whose every stage is plain convolution, nonlinearity and pooling.
    All convolutions are 5×5, stride 1, padding 2; all pools 3×3, stride 2, with clipped windows (32 → 16 → 8 → 4).
    """

    activation: Literal["relu", "tanh"] = "relu"
    widths: tuple[int, int, int] = (32, 32, 64)  # layers-19pct.cfg: conv1, conv2, conv3
    classes: int = 10
    image_size: int = 32  # pixels; no crops in layers-19pct
    init: Literal["2012", "modern"] = "2012"  # "2012" draws N(0, init_std²); "modern" is He for ReLU, Glorot for tanh
    init_std: tuple[float, float, float, float] = (1e-4, 0.01, 0.01, 0.01)  # initW of conv1, conv2, conv3, fc10
    inputs: Literal["raw", "standardised"] = "raw"  # raw: 0–255 minus the mean image; standardised: that, divided by its std


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: the optimiser's constants and when to stop. Figure 1's are the defaults."""

    learning_rate: float
    batch_size: int = 128  # §5, and the default of the 2012 code
    momentum: float = 0.9  # §5; layer-params-19pct.cfg
    weight_decay: float = 0.0  # caption of Figure 1: no regularisation of any kind
    bias_rate_factor: float = 2.0  # layer-params-19pct.cfg: epsW 0.001, epsB 0.002
    epochs: int = 60  # the budget: passes over the training images
    stop_below: float | None = None  # training error in percent; the run ends at the first history row below it
    rows_per_epoch: int = 5  # the 2012 code printed its running error once per data batch: five batches of 10,000 images


@dataclass(frozen=True)
class Layer:
    """One learned layer by its arithmetic.

    `inputs` are the maps that one filter reads (half of the previous layer where the two columns do not meet), `kernel`
    and `side` are in pixels; a fully connected layer has kernel = side of its input and an output side of 1.
    """

    name: str
    inputs: int
    outputs: int
    kernel: int
    side: int

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.outputs * (self.inputs * self.kernel**2 + 1)

    @property
    def units(self) -> int:
        """Neurons: outputs × side²."""
        return self.outputs * self.side**2

    @property
    def multiply_accumulates(self) -> int:
        """Multiply-accumulates of one forward pass over one image."""
        return self.units * self.inputs * self.kernel**2


@dataclass(frozen=True)
class AlexNetConfig:
    """The two-column network of Figure 2 and §3.5, as net #145 (`layers-145.cfg`) computes it."""

    image_size: int = 224  # §3.5; layers-145.cfg crops 224
    classes: int = 1000
    conv_widths: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)  # §3.5, both columns together
    conv_kernels: tuple[int, int, int, int, int] = (11, 5, 3, 3, 3)  # §3.5
    shared_inputs: tuple[bool, bool, bool, bool, bool] = (True, False, True, False, False)  # Figure 2: who sees both columns
    hidden_widths: tuple[int, int] = (4096, 4096)  # §3.5
    first_stride: int = 4  # §3.5; every other convolution has stride 1 and keeps its size
    pooled: tuple[bool, bool, bool, bool, bool] = (True, True, False, False, True)  # §3.5: after conv1, conv2 and conv5

    def layers(self) -> tuple[Layer, ...]:
        """The eight learned layers in order, sizes by the 2012 rules (`layer.py`: sizes round up, outside is zero)."""
        layers, side, maps = [], self.image_size, 3
        for index, (width, kernel) in enumerate(zip(self.conv_widths, self.conv_kernels, strict=True)):
            if index == 0:
                side = 1 + -(-(side - kernel) // self.first_stride)
            inputs = maps if self.shared_inputs[index] else maps // 2
            layers.append(Layer(f"conv{index + 1}", inputs, width, kernel, side))
            maps = width
            if self.pooled[index]:
                side = 1 + -(-(side - 3) // 2)  # §3.4: overlapping pooling, size 3, stride 2
        for index, width in enumerate((*self.hidden_widths, self.classes), start=6):
            layers.append(Layer(f"fc{index}", maps, width, side, 1))
            maps, side = width, 1
        return tuple(layers)
