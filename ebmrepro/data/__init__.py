"""Data on disk: where images come from, how they are split, and what a suite's folder holds.

A source is a file of this folder with a function `fetch`; its name in params.yaml is the file's.
Importing this package imports neither torch nor scikit-learn.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from ebmrepro.data.files import DataError
from ebmrepro.data.folders import replaced
from ebmrepro.data.splits import Splits, stratified
from ebmrepro.params import Data, ParamsError, available_sources, nearest

__all__ = ["DataError", "Source", "Splits", "describe", "load_source", "prepare", "read"]

DATASET = "dataset.json"


class Source(Protocol):
    """What a file of this folder declares.

    Where they are known beforehand, also SHAPE, IMAGES and TEST: see `params.Facts`.
    """

    NAME: str  # in words
    LICENCE: str
    CITATION: str
    CLASSES: Sequence[str]  # CLASSES[label] in words
    PCA_30: float | None  # published error of PCA with 30 components (see check.py), or None

    def fetch(self, params: Data) -> Splits:
        """The official splits, or the ones `params` ask for, verified; no validation split yet.

        Raises:
            DataError: the files cannot be had or are not the published ones.
            ParamsError: the source cannot give these splits; the message begins with the key.
        """
        ...


def load_source(name: str) -> Source:
    """The source called `name`.

    Raises:
        ParamsError: this folder holds no such source.
    """
    names = available_sources()
    if name not in names:
        raise ParamsError(
            f"no data source {name!r}: ebmrepro/data/ holds {', '.join(names)}"
            f"{nearest(name, names)}"
        )
    return cast(Source, importlib.import_module(f"ebmrepro.data.{name}"))


def prepare(suite: str, params: Data, folder: str | Path) -> dict[str, Any]:
    """Fetch, verify and split a suite's images, and write them to `folder`.

    The folder then holds, for each split S of train, test and (when asked for) validation,
    `S.npy`, uint8 (N, C, H, W), `S_labels.npy`, int64 (N,), and one `dataset.json`. It appears
    whole or not at all, and replaces what was there. The same parameters give the same bytes.

    Returns:
        What `dataset.json` says.

    Raises:
        DataError: the files cannot be had or are not the published ones.
        ParamsError: the source is unknown or cannot give the splits asked for.
        writing.CannotWrite: the machine refuses.
    """
    try:
        source = load_source(params.source)
    except ParamsError as error:
        raise ParamsError(f"params.yaml: {suite}.data.source: {error}") from None
    try:
        splits = _hold_out(source.fetch(params), params)
    except ParamsError as error:
        raise ParamsError(f"params.yaml: {suite}.data.{error}") from None

    dataset = {
        "source": params.source,
        "name": source.NAME,
        "licence": source.LICENCE,
        "citation": source.CITATION,
        "classes": list(source.CLASSES),
        "shape": list(splits["train"][0].shape[1:]),
        "splits": {
            split: summary(images, labels, len(source.CLASSES))
            for split, (images, labels) in splits.items()
        },
    }
    with replaced(Path(folder)) as partial:
        for split, (images, labels) in splits.items():
            np.save(partial / f"{split}.npy", images)
            np.save(partial / f"{split}_labels.npy", labels)
        text = json.dumps(dataset, indent=1, sort_keys=True, ensure_ascii=False)
        (partial / DATASET).write_text(text + "\n", encoding="utf-8")
    return dataset


def read(folder: str | Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images of one split, uint8 (N, C, H, W), mapped read-only, and labels, int64 (N,).

    Raises:
        DataError: the folder has no such split, or other arrays than these.
    """
    about = describe(folder)
    splits = about["splits"]
    if split not in splits:
        raise DataError(f"{folder}: no split {split!r}; there are {', '.join(splits)}")
    folder = Path(folder)
    try:
        images = np.load(folder / f"{split}.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(folder / f"{split}_labels.npy", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: split {split!r} cannot be read: {error}") from None
    if images.dtype != np.uint8 or labels.dtype != np.int64:
        raise DataError(
            f"{folder}: split {split!r}: found images of {images.dtype} and labels of "
            f"{labels.dtype}, expected uint8 and int64"
        )
    shape = (splits[split]["count"], *about["shape"])
    if images.shape != shape or labels.shape != shape[:1]:
        raise DataError(
            f"{folder}: split {split!r}: found images of {images.shape} and labels of "
            f"{labels.shape}, {DATASET} says {shape}"
        )
    return images, labels


def describe(folder: str | Path) -> dict[str, Any]:
    """What `dataset.json` says: source, name, licence, citation, classes, shape, splits.

    Raises:
        DataError: `folder` was not made by `prepare`.
    """
    path = Path(folder) / DATASET
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; the data stage makes it (`dvc repro`)") from None
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from None


def summary(images: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, Any]:
    """Count, images per class, and checksums of both arrays."""
    return {
        "count": len(images),
        "per_class": np.bincount(labels, minlength=classes).tolist(),
        "sha256": sha256(images),
        "labels_sha256": sha256(labels),
    }


def sha256(array: np.ndarray) -> str:
    """Of the array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _hold_out(splits: Splits, params: Data) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    images, labels = splits.train_images, splits.train_labels
    held_out = {}
    if params.validation:
        if params.validation >= len(images):
            raise ParamsError(
                f"validation: found {params.validation}; the training split has {len(images)} "
                f"images, so at most {len(images) - 1}"
            )
        chosen = stratified(labels, params.validation, params.split_seed, "validation")
        held_out = {"validation": (images[chosen], labels[chosen])}
        images, labels = images[~chosen], labels[~chosen]
    return {"train": (images, labels), "test": (splits.test_images, splits.test_labels), **held_out}
