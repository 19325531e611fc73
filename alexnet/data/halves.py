"""Half the classes of a data set, for fine-tuning a network that was trained on all of them."""

from pathlib import Path

from alexnet.data.catalogue import HALVES
from alexnet.data.imageset import ImageSet, pack
from alexnet.data.prepare import Progress
from alexnet.data.sources import DataSet, Splits, dataset, open_splits
from alexnet.data.synthetic import Synthetic
from alexnet.io import cache_root


class Half(DataSet):
    """Every second class of another data set, packed anew where that changes."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.whole = dataset(HALVES[name])

    def find(self, root: Path) -> Path | None:
        """Where the whole is."""
        return self.whole.find(root)

    def absent(self, root: Path) -> str:
        """What to do where the whole is not there."""
        return self.whole.absent(root)

    def open(
        self, root: Path, progress: Progress | None = None, *, pack_missing: bool = True
    ) -> Splits:
        """Both splits; the whole is packed first."""
        whole = self.whole.open(root, progress, pack_missing=pack_missing)
        names = {s: f"{self.name}-{data.meta.fingerprint[:12]}-{s}" for s, data in whole.items()}

        def make(folder: Path, split: str) -> ImageSet:
            return pack_half(folder, whole[split], self.name)

        base = cache_root() if isinstance(self.whole, Synthetic) else root
        return open_splits(base, names, make, pack_missing)


def pack_half(folder: Path, whole: ImageSet, name: str) -> ImageSet:
    """Pack every second class of a split: labels 0, 2, 4, ... become 0, 1, 2, ...

    It has a mean image and a fingerprint of its own, of its content; its pixels must fit into the
    memory.
    """
    chosen, meta = whole.labels % 2 == 0, whole.meta
    return pack(
        folder,
        whole.images[chosen],
        whole.labels[chosen] // 2,
        name=name,
        split=meta.split,
        classes=meta.classes[::2],
        canonical=meta.canonical,
        source=f"every second class of {meta.name}: {meta.source}",
        words=meta.words[::2],
    )
