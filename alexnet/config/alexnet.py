"""AlexNet on one page: what is built and how it is trained, every number with its source.

"§" is a section of the 2012 paper; a file name is one of the 2012 source release (cuda-convnet
and the Computer History Museum's copy of the AlexNet directory).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from alexnet.config.layers import Augment, Layer
from alexnet.config.recipe import RunningError

if TYPE_CHECKING:
    from alexnet.models import AlexNet

MOST_DROPS = 3  # §5: "reduced three times prior to termination"


@dataclass(frozen=True)
class AlexNetConfig:
    """AlexNet with every switch where text and 2012 files differ, or that an ablation turns.

    The defaults are the text read literally, `paper()`; `original()` is net #145
    (`layers-145.cfg`), which printed the numbers of Table 1. Inputs are grey levels 0–255 minus
    the mean image: scaled inputs would make response normalisation a constant.
    """

    # See precision.py. At the mini network's first step 1 % (paper) and 4.5 % (original) were
    # measured.
    bf16_tolerance: ClassVar[float] = 0.1
    family: ClassVar[str] = "alexnet"  # see version.py

    image_size: int = 224  # §3.5, layers-145.cfg; conv1 reads 3 pixels of zeros right and below
    classes: int = 1000
    conv_widths: tuple[int, ...] = (96, 256, 384, 384, 256)  # §3.5, all columns together
    conv_kernels: tuple[int, ...] = (11, 5, 3, 3, 3)  # §3.5
    conv1_stride: int = 4  # §3.5; every other convolution has stride 1 and keeps its size
    fc_widths: tuple[int, ...] = (4096, 4096)  # §3.5: fc6, fc7
    columns: int = 2  # Figure 2: two halves, each on a GPU of its own
    cross_column_layers: tuple[str, ...] = ("conv3", "conv6")  # §3.5; conv6: layers-146.cfg
    lrn_layers: tuple[str, ...] = ("conv1", "conv2")  # §3.5: followed by response normalisation
    pool_layers: tuple[str, ...] = ("conv1", "conv2", "conv5")  # §3.5: max-pooling, after that
    removed_layers: tuple[str, ...] = ()  # §7: middle layers that are not there
    pool_size: Literal[3, 2] = 3  # §3.4: windows of 3 overlap at stride 2, windows of 2 do not
    activation: Literal["relu", "tanh"] = "relu"
    # §3.3 and §3.5 have the first order of what follows conv1, layers-145.cfg the second
    first_stage: Literal["relu-norm-pool", "norm-pool-relu"] = "relu-norm-pool"
    lrn_size: int = 5  # §3.3: n
    lrn_alpha: float = 1e-4  # §3.3
    lrn_beta: float = 0.75  # §3.3
    lrn_k: float = 2.0  # §3.3; minDiv of layers-145.cfg
    lrn_alpha_over_n: bool = False  # §3.3 multiplies the sum by α; the 2012 code divides α by n
    lrn_scope: Literal["column", "layer"] = "column"  # §3.3 sums over "the layer"; see §3.5
    within_map_lrn: bool = False  # cnorm2 of layers-145.cfg, after conv2; not in the text
    conv_init_std: float = 0.01  # §5; conv1 and conv2 in layers-145.cfg too
    conv3plus_init_std: float = 0.01  # §5; conv3 to conv6 have 0.03 in layers-145.cfg
    fc_init_std: float = 0.01  # §5
    # §5: biases of 1; all others are 0
    bias_one_layers: tuple[str, ...] = ("conv2", "conv4", "conv5", "conv6", "fc6", "fc7")
    dropout: bool = True  # §4.2: fc6 and fc7, probability 0.5

    @classmethod
    def paper(cls) -> "AlexNetConfig":
        """The text read literally."""
        return cls()

    @classmethod
    def original(cls) -> "AlexNetConfig":
        """Net #145 (`layers-145.cfg`), whose log has the 37.5 and 17.0 of Table 1."""
        return cls(
            first_stage="norm-pool-relu",
            lrn_alpha_over_n=True,
            within_map_lrn=True,
            conv3plus_init_std=0.03,
        )

    def one_column(self) -> "AlexNetConfig":
        """Net #145-half, the one-GPU net of §3.2: half the kernels, conv5, fc6 and fc7 whole."""
        halved = (*(width // 2 for width in self.conv_widths[:4]), *self.conv_widths[4:])
        return replace(self, columns=1, conv_widths=halved)

    def six_convolutions(self) -> "AlexNetConfig":
        """Net #146 of Table 2's "1 CNN*": a sixth 3×3 convolution that sees both columns."""
        return replace(
            self,
            conv_widths=(*self.conv_widths, self.conv_widths[4]),
            conv_kernels=(*self.conv_kernels, 3),
        )

    def without_lrn(self) -> "AlexNetConfig":
        """Net #148: no response normalisation; the within-map one goes with it."""
        return replace(self, lrn_layers=(), within_map_lrn=False)

    def mini(self) -> "AlexNetConfig":
        """A quarter of the width on 56-pixel crops of Tiny ImageNet's 64: sides 27, 13, 6, 3.

        conv1 is 5×5 at stride 2. Filters read a quarter of the inputs, so initial weights are
        twice as large and sums keep their size (fc6 reads a sixteenth: its sums
        are half as large).
        """
        kernels = (5, *self.conv_kernels[1:])
        small = replace(self, image_size=56, classes=200, conv_kernels=kernels, conv1_stride=2)
        return narrowed(small, 4, 2.0)

    def smoke(self) -> "AlexNetConfig":
        """A sixteenth of the width on 28-pixel crops of ten classes: proves that the code runs."""
        kernels = (5, *self.conv_kernels[1:])
        small = replace(self, image_size=28, classes=10, conv_kernels=kernels, conv1_stride=2)
        return narrowed(small, 16, 4.0)

    def build(self, seed: int | None = None) -> "AlexNet":
        """The network with the initial weights of a seed; without one, torch's generator draws."""
        from alexnet.models import AlexNet  # noqa: PLC0415 - this module imports no torch

        return AlexNet(self, seed)

    @property
    def input_padding(self) -> int:
        """Zeros that conv1 reads right of and below the image: 3 for 224 pixels, 0 for 227."""
        kernel, stride = self.conv_kernels[0], self.conv1_stride
        steps = -(-(self.image_size - kernel) // stride)
        return steps * stride + kernel - self.image_size

    def layers(self) -> tuple[Layer, ...]:
        """The learned layers in order.

        Sizes round up as in the 2012 code (`layer.py`); pooling windows of 2 round down, which
        keeps the sizes of the overlapping ones (§3.4: "equivalent output dimensions").
        """
        layers, side, maps, crosses = [], self.image_size, 3, True
        widths = zip(self.conv_widths, self.conv_kernels, strict=True)
        for index, (width, kernel) in enumerate(widths, start=1):
            name = f"conv{index}"
            pool = name in self.pool_layers
            crosses |= name in self.cross_column_layers  # if that is removed, the next one crosses
            if name not in self.removed_layers:
                stride = self.conv1_stride if index == 1 else 1
                side = 1 + -(-(side - kernel) // stride) if index == 1 else side
                columns = 1 if crosses else self.columns
                layers.append(
                    Layer(
                        name,
                        inputs=maps // columns,
                        outputs=width,
                        kernel=kernel,
                        side=side,
                        std=self.conv_init_std if index < 3 else self.conv3plus_init_std,
                        bias=float(name in self.bias_one_layers),
                        stride=stride,
                        padding=0 if index == 1 else kernel // 2,
                        columns=columns,
                        lrn=name in self.lrn_layers,
                        pool=pool,
                    )
                )
                maps, crosses = width, False
            elif pool:
                layers[-1] = replace(layers[-1], pool=True)  # pooling stays where its layer goes
            if pool:
                side = side // 2 if self.pool_size == 2 else 1 + -(-(side - 3) // 2)
        for index, width in enumerate((*self.fc_widths, self.classes), start=6):
            name = f"fc{index}"
            bias = float(name in self.bias_one_layers)
            layers.append(Layer(name, maps, width, side, 1, self.fc_init_std, bias))
            maps, side = width, 1
        return tuple(layers)


def narrowed(config: AlexNetConfig, divisor: int, gain: float) -> AlexNetConfig:
    """The config with its widths divided and its initial standard deviations multiplied."""
    return replace(
        config,
        conv_widths=tuple(width // divisor for width in config.conv_widths),
        fc_widths=tuple(width // divisor for width in config.fc_widths),
        conv_init_std=config.conv_init_std * gain,
        conv3plus_init_std=config.conv3plus_init_std * gain,
        fc_init_std=config.fc_init_std * gain,
    )


@dataclass(frozen=True)
class AlexNetRecipe:
    """How AlexNet is trained: the defaults are §4 and §5.

    `paper()` is the text; `original()` is `layer-params-145-2010.cfg` with the changes by hand
    that its log shows. Milestones are epochs at whose start a rate is divided by ten.
    """

    rows_per_epoch: ClassVar[int] = 5

    learning_rate: float = 0.01  # §5
    batch_size: int = 128  # §5
    momentum: float = 0.9  # §5
    weight_decay: float = 5e-4  # §5
    bias_lr_multiplier: float = 1.0  # §5: "equal for all layers"; layer-params-145.cfg has 2
    epochs: int = 90  # §5: "roughly 90 cycles"
    lr_milestones: tuple[int, ...] = ()
    # or: a drop after so many epochs without a lower validation error, three times (§5), then the
    # end
    plateau_patience: int | None = None
    conv1_lr_milestones: tuple[int, ...] = ()  # of conv1 alone
    conv1_freeze_epoch: int | None = None  # from which conv1 stays as it is
    fc8_lr_multiplier: float = 1.0  # in the first `fc8_lr_multiplier_epochs` epochs
    fc8_lr_multiplier_epochs: int = 0
    crops: bool = True  # §4.1: a random square of the stored image; else the central one
    flips: bool = True  # §4.1: half of the images mirrored
    images_per_draw: int = 1  # §4.1; convdata.py draws crop and flip once per 32 images
    # along the principal axes of RGB: scaled by their deviations, or (§4.1 as printed) variances
    color_noise: Literal["deviation", "eigenvalue", "none"] = "deviation"
    color_noise_std: float = 0.1  # §4.1
    color_noise_divisor: float = 1.0  # convdata.py divides the noisy image by 1.1
    color_noise_end: int | None = None  # epoch from which there is no noise
    resize: int | None = None  # side in pixels to which stored images are brought on the device

    @classmethod
    def paper(cls) -> "AlexNetRecipe":
        """§4 and §5. The text names no patience for "stopped improving"; 5 epochs is our choice."""
        return cls(plateau_patience=5)

    @classmethod
    def original(cls) -> "AlexNetRecipe":
        """Net #145 on ILSVRC-2010: rates and noise changed by hand at the epochs of its log."""
        return cls(
            bias_lr_multiplier=2.0,
            epochs=93,
            lr_milestones=(23, 51, 78),
            conv1_lr_milestones=(68,),
            conv1_freeze_epoch=72,
            images_per_draw=32,
            color_noise_divisor=1.1,
            color_noise_end=68,
        )

    @classmethod
    def finetuning(cls) -> "AlexNetRecipe":
        """Net #146 on ILSVRC-2012 after Fall 2011 (`layer-params-146-2012-2011.cfg`'s log).

        There fc8 had its tenfold rate from batch 300 on; here it has it from the first.
        """
        return replace(
            cls.original(),
            learning_rate=1e-3,
            epochs=54,
            lr_milestones=(22, 42),
            conv1_lr_milestones=(0, 5),
            conv1_freeze_epoch=7,
            color_noise_end=38,
            fc8_lr_multiplier=10.0,
            fc8_lr_multiplier_epochs=9,
        )

    def reduced(self) -> "AlexNetRecipe":
        """A third of the epochs on Tiny ImageNet, whose 64 pixels are brought to 256."""
        return replace(self.shortened(30), resize=256)

    def mini(self) -> "AlexNetRecipe":
        """Six epochs of Tiny ImageNet; rates drop late, since no plateau is reached so early."""
        return replace(self._plain(6), lr_milestones=(4, 5))

    def smoke(self) -> "AlexNetRecipe":
        """Two epochs of the synthetic images."""
        return replace(self._plain(2), lr_milestones=(1,))

    def _plain(self, epochs: int) -> "AlexNetRecipe":
        """Shortened, without a rate of its own for conv1."""
        short = self.shortened(epochs)
        return replace(
            short, plateau_patience=None, conv1_lr_milestones=(), conv1_freeze_epoch=None
        )

    def shortened(self, epochs: int) -> "AlexNetRecipe":
        """The same schedule in fewer epochs, every milestone at its share of the whole."""

        def share(milestone: int) -> int:
            return min(milestone, max(1, round(milestone * epochs / self.epochs)))

        def maybe(milestone: int | None) -> int | None:
            return None if milestone is None else share(milestone)

        return replace(
            self,
            epochs=epochs,
            lr_milestones=tuple(map(share, self.lr_milestones)),
            conv1_lr_milestones=tuple(map(share, self.conv1_lr_milestones)),
            conv1_freeze_epoch=maybe(self.conv1_freeze_epoch),
            color_noise_end=maybe(self.color_noise_end),
            fc8_lr_multiplier_epochs=share(self.fc8_lr_multiplier_epochs),
        )

    @property
    def augment(self) -> Augment:
        """How training images are drawn from the stored ones (§4.1)."""
        return Augment(
            crops=self.crops,
            flips=self.flips,
            images_per_draw=self.images_per_draw,
            color_noise=self.color_noise,
            color_noise_std=self.color_noise_std,
            color_noise_divisor=self.color_noise_divisor,
            color_noise_end=self.color_noise_end,
            resize=self.resize,
        )

    def lr(self, epoch: int, validation_errors: Sequence[float]) -> float:
        """The rate of the weights, after the drops at milestones and plateaus (§5)."""
        drops = sum(epoch >= milestone for milestone in self.lr_milestones)
        if self.plateau_patience is not None:
            drops += min(plateaus(validation_errors, self.plateau_patience), MOST_DROPS)
        return self.learning_rate * 10.0**-drops

    def layer_lr(
        self, layer: str, kind: str, epoch: int, validation_errors: Sequence[float]
    ) -> tuple[float, float]:
        """The rate times the layer's own factor; biases have no decay."""
        lr = self.lr(epoch, validation_errors) * self._layer_factor(layer, epoch)
        return (lr * self.bias_lr_multiplier, 0.0) if kind == "bias" else (lr, self.weight_decay)

    def _layer_factor(self, layer: str, epoch: int) -> float:
        """How much faster or slower one layer learns than the rest; 0 where it is frozen."""
        if layer == "conv1":
            freeze = self.conv1_freeze_epoch
            frozen = freeze is not None and epoch >= freeze
            return 0.0 if frozen else 0.1 ** sum(epoch >= m for m in self.conv1_lr_milestones)
        if layer == "fc8" and epoch < self.fc8_lr_multiplier_epochs:
            return self.fc8_lr_multiplier
        return 1.0

    def is_over(
        self, epoch: int, validation_errors: Sequence[float], rows: Sequence[RunningError]
    ) -> bool:
        """When all epochs are done, or the error stopped improving after the last drop (§5)."""
        patience = self.plateau_patience
        ended = patience is not None and plateaus(validation_errors, patience) > MOST_DROPS
        return epoch >= self.epochs or ended


def plateaus(errors: Sequence[float], patience: int) -> int:
    """How often validation errors, one per epoch, went `patience` epochs without a new minimum.

    Each time the count of epochs starts afresh with the new rate, while the minimum stays.
    """
    found, lowest, waited = 0, float("inf"), 0
    for error in errors:
        waited = 0 if error < lowest else waited + 1
        lowest = min(lowest, error)
        if waited == patience:
            found, waited = found + 1, 0
    return found
