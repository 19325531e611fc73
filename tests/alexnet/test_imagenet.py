"""ImageNet from the publisher's archives and folders, also hostile ones; the `data` command."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded, noise
from scipy.io import savemat
from typer.testing import CliRunner

from alexnet.data.archives import scan
from alexnet.data.imagenet import list_imagenet, prepare_imagenet
from alexnet.data.imagenet_decode import decode_center
from alexnet.data.imageset import DataError, ImageSet
from alexnet.data.sources import open_dataset
from reproductions.__main__ import app

WNIDS = ("n01440764", "n01443537", "n02084071")


def jpeg(seed: int) -> bytes:
    return encoded(noise(30, 40, seed), "JPEG")


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


TRAIN = {
    f"{wnid}/{wnid}_{k}.JPEG": jpeg(10 * n + k) for n, wnid in enumerate(WNIDS) for k in range(3)
}
VAL = {f"ILSVRC2012_val_0000000{k}.JPEG": jpeg(100 + k) for k in (1, 2, 3, 4)}
TRUTH = (2, 3, 1, 2)  # class numbers of the devkit, which are not the order of the wnids
BY_NUMBER = {1: WNIDS[2], 2: WNIDS[0], 3: WNIDS[1]}


def publishers(folder: Path, truth: tuple[int, ...] = TRUTH) -> Path:
    """A folder with the three archives of ILSVRC2012 in the publisher's layout."""
    inner = {
        f"{w}.tar": tar_of(
            {Path(name).name: data for name, data in TRAIN.items() if name.startswith(w)}
        )
        for w in WNIDS
    }
    fields = [(name, object) for name in ("ILSVRC2012_ID", "WNID", "words", "num_children")]
    rows = [(number, wnid, f"word {number}", 0) for number, wnid in BY_NUMBER.items()]
    synsets = np.array(rows, dtype=fields)
    mat = io.BytesIO()
    savemat(mat, {"synsets": synsets.reshape(-1, 1)})
    kit = {
        "ILSVRC2012_devkit_t12/data/meta.mat": mat.getvalue(),
        "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": "".join(
            f"{n}\n" for n in truth
        ).encode(),
        "ILSVRC2012_devkit_t12/readme.txt": b"",
    }
    return write(
        folder,
        {
            "ILSVRC2012_img_train.tar": tar_of(inner),
            "ILSVRC2012_img_val.tar": tar_of(VAL),
            "ILSVRC2012_devkit_t12.tar.gz": gzip.compress(tar_of(kit)),
        },
    )


def content_of(data: ImageSet) -> list[tuple[bytes, str]]:
    images = zip(data.images, data.labels, strict=True)
    return sorted((image.tobytes(), data.meta.classes[label]) for image, label in images)


def wanted(labels: dict[str, str], files: dict[str, bytes]) -> list[tuple[bytes, str]]:
    return sorted((decode_center(files[name]).tobytes(), label) for name, label in labels.items())


VAL_LABELS = {name: BY_NUMBER[number] for name, number in zip(VAL, TRUTH, strict=True)}
TRAIN_LABELS = {name: name.split("/")[0] for name in TRAIN}


def test_the_publishers_archives(tmp_path: Path) -> None:
    folder = publishers(tmp_path / "given")
    before = sorted(folder.iterdir())
    splits = prepare_imagenet("imagenet2012", tmp_path, [folder / name.name for name in before])
    assert content_of(splits["train"]) == wanted(TRAIN_LABELS, TRAIN)
    assert content_of(splits["test"]) == wanted(VAL_LABELS, VAL)
    meta = splits["test"].meta
    assert (meta.classes, meta.shape, meta.canonical) == (WNIDS, (256, 256, 3), False)
    assert meta.words == ("word 2", "word 3", "word 1")
    assert "shorter side to 256" in meta.source
    assert str(tmp_path) not in meta.source
    assert sorted(folder.iterdir()) == before
    again = open_dataset("imagenet2012", tmp_path)
    assert again["train"].meta == splits["train"].meta


def test_the_same_images_however_they_come(tmp_path: Path) -> None:
    """From archives in one folder, class folders, tars of class folders, an unpacked devkit."""
    flat = publishers(tmp_path / "archives")
    train = {f"train/{name}": content for name, content in TRAIN.items()}
    val = {f"val/{VAL_LABELS[name]}/{name}": content for name, content in VAL.items()}
    deep = {f"ILSVRC/Data/CLS-LOC/val/{name}": content for name, content in VAL.items()}
    folders = write(tmp_path / "folders", train | val)
    nested = write(tmp_path / "nested", deep)
    tar = {"train.tar": tar_of({f"./{name}": content for name, content in TRAIN.items()})}
    write(tmp_path, tar)
    unpacked = tmp_path / "ILSVRC2012_devkit_t12"
    with tarfile.open(flat / "ILSVRC2012_devkit_t12.tar.gz") as kit:
        kit.extractall(tmp_path, filter="data")
    ways = [
        [flat],
        [folders],
        [tmp_path / "train.tar", flat / "ILSVRC2012_img_val.tar", unpacked],
        [folders / "train", nested, unpacked],
    ]
    prints = set()
    for number, way in enumerate(ways):
        (tmp_path / str(number)).mkdir()
        splits = prepare_imagenet("imagenet2012", tmp_path / str(number), way)
        prints.add((splits["train"].meta.fingerprint, splits["test"].meta.fingerprint))
    assert len(prints) == 1


def test_one_split_after_the_other_has_the_classes_of_the_first(tmp_path: Path) -> None:
    train = write(tmp_path / "train", TRAIN)
    val = write(tmp_path / "val", {f"{WNIDS[2]}/x.JPEG": jpeg(1)})
    prepare_imagenet("imagenet2012", tmp_path, [train])
    with pytest.raises(DataError, match="the test images of imagenet2012 are not prepared"):
        open_dataset("imagenet2012", tmp_path)
    splits = prepare_imagenet("imagenet2012", tmp_path, [val], split="test")
    assert splits["test"].labels.tolist() == [2]
    assert len(open_dataset("imagenet2012", tmp_path)["test"].meta.classes) == 3
    strange = write(tmp_path / "strange", {"n99999999/x.JPEG": jpeg(1)})
    with pytest.raises(DataError, match="'n99999999', of which the training images have none"):
        prepare_imagenet("imagenet2012", tmp_path, [strange], split="test")
    with pytest.raises(
        DataError, match="holds 9 images already, and these sources have 1; move it away"
    ):
        prepare_imagenet("imagenet2012", tmp_path, [val])


@pytest.mark.parametrize(
    ("release", "counts", "train", "test"),
    [
        ("fall2009", (5, 5, 5), [3, 3, 3], [2, 2, 2]),
        ("fall2011", (99, 100, 205), [99, 99, 203], [0, 1, 2]),
    ],
)
def test_fall_2009_is_halved_and_of_fall_2011_a_hundredth_is_kept_back(
    tmp_path: Path, release: str, counts: tuple[int, ...], train: list[int], test: list[int]
) -> None:
    """Class by class: of 2011 the 100th and 200th image, so a class with fewer has none."""
    tars = {
        f"{wnid}.tar": tar_of({f"{wnid}_{k:03}.JPEG": b"" for k in range(count)})
        for wnid, count in zip(WNIDS, counts, strict=True)
    }
    listings = list_imagenet(release, [write(tmp_path / "fall", tars)], None, None)
    found = [
        np.bincount(listings[split].labels, minlength=3).tolist() for split in ("train", "test")
    ]
    assert found == [train, test]
    names = {item.name for listing in listings.values() for item in listing.items}
    assert len(names) == sum(counts)
    if release == "fall2011":
        kept = [Path(item.name).name for item in listings["test"].items]
        assert kept == [f"{WNIDS[k]}_{n}99.JPEG" for k, n in ((1, 0), (2, 0), (2, 1))]


def test_labelled_test_images_go_before_validation_images(tmp_path: Path) -> None:
    """As 2010 has them, whose test labels are public."""
    folder = publishers(tmp_path / "given")
    tests = {f"test/ILSVRC2010_test_0000000{k}.JPEG": jpeg(k) for k in (1, 2)}
    write(folder, {**tests, "ILSVRC2010_test_ground_truth.txt": b"1\n3\n"})
    listing = list_imagenet("imagenet2010", [folder], None, None)["test"]
    assert [
        (Path(item.name).name, int(label))
        for item, label in zip(listing.items, listing.labels, strict=True)
    ] == [("ILSVRC2010_test_00000002.JPEG", 1), ("ILSVRC2010_test_00000001.JPEG", 2)]


def test_unlabelled_images_ask_for_the_devkit(tmp_path: Path) -> None:
    folder = publishers(tmp_path / "given")
    sources = [folder / "ILSVRC2012_img_train.tar", folder / "ILSVRC2012_img_val.tar"]
    with pytest.raises(
        DataError, match="4 images without class folders and without labels; name the devkit too"
    ):
        list_imagenet("imagenet2012", sources, None, None)
    with pytest.raises(DataError, match="the devkit names no class for it"):
        list_imagenet("imagenet2012", [publishers(tmp_path / "short", TRUTH[:2])], None, None)
    with pytest.raises(DataError, match="no images in classes"):
        list_imagenet(
            "imagenet2012", [write(tmp_path / "empty", {"a/readme.txt": b""})], None, None
        )


def test_the_same_image_from_two_sources_is_refused(tmp_path: Path) -> None:
    folder = write(
        publishers(tmp_path / "given"),
        {f"train/{name}": content for name, content in TRAIN.items()},
    )
    with pytest.raises(DataError, match="are the same image"):
        list_imagenet("imagenet2012", [folder], None, None)


@pytest.mark.parametrize(
    "name", ["../../escaped/x.JPEG", "/etc/x.JPEG", "a/../../x.JPEG", "a\nb/x.JPEG"]
)
def test_a_tar_that_names_places_outside_itself_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, {"evil.tar": tar_of({name: jpeg(0)})}) / "evil.tar"
    with pytest.raises(DataError, match=r"evil\.tar holds .* a place outside itself"):
        prepare_imagenet("imagenet2012", tmp_path, [path])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evil.tar"]


def test_links_and_devices_in_a_tar_are_passed_over(tmp_path: Path) -> None:
    secret = write(tmp_path, {"secret.JPEG": jpeg(7)}) / "secret.JPEG"
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo(f"n0/{kind!r}.JPEG")
            member.type, member.linkname = kind, str(secret)
            tar.addfile(member)
    assert list(scan(tmp_path / "evil.tar")) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cut.tar", tar_of(TRAIN)[:4000], "cut short or damaged|not a whole tar"),
        ("in.tar", tar_of({"n0.tar": tar_of({"a.JPEG": jpeg(0)})[:900]}), "cut short or damaged"),
        ("text.tar", b"hello" * 200, r"text\.tar is not a whole tar archive"),
        ("images.tar.gz", gzip.compress(b"", mtime=0), r"compressed \(gzip\); uncompress it first"),
        ("images.zip", b"PK\3\4", r"compressed \(zip\)"),
    ],
)
def test_what_is_no_whole_tar_is_refused(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        list(scan(write(tmp_path, {name: content}) / name))


def test_a_broken_devkit_is_named(tmp_path: Path) -> None:
    write(tmp_path / "ILSVRC2012_devkit_t12", {"data/meta.mat": b"\x80\x04."})
    with pytest.raises(DataError, match=r"meta\.mat in .* download the devkit again"):
        list_imagenet("imagenet2012", [tmp_path / "ILSVRC2012_devkit_t12"], None, None)


def test_a_broken_image_in_a_tar_is_named_and_nothing_is_packed(tmp_path: Path) -> None:
    files = {**TRAIN, f"{WNIDS[1]}/bad.JPEG": jpeg(0)[:500]}
    write(tmp_path, {"some.tar": tar_of(files)})
    with pytest.raises(
        DataError, match=r"^1 of 10 images .*some\.tar/n01443537/bad\.JPEG is not a readable image"
    ):
        prepare_imagenet("imagenet2012", tmp_path, [tmp_path / "some.tar"])
    assert not (tmp_path / "prepared" / "imagenet2012-train-3").exists()


def test_the_data_command(tmp_path: Path) -> None:
    folder, root = publishers(tmp_path / "given"), tmp_path / "root"
    root.mkdir()

    def call(command: str):
        return CliRunner().invoke(app, [*command.split(), "--data", str(root)])

    absent = call("data verify imagenet2012")
    assert absent.exit_code == 4
    assert "are not prepared under" in absent.output
    assert list(root.iterdir()) == []
    made = call(f"data prepare imagenet2012 --source {folder} --json")
    assert made.exit_code == 0, made.output
    assert [(row["split"], row["images"], row["state"]) for row in json.loads(made.stdout)] == [
        ("train", "9", "ready, 9 of 1,281,167 images"),
        ("test", "4", "ready, 4 of 50,000 images"),
    ]
    pixels = root / "prepared" / "imagenet2012-train-3" / "images.npy"
    pixels.write_bytes(pixels.read_bytes()[:-1] + b"?")
    altered = call("data verify imagenet2012")
    assert (altered.exit_code, altered.output.count("\n")) == (4, 1)
    wrong = ("mnist", "cifar10 --source x", "imagenet2012 --split test")
    for options in (*wrong, "imagenet2012 --source x --split dev"):
        assert call(f"data prepare {options}").exit_code == 2
