"""The section on EBGAN's grid, from results/<suite>/ebgan_grid/<seed>/ alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from ebmrepro.claims import commands
from ebmrepro.metrics.separation import auroc
from ebmrepro.report import figures, numbers
from ebmrepro.report.blocks import Block, Cell, Command, Panel, Section, Tile, slug
from ebmrepro.report.figures import DOTTED, INK
from ebmrepro.report.gather import Array, Grid, Suite
from ebmrepro.report.words import Words

WORDS = Words("grid")
TITLES: dict[str, str] = WORDS["kinds"]
GAN, EBGAN, _ = TITLES
COLOURS = dict(zip(TITLES, map(figures.colour, ("dcgan", "ebgan", "ebgan_pt")), strict=True))
DEPTHS = {depth["title"]: depth.get("layers", math.inf) for depth in WORDS["depths"]}
BINS = 20
SQUARED = "score_squared"  # a column; where it is not there, `score` is squared

Pair = Mapping[str, Array]  # scores of the two kinds that figure 2 compares


def section(suites: Sequence[Suite]) -> Sequence[Section]:
    """One section for each suite whose grid has results."""
    return [_of(suite) for suite in suites if suite.grids]


def _of(suite: Suite) -> Section:
    name = f"{slug(suite.name)}-grid"
    seeds = [grid.seed for grid in suite.grids]
    again = commands.carried_again(suite.name, {"ebgan_grid": seeds})
    first = suite.grids[0]
    said = ["introduction", "score", *([] if SQUARED in first.rows[0] else ["before"])]
    opening = [*(WORDS.text(text) for text in said), Command(again)]
    parts = WORDS.sections(
        name,
        scores=[*_tables(suite, name), *_histograms(suite, name)],
        best=[*_best(first, name), *_models(suite, name)],
        margins=_margins(suite, name),
        protocol=_protocol(first, name),
    )
    return Section(name, WORDS["title"].format(suite=suite.title), opening, parts)


# Scores ----------------------------------------------------------------------------------------


def _scores(
    grids: Sequence[Grid], kind: str, layers: float = math.inf, optim: str | None = None
) -> Array:
    """I' of all models of a kind, of all seeds, whose networks have at most `layers` and whose
    players both have the rule `optim`, if one is named, (N,).
    """
    rows = (row for grid in grids for row in grid.rows if row["kind"] == kind)
    kept = (row for row in rows if max(int(row["nLayerG"]), int(row["nLayerD"])) <= layers)
    kept = (row for row in kept if optim is None or row["optimG"] == row["optimD"] == optim)
    return np.array([float(row["score"]) for row in kept])


def _pair(grids: Sequence[Grid], layers: float = math.inf, optim: str | None = None) -> Pair:
    return {kind: _scores(grids, kind, layers, optim) for kind in (EBGAN, GAN)}


def _histograms(suite: Suite, name: str) -> Sequence[Block]:
    pairs = {title: _pair(suite.grids, layers) for title, layers in DEPTHS.items()}
    joined = np.concatenate([scores for pair in pairs.values() for scores in pair.values()])
    edges = np.linspace(0, max(float(joined.max()), 1e-6), BINS + 1)
    panels = [
        Panel(title[0].upper() + title[1:], partial(_draw_pair, pair=pair, edges=edges))
        for title, pair in pairs.items()
        if all(map(len, pair.values()))
    ]
    rows, title = _subgrids(suite.grids), WORDS["subgrids"]["title"].removeprefix("I' ")
    height, draw = 0.9 + 0.26 * len(rows), partial(_draw_rows, rows=rows)
    rows_panel = Panel(title.capitalize(), draw, height, left=2.3)
    return [
        *WORDS.figure("histograms", panels, name),
        *WORDS.figure("subgrids", [rows_panel], name),
    ]


def _draw_pair(ax: Axes, pair: Pair, edges: Array) -> None:
    for kind, scores in pair.items():
        share = 100 * np.histogram(scores, bins=edges)[0] / len(scores)
        label = f"{TITLES[kind]}, {len(scores)} models"
        ax.stairs(share, edges, fill=True, color=COLOURS[kind], alpha=0.3)
        ax.stairs(share, edges, color=COLOURS[kind], linewidth=1.6, label=label)
    figures.finish(ax, "I'", "% of models")
    ax.set_ylim(bottom=0)
    ax.set_xlim(0, edges[-1])


def _subgrids(grids: Sequence[Grid]) -> Sequence[tuple[str, str, Array]]:
    """(label, kind, scores): EBGANs, then GANs by optimisers and rate, the highest rate first."""
    found: dict[tuple[str, str, float], list[float]] = {}
    for row in (row for grid in grids for row in grid.rows if row["kind"] == GAN):
        key = (row["optimD"], row["optimG"], -float(row["lr"]))
        found.setdefault(key, []).append(float(row["score"]))
    gans = [
        (f"GAN: D {D}, G {G}, {-rate:g}", GAN, np.array(scores))
        for (D, G, rate), scores in sorted(found.items())
    ]
    first = next(row for row in grids[0].rows if row["kind"] == EBGAN)  # as the paper's
    ebgans = f"EBGAN: {first['optimD']}, {first['lr']}", EBGAN, _scores(grids, EBGAN)
    return [ebgans, *gans]


def _draw_rows(ax: Axes, rows: Sequence[tuple[str, str, Array]]) -> None:
    for i, (_, kind, scores) in enumerate(rows):
        at, colour = len(rows) - 1 - i, COLOURS[kind]
        ax.plot(scores, [at] * len(scores), "o", markersize=4, color=colour, alpha=0.6, mew=0)
        middle = float(np.median(scores))
        ax.plot([middle], [at], marker="|", markersize=12, markeredgewidth=2.2, color=colour)
    figures.label_rows(ax, [label for label, _, _ in rows])
    ax.set_xlabel("I'")
    ax.set_xlim(left=-0.02 * max(float(scores.max()) for _, _, scores in rows))


def _tables(suite: Suite, name: str) -> Sequence[Block]:
    """What each kind came to, and which scores higher, a row for each seed."""
    kinds = [
        (_seeded(suite, TITLES[kind], grid), _kind(grid, kind))
        for kind in TITLES
        for grid in suite.grids
        if grid.measured["counts"][kind]["drawn"]
    ]
    lacking, reference = Cell(numbers.NOT_APPLICABLE), suite.grids[0].measured["reference"]["score"]
    kinds.append(("Real images", [lacking, lacking, Cell(f"{reference:.1f}"), lacking]))
    chances = [(f"Seed {grid.seed}", _chances(grid)) for grid in suite.grids]
    return [*WORDS.table("counts", kinds, name), *WORDS.table("probability", chances, name)]


def _seeded(suite: Suite, title: str, grid: Grid) -> str:
    return f"{title}, seed {grid.seed}" if len(suite.grids) > 1 else title


def _kind(grid: Grid, kind: str) -> Sequence[Cell]:
    told, values = grid.measured["counts"][kind], grid.measured["values"]
    return [
        Cell(f"{told['drawn']:,}", f"{told['of']:,}"),
        Cell(f"{told['diverged']:,}"),
        Cell(f"{values[f'grid_median_{kind}']:.2f}"),
        Cell(f"{values[f'grid_best_{kind}']:.2f}"),
    ]


def _chances(grid: Grid) -> Sequence[Cell]:
    pairs = {"grid_auroc_adam": _pair([grid], optim="adam")}
    pairs |= {
        "grid_auroc" if layers == math.inf else title: _pair([grid], layers)
        for title, layers in DEPTHS.items()
    }
    cells = []
    for measure, pair in pairs.items():
        higher = auroc(pair[GAN], pair[EBGAN]) if all(map(len, pair.values())) else None
        cells.append(_chance(grid, higher, measure))
    pt = grid.measured["values"]["grid_auroc_pt"]
    return [*cells, _chance(grid, pt, "grid_auroc_pt")]


def _chance(grid: Grid, higher: float | None, measure: str) -> Cell:
    """A probability with the interval of a measure, where there is one."""
    if higher is None:
        return Cell(numbers.NOT_APPLICABLE)
    if measure not in grid.measured["intervals"]:
        return Cell(f"{higher:.3f}")
    low, high = grid.measured["intervals"][measure]
    return Cell(f"{higher:.3f}", f"[{low:.3f}, {high:.3f}]")


# Best models -----------------------------------------------------------------------------------


def _best(grid: Grid, name: str) -> Sequence[Block]:
    tiles = []
    for kind, title in TITLES.items():
        if grid.measured["counts"][kind]["drawn"]:
            score = grid.measured["values"][f"grid_best_{kind}"]
            png = grid.pictures.get(f"best_{kind}")
            tiles.append(Tile(f"{title}, I' {score:.1f}", png, "all diverged"))
    return WORDS.gallery("best", tiles, name)


def _models(suite: Suite, name: str) -> Sequence[Block]:
    *settings, score, inception = WORDS.columns("models")
    rows = []
    for kind, title in TITLES.items():
        for grid in suite.grids:
            if there := [row for row in grid.rows if row["kind"] == kind]:
                best = max(there, key=lambda row: float(row["score"]))
                cells = [Cell(best[column.title]) for column in settings]
                cells += [Cell(f"{float(best[c.measure]):.2f}") for c in (score, inception)]
                rows.append((_seeded(suite, title, grid), cells))
    return WORDS.table("models", rows, name)


# Margins ---------------------------------------------------------------------------------------


def _margins(suite: Suite, name: str) -> Sequence[Block]:
    grids = [grid for grid in suite.grids if grid.margins]
    if not grids:
        return []
    panels = [
        Panel("I' against the margin", partial(_draw_margins, grids=grids, energies=False)),
        Panel("Energies at the end", partial(_draw_margins, grids=grids, energies=True)),
    ]
    tiles = [
        Tile(
            f"m = {row['margin']}, I' {float(row['score']):.1f}",
            grids[0].pictures.get(f"margin_{row['margin']}"),
            "diverged",
        )
        for row in grids[0].margins
    ]
    return [*WORDS.figure("margins", panels, name), *WORDS.gallery("digits", tiles, name)]


def _draw_margins(ax: Axes, grids: Sequence[Grid], *, energies: bool) -> None:
    """I' of every seed against the margin, or both energies, beside the margin itself."""
    lines = [("score", COLOURS[EBGAN], "")]
    if energies:
        lines = [("real", INK, "data"), ("fake", COLOURS[EBGAN], "samples")]
    for grid in grids:
        first, m = grid is grids[0], _column(grid, "margin")
        for key, colour, label in lines:
            style = {"markersize": 4, "color": colour, "alpha": 0.85}
            ax.plot(m, _column(grid, key), "o-", label=label if first else "", **style)
        if energies and first:
            ax.plot(m, m, label="the margin", **DOTTED)
    figures.finish(ax, "margin m", "energy" if energies else "I'", legend=energies)
    ax.set_xscale("log", base=2)
    m = _column(grids[0], "margin")
    ax.set_xticks(m, [f"{value:g}" for value in m])
    ax.minorticks_off()
    if not energies:
        ax.set_ylim(bottom=0)


def _column(grid: Grid, key: str) -> Array:
    """A column of the sweep, NaN where a training diverged."""
    return np.array([float(row[key]) if row[key] else np.nan for row in grid.margins])


def _protocol(grid: Grid, name: str) -> Sequence[Block]:
    rows = [(what, [Cell(said)]) for what, said in sorted(grid.measured["protocol"].items())]
    reference = grid.measured["reference"]
    real = f"I' {reference['score']:.2f}, Inception score {reference['inception_score']:.2f}"
    return WORDS.table("protocol", [*rows, ("real images score", [Cell(real)])], name)
