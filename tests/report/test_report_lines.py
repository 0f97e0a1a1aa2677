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


@pytest.mark.parametrize("count", [MANY, MANY + 1])
def test_a_legend_of_many_lines_stands_above_them(count: int):
    lines = [Line(CURVES, figures.INK, str(i)) for i in range(count)]
    ax = Canvas().add_subplot()
    figures.over_epochs("title", lines, "epoch", "y").draw(ax)
    assert (ax.get_ylim()[1] > 1 + figures.ROOM) == (count > MANY)
