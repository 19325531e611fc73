"""ReLU networks reach 25 % training error on CIFAR-10 about six times sooner than tanh networks (§3.1, Figure 1).

nox -s reproduce -- fig1_relu
python -m reproductions run fig1_relu
"""

from dataclasses import replace

from alexnet.config import CifarNetConfig, Recipe
from reproductions.harness import Claim, Scale, SpeedUp, Sweep, Variant

TARGET = 25.0  # training error in percent: the dashed line of Figure 1
RATES = (0.001, 0.002, 0.004, 0.008, 0.016)  # layer-params-19pct.cfg ships 0.001
SWEEP = Sweep(rates=RATES, seeds=(100,), epochs=15)
SEEDS = (0, 1, 2, 3, 4)
RECIPE = Recipe(learning_rate=0.001, epochs=60, stop_below=TARGET)

RELU = Variant("relu", CifarNetConfig(activation="relu"), replace(RECIPE, learning_rate=0.002))
TANH = Variant("tanh", CifarNetConfig(activation="tanh"), replace(RECIPE, learning_rate=0.002))

CLAIM = Claim(
    source="§3.1, Figure 1",
    questions=(
        SpeedUp(
            name="speedup",
            text="epochs to 25 % training error, tanh over ReLU",
            fast=RELU,
            slow=TANH,
            target=TARGET,
            sweep=SWEEP,
            seeds=SEEDS,
            paper=6.0,
            worthwhile=2.0,
            paper_epochs=(6.0, 36.0),
        ),
    ),
    scales={"paper": Scale("cifar10"), "smoke": Scale("stand-in", seeds=2, rates=2, epochs=3)},
)
