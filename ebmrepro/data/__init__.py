"""Data on disk: where images come from, how they are split, and what a suite's folder holds.

A source is a file of this folder with a function `fetch`; its name in params.yaml is the file's.
Importing this package imports neither torch nor scikit-learn.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import json
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from ebmrepro.config import forms
from ebmrepro.config.data import Data
from ebmrepro.config.declarations import available_sources
from ebmrepro.config.documents import ParamsError, known
from ebmrepro.data import files
from ebmrepro.data.files import DataError
from ebmrepro.data.images import Images, Listing
from ebmrepro.data.splits import split
from ebmrepro.system import atomic, reading

__all__ = ["DataError", "Images", "Source", "describe", "load_source", "prepare", "read", "split"]

DATASET = "dataset.json"
CHUNK = 1024  # images that are copied at a time
REMARKED = 10  # broken images that are named on a screen


class Source(Protocol):
    """What a file of `sources/` declares.

    Where they are known beforehand, also SHAPE, IMAGES, TEST, TAKES and PCA: see
    `declarations.Facts`.
    """

    NAME: str  # in words
    LICENCE: str
    CITATION: str

    def fetch(self, params: Data) -> Images | Listing:
        """All images, verified, with the official test split where there is one.

        Images that would fill the memory, or that differ in size, come as a listing. The first
        images of a split are to be a fair sample, for some things are measured of them.

        Raises:
            DataError: the files cannot be had or are not the published ones.
        """
        ...


def load_source(name: str) -> Source:
    """The source called `name`; ParamsError where there is none."""
    name = known(name, available_sources(), "ebmrepro/data/sources", "source")
    return cast(Source, importlib.import_module(f"ebmrepro.data.sources.{name}"))


def prepare(suite: str, params: Data, folder: str | Path) -> dict[str, Any]:
    """Fetch, verify, decode and split a suite's images, and write them to `folder`.

    The folder then holds, for each split S of train, test and (where the block says so) validation,
    `S.npy`, uint8 (N, C, H, W), `S_labels.npy`, int64 (N,), and one `dataset.json`. It appears
    whole or not at all, and replaces what was there. The same parameters give the same bytes.

    Returns:
        What `dataset.json` says.

    Raises:
        DataError: the files cannot be had or are not the published ones.
        ParamsError: the source cannot give these splits.
        atomic.CannotWrite: the machine refuses.
    """
    source, folder = load_source(params.source), Path(folder)
    fetched = source.fetch(params)
    if fetched.test is not None and params.test != fetched.test.sum():
        raise ParamsError(
            f"params.yaml: {suite}.data.test: found {params.test}; {source.NAME} has an official "
            f"test split, so it is {fetched.test.sum()}"
        )
    dataset: dict[str, Any] = {
        "source": params.source,
        "name": source.NAME,
        "licence": source.LICENCE,
        "citation": source.CITATION,
        "classes": list(fetched.classes),
        "splits": {},
    }
    if isinstance(fetched, Images):
        decoded = contextlib.nullcontext((fetched.images, {}))
        if fetched.notes:
            dataset["notes"] = list(fetched.notes)
    else:
        from ebmrepro.data import decoding

        assert params.image is not None  # params.py has seen to it
        decoded = decoding.decoded(fetched, params.image, params.split_seed, folder, suite)
        dataset["image"] = params.image.model_dump()

    with decoded as (images, broken):
        rows = split(fetched, params, suite, broken)
        if isinstance(fetched, Listing):
            dataset["broken"] = {fetched.names[i]: why for i, why in broken.items()}
            if fetched.left_out:
                dataset["left_out"] = dict(fetched.left_out)
        dataset["shape"] = list(images.shape[1:])
        with atomic.atomic_folder(folder) as partial:
            for name, places in rows.items():
                labels = fetched.labels[places]
                _save_rows(partial / f"{name}.npy", images, places)
                np.save(partial / f"{name}_labels.npy", labels)
                stored = reading.mapped(partial / f"{name}.npy")
                dataset["splits"][name] = card(stored, labels, dataset)
            atomic.write(partial / DATASET, in_words(dataset))
    return dataset


def _save_rows(path: Path, images: np.ndarray, rows: np.ndarray) -> None:
    """`np.save(path, images[rows])`, without holding them all in memory."""
    shape = (len(rows), *images.shape[1:])
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for i in range(0, len(rows), CHUNK):
            file.write(images[rows[i : i + CHUNK]].data)


def remarks(dataset: dict[str, Any]) -> list[str]:
    """What a person should know of a suite's images besides counts, a line each."""
    lines = list(dataset.get("notes", ()))
    for key, what in (("broken", "broken and left out"), ("left_out", "no images, left out")):
        if others := dataset.get(key):
            named = files.named([f"{name!r} {others[name]}" for name in others], REMARKED, "; ")
            lines.append(f"{what} ({DATASET} names all), {len(others):,}: {named}")
    return lines


def read(folder: str | Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images of one split, uint8 (N, C, H, W), mapped read-only, and labels, int64 (N,).

    Raises:
        DataError: the folder has no such split, or other arrays than these.
        Damaged: a file cannot be read.
    """
    about = describe(folder)
    splits = about["splits"]
    if split not in splits:
        raise DataError(f"{folder}: no split {split!r}; there are {', '.join(splits)}")
    folder, said = Path(folder), splits[split]
    paths = folder / f"{split}.npy", folder / f"{split}_labels.npy"
    images, labels = map(reading.mapped, paths)
    shape = (said["count"], *about["shape"])
    found = [f"{array.dtype} {array.shape}" for array in (images, labels)]
    if found != [f"uint8 {shape}", f"int64 {shape[:1]}"]:
        raise DataError(
            f"{folder}: split {split!r}: found images of {found[0]} and labels of {found[1]}, "
            f"{DATASET} says uint8 {shape} and int64"
        )
    for path, key in zip(paths, ("sha256", "labels_sha256"), strict=True):
        digest = _digest(path, path.stat().st_mtime_ns)
        if digest != said[key]:
            raise DataError(f"{path}: found sha256 {digest}, expected {said[key]}")
    return images, np.array(labels)


@functools.lru_cache
def _digest(path: Path, changed: int) -> str:
    """The checksum of an array's file, for which it is read once until it has `changed`."""
    return sha256(reading.mapped(path))


def describe(folder: str | Path) -> dict[str, Any]:
    """What `dataset.json` says: source, name, licence, citation, classes, shape, splits.

    Raises:
        DataError: `folder` was not made by `prepare`.
        Damaged: it has changed since.
    """
    path = Path(folder) / DATASET
    if not path.exists():
        raise DataError(f"{path}: no such file; the data stage makes it (`dvc repro`)")
    return forms.Dataset.read(path)


def card(images: np.ndarray, labels: np.ndarray, dataset: dict[str, Any]) -> dict[str, Any]:
    """What `dataset.json` says of a split."""
    return {
        "count": len(labels),
        "per_class": per_class(labels, dataset),
        "sha256": sha256(images),
        "labels_sha256": sha256(labels),
    }


def in_words(dataset: dict[str, Any]) -> str:
    """The text of `dataset.json`."""
    return json.dumps(dataset, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def per_class(labels: np.ndarray, dataset: dict[str, Any]) -> list[int]:
    """Images per class."""
    return np.bincount(labels, minlength=len(dataset["classes"])).tolist()


def sha256(array: np.ndarray) -> str:
    """Of the array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
