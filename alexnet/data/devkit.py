"""ImageNet's development kit: classes by number, labels of images without class folders."""

import io
import re
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.data.archives import BAD_TAR
from alexnet.data.imageset import DataError
from alexnet.io import is_passing, named

TRUTH = re.compile(r"ILSVRC20\d\d_(validation|test)_ground_truth\.txt")
LARGEST = 1 << 26  # bytes; the devkit's files are far smaller


@dataclass
class Kit:
    """What the kits among the sources say."""

    wnids: dict[int, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)  # by wnid
    # "val" or "test": the class number of image 1, 2, ...
    truth: dict[str, list[int]] = field(default_factory=dict)


def read_kit(source: Path, kit: Kit) -> bool:
    """Read a development kit (folder or archive) or a list of labels; False if it is neither."""
    if TRUTH.fullmatch(source.name):
        files = {source.name: source.read_bytes()}
    elif "devkit" not in source.name.lower():
        return False
    elif source.is_dir():
        paths = [path for path in source.rglob("*") if _is_wanted(path.name)]
        files = {path.name: path.read_bytes() for path in paths}
    else:
        files = _archived(source)
    for name, content in files.items():
        listed = TRUTH.fullmatch(name)
        try:
            if listed:
                split = "val" if listed[1] == "validation" else "test"
                kit.truth[split] = [int(line) for line in content.split()]
            else:
                _read_synsets(content, kit)
        except (ValueError, TypeError, KeyError, IndexError, NotImplementedError, OSError) as error:
            raise DataError(
                f"{name} in {source} is not what the publisher's is ({error}); download the "
                "devkit again"
            ) from error
    return True


def _is_wanted(name: str) -> bool:
    return name == "meta.mat" or bool(TRUTH.fullmatch(name))


def _archived(source: Path) -> dict[str, bytes]:
    files = {}
    try:
        with tarfile.open(source) as tar:
            for member in tar:
                name = Path(member.name).name
                if member.isreg() and member.size <= LARGEST and _is_wanted(name):
                    content = tar.extractfile(member)
                    files[name] = content.read() if content else b""
    except BAD_TAR as error:
        if is_passing(error):
            raise named(error, source) from error
        raise DataError(
            f"{source} is not a whole archive ({error}); download the devkit again"
        ) from error
    return files


def _read_synsets(content: bytes, kit: Kit) -> None:
    """Numbers, names and words of the classes from meta.mat, an array of records `synsets`."""
    from scipy.io import loadmat, matlab  # noqa: PLC0415 - slow to import and seldom needed

    file: Any = io.BytesIO(content)  # scipy's stubs know paths alone
    try:
        synsets = loadmat(file, squeeze_me=True, variable_names=["synsets"])["synsets"]
    except matlab.MatReadError as error:
        raise ValueError(str(error)) from error
    number = next(name for name in synsets.dtype.names if name.endswith("_ID"))
    for row in np.atleast_1d(synsets):
        kit.wnids[int(row[number])] = str(row["WNID"])
        kit.words[str(row["WNID"])] = str(row["words"])
