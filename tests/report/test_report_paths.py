"""Paths through z between real images: shown where a suite asks for them, and nowhere else."""

from dataclasses import replace
from pathlib import Path

import made_up
import numpy as np
import pytest

from ebmrepro.networks import images
from ebmrepro.report import suite
from ebmrepro.report.blocks import Gallery
from ebmrepro.report.gather import Suite, gather

ASKED = {"rows": 2, "between": 3, "steps": 7, "lr": 0.25}


@pytest.fixture
def found(tmp_path: Path) -> Suite:
    """Two systems of which one has a picture of its paths: 3 kinds, 2 rows, 3 + 2 columns."""
    settings = made_up.params(methods=["dcgan", "began"], variants=[], seeds=(0,))
    made_up.results(tmp_path, settings)
    grid = images.grid(np.zeros((30, 1, 8, 8), np.uint8), 5)
    images.save_png(tmp_path / "results/digits/began/0/paths.png", grid)
    return gather(tmp_path, settings)[0]


def test_a_suite_that_asks_for_paths_shows_those_there_are(found: Suite):
    (gallery,) = suite.paths(replace(found, evaluate={**found.evaluate, "paths": ASKED}))
    assert isinstance(gallery, Gallery)
    assert [tile.label for tile in gallery.tiles] == ["BEGAN"]
    assert "2 rows from a real image" in gallery.caption
    assert "7 steps of Adam at rate 0.25" in gallery.caption


def test_a_suite_that_asks_for_none_shows_none(found: Suite):
    assert suite.paths(found) == []
