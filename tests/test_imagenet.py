"""ImageNet from the publisher's archives and folders, also hostile ones; the `data` command."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from typer.testing import CliRunner

from alexnet.data.archives import scan
from alexnet.data.catalogue import DATASETS
from alexnet.data.imagenet import list_imagenet, part_of, prepare_imagenet
from alexnet.data.imagenet_decode import decode_center
from alexnet.data.imageset import DataError, ImageSet
from alexnet.data.sources import open_dataset
from reproductions.__main__ import app

WNIDS = ("n01440764", "n01443537", "n02084071")


def jpeg(seed: int, size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


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
    fields = [
        ("ILSVRC2012_ID", object),
        ("WNID", object),
        ("words", object),
        ("num_children", object),
    ]
    synsets = np.array(
        [(number, wnid, f"word {number}", 0) for number, wnid in BY_NUMBER.items()], dtype=fields
    )
    mat = io.BytesIO()
    savemat(mat, {"synsets": synsets.reshape(-1, 1)})
    kit = {
        "ILSVRC2012_devkit_t12/data/meta.mat": mat.getvalue(),
        "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": "".join(
            f"{n}\n" for n in truth
        ).encode(),
        "ILSVRC2012_devkit_t12/readme.txt": b"",
    }
    import gzip

    return write(
        folder,
        {
            "ILSVRC2012_img_train.tar": tar_of(inner),
            "ILSVRC2012_img_val.tar": tar_of(VAL),
            "ILSVRC2012_devkit_t12.tar.gz": gzip.compress(tar_of(kit)),
        },
    )


def content_of(data: ImageSet) -> list[tuple[bytes, str]]:
    return sorted(
        (image.tobytes(), data.meta.classes[label])
        for image, label in zip(data.images, data.labels, strict=True)
    )


def wanted(files: dict[str, bytes], label_of: dict[str, str]) -> list[tuple[bytes, str]]:
    return sorted(
        (decode_center(content).tobytes(), label_of[name]) for name, content in files.items()
    )


VAL_LABELS = {name: BY_NUMBER[number] for name, number in zip(VAL, TRUTH, strict=True)}
TRAIN_LABELS = {name: name.split("/")[0] for name in TRAIN}


def test_the_publishers_archives(tmp_path: Path) -> None:
    folder = publishers(tmp_path / "given")
    before = sorted(folder.iterdir())
    splits = prepare_imagenet("imagenet2012", tmp_path, [folder / name.name for name in before])
    assert content_of(splits["train"]) == wanted(TRAIN, TRAIN_LABELS)
    assert content_of(splits["test"]) == wanted(VAL, VAL_LABELS)
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
    val = {f"val/{VAL_LABELS[name]}/{name}": content for name, content in VAL.items()}
    folders = write(
        tmp_path / "folders", {f"train/{name}": content for name, content in TRAIN.items()} | val
    )
    train = (
        write(
            tmp_path,
            {"train.tar": tar_of({f"./{name}": content for name, content in TRAIN.items()})},
        )
        / "train.tar"
    )
    unpacked = tmp_path / "ILSVRC2012_devkit_t12"
    with tarfile.open(flat / "ILSVRC2012_devkit_t12.tar.gz") as kit:
        kit.extractall(tmp_path, filter="data")
    nested = write(
        tmp_path / "nested",
        {f"ILSVRC/Data/CLS-LOC/val/{name}": content for name, content in VAL.items()},
    )
    ways = [
        [flat],
        [folders],
        [train, flat / "ILSVRC2012_img_val.tar", unpacked],
        [folders / "train", nested, unpacked],
    ]
    prints = set()
    for number, way in enumerate(ways):
        root = tmp_path / str(number)
        root.mkdir()
        splits = prepare_imagenet("imagenet2012", root, way)
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


def test_fall_2009_is_halved_class_by_class(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "fall",
        {f"{wnid}.tar": tar_of({f"{wnid}_{k}.JPEG": b"" for k in range(5)}) for wnid in WNIDS},
    )
    listings = list_imagenet("fall2009", [folder], None, None)
    assert np.bincount(listings["train"].labels).tolist() == [3, 3, 3]
    assert np.bincount(listings["test"].labels).tolist() == [2, 2, 2]
    names = {item.name for listing in listings.values() for item in listing.items}
    assert len(names) == 15


def test_of_fall_2011_a_hundredth_is_kept_back(tmp_path: Path) -> None:
    """The 100th and 200th image of a class; a class with fewer has none to spare."""
    counts = dict(zip(WNIDS, (99, 100, 205), strict=True))
    tars = {
        f"{wnid}.tar": tar_of({f"{wnid}_{k:03}.JPEG": b"" for k in range(count)})
        for wnid, count in counts.items()
    }
    listings = list_imagenet("fall2011", [write(tmp_path / "fall", tars)], None, None)
    assert np.bincount(listings["train"].labels).tolist() == [99, 99, 203]
    assert [Path(item.name).name for item in listings["test"].items] == [
        f"{WNIDS[1]}_099.JPEG",
        f"{WNIDS[2]}_099.JPEG",
        f"{WNIDS[2]}_199.JPEG",
    ]
    assert len(listings["train"].items) + len(listings["test"].items) == sum(counts.values())


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


def test_a_tar_that_is_cut_short_or_lies_about_sizes_is_refused(tmp_path: Path) -> None:
    whole = tar_of(TRAIN)
    cut = write(tmp_path, {"cut.tar": whole[: len(whole) // 2 + 700]}) / "cut.tar"
    with pytest.raises(DataError, match=r"cut short or damaged|not a whole tar"):
        list(scan(cut))
    inside = (
        write(tmp_path, {"inside.tar": tar_of({"n0.tar": tar_of({"a.JPEG": jpeg(0)})[:900]})})
        / "inside.tar"
    )
    with pytest.raises(DataError, match=r"cut short or damaged|not a whole tar"):
        list(scan(inside))
    negative = bytearray(tar_of({"n0/a.JPEG": jpeg(0)}))
    # a size of -256 in base 256, which would lead back for ever
    negative[124:136] = b"\xff" * 11 + b"\x00"
    negative[148:156] = b"%06o\0 " % (sum(negative[:148]) + 8 * 32 + sum(negative[156:512]))
    with pytest.raises(DataError, match=r"cut short or damaged|not a whole tar"):
        list(scan(write(tmp_path, {"negative.tar": bytes(negative)}) / "negative.tar"))


def test_compressed_archives_and_other_files_are_refused(tmp_path: Path) -> None:
    import gzip

    write(
        tmp_path,
        {
            "images.tar.gz": gzip.compress(tar_of(TRAIN)),
            "images.zip": b"PK\3\4",
            "text.tar": b"hello" * 200,
        },
    )
    with pytest.raises(DataError, match=r"compressed \(gzip\); uncompress it first"):
        list(scan(tmp_path / "images.tar.gz"))
    with pytest.raises(DataError, match=r"compressed \(zip\)"):
        list(scan(tmp_path / "images.zip"))
    with pytest.raises(DataError, match=r"text\.tar is not a whole tar archive"):
        list(scan(tmp_path / "text.tar"))
    with pytest.raises(DataError, match="is not there"):
        list(scan(tmp_path / "nowhere"))


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0 MAT-file" + bytes(200), b"\x80\x04."])
def test_a_broken_devkit_is_named(tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "ILSVRC2012_devkit_t12", {"data/meta.mat": content})
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


def test_how_much_of_a_release_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = prepare_imagenet("imagenet2012", tmp_path, [publishers(tmp_path / "given")])
    assert part_of(splits["train"].meta) == "9 of 1,281,167 images"
    assert part_of(splits["test"].meta) == "4 of 50,000 images"
    small = DATASETS["imagenet2012"]._replace(classes=3, counts={"train": (9,), "test": (4,)})
    monkeypatch.setitem(DATASETS, "imagenet2012", small)
    assert [part_of(split.meta) for split in splits.values()] == ["", ""]
    monkeypatch.setitem(DATASETS, "imagenet2012", small._replace(classes=4))
    assert part_of(splits["train"].meta) == "3 of 4 classes"


def test_the_data_command(tmp_path: Path) -> None:
    folder, root = publishers(tmp_path / "given"), tmp_path / "root"
    root.mkdir()
    call = CliRunner()
    absent = call.invoke(app, ["data", "verify", "imagenet2012", "--data", str(root)])
    assert absent.exit_code == 4
    assert "are not prepared under" in absent.output
    assert list(root.iterdir()) == []
    made = call.invoke(
        app,
        ["data", "prepare", "imagenet2012", "--source", str(folder), "--data", str(root), "--json"],
    )
    assert made.exit_code == 0, made.output
    assert [(row["split"], row["images"], row["state"]) for row in json.loads(made.stdout)] == [
        ("train", "9", "ready, 9 of 1,281,167 images"),
        ("test", "4", "ready, 4 of 50,000 images"),
    ]
    pixels = root / "prepared" / "imagenet2012-train-3" / "images.npy"
    pixels.write_bytes(pixels.read_bytes()[:-1] + b"?")
    altered = call.invoke(app, ["data", "verify", "imagenet2012", "--data", str(root)])
    assert (altered.exit_code, altered.output.count("\n")) == (4, 1)
    for words in (
        ["mnist"],
        ["cifar10", "--source", "x"],
        ["imagenet2012", "--source", "x", "--split", "dev"],
        ["imagenet2012", "--split", "test"],
    ):
        assert call.invoke(app, ["data", "prepare", *words, "--data", str(root)]).exit_code == 2
