"""The plane in a size that tests can afford."""

from __future__ import annotations

from typing import Any

from params_file import shipped

from ebmrepro.config.plane import Fundamentals

SHIPPED = shipped().fundamentals


def asked(**changes: Any) -> Fundamentals:
    """The shipped numbers with `changes` by dotted key."""
    tree = SHIPPED.model_dump()
    for key, value in changes.items():
        *path, last = key.split("__")
        block = tree
        for part in path:
            block = block[part]
        block[last] = value
    return Fundamentals.model_validate(tree)


SMALL = asked(
    seeds=[0, 1],
    train=200,
    held_out=100,
    training__cd__steps=12,
    training__cd__langevin_steps=2,
    training__ml__steps=12,
    training__ebgan__steps=12,
    grid=64,
    sampling__chains=20,
    sampling__moves=4,
    sampling__every=1,
    sampling__ring_chains=20,
    sampling__ring_moves=4,
    ais__chains=10,
    ais__temperatures=5,
    partition__dimensions=2,
    partition__ais__chains=10,
    partition__ais__temperatures=5,
    film__frames=3,
    film__points=5,
    film__moves=1,
    dials__seeds=[0, 1],
    dials__moments=2,
    dials__points=100,
    dials__gamma__steps=4,
    dials__margin__steps=4,
    dials__pt_weight__steps=4,
)
