"""Image-scale sources: made-up files in exactly their formats, whole, damaged, and interrupted."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from ebmrepro import data
from ebmrepro.config import declarations, params
from ebmrepro.config.data import Data, Image
from ebmrepro.config.documents import ParamsError
from ebmrepro.config.validation import validate
from ebmrepro.data import DataError, archives, crops, decoding, files, trees
from ebmrepro.data.sources import (
    celeba,
    cifar10,
    imagenet,
    imagenet_dogs,
    lsun,
    olivetti,
    olivetti_half,
)
from ebmrepro.data.unpickle import unpickle
from ebmrepro.system.locks import Busy, Lock

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def mirror(monkeypatch, tmp_path) -> Path:
    """An empty mirror; one process decodes, and nothing is downloaded."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv(files.MIRROR, str(folder))
    monkeypatch.setenv(decoding.WORKERS, "1")
    monkeypatch.setattr(files, "cache", lambda: tmp_path / "cache")

    def no_network(name: str, *_: object) -> None:
        raise files.downloads.Unavailable(f"{name}: no network in a test")

    monkeypatch.setattr(files.downloads, "download", no_network)
    return folder


def picture(k: int, width: int = 40, height: int = 48, form: str = "JPEG", mode="RGB") -> bytes:
    """A photograph of nothing: a ramp whose colour is k's."""
    ramp = np.linspace(0, 255, width * height).reshape(height, width)
    colour = np.stack([ramp, np.full_like(ramp, 25 * k % 256), ramp[::-1]], axis=-1)
    out = io.BytesIO()
    Pillow.fromarray(colour.astype(np.uint8)).convert(mode).save(out, form, quality=95)
    return out.getvalue()


def asked(size=8, channels=3, broken=0.0, **crop: Any) -> Image:
    crop = crop or {"kind": "short_side"}
    return validate(
        Image, {"size": size, "channels": channels, "crop": crop, "broken": broken}, "p"
    )


def block(source: str, test: int, validation: int = 0, **changes: Any) -> Data:
    more = {"image": asked(), **changes}
    return Data(source=source, test=test, validation=validation, split_seed=0, **more)


def refused(message: str, source: str, asks: Data, folder: Path) -> str:
    """Preparing says so in one line, and no folder is there."""
    with pytest.raises(DataError, match=message) as error:
        data.prepare(source, asks, folder)
    assert "\n" not in str(error.value) and not folder.exists()
    return str(error.value)


# --- crops ---------------------------------------------------------------------------------------


def decoded(content: bytes, spec: Image, name="x", seed=0, upright=False) -> np.ndarray:
    return crops.decode(content, name, spec, seed, upright)


def painted(width: int, height: int, box: tuple[int, int, int, int]) -> bytes:
    """White in the box, black around it, without loss."""
    image = Pillow.new("RGB", (width, height))
    image.paste((255, 255, 255), box)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_dcgans_crop_of_celeba_is_the_middle_108_of_178_by_218():
    inside = painted(178, 218, (35, 55, 143, 163))
    assert (decoded(inside, asked(64, kind="centre", side=108)) == 255).all()
    wider = decoded(inside, asked(64, kind="centre", side=110))
    assert wider[0, 0].max() < 255 and wider[0, 32, 32] == 255


def test_magans_crop_scales_the_short_side_and_takes_the_middle():
    # 178 x 218 becomes 64 x 78, of which rows 7 to 70 are kept: source rows 19.6 to 198.4.
    top = decoded(painted(178, 218, (0, 0, 178, 16)), asked(64, kind="short_side"))
    kept = decoded(painted(178, 218, (0, 0, 178, 30)), asked(64, kind="short_side"))
    assert (top == 0).all() and (kept[:, 0] == 255).all() and (kept[:, 8:] == 0).all()


def test_the_middle_178_of_celeba_keeps_its_whole_width():
    x = decoded(painted(178, 218, (0, 20, 178, 198)), asked(64, kind="centre", side=178))
    assert (x == 255).all()


def test_a_whole_image_loses_its_proportions_and_nothing_else():
    x = decoded(painted(100, 50, (50, 0, 100, 50)), asked(10, kind="whole"))
    assert (x[:, :, :4] == 0).all() and (x[:, :, 6:] == 255).all()


def test_a_patch_is_cut_from_a_place_that_its_name_and_the_seed_decide():
    content, spec = picture(1, 300, 256), asked(64, kind="patch", scale=96)
    cuts = {decoded(content, spec, name, seed).tobytes() for name in "abc" for seed in (0, 1)}
    assert len(cuts) == 6
    assert np.array_equal(decoded(content, spec, "a", 1), decoded(content, spec, "a", 1))
    scaled = decoded(content, asked(96, kind="short_side"))
    assert abs(float(scaled.mean()) - float(decoded(content, spec).mean())) < 60


def test_channels_are_three_or_one_whatever_the_file_has():
    for mode, form in (("L", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG"), ("RGBA", "WEBP")):
        content = picture(3, form=form, mode=mode)
        assert decoded(content, asked(8, 3)).shape == (3, 8, 8)
        assert decoded(content, asked(8, 1)).shape == (1, 8, 8)


def test_what_is_transparent_lies_on_white():
    out = io.BytesIO()
    Pillow.new("RGBA", (20, 20), (0, 0, 0, 0)).save(out, "PNG")
    assert (decoded(out.getvalue(), asked()) == 255).all()


def test_a_photograph_is_turned_as_it_says_only_where_that_is_asked():
    image = Pillow.open(io.BytesIO(painted(20, 20, (0, 0, 20, 10))))
    exif = Pillow.Exif()
    exif[0x0112] = 3  # upside down
    out = io.BytesIO()
    image.save(out, "PNG", exif=exif)
    as_it_is, turned = (decoded(out.getvalue(), asked(), upright=u) for u in (False, True))
    assert as_it_is[0, 0].min() == 255 and as_it_is[0, -1].max() == 0
    assert turned[0, 0].max() == 0 and turned[0, -1].min() == 255


@pytest.mark.parametrize(
    ("content", "spec", "message"),
    [
        (picture(0)[:-200], asked(), "truncated"),
        (b"", asked(), "is no image of a kind"),
        (b"<html>404</html>", asked(), "is no image of a kind"),
        (picture(0, 40, 40), asked(8, kind="centre", side=41), "is 40 x 40 pixels, smaller"),
        (painted(9, 1000, (0, 0, 1, 1)), asked(), "would be 8 x 888 pixels"),
    ],
    ids=["cut", "empty", "page", "small", "thin"],
)
def test_an_image_that_cannot_be_used_says_why(content, spec, message):
    with pytest.raises(crops.Broken, match=message):
        decoded(content, spec)


def test_an_image_that_says_it_is_enormous_is_not_unpacked():
    bomb = bytearray(painted(8, 8, (0, 0, 1, 1)))
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    import zlib

    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    with pytest.raises(crops.Broken, match=r"60000 x 60000|decompression bomb"):
        decoded(bytes(bomb), asked())


def test_sixteen_bits_are_refused_rather_than_cut_off():
    out = io.BytesIO()
    Pillow.fromarray(np.full((9, 9), 40_000, np.uint16)).save(out, "PNG")
    with pytest.raises(crops.Broken, match="another kind than eight bits"):
        decoded(out.getvalue(), asked())


# --- a folder of one's own -----------------------------------------------------------------------


def photographs(folder: Path, classes=("cats", "dogs"), each=6) -> None:
    for c, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for k in range(each):
            (folder / name / f"{k}.jpg").write_bytes(picture(10 * c + k))


def test_a_folder_of_images_has_a_class_per_folder(mirror, tmp_path):
    photographs(mirror / "mine")
    (mirror / "mine/cats/notes.txt").write_text("no image")
    (mirror / "mine/.cache").mkdir()
    (mirror / "mine/.cache/9.jpg").write_bytes(picture(9))
    made = data.prepare("mine", block("folder", 4, 2, folder="mine"), tmp_path / "mine")
    assert made["classes"] == ["cats", "dogs"] and made["shape"] == [3, 8, 8]
    per_class = {split: about["per_class"] for split, about in made["splits"].items()}
    assert per_class == {"train": [3, 3], "validation": [1, 1], "test": [2, 2]}
    assert "broken" in made and made["broken"] == {}
    images, _ = data.read(tmp_path / "mine", "train")
    assert not images.flags.writeable and len({x.tobytes() for x in images}) == 6


def test_images_without_folders_are_one_class(mirror, tmp_path):
    photographs(mirror / "mine")
    (mirror / "mine/top.PNG").write_bytes(picture(3, form="PNG"))
    made = data.prepare("mine", block("folder", 3, folder="mine"), tmp_path / "mine")
    assert made["classes"] == ["image"] and made["splits"]["train"]["per_class"] == [10]


def test_broken_images_are_named_counted_and_left_out(mirror, tmp_path):
    photographs(mirror / "mine")
    (mirror / "mine/cats/3.jpg").write_bytes(picture(3)[:300])
    (mirror / "mine/dogs/0.jpg").write_bytes(b"")
    asks = block("folder", 4, folder="mine", image=asked(broken=0.2))
    made = data.prepare("mine", asks, tmp_path / "mine")
    assert set(made["broken"]) == {"cats/3.jpg", "dogs/0.jpg"}
    assert "runcated" in made["broken"]["cats/3.jpg"]
    assert {k: v["count"] for k, v in made["splits"].items()} == {"train": 6, "test": 4}
    (remark,) = data.remarks(made)
    assert remark.startswith("broken and left out (dataset.json names all), 2: 'cats/3.jpg' ")
    images, _ = data.read(tmp_path / "mine", "train")
    assert images.reshape(6, -1).max(axis=1).min() > 0  # none of the black ones is among them


def test_more_broken_images_than_the_stated_share_are_refused_by_name(mirror, tmp_path):
    photographs(mirror / "mine")
    (mirror / "mine/cats/3.jpg").write_bytes(picture(3)[:300])
    asks = block("folder", 4, folder="mine", image=asked(broken=0.08))  # 0.96 of 12
    found = refused("1 of 12 images are broken", "mine", asks, tmp_path / "mine")
    assert "share of 0.08 (data.image.broken): 'cats/3.jpg' Truncated File Read" in found


def test_every_file_that_is_left_out_is_named_and_counted_whatever_it_is(mirror, tmp_path):
    """TIFFs, once, were passed over without a word, and a pipe was waited for."""
    photographs(mirror / "mine")
    for name in ("readme.txt", "dogs/film.mov", ".DS_Store"):
        (mirror / "mine" / name).write_bytes(b"x")
    os.mkfifo(mirror / "mine/dogs/pipe.png")
    (mirror / "mine/dogs/gone.png").symlink_to("nowhere")
    (mirror / "mine/dogs/loop").symlink_to(mirror / "mine")
    dataset = data.prepare("mine", block("folder", 4, folder="mine", image=asked()), tmp_path / "x")
    assert dataset["left_out"] == {
        ".DS_Store": "begins with a dot",
        "dogs/film.mov": "has no image's ending",
        "dogs/gone.png": "is a link to nothing",
        "dogs/loop": "is a link to a folder",
        "dogs/pipe.png": "is a pipe",
        "readme.txt": "has no image's ending",
    }
    (line,) = data.remarks(dataset)
    assert line.startswith("no images, left out (dataset.json names all), 6: '.DS_Store' begins")


def test_tiffs_are_read(mirror, tmp_path):
    photographs(mirror / "mine")
    for k in range(2):
        (mirror / f"mine/dogs/{k}.tif").write_bytes(picture(k, form="TIFF"))
    dataset = data.prepare("mine", block("folder", 4, folder="mine", image=asked()), tmp_path / "x")
    assert sum(split["count"] for split in dataset["splits"].values()) == 14
    assert not dataset["broken"] and "left_out" not in dataset


def test_a_folder_with_nothing_to_read_says_so(mirror, tmp_path):
    asks = block("folder", 4, folder="mine")
    refused(r"missing mine: put them in .*mirror/\./; images", "mine", asks, tmp_path / "mine")
    (mirror / "mine").mkdir()
    refused("mine: found no images in it", "mine", asks, tmp_path / "mine")
    (mirror / "mine" / "a\nb.jpg").write_bytes(picture(1))
    refused("signs that cannot be printed", "mine", asks, tmp_path / "mine")


def test_more_test_images_than_there_are_images_name_the_key(mirror, tmp_path):
    photographs(mirror / "mine")
    with pytest.raises(ParamsError, match=r"s\.data\.test: found 12; .* at most 11"):
        data.prepare("s", block("folder", 12, folder="mine"), tmp_path / "s")


# --- stopped and gone on with --------------------------------------------------------------------

CHILD = """
import sys
from pathlib import Path
from ebmrepro import data
from ebmrepro.data import crops, decoding
from ebmrepro.config.data import Data
from ebmrepro.config.validation import validate
decoding.SAVE_EVERY = 0.0
asks = validate(Data, {asks!r}, "p")
plain = crops.decode
def slow(content, name, *rest):
    print(name, flush=True)
    if name == "dogs/1.jpg" and {stops}:
        import time; time.sleep(60)
    return plain(content, name, *rest)
crops.decode = slow
data.prepare("mine", asks, Path(sys.argv[1]))
"""


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_decoding_that_is_killed_goes_on_and_ends_with_the_same_bytes(mirror, tmp_path):
    photographs(mirror / "mine")
    (mirror / "mine/cats/3.jpg").write_bytes(picture(3)[:300])  # is remembered as broken
    asks = block("folder", 4, 2, folder="mine", image=asked(broken=0.2))
    data.prepare("mine", asks, tmp_path / "whole/mine")
    target = tmp_path / "killed/mine"

    def child(stops: bool) -> subprocess.Popen[str]:
        code = CHILD.format(asks=asks.model_dump(), stops=stops)
        code = code.replace("decoding.SAVE", "decoding.CHUNK = 1\ndecoding.SAVE")
        command = [sys.executable, "-c", code, str(target)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    with child(stops=True) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if line == "dogs/1.jpg\n":
                first.send_signal(signal.SIGKILL)
                break
    assert not target.exists() and (tmp_path / "killed/.mine.decoding").exists()
    with child(stops=False) as second:
        said = second.communicate()[0].splitlines()
    assert second.returncode == 0
    # cats/0 to dogs/0 are not decoded again
    assert [line for line in said if line.endswith(".jpg")] == [
        f"dogs/{k}.jpg" for k in range(1, 6)
    ]
    assert "mine: 7 of 12 images are decoded already" in said
    assert files_of(target) == files_of(tmp_path / "whole/mine")
    assert not [p for p in (tmp_path / "killed/.mine.decoding").iterdir() if p.is_dir()]


def test_several_processes_make_the_bytes_of_one(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "CHUNK", 1)
    photographs(mirror / "mine")
    (mirror / "mine/cats/3.jpg").write_bytes(b"")
    asks = block("folder", 4, folder="mine", image=asked(8, broken=0.2, kind="patch", scale=12))
    data.prepare("mine", asks, tmp_path / "one/mine")
    monkeypatch.setenv(decoding.WORKERS, "2")
    monkeypatch.setattr(crops, "decode", None)  # not in this process
    data.prepare("mine", asks, tmp_path / "two/mine")
    assert files_of(tmp_path / "one/mine") == files_of(tmp_path / "two/mine")


def test_a_file_that_is_replaced_is_decoded_anew(mirror, tmp_path, monkeypatch):
    photographs(mirror / "mine")
    (mirror / "mine/cats/0.jpg").write_bytes(b"")
    asks = block("folder", 4, folder="mine")
    refused("1 of 12", "mine", asks, tmp_path / "mine")
    (mirror / "mine/cats/0.jpg").write_bytes(picture(0))
    assert data.prepare("mine", asks, tmp_path / "mine")["broken"] == {}


def test_a_larger_share_of_broken_images_needs_no_new_decoding(mirror, tmp_path, monkeypatch):
    photographs(mirror / "mine")
    (mirror / "mine/cats/0.jpg").write_bytes(b"")
    refused("1 of 12", "mine", block("folder", 4, folder="mine"), tmp_path / "mine")
    monkeypatch.setattr(crops, "decode", None)  # calling it would be a TypeError
    asks = block("folder", 4, folder="mine", image=asked(broken=0.1))
    assert set(data.prepare("mine", asks, tmp_path / "mine")["broken"]) == {"cats/0.jpg"}


def test_a_state_without_its_images_is_not_believed(mirror, tmp_path):
    photographs(mirror / "mine")
    (mirror / "mine/cats/0.jpg").write_bytes(b"")
    refused("1 of 12", "mine", block("folder", 4, folder="mine"), tmp_path / "mine")
    (half,) = (tmp_path / ".mine.decoding").glob("*/images")
    half.write_bytes(half.read_bytes()[:-1])
    asks = block("folder", 4, folder="mine", image=asked(broken=0.1))
    made = data.prepare("mine", asks, tmp_path / "mine")
    fresh = data.prepare("mine", asks, tmp_path / "fresh/mine")
    assert made == fresh


def test_two_processes_do_not_decode_for_the_same_folder(mirror, tmp_path):
    photographs(mirror / "mine")
    (tmp_path / ".mine.decoding").mkdir()
    with (
        Lock(tmp_path / ".mine.decoding/decoding", "x"),
        pytest.raises(Busy, match="is being written by"),
    ):
        data.prepare("mine", block("folder", 4, folder="mine"), tmp_path / "mine")


def test_a_file_that_is_gone_stops_the_decoding_and_is_not_called_broken(mirror, tmp_path):
    photographs(mirror / "mine")
    plain = trees.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trees, "read", lambda s, n: plain(s, n + ("x" if "dogs/2" in n else "")))
        asks = block("folder", 4, folder="mine", image=asked(broken=0.9))
        refused("dogs/2.jpgx: no such file", "mine", asks, tmp_path / "mine")


# --- CelebA --------------------------------------------------------------------------------------

ATTRIBUTES = ["5_o_Clock_Shadow", "Male", "Smiling", "Young"]


def faces(mirror: Path, monkeypatch, change=lambda texts, members: None) -> Path:
    """CelebA's three files with 12 faces: 7 to train on, 2 for validation, 3 to test on."""
    names = [f"{k:06d}.jpg" for k in range(1, 13)]
    rows = [
        f"{n} {' '.join(f'{(k + i) % 2 * 2 - 1: d}' for i in range(4))}"
        for k, n in enumerate(names)
    ]
    parts = [0] * 7 + [1] * 2 + [2] * 3
    texts = {
        celeba.ATTRIBUTES: ["12", " ".join(ATTRIBUTES) + " ", *rows],
        celeba.PARTITION: [f"{n} {p}" for n, p in zip(names, parts, strict=True)],
    }
    members = {f"img_align_celeba/{n}": picture(k, 178, 218) for k, n in enumerate(names)}
    change(texts, members)
    folder = mirror / "celeba"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / celeba.ARCHIVE, "w") as archive:
        archive.writestr("img_align_celeba/", b"")
        for name, content in members.items():
            archive.writestr(name, content)
    for name, lines in texts.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    md5 = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in celeba.MD5}
    monkeypatch.setattr(celeba, "MD5", md5)
    return folder


FACES = block("celeba", 3, image=asked(16, kind="centre", side=108))


def test_celeba_is_read_from_its_zip_with_its_labels_and_its_partition(
    mirror, tmp_path, monkeypatch
):
    faces(mirror, monkeypatch)
    made = data.prepare("celeba", FACES, tmp_path / "celeba")
    assert {k: v["count"] for k, v in made["splits"].items()} == {"train": 9, "test": 3}
    images, labels = data.read(tmp_path / "celeba", "test")
    assert labels.tolist() == [1, 0, 1]  # `Smiling` of 10, 11 and 12
    first = decoded(picture(9, 178, 218), asked(16, kind="centre", side=108))
    assert np.array_equal(images[0], first)


def test_celebas_crop_is_a_parameter(mirror, tmp_path, monkeypatch):
    faces(mirror, monkeypatch)
    kinds = [{"kind": "centre", "side": 108}, {"kind": "centre", "side": 178}]
    kinds.append({"kind": "short_side"})
    found = set()
    for k, crop in enumerate(kinds):
        asks = FACES.model_copy(update={"image": asked(16, **crop)})
        found.add(data.prepare("celeba", asks, tmp_path / f"{k}")["splits"]["test"]["sha256"])
    assert len(found) == 3


def test_a_broken_face_in_the_middle_of_the_archive_is_counted(mirror, tmp_path, monkeypatch):
    faces(mirror, monkeypatch, lambda t, m: m.update({"img_align_celeba/000005.jpg": b"\xff\xd8"}))
    refused("1 of 12 images are broken", "celeba", FACES, tmp_path / "celeba")
    asks = FACES.model_copy(update={"image": asked(16, broken=0.1, kind="centre", side=108)})
    made = data.prepare("celeba", asks, tmp_path / "celeba")
    assert list(made["broken"]) == ["img_align_celeba/000005.jpg"]
    assert made["splits"]["train"]["count"] == 8


def test_a_test_split_other_than_the_official_one_names_the_key(mirror, tmp_path, monkeypatch):
    faces(mirror, monkeypatch)
    with pytest.raises(ParamsError, match=r"^params.yaml: s\.data\.test: found 4; .* it is 3"):
        data.prepare("s", FACES.model_copy(update={"test": 4}), tmp_path / "s")


def drop(where: str, index: int):
    return lambda texts, members: texts[where].pop(index)


def put(where: str, index: int, line: str):
    return lambda texts, members: texts[where].__setitem__(index, line)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(celeba.PARTITION, 4, "000005.jpg 3"), "partition.txt: line 5: found '000005.jpg 3'"),
        (put(celeba.PARTITION, 4, "000005.jpg"), "partition.txt: line 5: found '000005.jpg', exp"),
        (put(celeba.PARTITION, 4, "000004.jpg 0"), "line 5: '000004.jpg' is there twice"),
        (drop(celeba.PARTITION, 4), "partition.txt: found no line for 000005.jpg"),
        (drop(celeba.ATTRIBUTES, 6), "attr_celeba.txt: found 11 images, its first line says 12"),
        (put(celeba.ATTRIBUTES, 6, "000005.jpg 1 1 2 1"), "line 7: .* 4 times, one of -1, 1"),
        (put(celeba.ATTRIBUTES, 6, "000005.jpg 1 1 1"), "line 7: .* 4 times, one of -1, 1"),
        (put(celeba.ATTRIBUTES, 6, "000099.jpg 1 1 1 1"), "no line for 0000(99|05).jpg"),
        (put(celeba.ATTRIBUTES, 1, "Bald Male"), "a line of attributes with Smiling"),
        (put(celeba.ATTRIBUTES, 0, "<html>"), "found '<html>'"),
        (
            lambda t, m: m.pop("img_align_celeba/000005.jpg"),
            "celeba.zip: found no member img_align_celeba/000005.jpg",
        ),
        (lambda t, m: m.update({"../000001.jpg": b"x"}), "leads out of the archive"),
        (lambda t, m: m.update({"/etc/000001.jpg": b"x"}), "has an absolute path"),
    ],
)
def test_a_celeba_that_contradicts_itself_is_refused_by_file_and_line(
    mirror, tmp_path, monkeypatch, change, message
):
    faces(mirror, monkeypatch, change)
    refused(message, "celeba", FACES, tmp_path / "celeba")


def test_a_celeba_of_other_bytes_is_refused_by_checksum(mirror, tmp_path, monkeypatch):
    folder = faces(mirror, monkeypatch)
    whole = (folder / celeba.ARCHIVE).read_bytes()
    (folder / celeba.ARCHIVE).write_bytes(whole[:-30])
    refused(r"celeba\.zip: found md5 \w+, expected", "celeba", FACES, tmp_path / "celeba")
    (folder / celeba.ARCHIVE).write_bytes(b"<!DOCTYPE html><html>Google Drive - Quota exceeded")
    refused("found an HTML page, md5", "celeba", FACES, tmp_path / "celeba")


def test_a_zip_cut_short_is_named_although_its_checksum_is_the_expected_one(
    mirror, tmp_path, monkeypatch
):
    folder = faces(mirror, monkeypatch)
    short = (folder / celeba.ARCHIVE).read_bytes()[:-30]
    (folder / celeba.ARCHIVE).write_bytes(short)
    monkeypatch.setitem(celeba.MD5, celeba.ARCHIVE, hashlib.md5(short).hexdigest())
    refused("not a whole zip file", "celeba", FACES, tmp_path / "celeba")


# --- LSUN ----------------------------------------------------------------------------------------


class FakeLmdb(types.ModuleType):
    """The few calls of the package `lmdb` that are used, on a file of JSON."""

    class Error(Exception):
        pass

    def open(self, path: str, **settings: Any) -> Any:
        assert settings["readonly"] and not settings["lock"]
        try:
            held = json.loads((Path(path) / "data.mdb").read_bytes().rstrip(b"\0"))
        except ValueError as error:
            raise self.Error(f"{path}: MDB_INVALID: File is not an LMDB file") from error
        values = {k.encode(): v.encode("latin1") for k, v in held["values"].items()}

        class Environment:
            def info(self):
                return {"last_pgno": held["pages"] - 1}

            def stat(self):
                return {"psize": 4096}

            def begin(self):
                return self

            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

            def cursor(self):
                return self

            def iternext(self, keys, values):
                assert keys and not values
                return iter(sorted(held_keys))

            def get(self, key):
                return values.get(key)

        held_keys = list(values)
        return Environment()


REAL = importlib.util.find_spec("lmdb") is not None


@pytest.fixture
def bedrooms(mirror, monkeypatch) -> Path:
    """The folder of LSUN's database with 20 bedrooms, WebP; of the real package where there is."""
    folder = mirror / "lsun" / lsun.DATABASE
    folder.mkdir(parents=True)
    values = {}
    for k in range(20):
        content = picture(k, 300, 256, "WEBP") if k % 2 else picture(k, 256, 300)
        values[hashlib.sha1(content).hexdigest()] = content
    if REAL:
        lmdb: Any = importlib.import_module("lmdb")
        with (
            lmdb.open(str(folder), map_size=1 << 24) as environment,
            environment.begin(write=True) as transaction,
        ):
            for key, value in values.items():
                transaction.put(key.encode(), value)
        return folder
    monkeypatch.setitem(sys.modules, "lmdb", FakeLmdb("lmdb"))
    held = {key: value.decode("latin1") for key, value in values.items()}
    size = -(-len(json.dumps({"values": held, "pages": 0})) // 4096) + 1
    text = json.dumps({"values": held, "pages": size}).encode()
    (folder / "data.mdb").write_bytes(text.ljust(4096 * (size + 1), b"\0")[: 4096 * size])
    return folder


BEDROOMS = block("lsun", 5, image=asked(12))


def test_lsun_is_read_from_its_database(bedrooms, tmp_path):
    made = data.prepare("lsun", BEDROOMS, tmp_path / "lsun")
    assert made["classes"] == ["bedroom"] and made["broken"] == {}
    assert {k: v["count"] for k, v in made["splits"].items()} == {"train": 15, "test": 5}


def test_lsuns_patches_are_a_suite_of_their_own(bedrooms, tmp_path):
    """Other pixels of the same bedrooms."""
    suites = params.load(ROOT / "params.yaml").suites
    made = {}
    for name in ("lsun", "lsun_patches"):
        asks = suites[name].data.model_copy(update={"test": 5})
        folder = tmp_path / "data" / name
        assert data.prepare(name, asks, folder)["shape"] == [3, 64, 64]
        made[name], _ = data.read(folder, "train")
    assert len(made["lsun"]) == len(made["lsun_patches"]) == 15
    assert not np.array_equal(made["lsun"], made["lsun_patches"])


def test_lsuns_zip_is_unpacked_once_to_the_cache(bedrooms, mirror, tmp_path, capsys):
    with zipfile.ZipFile(mirror / "lsun" / lsun.ARCHIVE, "w") as archive:
        archive.write(bedrooms / "data.mdb", f"{lsun.DATABASE}/data.mdb")
        archive.writestr(f"{lsun.DATABASE}/lock.mdb", b"")
    made = data.prepare("lsun", BEDROOMS, tmp_path / "a/lsun")
    shutil.rmtree(bedrooms)
    for name in ("b", "c"):
        assert data.prepare("lsun", BEDROOMS, tmp_path / name / "lsun") == made
    assert capsys.readouterr().out.count("unpacking to") == 1


def test_a_database_cut_short_is_refused_before_it_is_read(bedrooms, tmp_path):
    path = bedrooms / "data.mdb"
    path.write_bytes(path.read_bytes()[:-4096])
    # LMDB's own file may be longer than its last page: cut into what it needs.
    if REAL:
        path.write_bytes(path.read_bytes()[: 4096 * 10])
    refused(r"data\.mdb: found [\d,]+ bytes, its header says", "lsun", BEDROOMS, tmp_path / "lsun")


def test_what_is_no_database_is_named(bedrooms, tmp_path):
    (bedrooms / "data.mdb").write_bytes(b"<html>".ljust(8192))
    refused(r"data\.mdb: not a whole LMDB file: ", "lsun", BEDROOMS, tmp_path / "lsun")


def test_without_the_package_its_name_is_said(mirror, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lmdb", None)  # importing it is an ImportError
    refused("`uv pip install lmdb`", "lsun", BEDROOMS, tmp_path / "lsun")


# --- ImageNet ------------------------------------------------------------------------------------

BREEDS = ["n02085620", "n02099601", "n02113978"]
OTHERS = ["n01440764", "n02114367"]  # a tench; a timber wolf, the next after the dogs


@pytest.fixture
def photos(mirror, monkeypatch) -> Path:
    """ImageNet's folders with five classes, four training and two validation images each."""
    monkeypatch.setattr(imagenet, "NUMBER", 5)
    monkeypatch.setattr(imagenet_dogs, "NUMBER", 3)
    root, count = mirror / "ImageNet", 0
    for wordnet_id in BREEDS + OTHERS:
        for split, each in (("train", 4), ("val", 2)):
            (root / split / wordnet_id).mkdir(parents=True)
            for k in range(each):
                count += 1
                called = f"{wordnet_id}_{k}" if split == "train" else f"ILSVRC2012_val_{count:08}"
                (root / split / wordnet_id / f"{called}.JPEG").write_bytes(picture(count))
    return root


def test_imagenet_is_read_from_a_folder_per_wordnet_id(photos, tmp_path):
    made = data.prepare("imagenet", block("imagenet", 10), tmp_path / "imagenet")
    assert made["classes"] == sorted(BREEDS + OTHERS)
    assert made["splits"]["train"]["per_class"] == [4] * 5
    assert made["splits"]["test"]["per_class"] == [2] * 5


def test_the_dogs_of_imagenet_are_a_range_of_wordnet_ids(photos, tmp_path):
    made = data.prepare("dogs", block("imagenet_dogs", 6), tmp_path / "dogs")
    assert made["classes"] == BREEDS


def test_an_image_among_those_of_another_class_is_refused(photos, tmp_path):
    image = photos / "train/n01440764/n01440764_0.JPEG"
    image.rename(photos / "train/n02099601/n01440764_0.JPEG")
    refused(
        r"n02099601/n01440764_0\.JPEG: lies among the images of n02099601",
        "imagenet",
        block("imagenet", 10),
        tmp_path / "imagenet",
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: shutil.rmtree(root / "val/n01440764"), "val: found no folder n01440764"),
        (lambda root: shutil.rmtree(root / "val"), "val: no such folder; after a login"),
        (lambda root: shutil.rmtree(root), "missing train: put them in .*ImageNet/; after a login"),
        (
            lambda root: [shutil.rmtree(root / s / "n01440764") for s in ("train", "val")],
            "found 4 of the classes, expected 5; after a login at .* licence: non-commercial",
        ),
        (
            lambda root: [p.unlink() for p in (root / "val/n01440764").iterdir()],
            "val/n01440764: found no images in it",
        ),
        (lambda root: (root / "train/cats").mkdir(), "val: found no|whose name is no WordNet id"),
    ],
    ids=["class", "split", "all", "both", "empty", "stranger"],
)
def test_what_imagenet_lacks_is_named(photos, tmp_path, damage, message):
    damage(photos)
    refused(message, "imagenet", block("imagenet", 10), tmp_path / "imagenet")


# --- CIFAR-10 and the faces of Olivetti ----------------------------------------------------------


def batches(k: int) -> bytes:
    random = np.random.RandomState(k)
    batch = {
        b"batch_label": b"1 of 6",
        b"labels": [(i + k) % 10 for i in range(20)],
        b"data": random.randint(0, 256, (20, 3072)).astype(np.uint8),
        b"filenames": [b"x.png"] * 20,
    }
    return pickle.dumps(batch, 2)


@pytest.fixture
def pictures(monkeypatch) -> dict[str, bytes]:
    """A CIFAR-10 of 100 and 20 images: batch -> its bytes, which are the published ones."""
    made = {name: batches(k) for k, name in enumerate([*cifar10.TRAIN_MD5, *cifar10.TEST_MD5])}
    for table in ("TRAIN_MD5", "TEST_MD5"):
        md5 = {name: hashlib.md5(made[name]).hexdigest() for name in getattr(cifar10, table)}
        monkeypatch.setattr(cifar10, table, md5)
    return made


CIFAR = Data(source="cifar10", test=20, validation=0, split_seed=0)


def unpacked(mirror: Path, made: dict[str, bytes]) -> Path:
    folder = mirror / cifar10.BATCHES
    folder.mkdir()
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return folder


def packed(made: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in made.items():
            header = tarfile.TarInfo(f"{cifar10.BATCHES}/{name}")
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return out.getvalue()


def test_cifar_10_is_read_from_its_batches_and_from_its_archive_alike(
    mirror, pictures, monkeypatch
):
    folder = unpacked(mirror, pictures)
    fetched = cifar10.fetch(CIFAR)
    assert fetched.images.shape == (120, 3, 32, 32) and fetched.notes == ()
    assert fetched.test is not None and fetched.test.sum() == 20
    assert fetched.labels[fetched.test].tolist() == [(i + 5) % 10 for i in range(20)]
    shutil.rmtree(folder)
    (mirror / cifar10.FOLDER).mkdir()
    content = packed(pictures)
    (mirror / cifar10.FOLDER / cifar10.ARCHIVE).write_bytes(content)
    monkeypatch.setattr(cifar10, "SHA256", hashlib.sha256(content).hexdigest())
    again = cifar10.fetch(CIFAR)
    assert np.array_equal(fetched.images, again.images)


def test_other_batch_files_are_taken_for_a_known_copy_and_for_nothing_else(
    mirror, tmp_path, pictures, monkeypatch
):
    folder = unpacked(mirror, pictures)
    other = pickle.dumps(pickle.loads(pictures["test_batch"]) | {b"filenames": [b"y"] * 20}, 2)
    (folder / "test_batch").write_bytes(other)
    with pytest.raises(DataError, match=r"test_batch: found md5 .* are no known copy") as error:
        cifar10.fetch(CIFAR)
    assert "\n" not in str(error.value)
    batch = pickle.loads(other)
    known = tuple(
        hashlib.sha256(x.tobytes()).hexdigest()
        for x in (batch[b"data"], np.array(batch[b"labels"], np.uint8))
    )
    monkeypatch.setitem(cifar10.KNOWN_COPIES, known, "2 images are copies")
    made = data.prepare("cifar10", CIFAR, tmp_path / "cifar10")
    assert made["notes"] == data.remarks(made) == ["2 images are copies"]
    batch[b"labels"][3] ^= 1  # mislabelled
    (folder / "test_batch").write_bytes(pickle.dumps(batch, 2))
    with pytest.raises(DataError, match="are no known copy"):
        cifar10.fetch(CIFAR)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b.update({b"labels": [10] * 20}), "b'labels': found 10, expected 0 to 9"),
        (lambda b: b[b"labels"].pop(), "b'labels': found 19, expected 20"),
        (lambda b: b.pop(b"labels"), "b'labels': found NoneType"),
        (lambda b: b.update({b"data": b[b"data"][:, :-1]}), r"b'data': found \(20, 3071\)"),
    ],
)
def test_a_batch_that_is_not_what_it_should_be_is_named(mirror, pictures, change, message):
    folder = unpacked(mirror, pictures)
    batch = pickle.loads(pictures["data_batch_2"])
    change(batch)
    (folder / "data_batch_2").write_bytes(pickle.dumps(batch, 2))
    with pytest.raises(DataError, match=f"data_batch_2: {message}"):
        cifar10.fetch(CIFAR)


def test_a_batch_that_is_missing_cut_short_or_a_page_is_named(mirror, pictures):
    folder = unpacked(mirror, pictures)
    (folder / "data_batch_3").write_bytes(pictures["data_batch_3"][:-100])
    with pytest.raises(DataError, match="data_batch_3: not a whole pickle"):
        cifar10.fetch(CIFAR)
    (folder / "data_batch_3").write_bytes(b"<html>")
    with pytest.raises(DataError, match="data_batch_3: found an HTML page"):
        cifar10.fetch(CIFAR)
    (folder / "data_batch_3").unlink()
    with pytest.raises(DataError, match="data_batch_3: no such file"):
        cifar10.fetch(CIFAR)


def doubled(times: int) -> bytes:
    """Pickled: a tuple of a tuple twice, and so on; written out it would have 2^times numbers."""
    inner = b"(I1\ntq\x00"
    return inner + b"".join(b"h%ch%c\x86q%c" % (i, i, i + 1) for i in range(times))


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02}C\x04data" + doubled(35) + b"s.",
        b"\x80\x02}" + doubled(35) + b"I1\ns.",  # as a key, it would be hashed
        b"\x80\x02}C\x04data"
        + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nI0\n\x85C\x01b\x87R(I1\n"
        + doubled(35)
        + b"cnumpy\ndtype\nX\x02\x00\x00\x00u1I0\nI1\n\x87RI0\nC\x01xtbs.",  # as a shape
    ],
)
def test_a_pickle_that_would_take_all_memory_to_look_at_is_refused(pickled):
    with pytest.raises(DataError, match="tuples in it; a batch has at most 16"):
        unpickle("batch", pickled)


def test_a_label_of_a_million_digits_is_named_in_a_line(mirror, pictures):
    folder = unpacked(mirror, pictures)
    batch = pickle.loads(pictures["data_batch_1"])
    labels = batch[b"labels"]
    (folder / "data_batch_1").write_bytes(
        pickle.dumps(batch | {b"labels": [10**5000, *labels[1:]]}, 2)
    )
    with pytest.raises(DataError, match="found an integer of 16,610 bits, expected 0 to 9"):
        cifar10.fetch(CIFAR)


def test_an_archive_that_lacks_a_batch_says_which(mirror, pictures, monkeypatch):
    del pictures["data_batch_4"]
    content = packed(pictures)
    (mirror / cifar10.ARCHIVE).write_bytes(content)
    with pytest.raises(DataError, match=r"found sha256 .*, expected 6d958be0"):
        cifar10.fetch(CIFAR)
    monkeypatch.setattr(cifar10, "SHA256", hashlib.sha256(content).hexdigest())
    with pytest.raises(DataError, match="found no data_batch_4 in cifar-10-batches-py/"):
        cifar10.fetch(CIFAR)


def mat(faces: np.ndarray) -> bytes:
    from scipy.io import savemat

    out = io.BytesIO()
    savemat(out, {"faces": faces}, do_compression=True)
    return out.getvalue()


PEOPLE = Data(source="olivetti", test=40, validation=0, split_seed=0)


def test_half_a_face_is_the_mean_of_four_pixels():
    face = np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4) ** 2  # 225 at most
    rows = face[0, 0].astype(float)
    by_hand = [[np.rint(rows[i : i + 2, j : j + 2].mean()) for j in (0, 2)] for i in (0, 2)]
    assert olivetti_half.halved(face).tolist() == [[by_hand]]
    assert olivetti_half.halved(face)[0, 0, 0, 0] == 10  # (0 + 1 + 16 + 25) / 4 = 10.5, to even


def test_olivettis_faces_stand_upright_ten_of_each_person(mirror, monkeypatch):
    upright = np.random.RandomState(0).randint(0, 256, (400, 64, 64)).astype(np.uint8)
    content = mat(upright.transpose(0, 2, 1).reshape(400, 4096).T)
    monkeypatch.setattr(olivetti, "SHA256", hashlib.sha256(content).hexdigest())
    (mirror / "olivetti").mkdir()
    (mirror / "olivetti" / olivetti.FILE).write_bytes(content)
    faces = olivetti.fetch(PEOPLE)
    assert np.array_equal(faces.images[:, 0], upright)
    assert faces.labels.tolist() == [k // 10 for k in range(400)]
    test = data.split(faces, PEOPLE, "olivetti")["test"]
    assert np.bincount(faces.labels[test]).tolist() == [1] * 40
    (mirror / "olivetti" / olivetti.FILE).write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"olivettifaces\.mat: found sha256 .*, expected"):
        olivetti.fetch(PEOPLE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (mat(np.zeros((4096, 399), np.uint8)), r"faces: found uint8 \(4096, 399\)"),
        (mat(np.zeros((4096, 400), np.float32)), "faces: found float32"),
        (mat(np.zeros((4096, 400), np.uint8))[:-50], "not a whole MATLAB file"),
        (b"<html>", "not a whole MATLAB file"),
    ],
)
def test_a_matlab_file_of_anything_else_is_refused(content, message):
    with pytest.raises(DataError, match=f"^x.mat: {message}"):
        olivetti.decode("x.mat", content)


# --- how to get what cannot be fetched, and what params.yaml may say ------------------------------


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "celeba",
            ["img_align_celeba.zip", "DIR/celeba/", "Google Drive", "mmlab", "licence"],
        ),
        ("lsun", ["bedroom_train_lmdb.zip", "DIR/lsun/", "43 GB", "dl.yf.io", "licence: none"]),
        ("imagenet", ["train/<WordNet id>", "DIR/ImageNet/", "login", "licence: non-commercial"]),
        ("imagenet_dogs", ["train/<WordNet id>", "DIR/ImageNet/", "login", "licence"]),
        ("cifar10", ["cifar-10-python.tar.gz", "DIR/CIFAR10/", "no network in a test"]),
        ("olivetti", ["olivettifaces.mat", "DIR/olivetti/", "no network in a test"]),
    ],
)
def test_the_command_tells_how_to_get_the_files(source, words, tmp_path, monkeypatch):
    monkeypatch.delenv(files.MIRROR)
    if source == "lsun":
        monkeypatch.setitem(sys.modules, "lmdb", types.ModuleType("lmdb"))
    module = data.load_source(source)
    image = asked() if "image" in declarations.source_facts(source).takes else None
    found = refused("missing ", source, block(source, 1, image=image), tmp_path / source)
    assert all(word in found for word in [*words, f"set {files.MIRROR}=DIR"]), found
    assert module.LICENCE


def shipped(**block: Any) -> str:
    """params.yaml with another `digits.data`."""
    text = (ROOT / "params.yaml").read_text()
    start = text.index("digits:\n")
    a, b = text.index("  data:\n", start), text.index("  dbn:\n", start)

    def lines(tree: dict[str, Any], pad: str) -> str:
        return "".join(
            f"{pad}{k}:\n{lines(v, pad + '  ')}" if isinstance(v, dict) else f"{pad}{k}: {v}\n"
            for k, v in tree.items()
        )

    return text[:a] + "  data:\n" + lines(block, "    ") + text[b:]


IMAGE = {"size": 64, "channels": 3, "crop": {"kind": "centre", "side": 108}, "broken": 0.0}
CELEBA = {"source": "celeba", "test": 19_962, "validation": 0, "split_seed": 0, "image": IMAGE}


@pytest.mark.parametrize(
    "block",
    [
        CELEBA,
        {**CELEBA, "source": "imagenet", "test": 50_000},
        {**CELEBA, "source": "imagenet_dogs", "test": 5_900},
        {**CELEBA, "source": "lsun", "image": {**IMAGE, "crop": {"kind": "patch", "scale": 96}}},
        {**CELEBA, "source": "folder", "folder": "photos/mine"},
    ],
)
def test_a_block_of_an_image_scale_suite_is_accepted(tmp_path, block):
    (tmp_path / "params.yaml").write_text(shipped(**block))
    found = params.load(tmp_path / "params.yaml").suites["digits"].data
    assert found.image is not None and found.image.size == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": None}, "digits.data.image: this key is missing; celeba needs image"),
        ({"source": "digits", "test": 9}, "data.image: digits takes no such key; those that do"),
        ({"folder": "x"}, "data.folder: celeba takes no such key; those that do are folder"),
        ({"source": "folder"}, "data.folder: this key is missing; folder needs image, folder"),
        ({"source": "folder", "folder": "../x"}, "data.folder: found '../x'; it lies below"),
        ({"source": "folder", "folder": "/x"}, "data.folder: found '/x'; it lies below"),
        ({"test": 9}, "data.test: found 9; celeba has an official test split, so it is 19962"),
        ({"image": {**IMAGE, "channels": 2}}, "image.channels: found 2; it should be 1 or 3"),
        ({"image": {**IMAGE, "broken": 1.0}}, "data.image.broken: found 1.0; .* less than 1"),
        (
            {"image": {**IMAGE, "crop": {"kind": "center"}}},
            "crop.kind: found 'center'; .*cen",
        ),
        (
            {"image": {**IMAGE, "crop": {"kind": "patch", "scale": 63}}},
            "data.image.crop.scale: found 63; it should be at least the size, 64",
        ),
    ],
)
def test_a_block_that_the_source_cannot_take_names_the_key(tmp_path, change, message):
    block = {k: v for k, v in {**CELEBA, **change}.items() if v is not None}
    (tmp_path / "params.yaml").write_text(shipped(**block))
    with pytest.raises(ParamsError, match=message) as error:
        params.load(tmp_path / "params.yaml")
    assert "\n" not in str(error.value)


def test_a_zip_is_read_by_name_in_any_process(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a", b"1")
    reader = archives.Zip(tmp_path / "x.zip", size=10, files=1)
    assert reader.read("a") == b"1"
    assert pickle.loads(pickle.dumps(reader)).read("a") == b"1"
    with pytest.raises(DataError, match="found no member b"):
        reader.read("b")


def test_a_worker_ends_with_the_process_that_it_works_for(tmp_path):
    code = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
import multiprocessing
from ebmrepro.data import decoding
from ebmrepro.config.data import Image
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(1, context, initializer=decoding._begin, initargs=(None,))
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""
    (tmp_path / "parent.py").write_text(code)
    command = [sys.executable, str(tmp_path / "parent.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    for _ in range(300):
        if not alive(worker):
            return
        time.sleep(0.05)
    os.kill(worker, signal.SIGKILL)
    raise AssertionError("the worker goes on without its parent")


def alive(process: int) -> bool:
    """A zombie, which waits for a parent that is gone, does not count."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
