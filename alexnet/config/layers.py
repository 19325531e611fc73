"""What the networks' configurations share: a learned layer, and what training does to an image."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Layer:
    """One learned layer: its arithmetic, its initial weights and what follows it.

    `inputs` are the maps that one filter reads (half of the previous layer where the two columns
    do not meet), `kernel`, `stride`, `padding` and `side` (of the output) are in pixels. A fully
    connected layer has kernel = side of its input and an output side of 1.
    """

    name: str
    inputs: int
    outputs: int
    kernel: int
    side: int
    std: float  # of the initial weights, N(0, std²)
    bias: float  # initial
    stride: int = 1
    padding: int = 0
    columns: int = 1  # 2: each column's filters see their own column only
    lrn: bool = False  # followed by local response normalisation
    pool: bool = False  # followed by pooling

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
class LocalLayer(Layer):
    """A convolution with other filters and biases at every position (cuda-convnet: `local`)."""

    @property
    def parameters(self) -> int:
        """Weights and biases of all positions."""
        return self.units * (self.inputs * self.kernel**2 + 1)


@dataclass(frozen=True)
class Augment:
    """How training images are drawn from the stored ones (§4.1); tests see the central square."""

    crops: bool = False  # a random square of the stored image
    flips: bool = False  # half of the images mirrored
    images_per_draw: int = 1  # consecutive images that share a crop and a flip
    color_noise: Literal["deviation", "eigenvalue", "none"] = "none"  # along RGB's principal axes
    color_noise_std: float = 0.1  # of the draws, one for each axis
    color_noise_divisor: float = 1.0  # by which a noisy image is divided
    color_noise_end: int | None = None  # epoch from which there is no noise
    resize: int | None = None  # side in pixels to which stored images are brought; None: as stored
    standardise: bool = False  # divide by the standard deviation of the training pixels; tests too
