"""The one reader of what stages leave on disk: JSON, curves, tables, arrays and single tensors.

A file that cannot be read is a `UserError` of one line, which names the file and what was found in
it. A file that may be absent is read through `known`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np

from ebmrepro.system.errors import UserError

Array = np.ndarray[Any, np.dtype[Any]]
Row = dict[str, str]  # column -> cell, "" where it is blank
Content = TypeVar("Content")


def known(read: Callable[[Path], Content], path: Path) -> Content | None:
    """What `read` makes of a file; None where there is no file."""
    return read(path) if path.exists() else None


def document(path: Path) -> dict[str, Any]:
    """An object of JSON."""
    text = _text(path)
    with _refusing(path, "not JSON"):
        tree = json.loads(text)
    if not isinstance(tree, dict):
        raise UserError(f"{path}: found {type(tree).__name__}, want an object of JSON")
    return tree


def rows(path: Path) -> list[Row]:
    """The rows of a CSV file with a header; a last row without its end is still being written."""
    text = _text(path)
    table = list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))
    for n, row in enumerate(table, 1):
        if None in row or None in row.values():
            raise UserError(f"{path}: row {n} has more or fewer cells than the header")
    return table


def curves(path: Path) -> dict[str, Array]:
    """Column -> (epochs,) float64 of curves.csv, NaN where a cell is blank."""
    table = rows(path)
    columns = table[0] if table else ()
    with _refusing(path, "not a table of numbers"):
        return {
            column: np.array([float(row[column] or "nan") for row in table]) for column in columns
        }


def arrays(path: Path) -> dict[str, Array]:
    """The arrays of an .npz, or of an .npy, which has one, as `""`."""
    # Opened here, since NumPy leaves a damaged file open.
    with _refusing(path, "not arrays of NumPy"), path.open("rb") as file:
        content = np.load(file, allow_pickle=False)
        return dict(content) if isinstance(content, np.lib.npyio.NpzFile) else {"": content}


def tensor(path: Path, key: str) -> Array | None:
    """One tensor of a file of weights; None where the file or the tensor is absent."""
    if not path.exists():
        return None
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as weights:
        return weights.get_tensor(key) if key in weights.keys() else None  # noqa: SIM118


def _text(path: Path) -> str:
    with _refusing(path, "cannot be read"):
        return path.read_text(encoding="utf-8")


@contextmanager
def _refusing(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; the stage that writes it has not run") from None
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path}: {what}: {reason}") from error
