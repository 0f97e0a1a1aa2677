"""Any directory of images: `data.folder` names it, below the mirror.

Where every image lies in a folder inside it, those folders are the classes; where some lie directly
in it, all of them are one class. The test images are drawn by class. A file that cannot be read as
an image is left out, named and counted; see `data.image.broken`.
"""

from __future__ import annotations

import functools

import numpy as np

from ebmrepro.config.data import Data
from ebmrepro.data import files, trees
from ebmrepro.data.files import DataError
from ebmrepro.data.images import Listing

NAME = "A directory of images"
LICENCE = "the user's own images"
CITATION = "none"
TAKES = ("image", "folder")

ALONE = "image"  # the class where there are no folders
HOW = f"images ({', '.join(trees.ENDINGS)}), in a folder per class or in none"


def fetch(params: Data) -> Listing:
    """The images in an order that follows from `split_seed`, no official test split; turned as EXIF
    data say.
    """
    assert params.folder is not None  # params.py has seen to it
    root = files.located((".",), params.folder, HOW)
    names, left_out = trees.images(root)
    if not names:
        raise DataError(f"{root}: found no images in it: {', '.join(trees.ENDINGS)}")
    if all("/" in name for name in names):
        classes, labels = np.unique([name.partition("/")[0] for name in names], return_inverse=True)
    else:
        classes, labels = np.array([ALONE]), np.zeros(len(names))
    listing = Listing(
        names=names,
        labels=labels.astype(np.int64),
        classes=classes.tolist(),
        read=functools.partial(trees.read, root),
        identity=trees.identity(root, names),
        upright=True,
        left_out=left_out,
    )
    return listing.mixed(params.split_seed)
