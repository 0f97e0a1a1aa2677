"""What the measures accept: arrays of the stated shape, finite. The rest is refused. They become
float64; features, which are large, may be float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]
Matrix = NDArray[np.float32] | Array
A = TypeVar("A", bound=Matrix)

ROW_SUM_TOLERANCE = 1e-3  # a softmax in half precision is off by less


def matrix(what: str, values: ArrayLike, rows: int = 1) -> Array:
    """`values` as (N, K) float64; ValueError if N < `rows`, K = 0, or a value is not finite."""
    return features(what, np.asarray(values, dtype=np.float64), rows).astype(np.float64, copy=False)


def features(what: str, values: ArrayLike, rows: int = 1) -> Matrix:
    """As `matrix`, but what is float32 stays so; for torch, which shares its memory."""
    single = getattr(values, "dtype", None) == np.float32
    out = np.require(values, np.float32 if single else np.float64, ["C", "W"])
    if out.ndim != 2 or out.shape[1] == 0:
        raise ValueError(f"{what}: shape {out.shape}, expected (N, K)")
    return _finite(what, out, rows, "rows")


def vector(what: str, values: ArrayLike, length: int = 1) -> Array:
    """`values` as (N,) float64; ValueError if N < `length` or a value is not finite."""
    out = np.asarray(values, dtype=np.float64)
    if out.ndim != 1:
        raise ValueError(f"{what}: shape {out.shape}, expected (N,)")
    return _finite(what, out, length, "values")


def probabilities(what: str, values: ArrayLike) -> Array:
    """`values` as (N, K) float64 whose rows are distributions; ValueError if they are not."""
    p = matrix(what, values)
    if p.min() < 0:
        raise ValueError(f"{what}: lowest value {p.min():.6g}, a probability is at least 0")
    sums = p.sum(axis=1)
    row = int(np.argmax(np.abs(sums - 1)))
    if abs(sums[row] - 1) > ROW_SUM_TOLERANCE:
        raise ValueError(f"{what}: row {row} sums to {sums[row]:.6g}, expected 1")
    return p


def same_width(a: Matrix | Tensor, b: Matrix) -> None:
    """ValueError if two (N, K) arrays differ in K: their features are not of one extractor."""
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"features of {a.shape[1]} and of {b.shape[1]} dimensions do not compare")


def share(what: str, value: float) -> float:
    """`value` if it is in (0, 1], else ValueError."""
    if not 0 < value <= 1:
        raise ValueError(f"{what}: {value}, allowed: above 0, at most 1")
    return value


def whole(what: str, value: int, low: int, high: int) -> int:
    """`value` if it is in low..high, else ValueError."""
    if not low <= value <= high:
        raise ValueError(f"{what}: {value}, allowed: {low} to {high}")
    return value


def _finite(what: str, values: A, least: int, entries: str) -> A:
    if len(values) < least:
        raise ValueError(f"{what}: {len(values)} {entries}, at least {least} needed")
    bad = ~np.isfinite(values)
    if bad.any():
        first = np.argwhere(bad)[0].tolist()
        count = f"{int(bad.sum())} of {values.size}"
        raise ValueError(f"{what}: {count} values are not finite, first at index {first}")
    return values
