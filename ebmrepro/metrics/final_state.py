"""What an algorithm remembers after its last step, and its terms over the last epoch.

The method counts them itself, so their words are in measures.yaml.
"""

from collections.abc import Mapping

import numpy as np

from ebmrepro.metrics.checks import Array
from ebmrepro.metrics.measurement import Measurement


def of_curves(curves: Mapping[str, Array], method: str) -> Measurement:
    """From one value per epoch of each column, NaN where it is blank, and the name of the method's
    file, with which its own columns begin.
    """
    names = ("k", "M_global", "updates")
    last = {name: curves.get(f"{method}/{name}", [np.nan])[-1] for name in names}
    return Measurement({name: float(value) for name, value in last.items() if np.isfinite(value)})
