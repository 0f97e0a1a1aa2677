"""CelebA: a made-up archive in exactly its format, whole and damaged."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from made_up_images import asked, block, decoded, mirror, picture, refused

from ebmrepro import data
from ebmrepro.config.documents import ParamsError
from ebmrepro.data.sources import celeba

__all__ = ["mirror"]  # fixtures, used by name


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
