"""What energies tell apart: means and spreads per kind of image, gaps, detection, hinge, ratio."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from ebmrepro.metrics import checks, flags
from ebmrepro.metrics.catalogue import ENERGY_UNIT, KIND_IN_WORDS, KINDS, OTHERS, Measure
from ebmrepro.metrics.checks import Array
from ebmrepro.metrics.measurement import Measurement

MEASURES = {
    **{
        f"energy_{kind}": Measure(
            f"Mean energy, {KIND_IN_WORDS[kind]}",
            f"Mean over images of the method's energy of {KIND_IN_WORDS[kind]}, in the method's "
            "own unit; not comparable between methods.",
            unit=ENERGY_UNIT,
        )
        for kind in KINDS
    },
    **{
        f"energy_sd_{kind}": Measure(
            f"Spread of energy, {KIND_IN_WORDS[kind]}",
            f"Standard deviation over images of the method's energy of {KIND_IN_WORDS[kind]}.",
            unit=ENERGY_UNIT,
        )
        for kind in KINDS
    },
    **{
        f"gap_{kind}": Measure(
            f"Energy gap, {KIND_IN_WORDS[kind]}",
            f"Mean energy of {KIND_IN_WORDS[kind]} minus mean energy of test images: above 0 where "
            "the method prefers real images.",
            unit=ENERGY_UNIT,
            better=None if kind == "generated" else "higher",
        )
        for kind in OTHERS
    },
    **{
        f"auroc_{kind}": Measure(
            f"Detection by energy (AUROC), {KIND_IN_WORDS[kind]}",
            f"Probability that a draw from {KIND_IN_WORDS[kind]} has a higher energy than a test "
            "image, ties counted half: 1 tells them apart, 0.5 cannot, under 0.5 prefers them.",
            unit="probability",
            better=None if kind == "generated" else "higher",
        )
        for kind in OTHERS
    },
    "ratio": Measure(
        "Energy ratio, generated to real",
        "Mean energy of generated images over mean energy of test images; BEGAN holds it at its "
        "diversity ratio gamma in training.",
    ),
    "hinge_active": Measure(
        "Hinge active",
        "Share of generated images with energy under the margin, which the discriminator's loss "
        "still pushes up.",
        unit="share",
    ),
}


def of_energies(energies: Mapping[str, ArrayLike]) -> Measurement:
    """Statistics of energies, each (N,), of the kinds of image in `KINDS`; `test` must be there.

    `energy_<kind>` is the mean and `energy_sd_<kind>` the standard deviation over images (divisor
    N - 1), both in the energy's own unit; for each of `OTHERS`, `gap_<kind>` is its mean minus
    that on test, and `auroc_<kind>` what the energy is worth as a detector of it (see `auroc`).
    Kinds that are not given have no entries. KeyError on an unknown kind or without test;
    ValueError if a value is not finite or a kind has under 2 images.
    """
    unknown = [kind for kind in energies if kind not in KINDS]
    if unknown:
        raise KeyError(f"no kind of image {unknown[0]!r}: {', '.join(KINDS)}")
    if "test" not in energies:
        raise KeyError("energies on test are missing; gaps and detection are measured against them")
    e = {kind: checks.vector(f"energies on {kind}", x, length=2) for kind, x in energies.items()}
    values = {f"energy_{kind}": float(x.mean()) for kind, x in e.items()}
    values |= {f"energy_sd_{kind}": float(x.std(ddof=1)) for kind, x in e.items()}
    for kind in OTHERS:
        if kind in e:
            values[f"gap_{kind}"] = values[f"energy_{kind}"] - values["energy_test"]
            values[f"auroc_{kind}"] = auroc(e["test"], e[kind])
    return Measurement(values)


def of_curves(curves: Mapping[str, Array], method: str) -> Measurement:
    """What to beware of in the hinge of a method that has one."""
    active = curves.get("hinge/active", np.array([]))
    active = active[np.isfinite(active)]
    return Measurement(flags={"hinge_active": flags.dead_hinge(active) if len(active) else None})


def auroc(negatives: ArrayLike, positives: ArrayLike) -> float:
    """Area under the ROC curve of scores (N,) and (M,): P(positive > negative) + P(equal) / 2.

    In [0, 1]: 1 if every positive scores higher, 0.5 if the scores cannot tell. Mann and Whitney
    (1947). ValueError if a value is not finite or a side is empty.
    """
    low = np.sort(checks.vector("negatives", negatives))
    high = checks.vector("positives", positives)
    below = np.searchsorted(low, high, side="left").sum()
    not_above = np.searchsorted(low, high, side="right").sum()
    return float(below + not_above) / (2 * len(low) * len(high))


def hinge_active(fake: ArrayLike, margin: float) -> float:
    """Share of fake energies (N,) under the margin, in [0, 1]: those that [m - D(G(z))]^+ pushes.

    Zhao et al. (2017), arXiv:1609.03126, equation 1. ValueError if an energy is not finite or the
    margin is not a number.
    """
    if not np.isfinite(margin):
        raise ValueError(f"margin: {margin}, expected a finite number")
    return float((checks.vector("fake energies", fake) < margin).mean())


def ratio(fake: ArrayLike, real: ArrayLike) -> float:
    """E[D(G(z))] / E[D(x)] from energies (N,) and (M,); BEGAN holds it at gamma.

    Berthelot et al. (2017), arXiv:1703.10717. Meant for energies that cannot be negative;
    ValueError if one is not finite or the mean real energy is not above 0.
    """
    mean_real = float(checks.vector("real energies", real).mean())
    mean_fake = float(checks.vector("fake energies", fake).mean())
    if mean_real <= 0:
        raise ValueError(f"mean real energy: {mean_real:.6g}, a ratio needs one above 0")
    return mean_fake / mean_real
