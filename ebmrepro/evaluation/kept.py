"""What is known of real images alone, in one extractor's features: found once, by the stage
`reference`, and kept for `evaluate`, which would take longer over it than over a system's images.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ebmrepro.config.evaluation import Evaluate
from ebmrepro.metrics import kid
from ebmrepro.metrics.balls import Balls, balls
from ebmrepro.metrics.features import Features
from ebmrepro.metrics.memorisation import Known, Near, Real
from ebmrepro.system import atomic, reading
from ebmrepro.system.errors import UserError


def find(real: Features, known: Known, settings: Evaluate) -> tuple[Features, Known]:
    """Both, with what can be known of them without a system's images."""
    k = settings.neighbours
    around = balls(real.points, k) if len(real.features) > k else None
    within = kid.within(real.features)
    return replace(real, around=around, within=within), replace(known, kept=known.real)


def save(path: Path, real: Features, known: Known, sha256: str) -> None:
    """Write what `find` found in features of the extractor that has this hash."""
    k, radii, at_edge = real.around or Balls(0, np.empty(0), np.empty(0))
    apart, fair = known.real
    with atomic.atomic_write(path) as partial:
        np.savez(
            partial,
            allow_pickle=False,
            sha256=np.array(sha256),
            k=np.array(k),
            radii=radii,
            at_edge=at_edge,
            within=np.array(real.within),
            apart=apart,
            fair_distances=fair.distances,
            fair_authentic=np.array(fair.authentic),
        )


def load(path: Path, real: Features, known: Known, sha256: str) -> tuple[Features, Known]:
    """Both, with what was kept of them.

    Raises:
        UserError: it was kept of other features.
    """
    stored = reading.arrays(path)
    alike = {"apart": known.seen, "fair_distances": known.held_out}
    if stored["k"]:
        alike["radii"] = real
    if any(len(stored[name]) != len(of.features) for name, of in alike.items()) or (
        stored["sha256"] != sha256
    ):
        raise UserError(
            f"{path}: kept of other images or of another extractor than are here now, SHA-256 "
            f"{sha256[:12]}...; run the stage `reference` again"
        )
    around = Balls(int(stored["k"]), stored["radii"], stored["at_edge"]) if stored["k"] else None
    fair = Near(stored["fair_distances"], float(stored["fair_authentic"]))
    return (
        replace(real, around=around, within=float(stored["within"])),
        replace(known, kept=Real(stored["apart"], fair)),
    )
