"""The data sets by name and how large each is when it is whole.

Imports nothing: planning needs these names and no image.
"""

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
TINY_CLASSES = 200
# what each is half of
HALVES = {"tiny-imagenet-half": "tiny-imagenet", "synthetic-half": "synthetic"}
# Classes, training images and test images of each whole release; None where the publisher does not
# say. 2010 has public labels of its 150,000 test images; 2012 has not, and the paper reports on its
# validation images (§2).
WHOLE: dict[str, tuple[int, int | None, tuple[int, ...] | None]] = {
    "imagenet2010": (1000, 1_261_406, (150_000, 50_000)),
    "imagenet2012": (1000, 1_281_167, (50_000,)),
    "fall2009": (10_184, None, None),  # §6; cut into training and test images by whoever uses it
    # §6 has 15 million images of 22,000 categories, the net of the 2012 log 21,843 classes
    # (layers-146-2011.cfg); the publisher has 14,197,122 images of 21,841
    "fall2011": (21_841, None, None),
}
# Training images of the others; of the Fall releases half of §6's 8.9 million, and the publisher's
# number.
IMAGES = {
    "cifar10": 50_000,
    "tiny-imagenet": 100_000,
    "synthetic": 2_560,
    "fall2009": 4_450_000,
    "fall2011": 14_197_122,
}
DATASETS = ("cifar10", "tiny-imagenet", *WHOLE, "synthetic", *HALVES)


def classes_of(name: str) -> int:
    """How many classes a data set has when it is whole."""
    if name in HALVES:
        return (classes_of(HALVES[name]) + 1) // 2
    if name in WHOLE:
        return WHOLE[name][0]
    return TINY_CLASSES if name == "tiny-imagenet" else len(CIFAR10_CLASSES)


def images_of(name: str) -> int:
    """About how many training images a data set has when it is whole."""
    if name in HALVES:
        return images_of(HALVES[name]) // 2
    return IMAGES.get(name) or WHOLE[name][1] or 0
