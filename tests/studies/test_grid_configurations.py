"""EBGAN's grid: what is in it, and what is drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from params_file import part_of_text
from small_grid import GRID

from ebmrepro.config import documents, params
from ebmrepro.config.grid import Grid
from ebmrepro.studies.grid import configurations
from ebmrepro.studies.grid.configurations import Configuration


def matched() -> Grid:
    return GRID.model_copy(update={"draw": GRID.draw.model_copy(update={"matched": True})})


def test_table_1_holds_512_ebgans_and_6144_gans():
    sizes: list[tuple[Any, int]] = [("ebgan", 512), ("gan", 6144)]
    for kind, count in sizes:
        there = configurations.table(kind, getattr(GRID.table, kind), GRID.margin)
        assert len(there) == getattr(GRID.table, kind).count == count
        assert len({each.name for each in there}) == count  # a name is one configuration's
        assert {each.margin for each in there} == ({10.0} if kind == "ebgan" else {None})


@settings(max_examples=10)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from(["ebgan", "gan"]), st.sampled_from([GRID, matched()])
)
def test_a_larger_draw_contains_a_smaller_one(seed: int, kind: Any, grid: Grid):
    count = getattr(grid.table, kind).count
    whole = configurations.drawn(kind, grid, count, seed)
    assert len({each.name for each in whole}) == count
    for n in (1, 2, 24, 25, 100, count - 1):
        assert configurations.drawn(kind, grid, n, seed) == whole[:n]


@pytest.mark.parametrize("seed", [0, 1])
def test_matched_gans_fill_every_panel_alike(seed: int):
    """Figure 2's, by depth, as EBGANs do; figure 3's, by optimisers and rate, as one another."""
    grid = matched()
    ebgan, gan = (configurations.drawn(kind, grid, 512, seed) for kind in ("ebgan", "gan"))
    keys = ("nLayerG", "nLayerD", "sizeG", "sizeD", "dropoutD")
    for one, other in zip(ebgan, gan, strict=True):
        assert all(getattr(one, key) == getattr(other, key) for key in keys)
    for n in (12, 24, 504):
        panels = Counter((each.optimD, each.optimG, each.lr) for each in gan[:n])
        assert set(panels.values()) == {n // 12} and len(panels) == 12
    assert ebgan == configurations.drawn("ebgan", GRID, 512, seed)
    different = [[each.name for each in configurations.drawn("gan", grid, 24, s)] for s in (2, 3)]
    assert different[0] != different[1]


def test_gans_are_matched_where_both_columns_have_the_same_networks():
    tree = matched().model_dump()
    tree["table"]["gan"]["sizeG"] = [400]
    with pytest.raises(ValueError, match="matched: found true; table"):
        Grid.model_validate(tree)


def test_a_draw_of_one_kind_moves_no_other_and_a_seed_moves_both():
    def of(kind: str, grid: Grid, seed: int = 0) -> list[Configuration]:
        return [each for each in configurations.chosen(grid, seed) if each.kind == kind]

    more = GRID.model_copy(update={"draw": GRID.draw.model_copy(update={"gan": 40})})
    assert of("ebgan", more) == of("ebgan", GRID)
    assert of("gan", more)[:24] == of("gan", GRID)
    assert of("gan", GRID, seed=1) != of("gan", GRID)
    assert of("ebgan", GRID, seed=1) != of("ebgan", GRID)


def test_pulling_away_is_tried_on_the_first_of_the_same_ebgans():
    chosen = configurations.chosen(GRID, 3)
    ebgan = [each for each in chosen if each.kind == "ebgan"]
    pt = [each for each in chosen if each.kind == "ebgan_pt"]
    assert pt == [replace(each, kind="ebgan_pt") for each in ebgan[:8]]


def test_the_sweep_is_figure_9s():
    chosen = [each for each in configurations.chosen(GRID, 0) if each.kind == "sweep"]
    assert [each.margin for each in chosen] == [1, 2, 4, 6, 8, 12, 16, 32]
    assert {(e.nLayerG, e.nLayerD, e.sizeG, e.sizeD, e.dropoutD, e.lr) for e in chosen} == {
        (5, 2, 1600, 1024, False, 0.001)
    }


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            "    dropout: 0.5",
            "    droput: 0.5",
            "mnist.grid.droput: unknown key; allowed are epoch_fr",
        ),
        ("best: 64}", "bst: 64}", "mnist.grid.score.bst: unknown key; allowed are gen"),
        ("    dropout: 0.5\n", "", "mnist.grid.dropout: this key is missing; needed are epoch_fr"),
        ("ebgan: 24, gan: 24", "ebgan: 24, gan: 7000", "draw.gan: found 7000; table.gan has 6144"),
        (
            "ebgan_pt: 8,",
            "ebgan_pt: 30,",
            "draw.ebgan_pt: found 30; they are drawn among",
        ),
        (
            "activation: relu,\n        batch_norm: false}\n      epochs: 5",
            "activation: relu,\n        batch_norm: true}\n      epochs: 5",
            "mnist.grid.classifier.network.batch_norm: found true; the judge has none",
        ),
        (
            "network: {kind: mlp, hidden: [500, 500],",
            "network: {kind: conv, channels: [8, 8, 8, 8, 8],",
            "mnist.grid.classifier.network.channels: found 5 layers of stride 2; images of 28x28",
        ),
        ("lr: [0.001]", "lr: [0.001, 0.001]", "table.ebgan.lr: found [0.001, 0.001]; it should"),
        (
            "  grids: []",
            "  grids: [digits]",
            "run.grids: no suite with `grid` 'digits'; there are m",
        ),
    ],
)
def test_a_wrong_grid_is_one_line_that_names_its_key(
    before: str, after: str, told: str, tmp_path: Path
):
    text = part_of_text("mnist")
    assert before in text
    (tmp_path / "params.yaml").write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(documents.ParamsError) as refused:
        params.load(tmp_path / "params.yaml")
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
