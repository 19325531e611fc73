"""The data sets: what opens each, and how large it is when it is whole. The one list of them."""

from collections.abc import Mapping
from typing import NamedTuple


class Entry(NamedTuple):
    """One data set; `opened_by` is a module here and its subclass of `DataSet`."""

    opened_by: str
    classes: int
    images: int  # for training, about
    # the counts of images that a whole split may have, of a set of which a part can be used
    counts: Mapping[str, tuple[int, ...]] | None = None


def _release(classes: int, images: int, **counts: tuple[int, ...]) -> Entry:
    return Entry("imagenet.ImageNet", classes, images, counts)


DATASETS = {
    "cifar10": Entry("cifar10.Cifar10", 10, 50_000),
    "tiny-imagenet": Entry("tiny_imagenet.TinyImageNet", 200, 100_000),
    # 2010 has public labels of its 150,000 test images; 2012 has not, and the paper reports on its
    # validation images (§2).
    "imagenet2010": _release(1000, 1_261_406, train=(1_261_406,), test=(150_000, 50_000)),
    "imagenet2012": _release(1000, 1_281_167, train=(1_281_167,), test=(50_000,)),
    # half of §6's 8.9 million images; cut into training and test images by whoever uses it
    "fall2009": _release(10_184, 4_450_000),
    # §6 has 15 million images of 22,000 categories, the net of the 2012 log 21,843 classes
    # (layers-146-2011.cfg); the publisher has 14,197,122 images of 21,841
    "fall2011": _release(21_841, 14_197_122),
    "synthetic": Entry("synthetic.Synthetic", 10, 2_560),
    "tiny-imagenet-half": Entry("halves.Half", 100, 50_000),
    "synthetic-half": Entry("halves.Half", 5, 1_280),
}
# what each is half of
HALVES = {"tiny-imagenet-half": "tiny-imagenet", "synthetic-half": "synthetic"}
RELEASES = tuple(
    name for name, entry in DATASETS.items() if entry.counts is not None
)  # of ImageNet
