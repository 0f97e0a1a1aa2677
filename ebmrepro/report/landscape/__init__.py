"""The plane's energies as a page to play with: reports/landscape.html.

One file without a server and a network. It holds the networks' numbers themselves, so what a
reader turns, and what points slide down, is the trained energy and no picture of it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from ebmrepro.report import figures, page
from ebmrepro.report.plane import Found
from ebmrepro.report.words import Words
from ebmrepro.runs.results import Array
from ebmrepro.studies.plane import film

HERE = Path(__file__).parent
WORDS = Words("landscape")
SCRIPTS = ("energy.js", "surface.js", "chart.js", "widgets.js")
DATA = 300  # points of the data, to lay on the surface
DRAWN = 150  # points of G


def html(found: Found | None) -> str:
    """The page, of the plane's first seed and of all seeds of its dials.

    Where the stage has not run, or its arrays are older than the dials, it says so.
    """
    there = found if found and "dial/gamma/real" in found.arrays else None
    told = json.dumps(data(there), separators=(",", ":"), allow_nan=False) if there else ""
    template = page.templates(HERE).get_template("page.html.j2")
    return template.render(
        words=WORDS,
        asked=there.asked if there else None,
        real=(figures.PALETTE[2], figures.IN_THE_DARK[2]),
        fake=(figures.PALETTE[4], figures.IN_THE_DARK[4]),
        data=Markup(told.replace("<", "\\u003c")),
        scripts=[Markup((HERE / name).read_text(encoding="utf-8")) for name in SCRIPTS],
    )


def data(found: Found) -> Mapping[str, Any]:
    """What the scripts read. Arrays are base64 of little-endian float32."""
    asked, arrays = found.asked, found.arrays
    plain = [2, *asked.network.hidden, 1]
    kinds = {"cd": plain, "ml": plain, "ebgan": _auto_encoder(found, asked.training.ebgan.code)}
    return {
        "domain": asked.domain.model_dump(),
        "sampling": {"points": asked.film.points, "step": asked.film.descent_step},
        "shades": film.SHADES,
        "point": film.POINT,
        "densities": {
            name: {"title": title, "data": _packed(arrays[f"points/{name}/true"][:DATA])}
            for name, title in film.TITLES.items()
        },
        "ways": {
            way: {
                "title": title,
                "top": top,
                "widths": kinds[way],
                "steps": [int(step) for step in arrays[f"steps/{way}"]],
                "networks": {d: _packed(arrays[f"network/{d}/{way}"]) for d in film.TITLES},
                "kl": {d: _rounded(arrays[f"kl/{d}/{way}"][0]) for d in film.TITLES},
            }
            for way, (title, top) in film.training_rows(asked).items()
        },
        "dials": {name: _dial(found, name) for name in WORDS["dials"]},
    }


def _dial(found: Found, name: str) -> Mapping[str, Any]:
    """Its values with, for each, curves over training, the end, D of the first seed, G's points."""
    told, arrays, at = WORDS["dials"][name], found.arrays, f"dial/{name}"
    game = getattr(found.asked.dials, name)
    values = game.values
    curves = {term: arrays[f"{at}/{term}"] for term in told["terms"]}
    curves["ratio"] = arrays[f"{at}/fake"] / np.maximum(arrays[f"{at}/real"], 1e-9)
    moments = curves["ratio"].shape[-1]
    return {
        "symbol": told["symbol"],
        "values": values,
        "steps": _rounded(np.arange(1, moments + 1) * (game.steps // moments)),
        "panels": told["panels"],
        "curves": {term: [_band(own) for own in curve] for term, curve in curves.items()},
        "ends": {
            measure: [list(found.values(f"{measure}_{value:g}@{name}")) for value in values]
            for measure in ("valleys", "near")
        },
        "of": found.asked.densities.ring.modes,
        "widths": _auto_encoder(found, game.code),
        "networks": [_packed(arrays[f"{at}/network/{i}"]) for i in range(len(values))],
        "points": [_packed(arrays[f"{at}/points/{i}"][-DRAWN:]) for i in range(len(values))],
    }


def _band(curves: Array) -> Mapping[str, Sequence[float]]:
    """Of curves of several seeds, (seeds, moments)."""
    parts = {"mean": curves.mean(0), "low": curves.min(0), "high": curves.max(0)}
    return {name: _rounded(part) for name, part in parts.items()}


def _auto_encoder(found: Found, code: int) -> Sequence[int]:
    wide = found.asked.network.hidden[0]
    return [2, wide, code, wide, 2]


def _packed(array: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode()


def _rounded(array: Array) -> Sequence[float]:
    """To four digits; what is not finite, as 0."""
    return [float(f"{value:.4g}") if np.isfinite(value) else 0.0 for value in array]
