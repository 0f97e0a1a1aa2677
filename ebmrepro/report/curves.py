"""Energies over training and after it, what algorithms steer by, and what variants change."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes

from ebmrepro.report import figures, numbers, words
from ebmrepro.report.blocks import Block, Column, Figure, Panel
from ebmrepro.report.figures import INK, MUTED, Colours
from ebmrepro.report.gather import Suite, System
from ebmrepro.report.words import Words

WORDS = Words("curves")
ENERGIES = ("energy/real", "energy/fake")


def _expected(key: str, of: Sequence[str]) -> str:
    """What the papers of these methods, or on this number, lead one to expect of a figure."""
    return "".join(f" {text}" for name, text in WORDS[key]["expected"].items() if name in of)


# Over training ---------------------------------------------------------------------------------


def energies(suite: Suite, colours: Colours) -> Sequence[Block]:
    systems = suite.with_curve(*ENERGIES)
    panels = [Panel(s.title, partial(_energy, s, colours)) for s in systems]
    expected = _expected("energies", [s.base for s in systems])
    return WORDS.figure("energies", panels, expected=expected)


def comparison(suite: Suite, colours: Colours) -> Sequence[Block]:
    """The systems whose energies the lecture shows side by side, where all of them are there."""
    compared = WORDS["comparison"]["systems"]
    there = {s.name: s for s in suite.with_curve(*ENERGIES) if s.name in compared}
    if len(there) < len(compared):
        return []
    panels = [Panel(there[n].title, partial(_energy, there[n], colours)) for n in compared]
    titles = " against ".join(panel.title for panel in panels)
    return WORDS.figure("comparison", panels, systems=titles)


def _energy(system: System, colours: Colours, ax: Axes) -> None:
    real, fake = map(system.curves, ENERGIES)
    figures.band(ax, real, INK, "real")
    figures.band(ax, fake, colours.of(system.name), "generated")
    margin = system.hparam("margin")
    if margin is not None:
        figures.level(ax, margin, "margin m")
    axis = words.energy_axis(system.numbers.get("hparams.reduction"))
    figures.finish(ax, "epoch", axis, log=figures.wide([*real, *fake], 30))


def control(suite: Suite, colours: Colours) -> Sequence[Block]:
    panels = [
        Panel(told["title"], partial(_lines, systems, colours, told["column"], told["axis"]))
        for told in WORDS["control"]["panels"]
        if (systems := suite.with_curve(told["column"]))
    ]
    ratio = WORDS["ratio"]
    held = [s for s in suite.with_curve(*ENERGIES) if s.hparam(ratio["number"])]
    if held:
        panels.insert(0, Panel(ratio["title"], partial(_ratio, held, colours)))
    expected = _expected("control", [s.base for s in suite.systems])
    return WORDS.figure("control", panels, expected=expected)


def _lines(systems: Sequence[System], colours: Colours, column: str, axis: str, ax: Axes) -> None:
    curves = [system.curves(column) for system in systems]
    for system, own in zip(systems, curves, strict=True):
        figures.band(ax, own, colours.of(system.name), system.title, colours.dash(system.name))
    figures.finish(ax, "epoch", axis, log=figures.wide([c for own in curves for c in own], 50))


def _ratio(systems: Sequence[System], colours: Colours, ax: Axes) -> None:
    for system in systems:
        ratios = [
            run.curves["energy/fake"] / run.curves["energy/real"]
            for run in system.runs
            if {*ENERGIES} <= run.curves.keys()
        ]
        colour, dash = colours.of(system.name), colours.dash(system.name)
        figures.band(ax, ratios, colour, system.title, dash)
    for gamma in sorted({system.hparam(WORDS["ratio"]["number"]) or 0.0 for system in systems}):
        figures.named_level(ax, gamma, f"γ = {gamma:g}")
    figures.finish(ax, "epoch", WORDS["ratio"]["axis"])


# After training --------------------------------------------------------------------------------


def histograms(suite: Suite, colours: Colours) -> Sequence[Block]:
    panels = []
    for system in suite.systems:
        shade = {"generated": colours.of(system.name), "train": INK, "test": INK}
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


def sweeps(suite: Suite, colours: Colours) -> Sequence[Block]:
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
                found.extend(_sweep(ordered, key, colours.of(system.name)))
    return found


def _sweep(family: Sequence[System], key: str, colour: str) -> Sequence[Block]:
    symbol, leaf = words.symbol(key), key.rpartition(".")[2]
    method, told = family[0].base, WORDS["sweep"]
    panels = []
    for measure in told["measures"]:
        points = [
            (number, values)
            for system in family
            if (number := system.number(key)) is not None and (values := system.values(measure))
        ]
        if len(points) > 1:
            heading, equal = numbers.column(measure), told["held"].get(leaf) == measure
            draw = partial(_swept, points, colour, symbol, heading, equal)
            panels.append(Panel(heading.title, draw))
    facts = {
        "method": words.system(method),
        "symbol": symbol,
        "expected": _expected("sweep", [leaf]),
    }
    _, title, caption = WORDS.heading("sweep", **facts)
    return [Figure(f"sweep-{method}-{leaf}", title, caption, panels)] if panels else []


def _swept(
    points: Sequence[tuple[float, Sequence[float]]],
    colour: str,
    symbol: str,
    heading: Column,
    equal: bool,
    ax: Axes,
) -> None:
    figures.series(ax, points, colour, heading.title)
    if equal:
        ends = [points[0][0], points[-1][0]]
        ax.plot(ends, ends, color=MUTED, linestyle=(0, (1, 2)))
    ax.set_xlabel(symbol)
    ax.set_ylabel(heading.small)
