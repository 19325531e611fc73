"""Images as batches for a network: of an ImageSet, or of a torch DataLoader."""

import re
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from alexnet.config import TrainingRecipe
from alexnet.data.imageset import ImageSet
from alexnet.data.loader import Batch, Loader

Images = ImageSet | DataLoader[tuple[Tensor, Tensor]]


class LoaderBatches:
    """A DataLoader of (float images [B, 3, H, W], int64 labels [B]), on a device."""

    def __init__(self, loader: DataLoader[Batch], device: torch.device) -> None:
        self.loader, self.device = loader, device
        self.count = len(loader.dataset)  # type: ignore[arg-type]  # it has a length
        self.dtype = torch.float32  # of the images

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch; their size is the DataLoader's."""
        return len(self.loader)

    def epoch(
        self,
        seed: int = 0,
        epoch: int = 0,
        batch_size: int = 0,
        skip: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> Iterator[Batch]:
        """The DataLoader's batches after the first `skip`; of each this process's share."""
        mine = slice(rank, None, world_size)
        for images, labels in islice(iter(self.loader), skip, None):
            own = images[mine].to(self.device, self.dtype, memory_format=torch.channels_last)
            yield own, labels[mine].to(self.device)


Batches = Loader | LoaderBatches


def batches_of(
    images: Images, net: nn.Module, recipe: TrainingRecipe, device: torch.device, *, mean_of: Images
) -> Batches:
    """The images as a network and its recipe want them, minus the mean of the training images.

    A network whose `config` has an `image_size` gets squares of that size, the central ones where
    the recipe draws none; others get whole images. Raises ValueError if its `config` has another
    number of classes, or if the two sets have other classes or sizes, TypeError for one DataLoader.
    """
    if isinstance(images, DataLoader) and isinstance(mean_of, DataLoader):
        return LoaderBatches(images, device)
    if isinstance(images, DataLoader) or isinstance(mean_of, DataLoader):
        raise TypeError("training and test images are both ImageSets or both DataLoaders")
    config, found = getattr(net, "config", None), len(images.meta.classes)
    classes = getattr(config, "classes", found)
    if classes != found:
        raise ValueError(f"the network has {classes} classes, the images {found}")
    for name in ("classes", "shape"):
        if getattr(images.meta, name) != getattr(mean_of.meta, name):
            raise ValueError(f"training and test images have other {name}: they are of no one set")
    size = getattr(config, "image_size", None) or recipe.augment.resize or images.meta.shape[0]
    return Loader(images, mean_of, size, recipe.augment, device)


def fingerprint_of(images: Images) -> str:
    """What a checkpoint remembers of the images: a hash of them all, if they are an ImageSet.

    Of a DataLoader it is the data set's length and what its `repr` says, and nothing of pixels.
    """
    if isinstance(images, ImageSet):
        return images.meta.fingerprint
    data = images.dataset
    about = re.sub(r" at 0x\w+", "", " ".join(repr(data).split()))
    return f"DataLoader of {len(data)} images: {about}"  # type: ignore[arg-type]  # it has a length
