"""Images as batches: of an ImageSet in an order that follows from the seed; of a DataLoader."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from alexnet.config import Augment, TrainingRecipe
from alexnet.data.augment import BatchSpec, color_shift, draw, pca_color_axes, render
from alexnet.data.imageset import ImageSet

Batch = tuple[Tensor, Tensor]  # images, labels


def epoch_order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """A permutation of `count` images, a function of (seed, epoch) alone."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(count)


def positions(stored: int, size: int) -> int:
    """How many places a square of `size` pixels has in each direction of a stored image."""
    return stored - size + 1


def evaluated_squares(stored: int, size: int, crops: int) -> list[tuple[tuple[int, int], bool]]:
    """The squares that are evaluated: (top, left) and whether mirrored; the central one, or ten.

    Ten crops (§4.1): the four corners and the centre, then their mirror images.
    """
    far = stored - size
    corners = [(far // 2, far // 2)]
    if crops == 10:
        corners = [(0, 0), (0, far), (far, 0), (far, far), *corners]
    return [
        (corner, flipped) for flipped in (False, True)[: 1 + (crops == 10)] for corner in corners
    ]


class Loader:
    """Batches of one split on a device: `dtype` [B, 3, S, S] in channels-last memory, int64 [B].

    Grey levels minus the central square of the training images' mean image, wherever the crop is
    (`convdata.py`). Pixels stay uint8 until they are in a batch. Raises ValueError if the stored
    images are smaller than the squares.
    """

    def __init__(
        self, data: ImageSet, mean_of: ImageSet, size: int, augment: Augment, device: torch.device
    ) -> None:
        self.count, self.size, self.augment, self.device = len(data), size, augment, device
        self.dtype = torch.float32  # bf16 once it is known that the network rounds to that anyway
        self.stored = augment.resize or data.meta.shape[0]
        if self.stored < size:
            least = f"stored images of at least that size, not {self.stored}"
            raise ValueError(f"crops of {size} pixels need {least}")
        images = torch.from_numpy(data.images)
        self.resident = device.type == "cpu" or _fits(images, device)
        self.images = images.to(device) if self.resident else images
        self.labels = torch.from_numpy(data.labels).to(device)
        middle = slice((self.stored - size) // 2, (self.stored - size) // 2 + size)
        mean = torch.from_numpy(mean_of.mean_image).to(device)
        self.mean = self._resized(mean[None])[0, middle, middle]
        self.factor = 1.0 / mean_of.meta.pixel_std if augment.standardise else 1.0
        axes = pca_color_axes(np.array(mean_of.meta.rgb_covariance), augment.color_noise)
        self.axes = torch.from_numpy(axes)

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch, the last one perhaps smaller."""
        return -(-self.count // batch_size)

    def epoch(
        self,
        seed: int,
        epoch: int,
        batch_size: int,
        skip: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> Iterator[Batch]:
        """Every image once, augmented, in the order of (seed, epoch), after `skip` batches.

        Of several processes each gets every world_size-th image of a batch.
        """
        for spec in self._draw(seed, epoch, batch_size, skip, slice(rank, None, world_size)):
            labels = self.labels[spec.index.to(self.device, non_blocking=True)]
            yield self._render(spec, self.dtype).permute(0, 3, 1, 2), labels

    def _draw(
        self, seed: int, epoch: int, batch_size: int, skip: int, mine: slice
    ) -> Iterator[BatchSpec]:
        augment, order = self.augment, epoch_order(self.count, seed, epoch)
        draws = draw(self.count, positions(self.stored, self.size), seed, epoch)
        end = augment.color_noise_end
        noisy = augment.color_noise != "none" and (end is None or epoch < end)
        for start in range(skip * batch_size, self.count, batch_size):
            index, shared = order[start : start + batch_size], augment.images_per_draw
            first = index[np.arange(len(index)) // shared * shared]  # of each group; it draws
            yield self._spec(
                index[mine],
                draws.corners[first[mine]] if augment.crops else None,
                draws.flipped[first[mine]] if augment.flips else None,
                draws.color[index[mine]] if noisy else None,
            )

    def in_order(
        self,
        batch_size: int,
        crops: int = 1,
        rank: int = 0,
        world_size: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> Iterator[tuple[NDArray[np.int64], list[Tensor]]]:
        """Every image once as stored: (index, its crops), the central one or all ten.

        Of several processes each gets every world_size-th image.
        """
        wanted = evaluated_squares(self.stored, self.size, crops)
        mine = np.arange(rank, self.count, world_size)
        for start in range(0, len(mine), batch_size):
            index, squares = mine[start : start + batch_size], []
            for corner, flipped in wanted:
                place = np.tile(corner, (len(index), 1)), np.full(len(index), flipped)
                squares.append(self.crop(index, *place, dtype).permute(0, 3, 1, 2))
            yield index, squares

    def crop(
        self,
        index: NDArray[np.int64],
        corners: NDArray[np.int64] | None = None,
        flipped: NDArray[np.bool_] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Squares of images minus the mean, by default the central ones: `dtype` [B, S, S, 3]."""
        return self._render(self._spec(index, corners, flipped, None), dtype)

    def _spec(
        self,
        index: NDArray[np.int64],
        corners: NDArray[np.int64] | None,
        flipped: NDArray[np.bool_] | None,
        color: NDArray[np.float32] | None,
    ) -> BatchSpec:
        middle, count = (self.stored - self.size) // 2, len(index)
        corners = np.full((count, 2), middle) if corners is None else corners
        flipped = np.zeros(count, bool) if flipped is None else flipped
        shift = None
        if color is not None:
            shift = color_shift(torch.from_numpy(color), self.axes, self.augment.color_noise_std)
        return BatchSpec(
            torch.from_numpy(index), torch.from_numpy(corners), torch.from_numpy(flipped), shift
        )

    def _render(self, spec: BatchSpec, dtype: torch.dtype) -> Tensor:
        """Images that are resized first, or that are not on the device, come there as a batch."""
        images = self.images
        divisor = 1.0 if spec.color is None else self.augment.color_noise_divisor
        if self.augment.resize or not self.resident:
            images = images[spec.index.to(images.device)].to(self.device)
            images = self._resized(images.float()) if self.augment.resize else images
            spec = replace(spec, index=torch.arange(len(images), device=spec.index.device))
        return render(images, self.mean, spec, divisor, self.factor, dtype)

    def _resized(self, images: Tensor) -> Tensor:
        side = self.augment.resize
        if not side:
            return images
        # F.interpolate takes forty operations on a GPU under deterministic algorithms, for a
        # backward pass that images never have.
        maps = images.permute(0, 3, 1, 2)
        resized: Tensor = torch.ops.aten.upsample_bilinear2d(maps, [side, side], False)
        return resized.permute(0, 2, 3, 1)


def _fits(images: Tensor, device: torch.device) -> bool:
    return device.type == "cuda" and images.nbytes < torch.cuda.mem_get_info(device)[0] // 2


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
    number of classes, or if the two sets have different classes or sizes, TypeError for one
    DataLoader.
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
            raise ValueError(
                f"training and test images have different {name}, so they are not of one set"
            )
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
