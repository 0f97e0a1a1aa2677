"""CelebA: 202,599 photographs of faces, aligned, colour, 178x218, with 40 attributes each.

The training split is the official training and validation images together, out of which a suite
holds out its own validation images as with every source; the test split is the official one. Labels
are one of the attributes, the one that is nearest to half and half.

Crops of the papers (178 pixels wide, 218 high):
DCGAN's code takes the middle square of 108 (`centre`, side 108), which is the face alone; MAGAN's
release scales the short side to 64 and takes the middle (`short_side`), which keeps the background;
so does the middle square of 178, scaled (`centre`, side 178).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ebmrepro.config.data import Data
from ebmrepro.data import archives, files
from ebmrepro.data.files import DataError
from ebmrepro.data.images import Listing

NAME = "CelebA, aligned and cropped faces"
LICENCE = "non-commercial research only, no redistribution (MMLAB, The Chinese University of HK)"
CITATION = (
    "Liu, Luo, Wang and Tang, Deep learning face attributes in the wild, "
    "International Conference on Computer Vision, 2015"
)
TAKES = ("image",)
IMAGES = 202_599
TEST = 19_962
ATTRIBUTE = "Smiling"
CLASSES = ("not smiling", "smiling")

FOLDER = "celeba"
ARCHIVE = "img_align_celeba.zip"
ATTRIBUTES = "list_attr_celeba.txt"
PARTITION = "list_eval_partition.txt"
MD5 = {  # as torchvision knows the published files
    ARCHIVE: "00d2c5bc6d35e252742224ab0c1e8fcb",
    ATTRIBUTES: "75e246fa4810816ffd6ee81facbd2244",
    PARTITION: "d32c9cbf5e040fd4025c592c306e6668",
}
INSIDE = "img_align_celeba/"
LARGEST_ZIP, FILES = 4_000_000_000, 250_000  # bytes, unpacked; 1.4 GB
LARGEST = 64_000_000  # bytes of a list; 27 million
HOW = (
    f"{', '.join(MD5)}, 1.5 GB, from the Google Drive folder linked at "
    f"https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (Img, Anno and Eval); licence: {LICENCE}"
)
TEST_PARTITION = "2"  # 0: train, 1: validation


def fetch(params: Data) -> Listing:
    """All images in the order of their numbers, with the official test split."""
    paths = {name: files.located((FOLDER, "."), name, HOW, md5) for name, md5 in MD5.items()}
    partition = _column(paths[PARTITION], _lines(paths[PARTITION]), 1, 0, ("0", "1", "2"))
    smiling = _attribute(paths[ATTRIBUTES])
    archive = archives.Zip(paths[ARCHIVE], LARGEST_ZIP, FILES)
    names = sorted(partition)
    members = {INSIDE + name for name in names}
    for path, kind, lacking in (
        (paths[PARTITION], "line for", smiling.keys() - partition.keys()),
        (paths[ATTRIBUTES], "line for", partition.keys() - smiling.keys()),
        (paths[ARCHIVE], "member", members - archive.members.keys()),
    ):
        if lacking:
            raise DataError(f"{path}: found no {kind} {files.named(lacking)}")
    return Listing(
        names=[INSIDE + name for name in names],
        labels=np.array([smiling[name] == "1" for name in names], np.int64),
        classes=CLASSES,
        test=np.array([partition[name] == TEST_PARTITION for name in names]),
        read=archive.read,
        identity=MD5[ARCHIVE],
    )


def _attribute(path: Path) -> dict[str, str]:
    """Name -> -1 or 1: a count, a line of attributes, then lines `000001.jpg -1  1 ...`."""
    lines = _lines(path)
    (_, count), (_, header) = next(lines, (1, "")), next(lines, (2, ""))
    attributes = header.split()
    if not count.strip().isdigit() or ATTRIBUTE not in attributes:
        raise DataError(
            f"{path}: found {count[:60]!r} and {header[:60]!r}, expected a count and a line of "
            f"attributes with {ATTRIBUTE}"
        )
    labels = _column(path, lines, len(attributes), attributes.index(ATTRIBUTE), ("-1", "1"))
    if not labels or len(labels) != int(count):
        raise DataError(
            f"{path}: found {len(labels):,} images, its first line says {count.strip()}"
        )
    return labels


def _column(
    path: Path, lines: Iterator[tuple[int, str]], width: int, column: int, allowed: tuple[str, ...]
) -> dict[str, str]:
    """Name -> the value in a column, of lines `000001.jpg` and `width` values."""
    found: dict[str, str] = {}
    for number, line in lines:
        name, *values = line.split()
        if len(values) != width or values[column] not in allowed:
            raise DataError(
                f"{path}: line {number}: found {line[:60]!r}, expected a name and, {width} "
                f"times, one of {', '.join(allowed)}"
            )
        if name in found:
            raise DataError(f"{path}: line {number}: {name[:60]!r} is there twice")
        found[name] = values[column]
    return found


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, line) of a text file, without blank lines."""
    content = files.read(path, LARGEST)
    text = content.decode("utf-8", errors="replace")
    return ((i, line) for i, line in enumerate(text.splitlines(), start=1) if line.strip())
