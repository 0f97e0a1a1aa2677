"""The section on the plane, from the files of the stage `fundamentals`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ebmrepro.config import forms
from ebmrepro.config.plane import Fundamentals
from ebmrepro.metrics.interval import interval
from ebmrepro.report import figures, numbers, pictures
from ebmrepro.report.blocks import Animation, Block, Cell, Column, Gallery, Panel, Section, Tile
from ebmrepro.report.figures import MUTED, PALETTE
from ebmrepro.report.gather import over_seeds
from ebmrepro.report.words import Words
from ebmrepro.runs.results import Array
from ebmrepro.studies.plane import film
from ebmrepro.system import reading

WORDS = Words("plane")
SLUG = "plane"
COLOURS = dict(zip(film.WAYS, (PALETTE[2], PALETTE[5], PALETTE[4]), strict=True))
SAMPLERS = {"langevin": PALETTE[4], "mala": PALETTE[5], "langevin_noise": PALETTE[2]}
SHOWN = ("ring", "moons", "pinwheel")  # densities whose trajectories are drawn
PATHS = 12  # points of them
TILE = 256  # pixels of a surface
DOTS = 150  # points on it
SQUARE = 4.3  # inches: the height at which a panel's axes are square
LEVELS = (0.5, 1, 2, 3, 4, 6, 8, 12)  # nats, of contours
ATOMS = 80  # log10 of the atoms of the observable universe, roughly
PER_YEAR = 9 + 7.5  # log10 of evaluations in a year at a thousand million a second


@dataclass(frozen=True)
class Found:
    """What the stage has left, and what it was asked."""

    asked: Fundamentals
    measured: Mapping[str, Any]  # metrics.json
    arrays: Mapping[str, Array]
    films: Mapping[str, bytes]  # name -> WebP

    def values(self, name: str) -> Sequence[float]:
        return over_seeds(self.measured, name)

    def cells(self, columns: Sequence[Column], **of: object) -> list[Cell]:
        """What each column measures, of a density, a way, a dimension."""
        return [numbers.cell(self.values(c.measure.format(**of)), c.digits) for c in columns]

    @property
    def dimensions(self) -> Sequence[int]:
        return range(1, self.asked.partition.dimensions + 1)


def read(root: Path, asked: Fundamentals) -> Found | None:
    """None where the stage has not run.

    Raises:
        UserError: a file is there and cannot be read.
    """
    path, made = root / "results/fundamentals/metrics.json", root / "generated/fundamentals"
    if not (path.exists() and (made / "arrays.npz").exists()):
        return None
    measured, arrays = forms.OverSeeds.read(path), reading.arrays(made / "arrays.npz")
    films = {path.stem: reading.picture(path) for path in sorted(made.glob("*.webp"))}
    return Found(asked, measured, arrays, films)


def section(found: Found | None) -> Section:
    """The whole section; without results it says so."""
    if found is None:
        return Section(SLUG, WORDS["title"], [WORDS.text("absent")])
    parts = WORDS.sections(
        SLUG,
        surfaces=[
            WORDS.text("surfaces", wall=f"{found.asked.domain.wall:g}"),
            *(_gallery(found, name) for name in film.TITLES),
        ],
        training=_training(found),
        likelihood=WORDS.table("likelihood", _likelihood(found), SLUG),
        ratio=_ratio(found),
        sampling=_sampling(found),
        z=_cost(found),
        protocol=_protocol(found),
    )
    return Section(SLUG, WORDS["title"], [WORDS.text("opening")], parts)


# Pictures --------------------------------------------------------------------------------------


def _gallery(found: Found, density: str) -> Gallery:
    tops = {way: top for way, (_, top) in film.training_rows(found.asked).items()}
    sheet = []
    for way, title in (WORDS["tiles"] | film.WAYS).items():
        energy = found.arrays[f"energy/{density}/{way}"]
        points = found.arrays.get(f"points/{density}/{way}", np.zeros((0, 2)))[:DOTS]
        sheet.append((title, _surface(found, energy, tops.get(way, film.TOP), points)))
    caption = f"{WORDS['galleries'][density].format(train=found.asked.train)} {WORDS['shades']}"
    tiles = [Tile(title, pictures.png(pixels)) for title, pixels in sheet]
    return Gallery(f"{SLUG}-{density}", film.TITLES[density], caption, tiles, sheet)


def _surface(found: Found, energy: Array, top: float, points: Array) -> Array:
    domain = found.asked.domain
    highest = np.nanmax(energy[np.isfinite(energy)]) if np.isfinite(energy).any() else 0.0
    whole = np.where(np.isfinite(energy), energy, highest + top)  # no density, no bottom
    picture = film.surface(film.crop(whole, domain.half, domain.wall), top, TILE)
    return np.asarray(film.dot(picture, points, domain.wall, 2.0))


def _film(found: Found, name: str) -> Sequence[Block]:
    if name not in found.films:
        return []
    webp, still = found.films[name], found.films[f"{name}-last"]
    return [Animation(*WORDS.heading(name, SLUG), webp, still)]


# Training --------------------------------------------------------------------------------------


def _training(found: Found) -> Sequence[Block]:
    panels = [
        Panel(title, partial(_divergence, found, density, density == "ring"))
        for density, title in film.TITLES.items()
    ]
    return [*_film(found, "training"), *WORDS.figure("divergence", panels, SLUG)]


def _divergence(found: Found, density: str, legend: bool, ax: Axes) -> None:
    for way, title in film.WAYS.items():
        steps, curves = found.arrays[f"steps/{way}"], found.arrays[f"kl/{density}/{way}"]
        colour = COLOURS[way]
        if len(curves) > 1:
            ax.fill_between(steps, curves.min(0), curves.max(0), color=colour, alpha=0.18, lw=0)
        ax.plot(steps, curves.mean(0), color=colour, label=title)
    figures.finish(ax, "step", "KL(p_data || p_model), nats", legend=legend, log=True)


# Numbers ---------------------------------------------------------------------------------------


def _energies(*ways: str) -> Sequence[tuple[str, dict[str, str]]]:
    """(title, which) of the energies of these ways, density by density."""
    return [
        (f"{title}: {WORDS['rows'][way]}", {"density": density, "way": way})
        for density, title in film.TITLES.items()
        for way in ways
    ]


def _likelihood(found: Found) -> Sequence[tuple[str, Sequence[Cell]]]:
    *columns, error = WORDS.columns("likelihood")
    rows = []
    for title, which in _energies("true", "untrained", *film.WAYS):
        errors = found.values(error.measure.format(**which))
        worst = Cell(f"{max(errors):.0e}" if errors else numbers.NOT_APPLICABLE)
        rows.append((title, [*found.cells(columns, **which), worst]))
    return rows


def _ratio(found: Found) -> Sequence[Block]:
    told = WORDS["ratio"]
    exact = WORDS.columns("ratio")
    median = [
        Column(title, told["small"], f"log_ratio_to_truth_{density}@{{way}}", 2)
        for density, title in film.TITLES.items()
    ]
    rows = []
    for way, title in film.WAYS.items():
        cells = []
        for column in exact:
            names = [column.measure.format(density=density, way=way) for density in film.TITLES]
            worst = max((v for name in names for v in found.values(name)), default=0.0)
            cells.append(Cell(f"{worst:.0e}" if worst else "0"))
        rows.append((title, [*cells, *found.cells(median, way=way)]))
    return WORDS.table("ratio", rows, SLUG, [*exact, *median])


# Sampling --------------------------------------------------------------------------------------


def _sampling(found: Found) -> Sequence[Block]:
    paths = [
        Panel(f"{film.TITLES[density]}: {title}", draw, SQUARE, left=0.42)
        for kind, (title, _) in film.SLIDING.items()
        for density in SHOWN
        for draw in [partial(_paths, found, density, kind)]
    ]
    panels = [Panel(WORDS["samplers"]["panel"], partial(_bias, found), 2.6)]
    panels += [panel for density in film.TITLES for panel in _distances(found, density)]
    return [
        *_film(found, "sliding"),
        *WORDS.figure("paths", paths, SLUG, lowest=LEVELS[0], highest=LEVELS[-1]),
        *WORDS.figure("samplers", panels, SLUG, bins=found.asked.sampling.bins),
        *_steps(found),
    ]


def _distances(found: Found, density: str) -> Sequence[Panel]:
    rows = [
        (title, SAMPLERS.get(kind.partition("@")[2], MUTED), found.values(measure))
        for kind, title in WORDS["starts"].items()
        for measure in [kind.format(density=density)]
    ]
    return figures.dots(film.TITLES[density], rows, "total variation", None)


def _paths(found: Found, density: str, kind: str, ax: Axes) -> None:
    domain = found.asked.domain
    energy = film.crop(found.arrays[f"energy/{density}/ml"], domain.half, domain.wall)
    axis = domain.wall * (2 * (np.arange(len(energy)) + 0.5) / len(energy) - 1)
    height = (energy - energy.min()).T
    ax.contour(axis, axis, height, levels=LEVELS, colors=MUTED, linewidths=0.6, alpha=0.7)
    for path in found.arrays[f"path/{density}/{kind}"][:, :PATHS].swapaxes(0, 1):
        ax.plot(*path.T, color=PALETTE[4], linewidth=0.9, alpha=0.75)
        ax.plot(*path[0], "o", markersize=3, color=PALETTE[2])
        ax.plot(*path[-1], "o", markersize=4.5, color=PALETTE[4])
    ax.set_xlim(-domain.wall, domain.wall)
    ax.set_ylim(-domain.wall, domain.wall)
    ax.set_aspect("equal")


def _series(found: Found, ax: Axes, name: str, at: Mapping[int, float], **line: Any) -> None:
    """A measure against the numbers `at`, each of which has a place in the name."""
    points = [(x, values) for i, x in at.items() if (values := found.values(name.format(i)))]
    figures.series(ax, points, **line)


def _bias(found: Found, ax: Axes) -> None:
    steps = dict(enumerate(found.asked.sampling.steps, start=1))
    for sampler, colour in SAMPLERS.items():
        label = WORDS["names"][sampler]
        _series(found, ax, f"tv_step_{{}}@{sampler}", steps, colour=colour, label=label)
    if floor := found.values("tv_step@exact"):
        figures.level(ax, interval(floor).mean, "exact draws")
    figures.finish(ax, "step of a move", "total variation")
    ax.set_ylim(bottom=0)
    figures.log_axis(ax.xaxis)


def _steps(found: Found) -> Sequence[Block]:
    columns = WORDS.columns("steps")
    steps = enumerate(found.asked.sampling.steps, start=1)
    rows = [(f"{step:g}", found.cells(columns, i=i)) for i, step in steps]
    floor = numbers.cell(found.values("tv_step@exact"), 3)
    rows.append(("exact draws", [*[floor] * len(SAMPLERS), Cell(numbers.NOT_APPLICABLE)]))
    return WORDS.table("steps", rows, SLUG)


# Z ---------------------------------------------------------------------------------------------


def _cost(found: Found) -> Sequence[Block]:
    panels = [
        Panel("Energies to evaluate", partial(_evaluations, found), 3.3, left=0.8),
        Panel("Error of log Z", partial(_errors, found), 3.3),
    ]
    columns = {key: WORDS.columns(key) for key in ("cost_table", "annealed")}
    by_dimension = [(str(d), found.cells(columns["cost_table"], d=d)) for d in found.dimensions]
    annealed = [(t, found.cells(columns["annealed"], **e)) for t, e in _energies(*film.WAYS)]
    return [
        WORDS.text("cost"),
        *WORDS.figure("costs", panels, SLUG),
        *WORDS.table("cost_table", by_dimension, SLUG),
        *WORDS.table("far", _far(found), SLUG, last=found.dimensions[-1]),
        *WORDS.table("annealed", annealed, SLUG),
    ]


def _evaluations(found: Found, ax: Axes) -> None:
    counts = {
        kind: [interval(found.values(f"evaluations_d{d}@{kind}")).mean for d in found.dimensions]
        for kind in ("grid", "ais")
    }
    last, k = found.dimensions[-1], found.values(f"points_per_axis_d{found.dimensions[-1]}@grid")[0]
    beyond = np.arange(last, 2 * last + 1)
    ax.plot(found.dimensions, counts["grid"], "o-", color=PALETTE[4], markersize=4.5, label="grid")
    line = {"color": PALETTE[4], "linestyle": figures.DASHES[1]}
    ax.plot(beyond, k ** beyond.astype(float), label=f"grid, extrapolated: {k:.0f}^d", **line)
    ax.plot(found.dimensions, counts["ais"], "s-", color=PALETTE[5], markersize=4.5, label="AIS")
    figures.finish(ax, "dimension d", "evaluations of E", log=True)
    powers = range(0, 1 + int(np.log10(k) * 2 * last), 2)
    ax.set_yticks([10.0**n for n in powers], [f"1e{n}" if n else "1" for n in powers])


def _errors(found: Found, ax: Axes) -> None:
    at = {d: float(d) for d in found.dimensions}
    for kind, colour, label in (("grid", PALETTE[4], "grid"), ("ais", PALETTE[5], "AIS")):
        _series(found, ax, f"log_z_error_d{{}}@{kind}", at, colour=colour, label=label)
    figures.level(ax, found.asked.partition.accuracy, "asked of the grid")
    figures.finish(ax, "dimension d", "|error of log Z|, nats")
    ax.set_ylim(bottom=0)


def _far(found: Found) -> Sequence[tuple[str, Sequence[Cell]]]:
    """The points of a grid over an image's pixels, as a number and as something to imagine."""
    far = WORDS["far"]
    rows = []
    for d, image in far["pictured"].items():
        if powers := found.values(f"points_log10_d{d}@grid"):
            power = interval(powers).mean
            said = far["years"].format(years=power - PER_YEAR)
            if power > ATOMS:
                said += far["atoms"].format(atoms=power - ATOMS)
            rows.append((d, [Cell(image), Cell(far["zeros"].format(zeros=power)), Cell(said)]))
    return rows


def _protocol(found: Found) -> Sequence[Block]:
    """Each sentence once, with the measure it belongs to and no density or system."""
    lines: dict[str, str] = {}
    for name, sentence in found.measured["protocol"].items():
        measure = name.partition("@")[0]
        for density in film.TITLES:
            measure = measure.removesuffix(f"_{density}")
        lines.setdefault(sentence, measure)
    return WORDS.lines("protocol", [f"{name}: {text}" for text, name in lines.items()])
