"""The section on five questions that one energy can answer, from the files of the stage `tour`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from ebmrepro.metrics.interval import interval
from ebmrepro.report import figures, numbers
from ebmrepro.report import tour_words as words
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
)
from ebmrepro.report.figures import INK, MUTED, Colours
from ebmrepro.report.gather import Suite, System, Tour

WRONG = figures.PALETTE[4]
DIGITS = 3  # decimals of everything but temperatures and counts
FARTHEST = 1e10  # labellings that the figure of costs reaches to
FEWEST = 10  # images in a bin of the reliability diagram that is drawn
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Asked(NamedTuple):
    """One suite that has been asked."""

    suite: Suite
    tour: Tour
    colours: Colours

    def systems(self, measure: str) -> Sequence[System]:
        return [s for s in self.suite.systems if self.tour.values(measure, s.name)]

    def name(self, block: str) -> str:
        """Figures of all suites lie in one folder."""
        return f"{self.suite.name}-tour-{block}"


def section(suites: Sequence[Suite]) -> Sequence[Section]:
    """One section over all suites that have been asked; none where none has."""
    asked = [
        Asked(suite, suite.tour, Colours([s.name for s in suite.systems]))
        for suite in suites
        if suite.tour is not None
    ]
    if not asked:
        return []
    parts = [
        Section(f"tour-{part}", title, [*said, *(b for one in asked for b in show(one))])
        for part, title, said, show in (
            ("decision", "Decision: which label?", words.DECISION, _decision),
            ("ranking", "Ranking: which of two?", words.RANKING, _ranking),
            ("detection", "Detection: is it one of these?", words.DETECTION, _detection),
            ("conditional", "Conditional density: how sure?", words.CONDITIONAL, _conditional),
            ("generation", "Generation: what would one look like?", words.GENERATION, _generation),
        )
    ]
    protocol = [block for one in asked for block in _protocol(one)]
    folded = Section("tour-protocol", "Protocol of the five questions", protocol, folded=True)
    command = Command(f"ebmrepro tour {asked[0].suite.name}")
    opening = [Text(words.INTRODUCTION), Text(words.AGAIN), command]
    return [Section("tour", "Five questions one energy can answer", opening, [*parts, folded])]


# Decision --------------------------------------------------------------------------------------


def _decision(asked: Asked) -> Sequence[Block]:
    tour, systems = asked.tour, asked.systems("error_joint")
    if not systems:
        return [Text(f"{asked.suite.title}: {words.NO_LABELS}")]
    share = "share; lower is better"
    blocks: list[Block] = [
        _table(
            asked,
            "decision",
            "Labels by the lowest energy",
            words.DECISION_TABLE,
            {
                "error_joint": Column("Error, clean images", share),
                "error_joint_noisy": Column("Error, noisy images", share),
                "digit_error_alone": Column("In sequences: each alone", share),
                "digit_error_chain": Column("With the chain, F + V", share),
                "digit_error_scaled": Column("With the chain, F / T + V", share),
                "digit_error_alone_random": Column("Random order: each alone", share),
                "digit_error_scaled_random": Column("Random order: F / T + V", share),
            },
        ),
        _table(
            asked,
            "decision-sequences",
            "Whole sequences, and whether the search is exact",
            words.SEQUENCE_TABLE,
            {
                "sequence_error_alone": Column("Sequences with an error: each alone", share),
                "sequence_error_chain": Column("F + V", share),
                "sequence_error_scaled": Column("F / T + V", share),
                "viterbi_exact": Column("Viterbi equals brute force", "share of sequences"),
                "min_sum_exact": Column("Min-sum equals brute force", "share of sequences"),
            },
        ),
    ]
    panels = [Panel("Cost of finding the least energy", partial(_cost, tour), 3.4, left=0.8)]
    panels += [
        Panel(f"{s.title}: the first sequences", partial(_examples, tour, s.name), 4.2, left=0.1)
        for s in systems
        if tour.seeds("labels_scaled", s.name)
    ]
    title = "The least energy of a sequence"
    blocks.append(Figure(asked.name("decision"), title, words.DECISION_FIGURE, panels))
    return blocks


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
    found = {how: tour.seeds(f"labels_{how}", system)[0] for how in ("alone", "scaled")}
    count, length = truth.shape
    rows = [("true", truth), ("alone", found["alone"]), ("chain", found["scaled"])]
    block = 1 + 0.42 * len(rows) + 0.35
    for i in range(count):
        top = -i * block
        picture = tour.arrays["sequences"][i]
        ax.imshow(
            picture,
            cmap="gray",
            vmin=0,
            vmax=255,
            extent=(0, length, top - 1, top),
            interpolation="none",
            aspect="auto",
        )
        for j, (label, labels) in enumerate(rows):
            at = top - 1 - 0.42 * (j + 0.55)
            ax.text(-0.15, at, label, ha="right", va="center", fontsize=7.5, color=MUTED)
            for t, y in enumerate(labels[i]):
                right = y == truth[i, t]
                style: dict[str, Any] = {"color": INK} if right else {"color": WRONG}
                weight = "normal" if right else "bold"
                ax.text(t + 0.5, at, str(y), ha="center", va="center", weight=weight, **style)
    ax.set_xlim(-1.3, length)
    ax.set_ylim(-count * block + 0.3, 0.05)
    ax.set_axis_off()


def times(timed: Sequence[Any]) -> Section:
    """How long the search took just now, for the terminal: rows with `length`, `viterbi`,
    `min_sum` and `brute_force` in seconds (None where not tried) and `labellings`.
    """
    rows = [
        (
            f"T = {row.length}",
            [
                Cell(f"{1e3 * row.viterbi:.2f}"),
                Cell(f"{1e3 * row.min_sum:.2f}"),
                Cell(
                    numbers.NOT_MEASURED
                    if row.brute_force is None
                    else f"{1e3 * row.brute_force:.2f}"
                ),
                Cell(f"{row.labellings:.0e}" if row.labellings >= 1e6 else f"{row.labellings:,}"),
            ],
        )
        for row in timed
    ]
    columns = [Column(name, "ms") for name in ("Viterbi", "Min-sum", "All labellings")]
    columns.append(Column("Labellings"))
    table = Table("times", "Time of the search", words.TIMES, "Length", columns, rows)
    return Section("tour-times", "The search, timed on this machine", [table])


# Ranking ---------------------------------------------------------------------------------------


def _ranking(asked: Asked) -> Sequence[Block]:
    tour = asked.tour
    kinds = [k for k in words.CORRUPTIONS if asked.systems(f"tau_{k}")]
    panels = [
        Panel(words.CORRUPTIONS[k][0], partial(_rise, asked, k, i == 0), 3.1)
        for i, k in enumerate(kinds)
    ]
    return [
        _table(
            asked,
            "ranking",
            "Agreement of energy with the amount of corruption",
            words.RANKING_TABLE,
            {f"tau_{k}": Column(words.CORRUPTIONS[k][0], "tau; higher is better") for k in kinds},
        ),
        Figure(asked.name("ranking"), "Energy as images are spoilt", words.RANKING_FIGURE, panels),
        _gallery(asked, "ladder", "Ladders", words.RANKING_PICTURE, [("One test image", "ranking")])
        if "ranking" in tour.pictures
        else Text(""),
    ]


def _rise(asked: Asked, kind: str, legend: bool, ax: Axes) -> None:
    amounts = asked.tour.arrays[f"amounts_{kind}"]
    for system in asked.systems(f"tau_{kind}"):
        curves = np.stack(asked.tour.seeds(f"rise_{kind}", system.name))
        colour, dash = asked.colours.of(system.name), asked.colours.dash(system.name)
        ax.fill_between(amounts, curves.min(0), curves.max(0), color=colour, alpha=0.15, lw=0)
        ax.plot(amounts, curves.mean(0), color=colour, linestyle=dash, label=system.title)
    figures.level(ax, 0, "")
    ax.set_yscale("symlog", linthresh=1)
    ax.set_yticks([-10, -1, 0, 1, 10, 100], ["−10", "−1", "0", "1", "10", "100"])
    ax.minorticks_off()
    ax.set_xlabel(words.CORRUPTIONS[kind][1])
    ax.set_ylabel("rise of energy, in sd")
    if legend:
        ax.legend(fontsize=7.5, ncols=2, loc="lower right")


# Detection -------------------------------------------------------------------------------------


def _detection(asked: Asked) -> Sequence[Block]:
    found = {name.partition("@")[0] for name in asked.tour.measured["values"]}
    others = sorted(m.removeprefix("auroc_") for m in found if m.startswith("auroc_"))
    kinds = [k for k in words.KINDS if k in others] + [k for k in others if k not in words.KINDS]
    labels = {k: words.KINDS.get(k, f"test images of {k}") for k in kinds}
    panels = []
    for kind in kinds:
        rows = []
        for system in asked.systems(f"auroc_{kind}"):
            values = asked.tour.values(f"auroc_{kind}", system.name)
            shade = asked.colours.of(system.name)
            rows.append((system.title, shade, values, interval(values, numbers.LEVEL)))
        if rows:
            panels.append(figures.dots(labels[kind].capitalize(), rows, "AUROC", 0.5))
    missing = [
        f"{kind}: {why}"
        for kind in kinds
        for why in sorted({*asked.tour.measured["reasons"].values()})
        if not asked.systems(f"auroc_{kind}")
    ]
    blocks: list[Block] = [
        _table(
            asked,
            "detection",
            "Other images told from test images by energy",
            words.DETECTION_TABLE,
            {
                f"auroc_{k}": Column(labels[k].capitalize(), "AUROC; higher is better")
                for k in kinds
            },
        ),
        Figure(asked.name("detection"), "AUROC by kind", words.DETECTION_FIGURE, panels),
    ]
    if missing:
        blocks.append(Text("Not at hand:", missing))
    if "detection" in asked.tour.pictures:
        tiles = [("Test images, then a row for each kind", "detection")]
        blocks.append(_gallery(asked, "kinds", "What is held against", words.KINDS_PICTURE, tiles))
    return blocks


# Conditional density ---------------------------------------------------------------------------


def _conditional(asked: Asked) -> Sequence[Block]:
    systems = asked.systems("temperature")
    if not systems:
        return [Text(f"{asked.suite.title}: {words.NO_LABELS}")]
    nats = "nats; lower is better"
    uniform = asked.tour.values("log_loss_uniform")
    rows = {"No knowledge: 1 / classes": {"log_loss": uniform, "log_loss_scaled": uniform}}
    return [
        _table(
            asked,
            "conditional",
            "Probabilities of labels, before and after scaling",
            words.CONDITIONAL_TABLE,
            {
                "accuracy": Column("Accuracy", "share; higher is better"),
                "confidence": Column("Confidence, T = 1", "mean probability"),
                "confidence_scaled": Column("Confidence, fitted T", "mean probability"),
                "ece": Column("Calibration error, T = 1", "ECE; lower is better"),
                "ece_scaled": Column("Calibration error, fitted T", "ECE; lower is better"),
                "log_loss": Column("Log-loss, T = 1", nats),
                "log_loss_scaled": Column("Log-loss, fitted T", nats),
                "temperature": Column("Fitted T"),
            },
            rows,
        ),
        Figure(
            asked.name("reliability"),
            "Reliability diagram",
            words.RELIABILITY,
            [Panel(s.title, partial(_reliability, asked, s), 3.4) for s in systems],
        ),
    ]


def _reliability(asked: Asked, system: System, ax: Axes) -> None:
    ax.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (1, 2)), linewidth=1.3)
    ways = (("raw", "T = 1", INK, "o"), ("scaled", "fitted T", asked.colours.of(system.name), "s"))
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
    pixel, tour = "RMS pixel error; lower is better", asked.tour
    before, linear = tour.values("denoise_error_noisy"), tour.values("denoise_error_linear")
    mean, guess = tour.values("complete_error_mean"), tour.values("complete_error_linear")
    blocks: list[Block] = [
        _table(
            asked,
            "denoising",
            "Denoising",
            words.DENOISING_TABLE,
            {
                "denoise_error_descent": Column("Descent of the energy", pixel),
                "denoise_error_projection": Column("Projection", pixel),
                "denoise_steps": Column("Steps of the descent"),
            },
            {
                "Left noisy": {"denoise_error_descent": before},
                "No energy: linear filter": {"denoise_error_descent": linear},
            },
        ),
        _gallery(asked, "denoising", "Denoised", words.DENOISING, _tiles(asked, "denoising")),
        _table(
            asked,
            "completion",
            "Completion of the right half",
            words.COMPLETION_TABLE,
            {
                "complete_error_descent": Column("Descent of the energy", pixel),
                "complete_error_gibbs": Column("Clamped Gibbs sampling", pixel),
            },
            {
                "Filled with the mean image": {"complete_error_descent": mean},
                "No energy: linear guess": {"complete_error_descent": guess},
            },
        ),
        _gallery(asked, "completion", "Completed", words.COMPLETION, _tiles(asked, "completion")),
        _table(
            asked,
            "sampling",
            "Distance of samples from the training images",
            words.SAMPLING_TABLE,
            {
                "sample_distance_own": Column("Own sampler", "RMS pixel distance"),
                "sample_distance_descent": Column("Descent from noise", "RMS pixel distance"),
            },
            {"Test images": {"sample_distance_own": tour.values("sample_distance_test")}},
        ),
        _gallery(asked, "sampling", "Samples", words.SAMPLING, _tiles(asked, "sampling")),
    ]
    return [b for b in blocks if not isinstance(b, Gallery) or b.tiles]


def _tiles(asked: Asked, picture: str) -> Sequence[tuple[str, str]]:
    own = [(s.title, f"{picture}-{s.name}") for s in asked.suite.systems]
    base = [("No energy: linear", picture)] if picture in asked.tour.pictures else []
    return [*base, *(tile for tile in own if tile[1] in asked.tour.pictures)]


# What parts are made of ------------------------------------------------------------------------


def _table(
    asked: Asked,
    name: str,
    title: str,
    caption: str,
    columns: dict[str, Column],
    rows: dict[str, dict[str, Sequence[float]]] | None = None,
) -> Table:
    """Systems down, measures across; first `rows` that need no system."""
    first = [
        (label, [_cell(m, values.get(m, ())) for m in columns])
        for label, values in (rows or {}).items()
    ]
    own = [
        (s.title, [_cell(m, asked.tour.values(m, s.name)) for m in columns])
        for s in asked.suite.systems
        if any(asked.tour.values(m, s.name) for m in columns)
    ]
    heading = f"{asked.suite.title}: {title[0].lower()}{title[1:]}"
    return Table(
        asked.name(name), heading, caption, "System", list(columns.values()), [*first, *own]
    )


def _cell(measure: str, values: Sequence[float]) -> Cell:
    """Mean with its interval; no interval where nothing varies, as without a trained model."""
    if not values:
        return Cell(numbers.NOT_APPLICABLE)
    digits = 1 if measure == "denoise_steps" else DIGITS
    found = interval(values, numbers.LEVEL)
    varies = min(values) < max(values)
    small = numbers.bounds(found, digits) if varies else ""
    return Cell(numbers.number(found.mean, digits), small)


def _gallery(
    asked: Asked, name: str, title: str, caption: str, tiles: Sequence[tuple[str, str]]
) -> Gallery:
    pngs = [Tile(label, asked.tour.pictures[picture]) for label, picture in tiles]
    return Gallery(asked.name(name), title, caption, pngs)


def _protocol(asked: Asked) -> Sequence[Block]:
    told = {
        name.partition("@")[0]: sentence
        for name, sentence in asked.tour.measured["protocol"].items()
    }
    rows = [(measure, [Cell(sentence)]) for measure, sentence in sorted(told.items())]
    heading = f"{asked.suite.title}: how each number was measured"
    columns = [Column("How it is measured")]
    caption = words.PROTOCOL
    return [Table(asked.name("protocol"), heading, caption, "Name", columns, rows, words=True)]
