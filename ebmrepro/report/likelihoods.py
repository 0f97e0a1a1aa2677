"""The section on likelihoods of RBMs and the lower bound of a stack, from results alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes

from ebmrepro.claims import commands
from ebmrepro.metrics import catalogue
from ebmrepro.report import figures, numbers
from ebmrepro.report.blocks import Block, Cell, Command, Panel, Section, slug
from ebmrepro.report.figures import INK, MUTED
from ebmrepro.report.gather import Run, Suite, System
from ebmrepro.report.published import share
from ebmrepro.report.words import Words

LIKELIHOOD, BOUND = "log_likelihood", "log_likelihood_bound"
WORDS = Words("likelihoods")


def section(suites: Sequence[Suite]) -> Sequence[Section]:
    """One section for each suite whose RBMs were measured."""
    method = WORDS["method"]
    return [
        _of(suite, systems)
        for suite in suites
        # A result whose training.json is gone does not say how wide its layers are.
        if (systems := [s for s in suite.systems if s.base == method and s.measured and s.numbers])
    ]


def _of(suite: Suite, systems: Sequence[System]) -> Section:
    at = slug(suite.name)
    seeds = {system.name: [run.seed for run in system.measured] for system in systems}
    again = commands.carried_again(suite.name, seeds)
    systems = sorted(systems, key=_place)
    height = 1.1 + 0.58 * len(systems)
    labels = [_label(system) for system in systems]
    left = figures.room_for(labels)
    panel = Panel("Test log-likelihood", partial(_dots, systems, labels), height=height, left=left)
    blocks = [
        WORDS.text("introduction"),
        *_table(systems, at),
        *WORDS.figure("figure", [panel], at),
        WORDS.text("caution"),
        *_certainty(systems, at),
        *_against_exact(systems, at),
        Command(again),
    ]
    heading = WORDS["title"].format(suite=suite.title)
    return Section(f"{at}-likelihoods", heading, blocks)


def _place(system: System) -> tuple[int, int, Sequence[int], bool]:
    """As the paper counts: one layer before two, the widest first, then by k."""
    widths, ks = (system.numbers[f"hparams.{key}"] for key in ("layers", "cd_steps"))
    return len(widths), -widths[0], ks, _is_by_recipe(system)


def title(system: System) -> str:
    """What a system is: its widths, k of each layer, and whether it is trained as in the paper."""
    widths, ks = (system.numbers[f"hparams.{key}"] for key in ("layers", "cd_steps"))
    kind = "RBM" if len(widths) == 1 else "Stack"
    steps = ", ".join(f"CD-{k}" for k in ks)
    recipe = f", {WORDS['by_recipe']}" if _is_by_recipe(system) else ""
    return f"{kind}, {'-'.join(map(str, widths))} hidden units, {steps}{recipe}"


def _is_by_recipe(system: System) -> bool:
    asked = WORDS["recipe"].items()
    return all(system.numbers.get(f"hparams.{key}") == value for key, value in asked)


def measure(system: System) -> str:
    return LIKELIHOOD if len(system.numbers["hparams.layers"]) == 1 else BOUND


def published(system: System) -> float | None:
    widths, ks = system.numbers["hparams.layers"], system.numbers["hparams.cd_steps"]
    paper = (p["nats"] for p in WORDS["published"] if (p["layers"], p["k"]) == (widths, ks[0]))
    return next(paper, None)


def _table(systems: Sequence[System], at: str) -> Sequence[Block]:
    notes: list[str] = []
    rows = []
    for system in systems:
        paper, name = published(system), measure(system)
        cited = (numbers.cite(notes, WORDS["paper"]),) if paper is not None else ()
        cells = [
            Cell(numbers.NOT_APPLICABLE if paper is None else _nats(paper), notes=cited),
            Cell(share([system])),
            numbers.mean(system, name),
            numbers.mean(system, f"{name}_train"),
            numbers.seeds(system),
        ]
        rows.append((title(system), cells))
    return WORDS.table("likelihoods", rows, at, notes=notes)


def _certainty(systems: Sequence[System], at: str) -> Sequence[Block]:
    names = ("ais_effective", "log_z_gap", "r_hat", "ais_temperatures")
    rows = [
        (
            title(system),
            [
                Cell(_interval_of_ais(system, measure(system))),
                *(numbers.mean(system, name) for name in names),
            ],
        )
        for system in systems
    ]
    return WORDS.table("certainty", rows, at)


def _interval_of_ais(system: System, name: str) -> str:
    """The ends of AIS's interval, each the mean over seeds; an end no seed may lack."""
    ends = []
    for end in ("low", "high"):
        known = system.values(f"{name}_{end}")
        whole = len(known) == len(system.measured)
        ends.append(_nats(sum(known) / len(known)) if whole else "no end")
    return f"[{ends[0]}, {ends[1]}]"


def _nats(value: float) -> str:
    return numbers.number(value, catalogue.describe(LIKELIHOOD).digits)


def _label(system: System) -> str:
    """Its title and share of the budget, in short lines."""
    return f"{title(system)}\n{share([system])}".replace(" hidden units, ", " hidden\n")


def _dots(systems: Sequence[System], labels: Sequence[str], ax: Axes) -> None:
    for y, system in enumerate(systems):
        found = system.values(measure(system))
        colour = figures.colour(system.name)
        ax.plot(found, [y] * len(found), "o", color=colour, markersize=5, alpha=0.8)
        if (paper := published(system)) is not None:
            ax.plot([paper, paper], [y - 0.3, y + 0.3], color=INK)
    ax.set_yticks(range(len(systems)), labels)
    ax.set_ylim(len(systems) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("nats per image", color=MUTED)


def _against_exact(systems: Sequence[System], at: str) -> Sequence[Block]:
    rows = [
        (f"{title(system)}, seed {run.seed}", _trials(run))
        for system in systems
        for run in system.measured
        if run.value("log_z_exact") is not None
    ]
    return WORDS.table("ais", rows, at)


def _trials(run: Run) -> Sequence[Cell]:
    def cell(name: str) -> Cell:
        if (value := run.value(name)) is None:
            return Cell(numbers.NOT_MEASURED)
        return Cell(numbers.number(value, catalogue.describe(name).digits))

    low, high = (cell(f"log_z_{end}").main for end in ("low", "high"))
    return [
        cell("log_z_exact"),
        Cell(cell("log_z").main, f"[{low}, {high}]"),
        *map(cell, ("ais_trials", "ais_within", "ais_error", "ais_error_worst", "ais_effective")),
    ]
