"""Data on disk: where images come from, how they are split, and what a suite's folder holds.

A source is a file of this folder with a function `fetch`; its name in params.yaml is the file's.
Importing this package imports neither torch nor scikit-learn.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from ebmrepro.config.data import Data
from ebmrepro.config.declarations import available_sources
from ebmrepro.config.documents import ParamsError, nearest
from ebmrepro.data.encoded import Decoded, Listing
from ebmrepro.data.files import DataError
from ebmrepro.data.folders import replaced
from ebmrepro.data.splits import Images, split

__all__ = ["DataError", "Images", "Source", "describe", "load_source", "prepare", "read", "split"]

DATASET = "dataset.json"
CHUNK = 1024  # images that are copied at a time
REMARKED = 10  # broken images that are named on a screen


class Source(Protocol):
    """What a file of `sources/` declares.

    Where they are known beforehand, also SHAPE, IMAGES, TEST and TAKES: see `declarations.Facts`.
    """

    NAME: str  # in words
    LICENCE: str
    CITATION: str
    CLASSES: Sequence[str] | None  # CLASSES[label] in words; None where the files tell
    PCA_30: float | None  # published error of PCA with 30 components (see check.py), or None

    def fetch(self, params: Data) -> Images | Listing:
        """All images, verified, with the official test split where there is one.

        Images that would fill the memory, or that differ in size, come as a listing.

        Raises:
            DataError: the files cannot be had or are not the published ones.
        """
        ...


def load_source(name: str) -> Source:
    """The source called `name`.

    Raises:
        ParamsError: there is no such source.
    """
    names = available_sources()
    if name not in names:
        raise ParamsError(
            f"no data source {name!r}: ebmrepro/data/ holds {', '.join(names)}"
            f"{nearest(name, names)}"
        )
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
        ParamsError: the source is unknown or cannot give these splits.
        atomic.CannotWrite: the machine refuses.
    """
    try:
        source = load_source(params.source)
    except ParamsError as error:
        raise ParamsError(f"params.yaml: {suite}.data.source: {error}") from None
    try:
        return _prepare(source, suite, params, Path(folder))
    except ParamsError as error:
        raise ParamsError(f"params.yaml: {suite}.data.{error}") from None


def _prepare(source: Source, suite: str, params: Data, folder: Path) -> dict[str, Any]:
    fetched = source.fetch(params)
    if fetched.test is not None and params.test != fetched.test.sum():
        raise ParamsError(
            f"test: found {params.test}; {source.NAME} has an official test split, so it is "
            f"{fetched.test.sum()}"
        )
    dataset: dict[str, Any] = {
        "source": params.source,
        "name": source.NAME,
        "licence": source.LICENCE,
        "citation": source.CITATION,
        "splits": {},
    }
    if isinstance(fetched, Images):
        classes = source.CLASSES
        assert classes is not None  # only listings tell their classes
        decoded = contextlib.nullcontext(Decoded(fetched.images, {}))
        if fetched.notes:
            dataset["notes"] = list(fetched.notes)
    else:
        from ebmrepro.data import decoding

        assert params.image is not None  # declarations.py has seen to it
        classes = fetched.classes
        decoded = decoding.decoded(fetched, params.image, params.split_seed, folder, suite)
        dataset["image"] = params.image.model_dump()

    with decoded as done:
        rows = split(fetched.labels, fetched.test, params, tuple(done.broken))
        if isinstance(fetched, Listing):
            dataset["broken"] = {fetched.names[i]: why for i, why in done.broken.items()}
        dataset |= {"classes": list(classes), "shape": list(done.images.shape[1:])}
        with replaced(folder) as partial:
            for name, places in rows.items():
                labels = fetched.labels[places]
                _save_rows(partial / f"{name}.npy", done.images, places)
                np.save(partial / f"{name}_labels.npy", labels)
                images = np.load(partial / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                dataset["splits"][name] = summary(images, labels, len(classes))
            text = json.dumps(dataset, indent=1, sort_keys=True, ensure_ascii=False)
            (partial / DATASET).write_text(text + "\n", encoding="utf-8")
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
    if broken := dataset.get("broken"):
        named = "; ".join(f"{name!r} {broken[name]}" for name in sorted(broken)[:REMARKED])
        more = f"; ... (all of them: {DATASET})" if len(broken) > REMARKED else ""
        lines.append(f"broken and left out, {len(broken):,} in number: {named}{more}")
    return lines


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
