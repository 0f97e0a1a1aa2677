"""The section on the plane, from the files of the stage `fundamentals`."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ebmrepro.config.plane import Fundamentals
from ebmrepro.metrics.interval import Interval, interval
from ebmrepro.report import figures, film, numbers, pictures
from ebmrepro.report import plane_words as words
from ebmrepro.report.blocks import (
    Animation,
    Block,
    Cell,
    Column,
    Figure,
    Gallery,
    Panel,
    Section,
    Table,
    Text,
    Tile,
)
from ebmrepro.report.figures import MUTED, PALETTE
from ebmrepro.report.gather import ReportError

Array = np.ndarray[Any, np.dtype[Any]]

SLUG = "plane"
WAYS = ("cd", "ml", "ebgan")
COLOURS = {"cd": PALETTE[2], "ml": PALETTE[5], "ebgan": PALETTE[4]}
SHOWN = ("ring", "moons", "pinwheel")  # densities whose trajectories are drawn
PATHS = 12  # points of them
TILE = 256  # pixels of a surface
DOTS = 150  # points on it
SQUARE = 4.3  # inches: the height at which a panel's axes are square
LEVELS = (0.5, 1, 2, 3, 4, 6, 8, 12)  # nats, of contours
FAR = (64, 784)


@dataclass(frozen=True)
class Found:
    """What the stage has left, and what it was asked."""

    asked: Fundamentals
    measured: Mapping[str, Any]  # metrics.json
    arrays: Mapping[str, Array]
    films: Mapping[str, bytes]  # name -> WebP

    def values(self, name: str) -> Sequence[float]:
        """One value per seed that has one."""
        found = self.measured["values"].get(name, {}).values()
        return [v for v in found if v is not None and np.isfinite(v)]

    def over_seeds(self, name: str) -> Interval | None:
        values = self.values(name)
        return interval(values, numbers.LEVEL) if values else None

    @property
    def dimensions(self) -> Sequence[int]:
        return range(1, self.asked.partition.dimensions + 1)


def read(root: Path, asked: Fundamentals) -> Found | None:
    """None where the stage has not run.

    Raises:
        ReportError: a file is there and cannot be read.
    """
    path, made = root / "results/fundamentals/metrics.json", root / "generated/fundamentals"
    if not (path.exists() and (made / "arrays.npz").exists()):
        return None
    try:
        measured = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReportError(f"{path}: not JSON: {error}") from error
    try:
        with np.load(made / "arrays.npz", allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise ReportError(f"{made / 'arrays.npz'}: not arrays of NumPy: {error}") from error
    films = {path.stem: path.read_bytes() for path in sorted(made.glob("*.webp"))}
    return Found(asked, measured, arrays, films)


def section(found: Found | None) -> Section:
    """The whole section; without results it says so."""
    if found is None:
        return Section(SLUG, words.TITLE, [Text(words.ABSENT)])
    parts = [
        Section(f"{SLUG}-{name}", title, blocks(found))
        for name, title, blocks in (
            ("surfaces", "What is learnt", _surfaces),
            ("training", "While it trains", _training),
            ("likelihood", "Likelihood, divergence and Z, exactly", _likelihood),
            ("ratio", "The ratio needs no Z", _ratio),
            ("sampling", "Sliding into the valleys", _sampling),
            ("z", "What Z costs", _cost),
        )
    ]
    protocol = Section(f"{SLUG}-protocol", "Protocol", _protocol(found), folded=True)
    return Section(SLUG, words.TITLE, [Text(words.OPENING, words.WAYS)], [*parts, protocol])


# Pictures --------------------------------------------------------------------------------------


def _surfaces(found: Found) -> Sequence[Block]:
    return [Text(words.SURFACES), *(_gallery(found, name) for name in film.TITLES)]


def _gallery(found: Found, density: str) -> Gallery:
    tops = {way: top for way, (_, top) in film.training_rows(found.asked).items()}
    tiles = []
    for way, title in words.TILES.items():
        energy = found.arrays[f"energy/{density}/{way}"]
        points = found.arrays.get(f"points/{density}/{way}", np.zeros((0, 2)))[:DOTS]
        tiles.append((title, _surface(found, energy, tops.get(way, film.TOP), points)))
    return Gallery(
        f"plane-{density}",
        film.TITLES[density],
        words.GALLERY[density].format(train=found.asked.train) + words.SHADES,
        [Tile(title, pictures.png(pixels)) for title, pixels in tiles],
        tiles,
    )


def _surface(found: Found, energy: Array, top: float, points: Array) -> Array:
    domain = found.asked.domain
    highest = np.nanmax(energy[np.isfinite(energy)]) if np.isfinite(energy).any() else 0.0
    whole = np.where(np.isfinite(energy), energy, highest + top)  # no density, no bottom
    picture = film.surface(film.crop(whole, domain.half, domain.wall), top, TILE)
    return np.asarray(film.dot(picture, points, domain.wall, 2.0))


def _film(found: Found, name: str, title: str, caption: str) -> Sequence[Block]:
    if name not in found.films:
        return []
    return [
        Animation(f"plane-{name}", title, caption, found.films[name], found.films[f"{name}-last"])
    ]


# Training --------------------------------------------------------------------------------------


def _training(found: Found) -> Sequence[Block]:
    panels = [
        Panel(title, partial(_divergence, found, density, density == "ring"))
        for density, title in film.TITLES.items()
    ]
    return [
        *_film(found, "training", "Three energies while they train", words.TRAINING),
        Figure("plane-divergence", "Divergence over training", words.DIVERGENCE, panels),
    ]


def _divergence(found: Found, density: str, legend: bool, ax: Axes) -> None:
    for way in WAYS:
        steps, curves = found.arrays[f"steps/{way}"], found.arrays[f"kl/{density}/{way}"]
        colour = COLOURS[way]
        if len(curves) > 1:
            ax.fill_between(steps, curves.min(0), curves.max(0), color=colour, alpha=0.18, lw=0)
        ax.plot(steps, curves.mean(0), color=colour, label=film.WAYS[way])
    figures.finish(ax, "step", "KL(p_data || p_model), nats", legend=legend, log=True)


# Numbers ---------------------------------------------------------------------------------------


def _likelihood(found: Found) -> Sequence[Block]:
    rows = []
    for density, title in film.TITLES.items():
        for way in ("true", "untrained", *WAYS):
            cells = [
                _cell(found, f"{measure}_{density}@{way}", digits)
                for measure, digits in (
                    ("log_likelihood", 3),
                    ("kl", 3),
                    ("kl_fitted", 3),
                    ("log_z", 3),
                    ("energy_sd", 2),
                )
            ]
            errors = found.values(f"log_z_grid_error_{density}@{way}")
            cells.append(Cell(f"{max(errors):.0e}" if errors else numbers.NOT_APPLICABLE))
            rows.append((f"{title}: {words.ROWS[way]}", cells))
    columns = [
        Column("Log-likelihood of held-out points", "nats per point; higher is better"),
        Column("KL(p_data || p_model)", "nats; lower is better"),
        Column("The same at the best temperature", "nats; lower is better"),
        Column("log Z", "nats"),
        Column("Spread of the energy", "standard deviation, nats"),
        Column("Error of log Z", "nats, the seed with the largest"),
    ]
    title = "Exact numbers of each energy"
    return [Table("plane-likelihood", title, words.LIKELIHOOD, "Energy", columns, rows)]


def _ratio(found: Found) -> Sequence[Block]:
    rows = []
    for way in WAYS:
        worst = [
            max(
                (max(found.values(f"{measure}_{density}@{way}"), default=0.0))
                for density in film.TITLES
            )
            for measure in ("log_ratio_gap", "log_ratio_shift")
        ]
        cells = [Cell(f"{value:.0e}" if value else "0") for value in worst]
        cells += [_cell(found, f"log_ratio_to_truth_{d}@{way}", 2) for d in film.TITLES]
        rows.append((film.WAYS[way], cells))
    columns = [
        Column("With Z against without", "largest difference, nats"),
        Column("After adding 100 to E", "largest change, nats"),
        *(Column(title, "median error, nats; lower is better") for title in film.TITLES.values()),
    ]
    title = "log p(x) / p(x′) from energies alone"
    return [Table("plane-ratio", title, words.RATIO, "Trained by", columns, rows)]


# Sampling --------------------------------------------------------------------------------------


def _sampling(found: Found) -> Sequence[Block]:
    paths = [
        Panel(
            f"{film.TITLES[density]}: {title}",
            partial(_paths, found, density, kind),
            SQUARE,
            left=0.42,
        )
        for kind, (title, _) in film.SLIDING.items()
        for density in SHOWN
    ]
    panels = [Panel("Ring: bias against step", partial(_bias, found), 2.6)]
    panels += [_distances(found, density) for density in film.TITLES]
    return [
        *_film(found, "sliding", "The same noise, two ways down", words.SLIDING),
        Figure("plane-paths", "Paths of single points", words.PATHS, paths),
        Figure(
            "plane-samplers",
            "How far samplers are off",
            words.SAMPLERS.format(bins=found.asked.sampling.bins),
            panels,
        ),
        _steps(found),
    ]


def _distances(found: Found, density: str) -> Panel:
    rows = [
        (words.STARTS[measure, sampler], colour, found.values(name), over)
        for (measure, sampler), colour in (
            (("tv", "exact"), MUTED),
            (("tv_kept", "mala"), PALETTE[5]),
            (("tv_noise", "mala"), PALETTE[5]),
            (("tv_kept", "langevin"), PALETTE[4]),
            (("tv_noise", "langevin"), PALETTE[4]),
        )
        if (over := found.over_seeds(name := f"{measure}_{density}@{sampler}")) is not None
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


def _bias(found: Found, ax: Axes) -> None:
    steps = found.asked.sampling.steps
    for sampler, colour in (("langevin", PALETTE[4]), ("mala", PALETTE[5])):
        points = [
            (step, found.values(name), over)
            for i, step in enumerate(steps, start=1)
            if (over := found.over_seeds(name := f"tv_step_{i}@{sampler}")) is not None
        ]
        figures.series(ax, points, colour, words.SAMPLER[sampler])
    floor = found.over_seeds("tv_step@exact")
    if floor is not None:
        figures.level(ax, floor.mean, "exact draws")
    figures.finish(ax, "step of a move", "total variation")
    ax.set_ylim(bottom=0)
    figures.log_axis(ax.xaxis)


def _steps(found: Found) -> Table:
    rows = [
        (
            f"{step:g}",
            [
                _cell(found, f"tv_step_{i}@langevin", 3),
                _cell(found, f"tv_step_{i}@mala", 3),
                _cell(found, f"acceptance_step_{i}@mala", 3),
            ],
        )
        for i, step in enumerate(found.asked.sampling.steps, start=1)
    ]
    floor = [_cell(found, "tv_step@exact", 3)] * 2
    rows.append(("exact draws", [*floor, Cell(numbers.NOT_APPLICABLE)]))
    columns = [
        Column("Langevin", "total variation; lower is better"),
        Column("MALA", "total variation; lower is better"),
        Column("MALA accepts", "share of moves"),
    ]
    return Table("plane-steps", "Bias against step, in numbers", words.STEPS, "Step", columns, rows)


# Z ---------------------------------------------------------------------------------------------


def _cost(found: Found) -> Sequence[Block]:
    panels = [
        Panel("Energies to evaluate", partial(_evaluations, found), 3.3, left=0.8),
        Panel("Error of log Z", partial(_errors, found), 3.3),
    ]
    return [
        Text(words.COST),
        Figure("plane-cost", "Grid against annealed importance sampling", words.COSTS, panels),
        _cost_table(found),
        _far(found),
        _annealed(found),
    ]


def _evaluations(found: Found, ax: Axes) -> None:
    counts = {
        kind: [interval(found.values(f"evaluations_d{d}@{kind}")).mean for d in found.dimensions]
        for kind in ("grid", "ais")
    }
    last, k = found.dimensions[-1], found.values(f"points_per_axis_d{found.dimensions[-1]}@grid")[0]
    beyond = np.arange(last, 2 * last + 1)
    ax.plot(found.dimensions, counts["grid"], "o-", color=PALETTE[4], markersize=4.5, label="grid")
    dashes = (0, (1.2, 1.2))
    label = f"grid, extrapolated: {k:.0f}^d"
    ax.plot(beyond, k ** beyond.astype(float), color=PALETTE[4], linestyle=dashes, label=label)
    ax.plot(found.dimensions, counts["ais"], "s-", color=PALETTE[5], markersize=4.5, label="AIS")
    figures.finish(ax, "dimension d", "evaluations of E", log=True)
    powers = range(0, 1 + int(np.log10(k) * 2 * last), 2)
    ax.set_yticks([10.0**n for n in powers], [f"1e{n}" if n else "1" for n in powers])


def _errors(found: Found, ax: Axes) -> None:
    for kind, colour, label in (("grid", PALETTE[4], "grid"), ("ais", PALETTE[5], "AIS")):
        points = [
            (float(d), found.values(name), over)
            for d in found.dimensions
            if (over := found.over_seeds(name := f"log_z_error_d{d}@{kind}")) is not None
        ]
        figures.series(ax, points, colour, label)
    figures.level(ax, found.asked.partition.accuracy, "asked of the grid")
    figures.finish(ax, "dimension d", "|error of log Z|, nats")
    ax.set_ylim(bottom=0)


def _cost_table(found: Found) -> Table:
    rows = []
    for d in found.dimensions:
        cells = [
            _cell(found, f"{measure}_d{d}@{kind}", digits)
            for measure, kind, digits in (
                ("points_per_axis", "grid", 0),
                ("evaluations", "grid", 0),
                ("log_z_error", "grid", 4),
                ("evaluations", "ais", 0),
                ("log_z_error", "ais", 3),
                ("log_z_half_width", "ais", 3),
                ("effective", "ais", 2),
            )
        ]
        rows.append((str(d), cells))
    columns = [
        Column("Grid: points per axis", "k"),
        Column("Grid: evaluations", "k^d"),
        Column("Grid: error of log Z", "nats"),
        Column("AIS: evaluations"),
        Column("AIS: error of log Z", "nats"),
        Column("AIS: half its 95 % interval", "nats"),
        Column("AIS: effective share of chains", "1 is best"),
    ]
    title = "The same log Z, two ways"
    return Table("plane-cost-table", title, words.COST_TABLE, "Dimension", columns, rows)


def _far(found: Found) -> Table:
    last = found.dimensions[-1]
    rows = []
    for d in FAR:
        power = found.over_seeds(f"points_log10_d{d}@grid")
        if power is not None:
            rows.append((str(d), [Cell(words.PICTURED[d]), *words.far(power.mean)]))
    columns = [Column("As many pixels as"), Column("Points of the grid"), Column("In words")]
    caption = words.FAR.format(last=last)
    return Table(
        "plane-far", "The grid, extrapolated", caption, "Dimension", columns, rows, words=True
    )


def _annealed(found: Found) -> Table:
    rows = []
    for density, title in film.TITLES.items():
        for way in WAYS:
            cells = [
                _cell(found, f"{measure}_{density}@{way}", digits)
                for measure, digits in (
                    ("log_z", 2),
                    ("log_z_ais_error", 3),
                    ("log_z_ais_half_width", 3),
                    ("ais_effective", 2),
                )
            ]
            rows.append((f"{title}: {words.ROWS[way]}", cells))
    columns = [
        Column("log Z by grid", "nats"),
        Column("AIS less grid", "nats"),
        Column("Half the 95 % interval of AIS", "nats"),
        Column("Effective share of chains", "1 is best"),
    ]
    title = "AIS on the learnt energies"
    return Table("plane-annealed", title, words.ANNEALED, "Energy", columns, rows)


def _protocol(found: Found) -> Sequence[Block]:
    """Each sentence once, with the measure it belongs to and no density or system."""
    lines: dict[str, str] = {}
    for name, sentence in found.measured["protocol"].items():
        measure = name.partition("@")[0]
        for density in film.TITLES:
            measure = measure.removesuffix(f"_{density}")
        lines.setdefault(sentence, measure)
    return [Text(words.PROTOCOL, [f"{name}: {text}" for text, name in lines.items()])]


def _cell(found: Found, name: str, digits: int) -> Cell:
    over = found.over_seeds(name)
    if over is None:
        return Cell(numbers.NOT_APPLICABLE)
    same = over.low == over.high
    return Cell(numbers.number(over.mean, digits), "" if same else numbers.bounds(over, digits))
