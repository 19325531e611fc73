"""The net has 60 million parameters, 650,000 neurons and the printed layer sizes (Figure 2, §1).

Nothing is trained. The layers of `AlexNetConfig` are counted, and every count is an exact claim.
Numbers that the paper rounds ("60 million", "650,000") may be 2 % away, since it both rounds and
truncates, and so may "about the same number"; all others must agree to the last digit. The sizes
that the configuration is typed from (kernels, widths, who reads whom) are definitions and no
questions.

Expected: at paper parameters 60,965,224, neurons 659,272, convolution_share 1.452 %,
neurons_per_layer 7, one_gpu_parameters 0.981 by a calculation of seconds.
"""

from alexnet.config import AlexNetConfig
from reproductions.harness import Claim, Count, Scale

LAYERS = AlexNetConfig.paper().layers()
ONE_GPU = AlexNetConfig.paper().one_column().layers()
PARAMETERS = sum(layer.parameters for layer in LAYERS)
PRINTED = (253_440, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000)  # neurons, Figure 2
ROUNDED = 0.02

COUNTS = (
    Count(name="parameters", paper=60e6, tolerance=ROUNDED, text="parameters of the whole net",
          measure=lambda: PARAMETERS),
    Count(name="neurons", paper=650e3, tolerance=ROUNDED, text="neurons of the whole net",
          measure=lambda: sum(layer.units for layer in LAYERS)),
    Count(name="convolution_share", paper=1.0, at_most=True, unit="percent",
          text="the largest convolution's share of the parameters",
          measure=lambda: max(100 * layer.parameters / PARAMETERS for layer in LAYERS[:5]),
          note="conv3 holds 1.452 % and conv4 1.089 % of the parameters; the other three hold less "
          "than 1 %."),
    Count(name="neurons_per_layer", paper=8,
          text="layers with as many neurons as the caption prints, out of eight",
          measure=lambda: sum(a.units == b for a, b in zip(LAYERS, PRINTED, strict=True)),
          note="conv1 has 55 · 55 · 96 = 290,400 neurons, not 253,440 = 55 · 48 · 96; the total of "
          "650,000 needs the larger."),
    Count(name="one_gpu_parameters", paper=1.0, tolerance=ROUNDED,
          text="the one-GPU net's parameters as a share of the two-GPU net's (§3.2)",
          measure=lambda: sum(layer.parameters for layer in ONE_GPU) / PARAMETERS),
)  # fmt: skip

CLAIM = Claim(
    section="Figure 2, §1, §3.2, §3.5",
    questions=COUNTS,
    scales={"paper": Scale(dataset=None)},
    differs=(
        "Sizes follow the 2012 code, which rounds the number of outputs up and reads zeros "
        "outside the image: 224 pixels give 55 outputs per side. The text's 224 with kernels of "
        "11 at stride 4 gives no whole number.",
    ),
)
