"""The network that printed Table 1 was built and trained as the text says (§3.3, §3.5, §4.1, §5).

    nox -s reproduce -- as_printed
    python -m reproductions run as_printed        # counts, in under a second; needs no images and no GPU

Nothing is trained. The files of net #145 in the 2012 source release, whose log has the numbers of Table 1, are compared with what
the text prints: `AlexNetConfig.original()` and `AlexNetRecipe.original()` hold what the files say, each with its file's name, and
`AlexNetConfig.paper()` what the text says. Where they differ, all claims that are trained follow the files.
"""

from alexnet.config import AlexNetConfig, AlexNetRecipe
from reproductions.harness import Claim, Exact, Scale

NET, RECIPE = AlexNetConfig.original(), AlexNetRecipe.original()
TEXT, PRINTED = AlexNetConfig.paper(), AlexNetRecipe.paper()
LAYERS = tuple(zip(NET.layers(), TEXT.layers(), strict=True))
CONSTANTS = {"batch_size": 128, "momentum": 0.9, "weight_decay": 0.0005, "learning_rate": 0.01}  # §5
EIGENVALUE = 14_830.4  # the largest of the covariance of R, G and B in ImageNet, grey levels²: 121.78² in the 2012 data

CLAIM = Claim(
    source="§3.3, §3.5, §4.1, §5",
    questions=(
        Exact(
            "norm_divisor",
            "what divides α before it multiplies the sum of squares; in the printed formula nothing does (§3.3)",
            1,
            lambda: NET.norm_size if NET.norm_divided else 1,
            note="the 2012 code divides α by the five maps of the window: squares count a fifth of what is printed.",
        ),
        Exact(
            "normalisations",
            "layers of normalisation, after conv1 and conv2 (§3.5)",
            2,
            lambda: len(NET.normed) + NET.within_map_norm,
            note="conv2 has another one over 5×5 neighbours within each map.",
        ),
        Exact(
            "order",
            "of the two normalised stages, those with ReLU before normalisation (§3.3, §3.5)",
            2,
            lambda: len(NET.normed) - (NET.first_stage != TEXT.first_stage),
            note="in the first stage normalisation and pooling come before the ReLU.",
        ),
        Exact(
            "initial_weights",
            "of eight layers, those whose weights start with a standard deviation of 0.01 (§5)",
            8,
            lambda: sum(mine.std == printed.std for mine, printed in LAYERS),
            note="conv3, conv4 and conv5 start with 0.03.",
        ),
        Exact(
            "initial_biases",
            "of eight layers, those whose biases start at 1 or 0 where printed (§5)",
            8,
            lambda: sum(mine.bias == printed.bias for mine, printed in LAYERS),
        ),
        Exact(
            "constants",
            "of batch size, momentum, weight decay and first rate, those as printed: 128, 0.9, 0.0005, 0.01 (§5)",
            4,
            lambda: sum(getattr(RECIPE, name) == printed for name, printed in CONSTANTS.items()),
        ),
        Exact(
            "equal_rates",
            "of eight layers, those with the same rate as the rest throughout (§5)",
            8,
            lambda: len(LAYERS) - bool(RECIPE.conv1_drops or RECIPE.conv1_freeze),
            note="conv1 is slowed before the rest and then stays as it is; biases learn twice as fast as weights.",
        ),
        Exact("drops", "times that the rate of all layers is divided by ten (§5)", 3, lambda: len(RECIPE.drops)),
        Exact("cycles", "roughly 90 passes over the training images (§5)", 90, lambda: RECIPE.epochs, tolerance=0.05),
        Exact(
            "colour_noise",
            "grey levels that one standard deviation of colour noise adds on the first axis (§4.1)",
            PRINTED.noise_sd * EIGENVALUE,
            lambda: RECIPE.noise_sd * (EIGENVALUE**0.5 if RECIPE.noise == "deviation" else EIGENVALUE),
            note="the text multiplies by the eigenvalue, which leaves nothing of an image; the 2012 code by its square root.",
        ),
    ),
    scales={"paper": Scale(dataset=None)},
    deviations=("The files are read as `alexnet/config.py` quotes them; what the release lacks is not asked.",),
)
