"""What changes with the epochs of a training: orders of batches, momenta, learning rates."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import small
import torch

from ebmrepro.config.optimisers import SGD, Adam, Adamax, Momentum, Optim
from ebmrepro.runs import run
from ebmrepro.training.loop import Training

MOMENTUM = Momentum(initial=0.2, final=0.7, epochs=1)
SPECS: dict[str, Optim] = {  # the momentum changes within every phase, however short
    "adam": Adam(name="adam", lr=0.01, beta1=0.5, beta2=0.9),
    "adamax": Adamax(name="adamax", lr=0.01, beta1=0.5, beta2=0.9),
    "sgd": SGD(name="sgd", lr=0.01, momentum=MOMENTUM, weight_decay=0.01),
}


def training(name: str, spec: Optim) -> Training:
    """A method all of whose players have one optimiser; BEGAN's rates fall at every epoch."""
    changes: dict[str, Any] = {}
    changes |= {"stall": {"epochs": 1, "factor": 0.5, "floor": 0.01}} if name == "began" else {}
    model = small.build(name, **changes)
    if name == "began":
        model.least.fill_(-1.0)  # no epoch is a new least
    batches = small.training(model, name).batches
    return Training(model, batches, dict.fromkeys(small.shipped(name).optim, spec))


def numbers(one: Training) -> dict[str, tuple[float, ...]]:
    return {name: player.optimiser.numbers for name, player in one.players.items()}


@pytest.mark.parametrize(
    ("name", "spec"),
    [(name, "sgd") for name in small.METHODS]
    + [(name, spec) for name in ("began", *small.LADDERS) for spec in ("adam", "adamax")],
)  # of the others' numbers only momenta change
def test_a_step_after_a_resumption_is_made_with_the_numbers_of_an_unbroken_one(
    name: str, spec: str
):
    """Of every step there is, so in every phase: each is taken by a training made for it alone."""
    whole, seen = training(name, SPECS[spec]), {}
    steps, state = whole.steps(), copy.deepcopy(whole.state())
    for i in range(whole.method.epochs * len(whole.batches)):
        again = training(name, SPECS[spec])
        again.restore(state)
        made_with = numbers(whole)
        assert numbers(again) == made_with, i
        for player, values in made_with.items():
            seen.setdefault(player, set()).add(values)
        next(again.steps())
        whole.set_random(state)
        next(steps)
        state, found = copy.deepcopy(whole.state()), again.state()
        for key, value in state["method"].items():
            assert torch.equal(found["method"][key], value), (i, key)
    assert all(len(values) > 1 for values in seen.values()), seen


def test_every_epoch_of_a_training_has_an_order_of_its_own_and_every_seed_has(
    monkeypatch: pytest.MonkeyPatch,
):
    """Of what is prepared from a block of params.yaml, and gone through by the loop."""
    block = small.shipped("ebgan").model_copy(update={"batch_size": 8})
    orders = []
    for seed in range(3):
        one = run.prepared(small.build("ebgan"), *small.pictures(), block, seed)
        take, epochs = one.batches.take, [[] for _ in range(one.method.epochs)]

        def seen(take: Any = take, one: Training = one, epochs: Any = epochs) -> Any:
            x, y = take()
            epochs[one.epoch].append(x)
            return x, y

        monkeypatch.setattr(one.batches, "take", seen)
        list(one.epochs())
        orders += [torch.cat(epoch) for epoch in epochs]
    assert len(orders) == 9
    pairs = [(a, b) for i, a in enumerate(orders) for b in orders[:i]]
    assert not any(torch.equal(a, b) for a, b in pairs)


def test_a_training_that_goes_back_forgets_what_it_has_summed_since():
    training = small.training(small.build("ebgan"), "ebgan")
    records = training.epochs()
    next(records)
    start = copy.deepcopy(training.state())
    first = list(records)
    training.restore(copy.deepcopy(start))
    for _ in zip(range(2), training.steps(), strict=False):
        pass
    training.restore(copy.deepcopy(start))
    assert list(training.epochs()) == first
