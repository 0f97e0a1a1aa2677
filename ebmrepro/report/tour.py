"""The section on five questions that one energy can answer, from the files of the stage `tour`."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from ebmrepro.report import figures, numbers
from ebmrepro.report.blocks import Block, Cell, Column, Command, Panel, Section, Text, Tile, slug
from ebmrepro.report.figures import DOTTED, INK, MUTED
from ebmrepro.report.gather import Suite, System, Tour
from ebmrepro.report.words import Words

WORDS = Words("tour")
WRONG = figures.PALETTE[4]
FARTHEST = 1e10  # labellings that the figure of costs reaches to
FEWEST = 10  # images in a bin of the reliability diagram that is drawn
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Asked(NamedTuple):
    """One suite that has been asked."""

    suite: Suite
    tour: Tour

    def systems(self, measure: str) -> Sequence[System]:
        return [s for s in self.suite.systems if self.tour.values(measure, s.name)]

    def reasons(self, measure: str) -> Sequence[str]:
        """Why there is no value of it, each once."""
        told = self.tour.measured["reasons"].items()
        return sorted({why for name, why in told if name.partition("@")[0] == measure})

    @property
    def at(self) -> str:
        """Figures of all suites lie in one folder."""
        return f"{slug(self.suite.name)}-tour"


def section(suites: Sequence[Suite]) -> Sequence[Section]:
    """One section over all suites that have been asked; none where none has."""
    asked = [Asked(suite, suite.tour) for suite in suites if suite.tour is not None]
    if not asked:
        return []
    questions = {
        "decision": _decision,
        "ranking": _ranking,
        "detection": _detection,
        "conditional": _conditional,
        "generation": _generation,
    }
    parts = {
        part: [Text(**WORDS["questions"][part]), *(b for one in asked for b in show(one))]
        for part, show in questions.items()
    }
    parts["protocol"] = [block for one in asked for block in _protocol(one)]
    command = Command(f"ebmrepro tour {asked[0].suite.name}")
    opening = [WORDS.text("introduction"), WORDS.text("again"), command]
    return [Section("tour", WORDS["title"], opening, WORDS.sections("tour", **parts))]


def _table(asked: Asked, key: str, columns: Sequence[Column] = ()) -> Sequence[Block]:
    """Systems down, measures across; first the `baselines`, which need no system."""
    columns = columns or WORDS.columns(key)
    values = asked.tour.values
    rows = [
        (label, [_cell(values(known.get(c.measure, "")), c) for c in columns])
        for label, known in WORDS[key].get("baselines", {}).items()
    ]
    rows += [
        (s.title, [_cell(values(c.measure, s.name), c) for c in columns])
        for s in asked.suite.systems
        if any(values(c.measure, s.name) for c in columns)
    ]
    return WORDS.table(key, rows, asked.at, columns, suite=asked.suite.title)


def _cell(values: Sequence[float], column: Column) -> Cell:
    return numbers.cell(values, column.digits, scale=column.scale)


def _gallery(asked: Asked, key: str, tiles: Sequence[tuple[str, str]]) -> Sequence[Block]:
    """Those of the (label, picture) whose picture the stage has left."""
    pictures = asked.tour.pictures
    own = [Tile(label, pictures[picture]) for label, picture in tiles if picture in pictures]
    return WORDS.gallery(key, own, asked.at)


def _no_labels(asked: Asked, measure: str) -> Sequence[Block]:
    """Why a question about labels has no answer: what the stage says, or no system can be asked."""
    told = [f"{asked.suite.title}: {why}" for why in asked.reasons(measure)]
    return WORDS.lines("missing", told) or [WORDS.text("no_labels", suite=asked.suite.title)]


def _protocol(asked: Asked) -> Sequence[Block]:
    protocol = asked.tour.measured["protocol"]
    told = {name.partition("@")[0]: sentence for name, sentence in protocol.items()}
    rows = [(measure, [Cell(sentence)]) for measure, sentence in sorted(told.items())]
    return WORDS.table("protocol", rows, asked.at, suite=asked.suite.title)


# Decision --------------------------------------------------------------------------------------


def _decision(asked: Asked) -> Sequence[Block]:
    tour, systems = asked.tour, asked.systems("error_joint")
    if not systems:
        return _no_labels(asked, "error_joint")
    panels = [Panel("Cost of finding the least energy", partial(_cost, tour), 3.4, left=0.8)]
    panels += [
        Panel(f"{s.title}: the first sequences", partial(_examples, tour, s.name), 4.2, left=0.1)
        for s in systems
        if tour.seeds("labels_scaled", s.name)
    ]
    return [
        *_table(asked, "decision"),
        *_table(asked, "sequences"),
        *WORDS.figure("cost", panels, asked.at),
    ]


def _cost(tour: Tour, ax: Axes) -> None:
    lengths, tried = tour.arrays["lengths"], tour.arrays["tried"]
    whole = tour.arrays["cost_brute_force"].astype(float)
    labels = whole[0]
    reach = np.arange(1, 1 + int(np.log(FARTHEST) / np.log(max(labels, 2))))
    ax.plot(reach, labels**reach, color=WRONG, linestyle=(0, (1, 1.5)), label="C^T, all labellings")
    ax.plot(tried, whole, "o", markersize=4.5, color=WRONG, label="counted")
    ax.plot(lengths, tour.arrays["cost_min_sum"], color=MUTED, label="min-sum, counted")
    ax.plot(lengths, tour.arrays["cost_viterbi"], color=INK, label="Viterbi, counted")
    figures.finish(ax, "length T of the sequence", "energy terms looked at", log=True)
    powers = range(1, 11, 2)
    ax.set_yticks([10**n for n in powers], [f"10{str(n).translate(RAISED)}" for n in powers])
    ax.set_xscale("log", base=2)
    ax.set_xticks(lengths, [str(n) for n in lengths])
    ax.minorticks_off()


def _examples(tour: Tour, system: str, ax: Axes) -> None:
    """Sequences as images with three rows of labels: true, each alone, with the chain."""
    truth = tour.arrays["labels_true"]
    alone, scaled = (tour.seeds(f"labels_{how}", system)[0] for how in ("alone", "scaled"))
    count, length = truth.shape
    rows = [("true", truth), ("alone", alone), ("chain", scaled)]
    block = 1 + 0.42 * len(rows) + 0.35
    for i in range(count):
        top = -i * block
        extent = (0, length, top - 1, top)
        figures.picture(ax, tour.arrays["sequences"][i], extent=extent, aspect="auto")
        for j, (label, labels) in enumerate(rows):
            at = top - 1 - 0.42 * (j + 0.55)
            ax.text(-0.15, at, label, ha="right", va="center", fontsize=7.5, color=MUTED)
            for t, y in enumerate(labels[i]):
                colour, weight = (INK, "normal") if y == truth[i, t] else (WRONG, "bold")
                ax.text(t + 0.5, at, str(y), ha="center", va="center", color=colour, weight=weight)
    ax.set_xlim(-1.3, length)
    ax.set_ylim(-count * block + 0.3, 0.05)
    ax.set_axis_off()


def times(timed: Sequence[Any]) -> Section:
    """How long the search took just now, for the terminal: rows with `length`, `viterbi`,
    `min_sum` and `brute_force` in seconds (None where not tried) and `labellings`.
    """
    rows = []
    for row in timed:
        seconds = (row.viterbi, row.min_sum, row.brute_force)
        cells = [Cell(numbers.NOT_MEASURED if s is None else f"{1e3 * s:.2f}") for s in seconds]
        many = row.labellings >= 1e6  # of any length, which may be beyond all floats
        count = f"{Decimal(row.labellings):.0e}" if many else f"{row.labellings:,}"
        rows.append((f"T = {row.length}", [*cells, Cell(count)]))
    return Section("tour-times", WORDS["times"]["section"], WORDS.table("times", rows))


# Ranking ---------------------------------------------------------------------------------------


def _ranking(asked: Asked) -> Sequence[Block]:
    kinds = {k: told for k, told in WORDS["corruptions"].items() if asked.systems(f"tau_{k}")}
    small = WORDS["ranking"]["small"]
    columns = [Column(told["title"], small, f"tau_{kind}") for kind, told in kinds.items()]
    if asked.systems("ordered_halves"):  # carried results of an earlier form have none
        columns.append(Column(**WORDS["halves"], measure="ordered_halves"))
    panels = [
        Panel(told["title"], partial(_rise, asked, kind, told["axis"]), 3.1)
        for kind, told in kinds.items()
    ]
    drawn = {s.name: s.title for kind in kinds for s in asked.systems(f"tau_{kind}")}
    panels.append(figures.key([(t, figures.colour(n), figures.dash(n)) for n, t in drawn.items()]))
    return [
        *_table(asked, "ranking", columns),
        *WORDS.figure("rise", panels, asked.at),
        *_gallery(asked, "ladder", [(WORDS["ladder"]["tile"], "ranking")]),
    ]


def _rise(asked: Asked, kind: str, axis: str, ax: Axes) -> None:
    amounts = asked.tour.arrays[f"amounts_{kind}"]
    for system in asked.systems(f"tau_{kind}"):
        curves = np.stack(asked.tour.seeds(f"rise_{kind}", system.name))
        colour, dash = figures.colour(system.name), figures.dash(system.name)
        ax.fill_between(amounts, curves.min(0), curves.max(0), color=colour, alpha=0.15, lw=0)
        ax.plot(amounts, curves.mean(0), color=colour, linestyle=dash)
    figures.level(ax, 0, "")
    ax.set_yscale("symlog", linthresh=1)
    ax.set_yticks([-10, -1, 0, 1, 10, 100], ["−10", "−1", "0", "1", "10", "100"])
    ax.minorticks_off()
    ax.set_xlabel(axis)
    ax.set_ylabel("rise of energy, in sd")


# Detection -------------------------------------------------------------------------------------


def _detection(asked: Asked) -> Sequence[Block]:
    measures = {name.partition("@")[0] for name in asked.tour.measured["values"]}
    there = sorted(m.removeprefix("auroc_") for m in measures if m.startswith("auroc_"))
    kinds = {k: title for k, title in WORDS["images"].items() if k in there}
    kinds |= {k: WORDS["others"].format(kind=k) for k in there if k not in kinds}
    small = WORDS["detection"]["small"]
    columns = [Column(kinds[k].capitalize(), small, f"auroc_{k}") for k in kinds]
    panels: list[Panel] = []
    for column in columns:
        rows = [
            (s.title, figures.colour(s.name), asked.tour.values(column.measure, s.name))
            for s in asked.suite.systems
        ]
        panels += figures.dots(column.title, rows, "AUROC", 0.5, column.scale)
    missing = [
        f"{kind}: {why}"
        for kind in kinds
        if not asked.systems(f"auroc_{kind}")
        for why in asked.reasons(f"auroc_{kind}")
    ]
    return [
        *_table(asked, "detection", columns),
        *WORDS.figure("auroc", panels, asked.at),
        *WORDS.lines("missing", missing),
        *_gallery(asked, "kinds", [(WORDS["kinds"]["tile"], "detection")]),
    ]


# Conditional density ---------------------------------------------------------------------------


def _conditional(asked: Asked) -> Sequence[Block]:
    systems = asked.systems("temperature")
    if not systems:
        return _no_labels(asked, "temperature")
    panels = [Panel(s.title, partial(_reliability, asked, s), 3.4) for s in systems]
    figure = WORDS.figure("reliability", panels, asked.at, fewest=FEWEST)
    return [*_table(asked, "conditional"), *figure]


def _reliability(asked: Asked, system: System, ax: Axes) -> None:
    ax.plot([0, 1], [0, 1], **DOTTED)
    ways = (("raw", "T = 1", INK, "o"), ("scaled", "fitted T", figures.colour(system.name), "s"))
    for how, label, colour, mark in ways:
        seeds = np.stack(asked.tour.seeds(f"reliability_{how}", system.name))  # (seeds, 3, bins)
        count = seeds[:, 2].sum(axis=0)
        some = count >= FEWEST
        sums = np.nansum(seeds[:, :2] * seeds[:, 2:], axis=0)
        confidence, accuracy = sums[:, some] / count[some]
        ax.plot(confidence, accuracy, color=colour, linewidth=1.1, alpha=0.8)
        sizes = 14 + 110 * count[some] / count.sum()
        ax.scatter(confidence, accuracy, sizes, color=colour, marker=mark, lw=0, label=label)
    ax.set_xlim(0, 1.02)
    ax.set_ylim(0, 1.04)
    ax.set_xlabel("confidence: probability of the likeliest label")
    ax.set_ylabel("accuracy: share right")
    ax.legend(loc="upper left", markerscale=0.9)


# Generation ------------------------------------------------------------------------------------


def _generation(asked: Asked) -> Sequence[Block]:
    """A table and a gallery for each of denoising, completion and sampling."""
    systems = asked.suite.systems
    missing = [f"{WORDS['linear']}: {why}" for why in asked.reasons("denoise_error_linear")]
    shown = [
        block
        for task in ("denoising", "completion", "sampling")
        for tiles in [[(WORDS["linear"], task), *((s.title, f"{task}-{s.name}") for s in systems)]]
        for block in (*_table(asked, task), *_gallery(asked, f"{task}_pictures", tiles))
    ]
    return [*shown, *WORDS.lines("missing", missing)]
