"""The section on EBGAN's grid, from results/<suite>/ebgan_grid/<seed>/ alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from ebmrepro.metrics.separation import auroc
from ebmrepro.report import figures, numbers
from ebmrepro.report.blocks import (
    Block,
    Cell,
    Column,
    Command,
    Figure,
    Gallery,
    Panel,
    Section,
    Table,
    Text,
    Tile,
    slug,
)
from ebmrepro.report.figures import MUTED
from ebmrepro.report.gather import Array, Grid, Row, Suite

TITLES = {"gan": "GAN", "ebgan": "EBGAN", "ebgan_pt": "EBGAN-PT"}
COLOURS = dict(
    zip(TITLES, (figures.PALETTE[0], figures.PALETTE[1], figures.PALETTE[2]), strict=True)
)
DEEPEST = (None, 4, 3)  # layers of either network in the panels of figure 2
BINS = 20
WHOLE = "all configurations"

INTRODUCTION = (
    "Zhao, Mathieu and LeCun (2017), section 4.1, trained fully connected networks over a grid of "
    "settings (their table 1): 512 EBGANs and 6,144 GANs. Their claim is about how many of them "
    "train, so what counts is the whole histogram and not the best model. Here as many are drawn "
    "as the table says, EBGANs and GANs from grids of the paper's values, and trained for as long "
    "as the protocol says."
)
SCORE = (
    "The score is I' = E KL(p(y) ‖ p(y|x))², where the mean is over generated images and p(y|x) is "
    "a classifier's word: higher is better, 0 is a generator of one single image. The paper's "
    "classifier is not known. Ours stands in, so no value here compares with the paper's: only the "
    "two histograms do, with each other."
)
HISTOGRAMS = (
    "Share of the drawn models at each score, for all depths and for networks of at most four and "
    "three layers, as in figure 2 of the paper. A kind whose bars lie further to the right trains "
    "more reliably. Seeds are shown together."
)
SUBGRIDS = (
    "Every GAN by the optimiser of D, that of G and the learning rate, the twelve panels of figure "
    "3 of the paper, over the EBGANs, which have one such setting. One dot a model; a tick is the "
    "median of its row."
)
KINDS = (
    "What was drawn of each grid and how it came out: median and best I', and how many diverged "
    "(their weights or images ceased to be finite; they score 0)."
)
PROBABILITY = (
    "Probability that a drawn EBGAN scores higher than a drawn GAN, ties counted half: 0.5 if "
    "neither trains more reliably. In brackets a bootstrap interval over configurations, which "
    "does not know the spread over training seeds; the claim is judged over seeds. The last column "
    "asks it of EBGAN-PT above EBGAN, of configurations that were trained as both."
)
BEST = (
    "Digits of the model of each kind that scores highest, as in figure 4 of the paper: the first "
    "images that it drew, not selected. How it was set up is in the table of models."
)
SWEEP = (
    "I' of one EBGAN with each margin (figure 9 of the paper: five layers of 1,600 units in G, two "
    "layers of 1,024 in D, no dropout), and the energies of data and of samples at the end of its "
    "training beside the margin. One training for each margin and seed."
)
MARGINS = (
    "What the same EBGAN draws after training with each margin; the first images, not selected."
)
MODELS = "The highest score of each kind, with the settings of its networks, in the paper's names."
PROTOCOL = "How the grid was drawn, trained and scored."


class Pair(NamedTuple):
    """Scores of the two kinds that figure 2 compares."""

    ebgan: Array
    gan: Array


def section(suites: Sequence[Suite]) -> Sequence[Section]:
    """One section for each suite whose grid has results."""
    return [_of(suite) for suite in suites if suite.grids]


def _of(suite: Suite) -> Section:
    name = f"{slug(suite.name)}-grid"
    seeds = ",".join(str(grid.seed) for grid in suite.grids)
    again = f"dvc exp run -S 'run.grids=[{suite.name}]' -S 'run.seeds=[{seeds}]'"
    stages = " ".join(f"grid@{suite.name}-{grid.seed}" for grid in suite.grids)
    first = suite.grids[0]
    parts: list[tuple[str, str, Sequence[Block]]] = [
        ("scores", "Scores of all models", [*_tables(suite, name), *_histograms(suite, name)]),
        ("best", "Digits of the best models", [_best(first, name), _models(suite, name)]),
        ("margins", "The margin", _margins(suite, name)),
    ]
    folded = Section(f"{name}-protocol", "Protocol", [_protocol(first, name)], folded=True)
    return Section(
        name,
        f"{suite.title}: EBGAN's grid of networks",
        [Text(INTRODUCTION), Text(SCORE), Command(f"{again} {stages}")],
        [
            *(Section(f"{name}-{part}", title, blocks) for part, title, blocks in parts if blocks),
            folded,
        ],
    )


# Scores ----------------------------------------------------------------------------------------


def _scores(
    grids: Sequence[Grid], kind: str, keep: Callable[[Row], bool] = lambda row: True
) -> Array:
    """I' of all models of a kind that are kept, of all seeds, (N,)."""
    rows = (row for grid in grids for row in grid.rows if row["kind"] == kind and keep(row))
    return np.array([float(row["score"]) for row in rows])


def _at_most(layers: int | None) -> Callable[[Row], bool]:
    if layers is None:
        return lambda row: True
    return lambda row: max(int(row["nLayerG"]), int(row["nLayerD"])) <= layers


def _pair(grids: Sequence[Grid], layers: int | None) -> Pair:
    return Pair(*(_scores(grids, kind, _at_most(layers)) for kind in Pair._fields))


def _title(layers: int | None) -> str:
    return WHOLE if layers is None else f"at most {layers} layers in G and in D"


def _capital(title: str) -> str:
    """The first letter large, and those that stand for networks as they are."""
    return title[0].upper() + title[1:]


def _histograms(suite: Suite, name: str) -> Sequence[Block]:
    pairs = {layers: _pair(suite.grids, layers) for layers in DEEPEST}
    joined = np.concatenate([scores for pair in pairs.values() for scores in pair])
    edges = np.linspace(0, max(float(joined.max()), 1e-6), BINS + 1)
    panels = [
        Panel(_capital(_title(layers)), partial(_draw_pair, pair=pair, edges=edges))
        for layers, pair in pairs.items()
        if len(pair.ebgan) and len(pair.gan)
    ]
    rows = _subgrids(suite.grids)
    rows_panel = Panel(
        "By optimisers and learning rate",
        partial(_draw_rows, rows=rows),
        height=0.9 + 0.26 * len(rows),
        left=2.3,
    )
    return [
        Figure(f"{name}-histograms", "I' of drawn models", HISTOGRAMS, panels),
        Figure(f"{name}-subgrids", "I' by optimisers and learning rate", SUBGRIDS, [rows_panel]),
    ]


def _draw_pair(ax: Axes, pair: Pair, edges: Array) -> None:
    for kind, scores in zip(Pair._fields, pair, strict=True):
        share = 100 * np.histogram(scores, bins=edges)[0] / len(scores)
        label = f"{TITLES[kind]}, {len(scores)} models"
        ax.stairs(share, edges, fill=True, color=COLOURS[kind], alpha=0.3)
        ax.stairs(share, edges, color=COLOURS[kind], linewidth=1.6, label=label)
    figures.finish(ax, "I'", "% of models")
    ax.set_ylim(bottom=0)
    ax.set_xlim(0, edges[-1])


def _subgrids(grids: Sequence[Grid]) -> Sequence[tuple[str, str, Array]]:
    """(label, kind, scores): EBGANs, then GANs by optimisers and rate, the highest rate first."""
    found: dict[tuple[float, str, str], list[float]] = {}
    for grid in grids:
        for row in grid.rows:
            if row["kind"] == "gan":
                key = (-float(row["lr"]), row["optimD"], row["optimG"])
                found.setdefault(key, []).append(float(row["score"]))
    gans = [
        (f"GAN: D {D}, G {G}, {-rate:g}", "gan", np.array(scores))
        for (rate, D, G), scores in sorted(found.items(), key=lambda item: (item[0][1:], item[0]))
    ]
    return [("EBGAN: adam, 0.001", "ebgan", _scores(grids, "ebgan")), *gans]


def _draw_rows(ax: Axes, rows: Sequence[tuple[str, str, Array]]) -> None:
    for i, (_, kind, scores) in enumerate(rows):
        at = len(rows) - 1 - i
        colour = COLOURS[kind]
        ax.plot(scores, [at] * len(scores), "o", markersize=4, color=colour, alpha=0.6, mew=0)
        middle = float(np.median(scores))
        ax.plot([middle], [at], marker="|", markersize=12, markeredgewidth=2.2, color=colour)
    ax.set_yticks(range(len(rows)), [label for label, _, _ in reversed(rows)])
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlabel("I'")
    ax.set_xlim(left=-0.02 * max(float(scores.max()) for _, _, scores in rows))


def _tables(suite: Suite, name: str) -> Sequence[Block]:
    """What each kind came to, and which scores higher, a row for each seed."""
    columns = [
        Column("Drawn", "of the grid"),
        Column("Diverged"),
        Column("Median I'", "higher is better"),
        Column("Best I'", "higher is better"),
    ]
    kinds = [
        (_seeded(suite, TITLES[kind], grid), _kind(grid, kind))
        for kind in TITLES
        for grid in suite.grids
        if grid.measured["counts"][kind]["drawn"]
    ]
    reference = suite.grids[0].measured["reference"]["score"]
    real = [Cell(numbers.NOT_APPLICABLE), Cell(numbers.NOT_APPLICABLE)]
    kinds.append(("Real images", [*real, Cell(f"{reference:.1f}"), Cell(numbers.NOT_APPLICABLE)]))
    above = [
        *(Column("EBGAN above GAN", _title(layers)) for layers in DEEPEST),
        Column("EBGAN-PT above EBGAN", WHOLE),
    ]
    chances = [(f"Seed {grid.seed}", _chances(grid)) for grid in suite.grids]
    return [
        Table(f"{name}-kinds", "What was drawn and how it came out", KINDS, "Kind", columns, kinds),
        Table(f"{name}-probability", "Which scores higher", PROBABILITY, "Draw", above, chances),
    ]


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
    cells = []
    for layers in DEEPEST:
        pair = _pair([grid], layers)
        if len(pair.ebgan) and len(pair.gan):
            small = _bounds(grid, "grid_auroc") if layers is None else ""
            cells.append(Cell(f"{auroc(pair.gan, pair.ebgan):.3f}", small))
        else:
            cells.append(Cell(numbers.NOT_APPLICABLE))
    pt = grid.measured["values"]["grid_auroc_pt"]
    known = Cell(f"{pt:.3f}", _bounds(grid, "grid_auroc_pt")) if pt is not None else None
    return [*cells, known or Cell(numbers.NOT_APPLICABLE)]


def _bounds(grid: Grid, measure: str) -> str:
    low, high = grid.measured["intervals"][measure]
    return f"[{low:.3f}, {high:.3f}]"


# Best models -----------------------------------------------------------------------------------


def _best(grid: Grid, name: str) -> Gallery:
    tiles = []
    for kind, title in TITLES.items():
        if grid.measured["counts"][kind]["drawn"]:
            score = grid.measured["values"][f"grid_best_{kind}"]
            png = grid.pictures.get(f"best_{kind}")
            tiles.append(Tile(f"{title}, I' {score:.1f}", png, "all diverged"))
    return Gallery(f"{name}-best", "Best models", BEST, tiles)


def _models(suite: Suite, name: str) -> Table:
    settings = ("nLayerG", "nLayerD", "sizeG", "sizeD", "dropoutD", "optimG", "optimD", "lr")
    columns = [*map(Column, settings), Column("I'"), Column("Inception score")]
    rows = []
    for kind, title in TITLES.items():
        for grid in suite.grids:
            if there := [row for row in grid.rows if row["kind"] == kind]:
                best = max(there, key=lambda row: float(row["score"]))
                cells = [Cell(best[key]) for key in settings]
                scores = [Cell(f"{float(best[k]):.2f}") for k in ("score", "inception_score")]
                rows.append((_seeded(suite, title, grid), [*cells, *scores]))
    return Table(f"{name}-models", "Models", MODELS, "Kind", columns, rows)


# Margins ---------------------------------------------------------------------------------------


def _margins(suite: Suite, name: str) -> Sequence[Block]:
    grids = [grid for grid in suite.grids if grid.margins]
    if not grids:
        return []
    panels = [
        Panel("I' against the margin", partial(_draw_margins, grids=grids)),
        Panel("Energies at the end", partial(_draw_energies, grids=grids)),
    ]
    first = grids[0]
    tiles = [
        Tile(
            f"m = {row['margin']}, I' {float(row['score']):.1f}",
            first.pictures.get(f"margin_{row['margin']}"),
            "diverged",
        )
        for row in first.margins
    ]
    return [
        Figure(f"{name}-margins", "The margin sweep", SWEEP, panels),
        Gallery(f"{name}-digits", "Digits for each margin", MARGINS, tiles),
    ]


def _column(grid: Grid, key: str) -> Array:
    """A column of the sweep, NaN where a training diverged."""
    return np.array([float(row[key]) if row[key] else np.nan for row in grid.margins])


def _draw_margins(ax: Axes, grids: Sequence[Grid]) -> None:
    for grid in grids:
        label = f"seed {grid.seed}"
        x, y = _column(grid, "margin"), _column(grid, "score")
        ax.plot(x, y, "o-", markersize=4, color=COLOURS["ebgan"], alpha=0.85, label=label)
    _margin_axis(ax, grids, "I'", legend=False)
    ax.set_ylim(bottom=0)


def _draw_energies(ax: Axes, grids: Sequence[Grid]) -> None:
    for i, grid in enumerate(grids):
        m = _column(grid, "margin")
        for key, colour, label in (
            ("real", figures.PALETTE[2], "data"),
            ("fake", figures.PALETTE[4], "samples"),
        ):
            (line,) = ax.plot(m, _column(grid, key), "o-", markersize=4, color=colour, alpha=0.85)
            line.set_label(label if i == 0 else "_of another seed")
        if not i:
            ax.plot(m, m, color=MUTED, linestyle=(0, (1, 2)), linewidth=1.3, label="the margin")
    _margin_axis(ax, grids, "energy", legend=True)


def _margin_axis(ax: Axes, grids: Sequence[Grid], y: str, *, legend: bool) -> None:
    figures.finish(ax, "margin m", y, legend=legend)
    ax.set_xscale("log", base=2)
    m = _column(grids[0], "margin")
    ax.set_xticks(m, [f"{value:g}" for value in m])
    ax.minorticks_off()


def _protocol(grid: Grid, name: str) -> Table:
    rows = [(what, [Cell(said)]) for what, said in sorted(grid.measured["protocol"].items())]
    reference = grid.measured["reference"]
    real = f"I' {reference['score']:.2f}, Inception score {reference['inception_score']:.2f}"
    rows.append(("real images score", [Cell(real)]))
    columns = [Column("How")]
    return Table(f"{name}-protocol", "Protocol", PROTOCOL, "What", columns, rows, words=True)
