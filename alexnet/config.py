"""The paper on one page: what is built and how it is trained, every number with its source. Imports no torch.

"§" is a section of the 2012 paper; a file name is one of the 2012 source release (cuda-convnet and the
Computer History Museum's copy of the AlexNet directory).
"""

from dataclasses import dataclass, replace
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
    """One learned layer: its arithmetic, its initial weights and what follows it.

    `inputs` are the maps that one filter reads (half of the previous layer where the two columns do not meet), `kernel`,
    `stride`, `padding` and `side` (of the output) are in pixels; a fully connected layer has kernel = side of its input and an
    output side of 1.
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
    normed: bool = False
    pooled: bool = False

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
    """AlexNet with every switch on which the text and the 2012 files differ, or which the paper's ablations turn.

    The defaults are the text read literally, `paper()`; `original()` is net #145 (`layers-145.cfg`), which printed the numbers of
    Table 1. Inputs are grey levels 0–255 minus the mean image: scaled inputs would make response normalisation a constant.
    """

    image_size: int = 224  # §3.5, layers-145.cfg; what 11 at stride 4 lacks is read as zeros right and below. 227 lacks nothing
    classes: int = 1000
    conv_widths: tuple[int, ...] = (96, 256, 384, 384, 256)  # §3.5, all columns together
    conv_kernels: tuple[int, ...] = (11, 5, 3, 3, 3)  # §3.5
    first_stride: int = 4  # §3.5; every other convolution has stride 1 and keeps its size
    hidden_widths: tuple[int, ...] = (4096, 4096)  # §3.5: fc6, fc7
    columns: int = 2  # Figure 2: two halves, each on a GPU of its own
    meeting: tuple[str, ...] = ("conv3", "conv6")  # convolutions that see both columns (§3.5; conv6: layers-146.cfg)
    normed: tuple[str, ...] = ("conv1", "conv2")  # §3.5: followed by response normalisation
    pooled: tuple[str, ...] = ("conv1", "conv2", "conv5")  # §3.5: followed by max-pooling, after normalisation
    left_out: tuple[str, ...] = ()  # §7: middle layers taken away
    pool_size: Literal[3, 2] = 3  # §3.4: windows of 3 overlap at stride 2, windows of 2 do not
    activation: Literal["relu", "tanh"] = "relu"
    first_stage: Literal["relu-norm-pool", "norm-pool-relu"] = "relu-norm-pool"  # §3.3, §3.5; layers-145.cfg has the other
    norm_size: int = 5  # §3.3: n
    norm_alpha: float = 1e-4  # §3.3
    norm_beta: float = 0.75  # §3.3
    norm_k: float = 2.0  # §3.3; minDiv of layers-145.cfg
    norm_divided: bool = False  # the formula of §3.3 has α times the sum; the 2012 code divides α by n
    norm_span: Literal["column", "layer"] = "column"  # §3.3 sums over "the layer"; §3.5 lets columns meet only in conv3 and fc
    within_map_norm: bool = False  # cnorm2 of layers-145.cfg: a third normalisation, 5×5 in each map of conv2; not in the text
    conv_std: float = 0.01  # §5; conv1 and conv2 in layers-145.cfg too
    deep_conv_std: float = 0.01  # §5; conv3 to conv6 have 0.03 in layers-145.cfg
    hidden_std: float = 0.01  # §5
    biased: tuple[str, ...] = ("conv2", "conv4", "conv5", "conv6", "fc6", "fc7")  # §5: biases of 1; all others 0
    dropout: bool = True  # §4.2: fc6 and fc7, probability 0.5

    @classmethod
    def paper(cls) -> "AlexNetConfig":
        """The text read literally."""
        return cls()

    @classmethod
    def original(cls) -> "AlexNetConfig":
        """Net #145 (`layers-145.cfg`), whose log has the 37.5 and 17.0 of Table 1."""
        return cls(first_stage="norm-pool-relu", norm_divided=True, within_map_norm=True, deep_conv_std=0.03)

    def one_column(self) -> "AlexNetConfig":
        """Net #145-half, the one-GPU net of §3.2: half the kernels, but conv5 and the hidden layers whole (its footnote)."""
        halved = (*(width // 2 for width in self.conv_widths[:4]), *self.conv_widths[4:])
        return replace(self, columns=1, conv_widths=halved)

    def six_convolutions(self) -> "AlexNetConfig":
        """Net #146 of Table 2's "1 CNN*": a sixth 3×3 convolution over the last pooling layer, seeing both columns."""
        return replace(self, conv_widths=(*self.conv_widths, self.conv_widths[4]), conv_kernels=(*self.conv_kernels, 3))

    def without_norm(self) -> "AlexNetConfig":
        """Net #148: no response normalisation; the within-map one goes with it."""
        return replace(self, normed=(), within_map_norm=False)

    def reduced(self) -> "AlexNetConfig":
        """The same network for the 200 classes of Tiny ImageNet."""
        return replace(self, classes=200)

    def mini(self) -> "AlexNetConfig":
        """A quarter of the width on 56-pixel crops of Tiny ImageNet's 64: 27 → 13 → 6 → 3 per side where the paper has 55 to 6.

        conv1 is 5×5 at stride 2. Filters read a quarter of the inputs, so initial weights are twice as large and sums keep their
        size (fc6 reads a sixteenth: its sums are half as large).
        """
        narrow = replace(self, image_size=56, classes=200, conv_kernels=(5, *self.conv_kernels[1:]), first_stride=2)
        return scaled(narrow, 4, 2.0)

    def smoke(self) -> "AlexNetConfig":
        """A sixteenth of the width on 28-pixel crops of the ten-class stand-in images: proves that the code runs."""
        narrow = replace(self, image_size=28, classes=10, conv_kernels=(5, *self.conv_kernels[1:]), first_stride=2)
        return scaled(narrow, 16, 4.0)

    @property
    def border(self) -> int:
        """Columns and rows of zeros that conv1 reads beyond the right and lower edge: 3 for 224 pixels, none for 227."""
        kernel, stride = self.conv_kernels[0], self.first_stride
        return -(-(self.image_size - kernel) // stride) * stride + kernel - self.image_size

    def layers(self) -> tuple[Layer, ...]:
        """The learned layers in order.

        Sizes round up as in the 2012 code (`layer.py`); pooling windows of 2 round down, which keeps the sizes of the overlapping
        ones (§3.4: "equivalent output dimensions").
        """
        layers, side, maps, meets = [], self.image_size, 3, True
        for index, (width, kernel) in enumerate(zip(self.conv_widths, self.conv_kernels, strict=True), start=1):
            name = f"conv{index}"
            pooled = name in self.pooled
            meets |= name in self.meeting  # where the meeting layer is left out, the next one sees both columns
            if name not in self.left_out:
                stride = self.first_stride if index == 1 else 1
                side = 1 + -(-(side - kernel) // stride) if index == 1 else side
                columns = 1 if meets else self.columns
                layers.append(
                    Layer(
                        name, maps // columns, width, kernel, side, self.conv_std if index < 3 else self.deep_conv_std,
                        float(name in self.biased), stride, 0 if index == 1 else kernel // 2, columns, name in self.normed, pooled,
                    )
                )  # fmt: skip
                maps, meets = width, False
            elif pooled:
                layers[-1] = replace(layers[-1], pooled=True)  # pooling stays where its layer goes
            if pooled:
                side = side // 2 if self.pool_size == 2 else 1 + -(-(side - 3) // 2)
        for index, width in enumerate((*self.hidden_widths, self.classes), start=6):
            layers.append(Layer(f"fc{index}", maps, width, side, 1, self.hidden_std, float(f"fc{index}" in self.biased)))
            maps, side = width, 1
        return tuple(layers)


def scaled(config: AlexNetConfig, divisor: int, gain: float) -> AlexNetConfig:
    """The config with its widths divided and its initial standard deviations multiplied."""
    return replace(
        config,
        conv_widths=tuple(width // divisor for width in config.conv_widths),
        hidden_widths=tuple(width // divisor for width in config.hidden_widths),
        conv_std=config.conv_std * gain,
        deep_conv_std=config.deep_conv_std * gain,
        hidden_std=config.hidden_std * gain,
    )


@dataclass(frozen=True)
class AlexNetRecipe:
    """How AlexNet is trained. The defaults are §4 and §5, `paper()`; `original()` is `layer-params-145-2010.cfg` and its log."""

    learning_rate: float = 0.01  # §5
    batch_size: int = 128  # §5
    momentum: float = 0.9  # §5
    weight_decay: float = 5e-4  # §5
    bias_rate_factor: float = 1.0  # §5: "equal for all layers"; epsB is 2 · epsW in layer-params-145.cfg
    epochs: int = 90  # §5: "roughly 90 cycles"
    drops: tuple[int, ...] = ()  # epochs at whose start every rate is divided by ten
    plateau: int | None = None  # or: after so many epochs without a lower validation error, three times (§5); then the end
    conv1_drops: tuple[int, ...] = ()  # epochs at whose start the rate of conv1 alone is divided by ten
    conv1_freeze: int | None = None  # epoch from which conv1 stays as it is
    class_factor: float = 1.0  # how much faster fc8 learns than the rest, in the epochs before `class_factor_until`
    class_factor_until: int = 0
    crops: bool = True  # §4.1: a random square of the stored image; else the central one
    flips: bool = True  # §4.1: half of the images mirrored
    crop_chunk: int = 1  # §4.1: one draw per image; convdata.py draws crop and flip once per 32 consecutive images
    noise: Literal["deviation", "eigenvalue", "none"] = "deviation"  # colour noise along the principal axes of RGB, see augment.py
    noise_sd: float = 0.1  # §4.1
    noise_divisor: float = 1.0  # convdata.py divides the noisy image by 1.1
    noise_off: int | None = None  # epoch from which there is no noise
    resize: int | None = None  # side in pixels to which stored images are brought on the device; None: as stored

    @classmethod
    def paper(cls) -> "AlexNetRecipe":
        """§4 and §5. The text names no patience for "stopped improving"; five epochs is our reading."""
        return cls(plateau=5)

    @classmethod
    def original(cls) -> "AlexNetRecipe":
        """Net #145 on ILSVRC-2010: rates and noise changed by hand at the epochs of its log."""
        return cls(
            bias_rate_factor=2.0, epochs=93, drops=(23, 51, 78), conv1_drops=(68,), conv1_freeze=72, crop_chunk=32,
            noise_divisor=1.1, noise_off=68,
        )  # fmt: skip

    @classmethod
    def finetuning(cls) -> "AlexNetRecipe":
        """Net #146 on ILSVRC-2012 after the Fall 2011 release, by the log of `layer-params-146-2012-2011.cfg`.

        There fc8 had its tenfold rate from batch 300 on; here it has it from the first.
        """
        return replace(
            cls.original(), learning_rate=1e-3, epochs=54, drops=(22, 42), conv1_drops=(0, 5), conv1_freeze=7, noise_off=38,
            class_factor=10.0, class_factor_until=9,
        )  # fmt: skip

    def reduced(self) -> "AlexNetRecipe":
        """A third of the epochs on Tiny ImageNet, whose 64 pixels are brought to 256."""
        return replace(self.shortened(30), resize=256)

    def mini(self) -> "AlexNetRecipe":
        """Six epochs of Tiny ImageNet. Rates drop late, since so short a course is far from its first plateau; none drops alone."""
        return replace(self.shortened(6), drops=(4, 5), plateau=None, conv1_drops=(), conv1_freeze=None)

    def smoke(self) -> "AlexNetRecipe":
        """Two epochs of the stand-in images."""
        return replace(self.shortened(2), drops=(1,), plateau=None, conv1_drops=(), conv1_freeze=None)

    def shortened(self, epochs: int) -> "AlexNetRecipe":
        """The same course in fewer epochs, every milestone at its share of the whole."""

        def share(milestone: int) -> int:
            return min(milestone, max(1, round(milestone * epochs / self.epochs)))

        return replace(
            self,
            epochs=epochs,
            drops=tuple(map(share, self.drops)),
            conv1_drops=tuple(map(share, self.conv1_drops)),
            conv1_freeze=None if self.conv1_freeze is None else share(self.conv1_freeze),
            noise_off=None if self.noise_off is None else share(self.noise_off),
            class_factor_until=share(self.class_factor_until),
        )
