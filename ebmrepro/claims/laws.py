"""Laws that the curves of a run obey in every epoch, or do not.

Curves hold seven digits, and means over an epoch. An epoch in which they cannot tell is not counted
for a law, nor against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ebmrepro.claims import form
from ebmrepro.runs.results import Array

Curves = Mapping[str, Array]


class Judged(NamedTuple):
    broken: int  # epochs in which the law does not hold
    epochs: int  # in which it could be told


def judge(law: object, curves: Curves, number: Callable[[str], float]) -> Judged:
    """Count the epochs; KeyError names a column that is not there."""
    match law:
        case form.NeverRises():
            x = curves[law.column]
            rises = np.diff(x)[_from(curves[law.once])]
            return _count(rises > 0, np.isfinite(rises))
        case form.StaysWithin():
            x = curves[law.column]
            return _count((x < law.low) | (x > law.high), np.isfinite(x))
        case form.ChangesOnlyWhen():
            return _changes(law, curves)
        case form.Controller():
            return _control(law, curves, number)
    raise TypeError(f"{type(law).__name__} is not a law")


def subject(law: form.Law) -> str:
    return f"{law.column} {law.law}" if law.law != "integral control" else f"{law.column} obeys"


def _changes(law: form.ChangesOnlyWhen, curves: Curves) -> Judged:
    x = curves[law.column]
    allowed = np.ones(len(x) - 1, dtype=bool)
    for condition in law.conditions:
        left, right = (
            _lagged(curves[side.column], side.epochs_before)
            for side in (condition.left, condition.right)
        )
        # A comparison with a blank is false: the condition did not hold.
        allowed &= left <= right if condition.relation == "<=" else left < right
    part = _from(curves[law.once])
    change = np.diff(x)[part]
    return _count((change != 0) & ~allowed[part], np.isfinite(change))


def _control(law: form.Controller, curves: Curves, number: Callable[[str], float]) -> Judged:
    x, steps = curves[law.column], np.diff(curves["step"], prepend=0)
    balance = number(law.target) * curves[law.real] - curves[law.fake]
    expected = number(law.gain) * steps * balance
    off = np.abs(np.diff(x, prepend=law.start) - expected)
    return _count(off > law.tolerance, (curves[law.held] == 0) & np.isfinite(off))


def _from(once: Array) -> slice:
    """Of differences to the epoch before: from the first epoch in which `once` has a value."""
    known = np.flatnonzero(np.isfinite(once))
    return slice(max(int(known[0]) - 1, 0) if len(known) else len(once), None)


def _lagged(x: Array, epochs: int) -> Array:
    """In every epoch but the first: the value of the epoch, or of the one before."""
    return x[:-1] if epochs else x[1:]


def _count(wrong: Array, told: Array) -> Judged:
    return Judged(int((wrong & told).sum()), int(told.sum()))
