"""What stages leave on disk besides JSON (see `config/forms.py`): curves and weights.

A file that cannot be read, or is not what its stage wrote, is a `UserError` of one line.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ebmrepro.config import forms
from ebmrepro.system import reading
from ebmrepro.system.errors import brief
from ebmrepro.system.reading import Damaged, Row, known

Array = np.ndarray[Any, np.dtype[Any]]
CARDS = ("training.json", "run.json")  # of a training, beside its curves
SUM = "model.sha256"  # beside the weights, as `sha256sum -c` takes it


def curves(path: Path) -> dict[str, Array]:
    """Column -> (epochs,) float64 of curves.csv, NaN where a cell is blank.

    Raises:
        Damaged: it is no table of numbers, or has other epochs than the card beside it says.
    """
    table = _numbers(path, reading.rows(path))
    for card in (path.with_name(name) for name in CARDS):
        said = (known(forms.Card.read, card) or {}).get("epochs", len(table))
        if said != len(table):
            raise Damaged(f"{path}: found {len(table)} epochs; {card.name} says {said}")
    return {
        column: np.array([float(row[column] or "nan") for row in table])
        for column in (table[0] if table else ())
    }


def growing(path: Path) -> list[Row]:
    """The rows of a curves.csv that may be being written, blank cells left out; see `curves`."""
    table = _numbers(path, reading.rows(path, grows=True))
    for column in ("epoch", "step"):
        if not all(row.get(column, "").isdecimal() for row in table):
            raise Damaged(f"{path}: found rows without a whole number under {column}")
    return [{column: cell for column, cell in row.items() if cell} for row in table]


def _numbers(path: Path, table: list[Row]) -> list[Row]:
    for n, row in enumerate(table, 1):
        for column, cell in row.items():
            try:
                float(cell or "nan")
            except ValueError:
                said = f"row {n}, {column}: found {brief(cell)}, want a number"
                raise Damaged(f"{path}: {said}") from None
    return table


def sums(weights: bytes, name: str) -> str:
    """The line that says what a file's content is, for people and for `checked`."""
    return f"{hashlib.sha256(weights).hexdigest()}  {name}\n"


def weights(path: Path) -> bytes:
    """The content of a file of weights, which is what stands beside it in SUM, if anything does.

    Raises:
        Damaged: it is not, or there is none.
    """
    content, beside = reading.content(path), path.with_name(SUM)
    wanted = known(reading.text, beside)
    if wanted is not None and wanted != (found := sums(content, path.name)):
        raise Damaged(f"{path}: found sha256 {found[:12]}, {SUM} says {wanted[:12]}; train again")
    return content


def tensor(path: Path, key: str) -> Array | None:
    """One tensor of a file of weights; None where the file or the tensor is absent."""
    if not path.exists():
        return None
    from safetensors.numpy import load

    with reading.opened(path, "not weights"):
        return load(weights(path)).get(key)
