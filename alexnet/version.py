"""What a record's numbers depend on in this code, as small numbers. Imports nothing.

A record answers a planned run only if it was made by the same versions. Raise a number when a
result that a record stores can change by more than rounding, and say why in CHANGELOG.md; renaming,
moving and speeding up code leaves it alone. The golden runs (`tests/golden.py`) fail when a number
moves without a new version.
"""

# One per family of networks: how it is built, initialised, fed and trained.
TRAINING = {"cifar": 1, "alexnet": 1}
OWN_NETWORKS = 1  # of other families: how they are fed and trained

# One per group of metrics: what is computed of a network that is already trained.
METRICS = {
    "errors": 1,  # of training and test, epochs to a target
    "retrieval": 1,  # nearest neighbours by features and by pixels (Figure 4)
    "codes": 1,  # nearest neighbours by binary codes (§6.1)
    "colour": 1,  # of conv1's kernels in the two columns (Figure 3)
    "orientation": 1,  # of conv1's kernels (Figure 3)
    "counts": 1,  # what is counted without training
}
