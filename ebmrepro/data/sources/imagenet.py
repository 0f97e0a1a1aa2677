"""ImageNet (ILSVRC 2012): 1,281,167 photographs to train on and 50,000 to test on, 1,000 classes.

Its images lie as torchvision and most trainers want them, in a folder per WordNet id:
`train/n01440764/n01440764_10026.JPEG`, `val/n01440764/ILSVRC2012_val_00000293.JPEG`. The archives
hold the training images so, and the validation images in one folder, from which the usual script
`valprep.sh` sorts them. The official test images have no labels: the validation images are the test
split. Classes are WordNet ids, in order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ebmrepro.config.data import Data
from ebmrepro.data import files, trees
from ebmrepro.data.files import DataError
from ebmrepro.data.images import Listing

NAME = "ImageNet (ILSVRC 2012)"
LICENCE = "non-commercial research and education only, no redistribution (image-net.org)"
CITATION = (
    "Russakovsky et al., ImageNet large scale visual recognition challenge, "
    "International Journal of Computer Vision 115(3), 2015"
)
TAKES = ("image",)
IMAGES = 1_331_167
TEST = 50_000

FOLDER = "ImageNet"
NUMBER = 1_000  # of classes
HOW = (
    "after a login at https://image-net.org/download-images: ILSVRC2012_img_train.tar (138 GB) and "
    "ILSVRC2012_img_val.tar (6 GB), unpacked to train/<WordNet id>/*.JPEG and "
    f"val/<WordNet id>/*.JPEG; licence: {LICENCE}"
)


def fetch(params: Data) -> Listing:
    """All images, in an order that follows from `split_seed`; `params.test` must be 50,000."""
    return listing(lambda wordnet_id: True, NUMBER).mixed(params.split_seed)


def listing(wanted: Callable[[str], bool], number: int) -> Listing:
    """The classes whose WordNet id is wanted, of which there must be `number`.

    Raises:
        DataError: a split, a class, or an image in a class is missing or lies in a wrong folder.
    """
    root = files.located((FOLDER, "imagenet"), "train", HOW).parent
    if not (root / "val").is_dir():
        raise DataError(f"{root}/val: no such folder; {HOW}")
    classes = _classes(root, wanted, number)
    names, labels, test = [], [], []
    left_out: dict[str, str] = {}
    for split in ("train", "val"):
        for label, wordnet_id in enumerate(classes):
            images, others = trees.images(root, f"{split}/{wordnet_id}")
            left_out |= others
            if not images:
                raise DataError(f"{root}/{split}/{wordnet_id}: found no images in it")
            strangers = [x for x in images if not Path(x).name.startswith(f"{wordnet_id}_")]
            if split == "train" and strangers:  # a training image's file says its class
                raise DataError(
                    f"{root}/{strangers[0]}: lies among the images of {wordnet_id}, which are "
                    f"called {wordnet_id}_<number>.JPEG"
                )
            names += images
            labels += [label] * len(images)
            test += [split == "val"] * len(images)
    return Listing(
        names=names,
        labels=np.array(labels, np.int64),
        classes=classes,
        test=np.array(test),
        read=functools.partial(trees.read, root),
        identity=trees.identity(root, names),
        left_out=left_out,
    )


def _classes(root: Path, wanted: Callable[[str], bool], number: int) -> list[str]:
    train, val = (
        [name for name in trees.folders(root / split) if wanted(name)] for split in ("train", "val")
    )
    for split, there, elsewhere in (("train", train, val), ("val", val, train)):
        if lacking := set(elsewhere) - set(there):
            raise DataError(
                f"{root}/{split}: found no folder {files.named(lacking)}, which the other split "
                f"has; {HOW}"
            )
    for name in train:
        if not (name.startswith("n") and name[1:].isdigit()):
            raise DataError(f"{root}/train/{name}: a folder whose name is no WordNet id")
    if len(train) != number:
        raise DataError(
            f"{root}/train: found {len(train):,} of the classes, expected {number:,}; {HOW}"
        )
    return train
