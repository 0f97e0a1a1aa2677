"""The section on likelihoods of RBMs and the lower bound of a stack, from results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from matplotlib.axes import Axes

from ebmrepro.metrics import catalogue
from ebmrepro.report import numbers
from ebmrepro.report.blocks import (
    Block,
    Cell,
    Column,
    Command,
    Figure,
    Panel,
    Section,
    Table,
    Text,
    slug,
)
from ebmrepro.report.figures import INK, MUTED, PALETTE
from ebmrepro.report.gather import Run, Suite, System

METHOD = "rbm"
LIKELIHOOD, BOUND = "log_likelihood", "log_likelihood_bound"
# Salakhutdinov and Murray (2008): widths of the layers, k of the first -> nats per test image.
# That of CD-25 was found in somebody else's code, the others are recalled.
PUBLISHED: Mapping[tuple[tuple[int, ...], int], float] = {
    ((500,), 1): -125.53,
    ((500,), 3): -105.50,
    ((500,), 25): -86.34,
    ((500, 2000), 25): -86.22,
}
INTRODUCTION = (
    "An energy becomes a probability only with its log Z, a sum over 2^784 images. Annealed "
    "importance sampling (AIS) estimates it: chains start from units that are independent, whose Z "
    "is known, and go to the trained RBM in small steps of inverse temperature; each chain ends "
    "with a weight whose mean is the ratio of the two Z."
)
CAUTION = (
    "The interval of AIS, three standard errors of the mean weight, knows only of the chains that "
    "were run. Where the effective sample size is near 1, one chain decided, and log Z may be "
    "higher, hence every likelihood lower, than the interval says."
)
TABLE = (
    "Mean log p(v) of test images in nats, each pixel drawn once from its grey level; higher is "
    "better. Mean over training seeds with its 95 % interval; the interval of AIS (three standard "
    "errors) is the mean over seeds of its ends. Of the stack the number is a lower bound. Layers "
    "and k differ, everything else is the same but for the share of the epochs that was run."
)
PAPER = (
    "Salakhutdinov and Murray (2008). The value of CD-25 was found in somebody else's code, the "
    "others are recalled and unchecked."
)
FIGURE = (
    "Test log-likelihood of each training seed (dots; of the stack its lower bound), and what the "
    "paper prints (upright strokes). Further right is better. CD-k is expected to learn a better "
    "density with more steps k, by far."
)
EXACT = (
    "Where the states of the hidden units can be enumerated, log Z is known. A row for each "
    "training seed, because log Z of two trainings cannot be compared: the exact value, the AIS "
    "estimate with its interval of three standard errors, and, over independent trials of AIS, the "
    "share whose own interval holds the exact value, and the error of the estimates."
)


def section(suites: Sequence[Suite]) -> Sequence[Section]:
    """One section for each suite whose RBMs were measured."""
    found = []
    for suite in suites:
        systems = [s for s in suite.systems if s.base == METHOD and s.measured]
        if systems:
            at = f"{slug(suite.name)}-likelihoods"
            found.append(Section(at, f"Likelihoods on {suite.title}", _blocks(suite, systems)))
    return found


def _blocks(suite: Suite, systems: Sequence[System]) -> Sequence[Block]:
    names = " ".join(system.name for system in systems)
    again = f"for s in {names}; do python stages/evaluate.py {suite.name} $s; done"
    return [
        Text(INTRODUCTION),
        Text(CAUTION),
        _table(systems),
        _figure(suite, systems),
        *_against_exact(systems),
        Command(again),
    ]


def title(system: System) -> str:
    """What a system is: its widths, and k of each layer."""
    widths, ks = (system.numbers[f"hparams.{key}"] for key in ("layers", "cd_steps"))
    kind = "RBM" if len(widths) == 1 else "Stack"
    steps = ", ".join(f"CD-{k}" for k in ks)
    return f"{kind}, {'-'.join(map(str, widths))} hidden units, {steps}"


def measure(system: System) -> str:
    return LIKELIHOOD if len(system.numbers["hparams.layers"]) == 1 else BOUND


def published(system: System) -> float | None:
    widths = tuple(system.numbers["hparams.layers"])
    return PUBLISHED.get((widths, system.numbers["hparams.cd_steps"][0]))


def _table(systems: Sequence[System]) -> Table:
    notes = numbers.Notes()
    rows = []
    for system in systems:
        paper, name = published(system), measure(system)
        cited = (notes.cite(PAPER),) if paper is not None else ()
        cells = [
            Cell(numbers.NOT_APPLICABLE if paper is None else _nats(paper), notes=cited),
            _over_seeds(system, name),
            Cell(_interval_of_ais(system, name)),
            _over_seeds(system, f"{name}_train"),
            _over_seeds(system, "ais_effective"),
            _over_seeds(system, "ais_temperatures"),
            Cell(str(len(system.measured))),
        ]
        rows.append((title(system), cells))
    columns = [
        Column("Paper", "test, nats"),
        Column("Test", "nats; higher is better"),
        Column("Test, interval of AIS", "nats"),
        Column("Training images", "nats"),
        Column("Effective sample size", "chains"),
        Column("Temperatures"),
        Column("Seeds", "n"),
    ]
    return Table("likelihoods", "Log-likelihoods", TABLE, "Model", columns, rows, notes.texts)


def _over_seeds(system: System, name: str) -> Cell:
    found = numbers.over_seeds(system, name)
    if found is None:
        return Cell(numbers.NOT_MEASURED)
    digits = catalogue.describe(name).digits
    return Cell(numbers.number(found.mean, digits), numbers.bounds(found, digits))


def _interval_of_ais(system: System, name: str) -> str:
    """The ends of AIS's interval, each the mean over seeds; an end no seed may lack."""
    ends = []
    for end in ("low", "high"):
        values = [run.value(f"{name}_{end}") for run in system.measured]
        known = [value for value in values if value is not None]
        ends.append(_nats(sum(known) / len(known)) if len(known) == len(values) else "no end")
    return f"[{ends[0]}, {ends[1]}]"


def _nats(value: float) -> str:
    return numbers.number(value, catalogue.describe(LIKELIHOOD).digits)


def _figure(suite: Suite, systems: Sequence[System]) -> Figure:
    height = 1.1 + 0.45 * len(systems)
    panel = Panel("Test log-likelihood", partial(_dots, systems), height=height, left=1.7)
    name = f"{slug(suite.name)}-likelihoods"
    return Figure(name, "Likelihoods beside the published ones", FIGURE, [panel])


def _dots(systems: Sequence[System], ax: Axes) -> None:
    for y, system in enumerate(systems):
        found = [v for run in system.measured if (v := run.value(measure(system))) is not None]
        ax.plot(found, [y] * len(found), "o", color=PALETTE[2], markersize=5, alpha=0.8)
        if (paper := published(system)) is not None:
            ax.plot([paper, paper], [y - 0.3, y + 0.3], color=INK)
    labels = [title(system).replace(" hidden units, ", " hidden\n") for system in systems]
    ax.set_yticks(range(len(systems)), labels)
    ax.set_ylim(len(systems) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("nats per image", color=MUTED)


def _against_exact(systems: Sequence[System]) -> Sequence[Table]:
    rows = [
        (f"{title(system)}, seed {run.seed}", _trials(run))
        for system in systems
        for run in system.measured
        if run.value("log_z_exact") is not None
    ]
    if not rows:
        return []
    columns = [
        Column("log Z, exact", "nats"),
        Column("log Z, AIS", "nats; interval of 3 standard errors"),
        Column("Trials"),
        Column("Intervals that hold it", "share of trials"),
        Column("Mean error", "nats"),
        Column("Largest error", "nats"),
        Column("Effective sample size", "chains"),
    ]
    return [Table("ais", "AIS against enumeration", EXACT, "Model", columns, rows)]


def _trials(run: Run) -> Sequence[Cell]:
    def cell(name: str) -> Cell:
        value = run.value(name)
        if value is None:
            return Cell(numbers.NOT_MEASURED)
        return Cell(numbers.number(value, catalogue.describe(name).digits))

    low, high = (cell(f"log_z_{end}").main for end in ("low", "high"))
    return [
        cell("log_z_exact"),
        Cell(cell("log_z").main, f"[{low}, {high}]"),
        *map(cell, ("ais_trials", "ais_within", "ais_error", "ais_error_worst", "ais_effective")),
    ]
