"""How often each of MAGAN's three conditions stopped an update of the margin.

Wang et al. (2017), algorithm 1: at the end of epoch t the margin moves if and only if (1) the mean
energy of fakes rose, E_G^{t-1} <= E_G^t, (2) data lie below the margin, E_data^t < m_t, and (3)
below the fakes, E_data^t < E_G^t. In an epoch without a move one condition or several failed; each
that failed counts.
"""

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.floating]


def stops(real: Curve, fake: Curve, margin: Curve) -> dict[str, int]:
    """From one value per epoch each, (E,): E_data, E_G (NaN before G moves) and the margin as it
    stands after the epoch.

    `chances` are the epochs at whose end the margin could have moved: those with an E_G before.
    """
    now, before = slice(1, None), slice(None, -1)
    chance = np.isfinite(fake[now]) & np.isfinite(fake[before])
    failed = {
        "stopped_by_generator": ~(fake[before] <= fake[now]),
        "stopped_by_margin": ~(real[now] < margin[before]),
        "stopped_by_fakes": ~(real[now] < fake[now]),
    }
    return {
        "chances": int(chance.sum()),
        **{name: int((fails & chance).sum()) for name, fails in failed.items()},
    }
