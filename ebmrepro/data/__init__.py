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

from ebmrepro.config.data import Data
from ebmrepro.config.declarations import available_sources
from ebmrepro.config.documents import ParamsError, nearest
from ebmrepro.data.encoded import Listing
from ebmrepro.data.files import DataError
from ebmrepro.data.folders import replaced
from ebmrepro.data.splits import Splits, stratified

__all__ = ["DataError", "Source", "Splits", "describe", "load_source", "prepare", "read", "remarks"]

DATASET = "dataset.json"
CHUNK = 1024  # images that are copied at a time
REMARKED = 10  # broken images that are named on a screen


class Source(Protocol):
    """What a file of this folder declares.

    Where they are known beforehand, also SHAPE, IMAGES, TEST and TAKES: see `params.Facts`.
    """

    NAME: str  # in words
    LICENCE: str
    CITATION: str
    CLASSES: Sequence[str] | None  # CLASSES[label] in words; None where the files tell
    PCA_30: float | None  # published error of PCA with 30 components (see check.py), or None

    def fetch(self, params: Data) -> Splits | Listing:
        """The official splits, or the ones `params` ask for, verified; no validation split yet.

        Images that would fill the memory, or that differ in size, come as a listing.

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
    return cast(Source, importlib.import_module(f"ebmrepro.data.sources.{name}"))


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
        fetched = source.fetch(params)
        if isinstance(fetched, Listing):
            return _prepare_encoded(source, fetched, suite, params, Path(folder))
        splits = _hold_out(fetched, params)
    except ParamsError as error:
        raise ParamsError(f"params.yaml: {suite}.data.{error}") from None
    classes = source.CLASSES
    assert classes is not None  # only folders tell their classes

    dataset = _about(source, params, classes, splits["train"][0].shape[1:]) | {
        "splits": {
            split: summary(images, labels, len(classes))
            for split, (images, labels) in splits.items()
        },
    }
    if fetched.notes:
        dataset["notes"] = list(fetched.notes)
    with replaced(Path(folder)) as partial:
        for split, (images, labels) in splits.items():
            np.save(partial / f"{split}.npy", images)
            np.save(partial / f"{split}_labels.npy", labels)
        _write_about(partial, dataset)
    return dataset


def _prepare_encoded(
    source: Source, listing: Listing, suite: str, params: Data, folder: Path
) -> dict[str, Any]:
    """As `prepare`, of images that are decoded here and never in memory all at once."""
    from ebmrepro.data import decoding

    asked = params.image
    assert asked is not None  # params.py has seen to it
    if listing.test is not None and params.test != listing.test.sum():
        raise ParamsError(
            f"test: found {params.test}; {source.NAME} has an official test split, so it is "
            f"{listing.test.sum()}"
        )
    with decoding.decoded(listing, asked, params.split_seed, folder, suite) as found:
        splits = _rows(listing, params, np.array(sorted(found.broken), np.int64))
        dataset = _about(source, params, listing.classes, found.images.shape[1:])
        dataset["image"] = asked.model_dump()
        dataset["broken"] = {listing.names[i]: reason for i, reason in found.broken.items()}
        dataset["splits"] = {}
        with replaced(folder) as partial:
            for split, rows in splits.items():
                labels = listing.labels[rows]
                _save_rows(partial / f"{split}.npy", found.images, rows)
                np.save(partial / f"{split}_labels.npy", labels)
                images = np.load(partial / f"{split}.npy", mmap_mode="r", allow_pickle=False)
                dataset["splits"][split] = summary(images, labels, len(listing.classes))
            _write_about(partial, dataset)
    return dataset


def _rows(listing: Listing, params: Data, broken: np.ndarray) -> dict[str, np.ndarray]:
    """Split -> places in the listing, rising, of its images; drawn among those that are whole."""
    whole = np.setdiff1d(np.arange(len(listing.names)), broken)
    if listing.test is not None:
        test = listing.test[whole]
    elif params.test < len(whole):
        test = stratified(listing.labels[whole], params.test, params.split_seed, "test")
    else:
        raise ParamsError(
            f"test: found {params.test}; there are {len(whole)} images, so at most {len(whole) - 1}"
        )
    train = whole[~test]
    rows = {"test": whole[test]}
    if params.validation:
        chosen = _validation(listing.labels[train], params)
        rows["validation"], train = train[chosen], train[~chosen]
    for split, places in (("train", train), *rows.items()):
        if not len(places):
            raise DataError(f"{split}: found no image for this split; all of it is broken")
    return {"train": train, **rows}


def _save_rows(path: Path, images: np.ndarray, rows: np.ndarray) -> None:
    """`np.save(path, images[rows])`, without holding them all in memory."""
    shape = (len(rows), *images.shape[1:])
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for i in range(0, len(rows), CHUNK):
            file.write(images[rows[i : i + CHUNK]].data)


def _about(
    source: Source, params: Data, classes: Sequence[str], shape: Sequence[int]
) -> dict[str, Any]:
    return {
        "source": params.source,
        "name": source.NAME,
        "licence": source.LICENCE,
        "citation": source.CITATION,
        "classes": list(classes),
        "shape": list(shape),
    }


def _write_about(folder: Path, dataset: dict[str, Any]) -> None:
    text = json.dumps(dataset, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / DATASET).write_text(text + "\n", encoding="utf-8")


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


def _hold_out(splits: Splits, params: Data) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    images, labels = splits.train_images, splits.train_labels
    held_out = {}
    if params.validation:
        chosen = _validation(labels, params)
        held_out = {"validation": (images[chosen], labels[chosen])}
        images, labels = images[~chosen], labels[~chosen]
    return {"train": (images, labels), "test": (splits.test_images, splits.test_labels), **held_out}


def _validation(labels: np.ndarray, params: Data) -> np.ndarray:
    """Which images of the training split are held out, as a mask."""
    if params.validation >= len(labels):
        raise ParamsError(
            f"validation: found {params.validation}; the training split has {len(labels)} "
            f"images, so at most {len(labels) - 1}"
        )
    return stratified(labels, params.validation, params.split_seed, "validation")
