"""Which networks the grid holds, and the order in which they are drawn."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ebmrepro.config.grid import NETWORK, Grid, GridTable

Kind = Literal["ebgan", "gan", "ebgan_pt", "sweep"]
ORDER = {"ebgan": 0, "gan": 1}  # of the generators that draw, so that one draw moves no other


@dataclass(frozen=True)
class Configuration:
    """The numbers of one small training, in the paper's names; its kind says by which loss."""

    kind: Kind
    nLayerG: int
    nLayerD: int  # in an EBGAN of Enc and Dec together; Dec is one layer
    sizeG: int
    sizeD: int
    dropoutD: bool
    optimD: Literal["adam", "sgd"]
    optimG: Literal["adam", "sgd"]
    lr: float  # of both players
    margin: float | None  # m; None in a GAN

    @property
    def name(self) -> str:
        """One word that tells it from all others, also as the name of a file."""
        margin = "" if self.margin is None else f"-m{self.margin:g}"
        return (
            f"{self.kind}-G{self.nLayerG}x{self.sizeG}-D{self.nLayerD}x{self.sizeD}"
            f"-{'dropout' if self.dropoutD else 'whole'}"
            f"-{self.optimG}-{self.optimD}-lr{self.lr:g}{margin}"
        )


def table(kind: Literal["ebgan", "gan"], values: GridTable, margin: float) -> list[Configuration]:
    """All combinations of a column of table 1, the last setting fastest."""
    keys = list(type(values).model_fields)
    m = margin if kind == "ebgan" else None
    return [
        Configuration(kind, **dict(zip(keys, each, strict=True)), margin=m)
        for each in itertools.product(*(getattr(values, key) for key in keys))
    ]


def drawn(kind: Literal["ebgan", "gan"], grid: Grid, count: int, seed: int) -> list[Configuration]:
    """`count` configurations without repetition; of one seed, fewer are the first of more."""
    there, rng = table(kind, getattr(grid.table, kind), grid.margin), _order(kind, seed)
    if kind == "gan" and grid.draw.matched:
        return _matched(there, grid, count, seed)
    return [there[i] for i in rng.permutation(len(there))[:count]]


def _matched(there: list[Configuration], grid: Grid, count: int, seed: int) -> list[Configuration]:
    """GANs in the order of the EBGANs whose networks they have: every panel of figure 2 then holds
    as many of either kind, and those of figure 3 (a GAN's optimisers and rate) differ by one.
    """
    ebgans = drawn("ebgan", grid, grid.table.ebgan.count, seed)
    networks = [*dict.fromkeys(map(_network, ebgans))]
    panels = [*dict.fromkeys(map(_panel, there))]
    panels = [panels[i] for i in _order("gan", seed).permutation(len(panels))]
    found = {(_network(each), _panel(each)): each for each in there}
    chosen = []
    for i in range(count):
        lap, place = divmod(i, len(networks))
        chosen.append(found[networks[place], panels[(place + lap) % len(panels)]])
    return chosen


def _order(kind: Literal["ebgan", "gan"], seed: int) -> np.random.Generator:
    return np.random.default_rng((seed, ORDER[kind]))


def _network(chosen: Configuration) -> tuple[Any, ...]:
    return tuple(getattr(chosen, key) for key in NETWORK)


def _panel(chosen: Configuration) -> tuple[str, str, float]:
    return chosen.optimD, chosen.optimG, chosen.lr


def chosen(grid: Grid, seed: int) -> list[Configuration]:
    """Every training that a grid asks for: EBGANs and GANs in turn, EBGAN-PTs, the margin sweep."""
    ebgan = drawn("ebgan", grid, grid.draw.ebgan, seed)
    gan = drawn("gan", grid, grid.draw.gan, seed)
    pairs = itertools.zip_longest(ebgan, gan)
    pt = [replace(each, kind="ebgan_pt") for each in ebgan[: grid.draw.ebgan_pt]]
    return [*(each for pair in pairs for each in pair if each), *pt, *sweep(grid)]


def sweep(grid: Grid) -> list[Configuration]:
    """Figure 9: one EBGAN with each margin."""
    own = {**dict(grid.sweep), "kind": "sweep", "optimD": "adam", "optimG": "adam"}
    margins = own.pop("margins")
    return [Configuration(**own, margin=margin) for margin in margins]
