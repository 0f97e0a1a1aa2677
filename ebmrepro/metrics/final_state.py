"""What an algorithm remembers after its last step, and what became of a margin that moves.

The latter is counted by the method itself, in `recount`.
"""

from collections.abc import Mapping

import numpy as np

from ebmrepro.metrics.catalogue import ENERGY_UNIT, Measure
from ebmrepro.metrics.checks import Array
from ebmrepro.metrics.measurement import Measurement

MEASURES = {
    "k": Measure(
        "Control variable k at the end",
        "BEGAN's weight of the fake energy in the discriminator's loss, in [0, 1], after the last "
        "step.",
    ),
    "margin": Measure(
        "Margin at the end",
        "Energy above which the discriminator leaves generated images alone, after the last step: "
        "fixed in EBGAN, adapted in MAGAN.",
        unit=ENERGY_UNIT,
    ),
    **{
        name: Measure(label, f"Epochs {protocol}", unit="epochs", digits=0)
        for name, label, protocol in (
            ("updates", "Moves of the margin", "at whose end MAGAN lowered its margin."),
            (
                "chances",
                "Chances to move the margin",
                "at whose end MAGAN's margin could have moved: all of the game but the first.",
            ),
            (
                "stopped_by_generator",
                "Stopped by the generator",
                "in which the fakes' mean energy fell, so that MAGAN's first condition held the "
                "margin. In an epoch several conditions can hold it.",
            ),
            (
                "stopped_by_margin",
                "Stopped by the margin",
                "in which the data's mean energy was not below the margin, so that MAGAN's second "
                "condition held it.",
            ),
            (
                "stopped_by_fakes",
                "Stopped by the fakes",
                "in which the data's mean energy was not below the fakes', so that MAGAN's third "
                "condition held the margin.",
            ),
        )
    },
    "M_global": Measure(
        "Convergence measure M_global",
        "BEGAN's real energy plus the absolute deviation of the fake energy from gamma times the "
        "real, at the end of training.",
        unit=ENERGY_UNIT,
        better="lower",
    ),
}


def of_curves(curves: Mapping[str, Array], method: str) -> Measurement:
    """The algorithm's state after the last step, and its terms over the last epoch.

    From one value per epoch of each column, NaN where it is blank, and the name of the method's
    file, with which its own columns begin.
    """
    columns = {name: curves.get(f"{method}/{name}") for name in ("k", "M_global", "updates")}
    last = {name: float(column[-1]) for name, column in columns.items() if column is not None}
    values = {name: value for name, value in last.items() if np.isfinite(value)}
    return Measurement(values)
