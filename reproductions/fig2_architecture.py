"""The net has 60 million parameters, 650,000 neurons and the printed layer sizes (Figure 2, §1).

Nothing is trained. The network of `AlexNetConfig` is counted by layer arithmetic, and every count
is an exact claim: confirmed or refuted. Figures that the paper rounds ("60 million", "650,000") may
be 2 % away, since it both rounds and truncates, and so may "about the same number"; all others must
agree to the last digit.
"""

from alexnet.config import AlexNetConfig
from reproductions.harness import Claim, Count, Scale

LAYERS = AlexNetConfig().layers()
PARAMETERS = sum(layer.parameters for layer in LAYERS)
ROUNDED = 0.02

# caption of Figure 2
PRINTED_NEURONS = (253_440, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000)
PRINTED_WIDTHS = (96, 256, 384, 384, 256, 4096, 4096)  # §3.5
PRINTED_KERNELS = (11 * 11 * 3, 5 * 5 * 48, 3 * 3 * 256, 3 * 3 * 192, 3 * 3 * 192)  # §3.5
# §3.5: connected to the kernel maps of the previous layer on the same GPU alone
OWN_COLUMN = ("conv2", "conv4", "conv5")
# §3.5: followed by response normalisation, by max-pooling
NORMED, POOLED = (("conv1", "conv2"), ("conv1", "conv2", "conv5"))

CLAIM = Claim(
    section="Figure 2, §1, §3.2, §3.5",
    questions=(
        Count(
            name="parameters",
            text="60 million parameters",
            paper=60e6,
            measure=lambda: PARAMETERS,
            tolerance=ROUNDED,
        ),
        Count(
            name="neurons",
            text="650,000 neurons",
            paper=650e3,
            measure=lambda: sum(layer.units for layer in LAYERS),
            tolerance=ROUNDED,
        ),
        Count(
            name="convolution_share",
            text="each convolution holds at most 1 % of the parameters",
            paper=1.0,
            measure=lambda: max(100 * layer.parameters / PARAMETERS for layer in LAYERS[:5]),
            at_most=True,
            unit="percent",
            note="conv3 holds 1.452 % and conv4 1.089 % of the parameters; the other three "
            "hold less than 1 %.",
        ),
        Count(
            name="layers",
            text="eight learned layers, five of them convolutions",
            paper=8,
            measure=lambda: len(LAYERS),
        ),
        Count(
            name="input",
            text="the input has 150,528 dimensions",
            paper=150_528,
            measure=lambda: 3 * AlexNetConfig().image_size ** 2,
        ),
        Count(
            name="neurons_per_layer",
            text="the eight printed layer sizes, 253,440 to 1000, that are right",
            paper=8,
            measure=lambda: sum(
                layer.units == printed
                for layer, printed in zip(LAYERS, PRINTED_NEURONS, strict=True)
            ),
            note="conv1 has 55 · 55 · 96 = 290,400 neurons, not 253,440 = 55 · 48 · 96; the "
            "total of 650,000 needs the larger.",
        ),
        Count(
            name="kernels",
            text="the five printed kernel sizes, 11×11×3 to 3×3×192, that are right",
            paper=5,
            measure=lambda: sum(
                layer.inputs * layer.kernel**2 == printed
                for layer, printed in zip(LAYERS, PRINTED_KERNELS, strict=False)
            ),
        ),
        Count(
            name="widths",
            text="the seven printed numbers of kernels and hidden neurons, 96 to 4096, "
            "that are right",
            paper=7,
            measure=lambda: sum(
                layer.outputs == printed
                for layer, printed in zip(LAYERS, PRINTED_WIDTHS, strict=False)
            ),
        ),
        Count(
            name="connectivity",
            text="of eight layers, those that see one column or both as printed",
            paper=8,
            measure=lambda: sum(
                (layer.columns == 2) == (layer.name in OWN_COLUMN) for layer in LAYERS
            ),
        ),
        Count(
            name="stages",
            text="of eight layers, those with normalisation and pooling as printed",
            paper=8,
            measure=lambda: sum(
                (layer.lrn, layer.pool) == (layer.name in NORMED, layer.name in POOLED)
                for layer in LAYERS
            ),
        ),
        Count(
            name="one_gpu_parameters",
            text="the one-GPU net has about as many parameters: its share of them (§3.2)",
            paper=1.0,
            # of 59,798,312
            measure=lambda: (
                sum(layer.parameters for layer in AlexNetConfig().one_column().layers())
                / PARAMETERS
            ),
            tolerance=ROUNDED,
        ),
    ),
    scales={"paper": Scale(dataset=None)},
    differs=(
        (
            "Sizes follow the 2012 code, which rounds the number of outputs up and reads zeros "
            "outside the image: 224 pixels give 55 outputs per side. The text's 224 with kernels "
            "of 11 at stride 4 gives no whole number."
        ),
    ),
)
