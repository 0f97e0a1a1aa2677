"""Any directory of images: `data.folder` names it, below the mirror.

Where every image lies in a folder inside it, those folders are the classes; where some lie directly
in it, all of them are one class. The test images are drawn by class. A file that cannot be read as
an image is left out, named and counted; see `data.image.broken`.
"""

from __future__ import annotations

import numpy as np

from ebmrepro.config.data import Data
from ebmrepro.data import files, trees
from ebmrepro.data.encoded import Listing
from ebmrepro.data.files import DataError

NAME = "A directory of images"
LICENCE = "the user's own images"
CITATION = "none"
TAKES = ("image", "folder")
CLASSES = None  # the folders' names
PCA_30 = None

ALONE = "image"  # the class where there are no folders
HOW = f"images ({', '.join(trees.ENDINGS)}), in a folder per class or in none"


def fetch(params: Data) -> Listing:
    """The images in the order of their names, no official test split; turned as EXIF data say."""
    assert params.folder is not None  # params.py has seen to it
    root = files.located((".",), params.folder, HOW)
    names = trees.images(root)
    if not names:
        raise DataError(f"{root}: found no images in it: {', '.join(trees.ENDINGS)}")
    inside = [name.partition("/")[0] if "/" in name else None for name in names]
    classes = [ALONE] if None in inside else sorted({str(name) for name in inside})
    index = {name: label for label, name in enumerate(classes)}
    labels = [0 if len(classes) == 1 else index[str(name)] for name in inside]
    return Listing(
        names=names,
        labels=np.array(labels, np.int64),
        classes=classes,
        test=None,
        reader=trees.Tree(root),
        identity=trees.identity(root, names),
        upright=True,
    )
