"""Half the classes of a data set, for fine-tuning a network that was trained on all of them."""

from pathlib import Path

from alexnet.data.imageset import ImageSet, pack


def pack_half(folder: Path, whole: ImageSet, name: str) -> ImageSet:
    """Pack every second class of a split: labels 0, 2, 4, ... become 0, 1, 2, ...

    It has a mean image and a fingerprint of its own, of its content; its pixels must fit into the
    memory.
    """
    kept = whole.labels % 2 == 0
    meta = whole.meta
    return pack(
        folder,
        whole.images[kept],
        whole.labels[kept] // 2,
        name=name,
        split=meta.split,
        classes=meta.classes[::2],
        canonical=meta.canonical,
        source=f"every second class of {meta.name}: {meta.source}",
        words=meta.words[::2],
    )
