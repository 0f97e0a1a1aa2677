"""Lines of one panel: each can be told from the others, and their legend hides none."""

import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas

from ebmrepro.report import figures
from ebmrepro.report.curves import _lines
from ebmrepro.report.figures import MANY, Line
from ebmrepro.report.gather import System

CURVES = [np.linspace(0, 1, 5)]


def systems(*names: str) -> list[System]:
    return [System(name, name, name.partition("__")[0], {}, [], []) for name in names]


def test_many_variants_of_one_method_have_a_colour_each():
    variants = systems("began", *(f"began__v{i}" for i in range(MANY)))
    lines = _lines(variants, [CURVES] * len(variants))
    assert len({line.colour for line in lines}) == len(lines)
    assert lines[0].colour == figures.colour("began")
    assert {line.dash for line in lines} == {"-"}


@pytest.mark.parametrize(
    "names", [("began", "began__low"), ("ebgan", "ebgan__a", "ebgan__b", "magan", "began")]
)
def test_few_lines_and_those_of_several_methods_have_their_methods_colours(names: tuple[str, ...]):
    lines = _lines(systems(*names), [CURVES] * len(names))
    assert [line.colour for line in lines] == [figures.colour(name) for name in names]


@pytest.mark.parametrize(("count", "log"), [(MANY, False), (MANY + 1, False), (2, True)])
def test_a_legend_of_many_lines_or_of_a_logarithmic_axis_stands_above_them(count: int, log: bool):
    lines = [Line([np.array([1.0, 10.0])], figures.INK, str(i)) for i in range(count)]
    ax = Canvas().add_subplot()
    figures.over_epochs("title", lines, "epoch", "y", log=log).draw(ax)
    legend, top = ax.get_legend(), ax.transData.transform((1, 10))[1]
    assert legend is not None
    assert (legend.get_window_extent().y0 > top) == (count > MANY or log)


@pytest.mark.parametrize(
    ("value", "told"), [(0.03, "0.03"), (10_000, "10000"), (3e5, "3e5"), (1e12, "1e12")]
)
def test_a_tick_is_as_short_as_its_room(value: float, told: str):
    assert figures._tick(value, 0) == told


def test_a_key_names_every_line_and_draws_none():
    ax = Canvas().add_subplot()
    named = [(name, figures.colour(name), figures.dash(name)) for name in ("dbn", "ebgan__noise")]
    figures.key(named).draw(ax)
    legend = ax.get_legend()
    assert legend is not None and not ax.axison
    assert [text.get_text() for text in legend.get_texts()] == ["dbn", "ebgan__noise"]
    assert [line.get_color() for line in legend.get_lines()] == [colour for _, colour, _ in named]
