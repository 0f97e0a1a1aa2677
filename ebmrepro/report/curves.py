"""Energies over training and after it, what algorithms steer by, and what variants change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes

from ebmrepro.report import figures, numbers, words
from ebmrepro.report.blocks import Block, Column, Figure, Panel
from ebmrepro.report.figures import INK, MUTED, Line
from ebmrepro.report.gather import Array, Run, Suite, System
from ebmrepro.report.words import Words

WORDS = Words("curves")
ENERGIES = ("energy/real", "energy/fake")


def _expected(key: str, of: Sequence[str]) -> str:
    """What the papers of these methods, or on this number, lead one to expect of a figure."""
    return "".join(f" {text}" for name, text in WORDS[key]["expected"].items() if name in of)


# Over training ---------------------------------------------------------------------------------


def energies(suite: Suite) -> Sequence[Block]:
    systems = suite.with_curve(*ENERGIES)
    panels = [_energy(system) for system in systems]
    expected = _expected("energies", [s.base for s in systems])
    return WORDS.figure("energies", panels, expected=expected)


def comparison(suite: Suite) -> Sequence[Block]:
    """The lecture's two figures, energy of real and of generated images, all systems in one unit;
    nothing where only one method can be brought to it."""
    told, shape = WORDS["comparison"], suite.dataset.get("shape", ())
    pixels = math.prod(shape)
    systems = [
        s
        for s in suite.with_curve(*ENERGIES)
        if s.name in told["systems"] and s.numbers.get("hparams.reduction") in ("norm", "sum_sq")
    ]
    if not shape or len({s.base for s in systems}) < 2:
        return []
    panels = []
    for part in told["panels"]:
        lines = [
            line._replace(curves=[_per_pixel(s, c, pixels) for c in line.curves])
            for s in systems
            for line in [_line(s, s.curves(part["column"]))]
        ]
        levels = [
            (float(_per_pixel(s, np.array(m), pixels)), told["margin"])
            for s in systems
            if s.method and (m := s.number("hparams.margin")) and part["column"] == ENERGIES[1]
        ]
        drawn = (lines, "epoch", told["axis"], levels)
        panels.append(figures.over_epochs(part["title"], *drawn, named=False))
    excess = [x for s in systems for run in s.runs if (x := _excess(s, run)) is not None]
    larger = f"{100 * np.mean(excess):.1f} %" if excess else told["unknown"]
    return WORDS.figure("comparison", panels, pixels=pixels, excess=larger)


def _per_pixel(system: System, energy: Array, pixels: int) -> Array:
    """Root mean square error per pixel, of an image's L2 norm or sum of squares."""
    if system.numbers["hparams.reduction"] == "norm":
        return energy / math.sqrt(pixels)
    return np.sqrt(energy / pixels)


def _excess(system: System, run: Run) -> float | None:
    """How much larger the root of a mean of squares is than the mean of roots, on test images."""
    if system.numbers["hparams.reduction"] == "norm" or "test" not in run.energies:
        return None
    energies = run.energies["test"]
    return math.sqrt(energies.mean()) / float(np.sqrt(energies).mean()) - 1


def _line(system: System, curves: Sequence[Array]) -> Line:
    return Line(curves, figures.colour(system.name), system.title, figures.dash(system.name))


def _lines(systems: Sequence[System], curves: Sequence[Sequence[Array]]) -> list[Line]:
    """A line of each; colours tell apart many that are of one method, as dashes could not."""
    lines = [_line(*drawn) for drawn in zip(systems, curves, strict=True)]
    if len(lines) <= figures.MANY or len({system.base for system in systems}) > 1:
        return lines
    others = cycle(c for c in figures.PALETTE if c != lines[0].colour)
    return [lines[0], *(line._replace(colour=next(others), dash="-") for line in lines[1:])]


def _energy(system: System) -> Panel:
    real, fake = map(system.curves, ENERGIES)
    lines = [Line(real, INK, "real"), Line(fake, figures.colour(system.name), "generated")]
    margin = system.number("hparams.margin")
    levels = [] if margin is None else [(margin, "margin m")]
    axis = words.energy_axis(system.numbers.get("hparams.reduction"))
    log = figures.wide([*real, *fake], 30)
    return figures.over_epochs(system.title, lines, "epoch", axis, levels, named=False, log=log)


def control(suite: Suite) -> Sequence[Block]:
    panels, told, systems = [], WORDS["ratio"], suite.with_curve(*ENERGIES)
    if gammas := {s.name: gamma for s in systems if (gamma := s.number(told["number"]))}:
        steered = [system for system in systems if system.name in gammas]
        lines = _lines(steered, [*map(_ratios, steered)])
        levels = [(gamma, f"γ = {gamma:g}") for gamma in sorted({*gammas.values()})]
        panels.append(figures.over_epochs(told["title"], lines, "epoch", told["axis"], levels))
    for told in WORDS["control"]["panels"]:
        there = suite.with_curve(told["column"])
        lines = _lines(there, [system.curves(told["column"]) for system in there])
        if lines:
            log = figures.wide([curve for own in lines for curve in own.curves], 50)
            panels += [figures.over_epochs(told["title"], lines, "epoch", told["axis"], log=log)]
    expected = _expected("control", [s.base for s in suite.systems])
    return WORDS.figure("control", panels, expected=expected)


def _ratios(system: System) -> Sequence[Array]:
    real, fake = ENERGIES
    runs = [run.curves for run in system.runs if {*ENERGIES} <= run.curves.keys()]
    return [curves[fake] / curves[real] for curves in runs]


# After training --------------------------------------------------------------------------------


def histograms(suite: Suite) -> Sequence[Block]:
    panels = []
    for system in suite.systems:
        shade = {"generated": figures.colour(system.name), "train": INK, "test": INK}
        rows = [
            (label, shade.get(kind, MUTED), seeds)
            for kind, label in words.NAMES["image_sets"].items()
            if (seeds := [run.energies[kind] for run in system.runs if kind in run.energies])
        ]
        if rows:
            axis = words.energy_axis(system.numbers.get("hparams.reduction"))
            axis = words.NAMES["free_energies"].get(system.base, axis)
            panels.append(figures.ridges(system.title, rows, axis))
    return WORDS.figure("histograms", panels)


def sweeps(suite: Suite) -> Sequence[Block]:
    """A figure for each number of a method that variants change alone."""
    found: list[Block] = []
    for system in suite.generators:
        keys: dict[str, list[System]] = {}
        for other in suite.systems:
            if other.base == system.base and len(other.differences) == 1:
                keys.setdefault(other.differences[0].key, []).append(other)
        for key, family in keys.items():
            if all(s.number(key) is not None for s in [system, *family]):
                ordered = sorted([system, *family], key=lambda s: s.number(key) or 0.0)
                found.extend(_sweep(ordered, key, figures.colour(system.name)))
    return found


def _sweep(family: Sequence[System], key: str, colour: str) -> Sequence[Block]:
    method, leaf, told = family[0].base, key.rpartition(".")[2], WORDS["sweep"]
    panels = []
    for measure in told["measures"]:
        points = [
            (system.number(key) or 0.0, values)
            for system in family
            if (values := system.values(measure))
        ]
        if len(points) > 1:
            heading, equal = numbers.column(measure), told["held"].get(leaf) == measure
            draw = partial(_swept, points, colour, words.symbol(key), heading, equal)
            panels.append(Panel(heading.title, draw, left=0.9))
    expected = _expected("sweep", [leaf])
    facts = {"method": words.system(method), "symbol": words.symbol(key), "expected": expected}
    _, title, caption = WORDS.heading("sweep", **facts)
    return [Figure(f"sweep-{method}-{leaf}", title, caption, panels)] if panels else []


def _swept(
    points: figures.Points, colour: str, symbol: str, heading: Column, equal: bool, ax: Axes
) -> None:
    figures.series(ax, points, colour, heading.title, heading.scale)
    if equal:
        ends = [points[0][0], points[-1][0]]
        ax.plot(ends, ends, color=MUTED, linestyle=(0, (1, 2)))
    ax.set_xlabel(symbol)
    ax.set_ylabel(heading.small.replace("; ", "\n"))  # in one line it may be longer than the axis
