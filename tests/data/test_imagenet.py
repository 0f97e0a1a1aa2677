"""ImageNet: made-up folders named as its are, whole and damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from made_up_images import block, mirror, picture, refused

from ebmrepro import data
from ebmrepro.data.sources import imagenet, imagenet_dogs

__all__ = ["mirror"]  # fixtures, used by name


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


@pytest.mark.parametrize("source", [imagenet, imagenet_dogs])
def test_the_listing_is_mixed_and_every_image_keeps_its_label_and_split(source, photos):
    found = source.fetch(block("imagenet", 10))
    for name, label, test in zip(found.names, found.labels, found.test, strict=True):
        assert name.split("/")[:2] == ["val" if test else "train", found.classes[label]]
    for split in (found.test, ~found.test):
        assert (np.diff(found.labels[split]) < 0).any()  # it went up class by class


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
        (
            lambda root: [(root / split / "cats").mkdir() for split in ("train", "val")],
            "train/cats: a folder whose name is no WordNet id",
        ),
        (lambda root: (root / "train/n09").mkdir(), "val: found no folder n09, which the other"),
    ],
    ids=["class", "split", "all", "both", "empty", "stranger", "one"],
)
def test_what_imagenet_lacks_is_named(photos, tmp_path, damage, message):
    damage(photos)
    refused(message, "imagenet", block("imagenet", 10), tmp_path / "imagenet")
