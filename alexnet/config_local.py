"""The CIFAR-10 nets of §3.3 on one page, as config.py is of AlexNet: every number with its source. Imports no torch.

Files are those of cuda-convnet, the code to which §3.3's footnote points. Its front page has two nets under 13 % and 11 % test
error, `layers-conv-local-13pct.cfg` and `layers-conv-local-11pct.cfg`, each with a file of learning parameters, `layer-params-…`.
That these are the "four-layer CNN" without and with normalisation is our reading: then fc10, the output, is not counted.
"""

from dataclasses import dataclass, replace
from typing import Literal

from alexnet.config import Layer


@dataclass(frozen=True)
class LocalLayer(Layer):
    """A layer like a convolution, but with filters and biases of their own at every position (`local` of cuda-convnet)."""

    @property
    def parameters(self) -> int:
        """Weights and biases of all positions."""
        return self.units * (self.inputs * self.kernel**2 + 1)


@dataclass(frozen=True)
class LocalNetConfig:
    """Two convolutions, two layers of unshared filters and a fully connected one; the defaults are `layers-conv-local-13pct.cfg`.

    The file of the 11 % net has two versions of March 2012, 100 seconds apart. The first is the 13 % net with normalisation and
    nothing else; the last, `eleven()`, also is wider, normalises over more maps and elsewhere, and decays fc10 more.
    """

    image_size: int = 24  # pixels: crops that leave 4 of 32 on either side in the middle
    classes: int = 10
    conv_widths: tuple[int, int] = (64, 64)  # conv1, conv2: 5×5, padding 2; pooled by maxima of 3 at stride 2: 24 → 12 → 6
    local_widths: tuple[int, int] = (32, 32)  # local3, local4: 3×3, padding 1
    init_std: tuple[float, ...] = (1e-4, 0.01, 0.04, 0.04, 0.01)  # initW of conv1, conv2, local3, local4, fc10; biases start at 0
    normed: tuple[str, ...] = ()  # convolutions with response normalisation across maps
    norm_size: int = 5  # n; this and what follows as in the first version of the 11 % file
    norm_alpha: float = 1e-3  # the 2012 code divides it by n
    norm_beta: float = 0.75
    norm_k: float = 1.0  # fixed in the code of that time
    first_stage: Literal["relu-norm-pool", "relu-pool-norm"] = "relu-norm-pool"  # of conv1; conv2 keeps the first order

    @classmethod
    def eleven(cls) -> "LocalNetConfig":
        """`layers-conv-local-11pct.cfg`."""
        return cls(local_widths=(64, 32), normed=("conv1", "conv2"), norm_size=9, first_stage="relu-pool-norm")

    def mini(self) -> "LocalNetConfig":
        """The same net: two processor cores can train it."""
        return self

    def smoke(self) -> "LocalNetConfig":
        """A quarter of the width with weights twice as large, so that sums keep their size: proves that the code runs."""
        (first, second), (third, fourth) = self.conv_widths, self.local_widths
        narrow = replace(self, conv_widths=(first // 4, second // 4), local_widths=(third // 4, fourth // 4))
        return replace(narrow, init_std=tuple(2 * std for std in self.init_std))

    def layers(self) -> tuple[Layer, ...]:
        """The learned layers in order."""
        (first, second), (third, fourth), whole = self.conv_widths, self.local_widths, self.image_size
        half, quarter = -(-whole // 2), -(-whole // 4)
        std = self.init_std
        return (
            Layer("conv1", 3, first, 5, whole, std[0], 0.0, padding=2, normed="conv1" in self.normed, pooled=True),
            Layer("conv2", first, second, 5, half, std[1], 0.0, padding=2, normed="conv2" in self.normed, pooled=True),
            LocalLayer("local3", second, third, 3, quarter, std[2], 0.0, padding=1),
            LocalLayer("local4", third, fourth, 3, quarter, std[3], 0.0, padding=1),
            Layer("fc10", fourth, self.classes, quarter, 1, std[4], 0.0),
        )


@dataclass(frozen=True)
class LocalRecipe:
    """How these nets are trained; the defaults are `layer-params-conv-local-13pct.cfg` and cuda-convnet's page "Methodology".

    Every image is shown as a random 24 of its 32 pixels each way, half of them mirrored. In 2012 a fifth of the images was held
    out at first, to see when the error stops improving: 100 epochs of 40,000 images, then 40 of all 50,000, and 10 each at a tenth
    and a hundredth of the rate. Here the course is fixed and nothing held out: as many images, 7 million, are 140 epochs of all.
    """

    learning_rate: float = 0.001  # epsW, of all layers
    bias_rate: float = 0.002  # epsB; it does not drop
    batch_size: int = 128  # the default of the 2012 code
    momentum: float = 0.9
    weight_decay: tuple[float, ...] = (0.0, 0.0, 0.004, 0.004, 0.004)  # wc of conv1, conv2, local3, local4, fc10; biases have none
    epochs: int = 140
    drops: tuple[int, ...] = (120, 130)  # epochs at whose start the rates of all weights are divided by ten

    @classmethod
    def eleven(cls) -> "LocalRecipe":
        """`layer-params-conv-local-11pct.cfg`: 350 epochs of 40,000 images and 150, 10 and 10 of 50,000, as many as 450 of all."""
        return cls(weight_decay=(0.0, 0.0, 0.004, 0.004, 0.01), epochs=450, drops=(430, 440))

    def mini(self) -> "LocalRecipe":
        """A tenth of the course."""
        return self.shortened(self.epochs // 10)

    def smoke(self) -> "LocalRecipe":
        """Two epochs of the stand-in images."""
        return replace(self, epochs=2, drops=(1,))

    def shortened(self, epochs: int) -> "LocalRecipe":
        """The same course in fewer epochs, every drop at its share of the whole."""
        return replace(self, epochs=epochs, drops=tuple(round(drop * epochs / self.epochs) for drop in self.drops))
