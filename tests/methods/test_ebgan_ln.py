"""EBGAN-LN's game: its hinge, its margin's schedule, and who plays when."""

import pytest
import small
import torch
from params_file import shipped

from ebmrepro.training.loop import Training

SUITES = shipped().suites


def test_the_loss_is_the_ladder_networks_plus_the_hinge_of_every_fake():
    model = small.build("ebgan_ln", noise=0.0, margin=100.0)
    batch = small.batch(model)
    torch.manual_seed(5)
    turn = next(iter(model.step(batch, epoch=0)))
    torch.manual_seed(5)
    cost, _ = model.cost(batch)
    fake = model.energy(model.sample(len(batch.x)))
    assert (fake < 100).all()
    torch.testing.assert_close(turn.loss, cost + (100 - fake).mean())
    assert turn.terms["hinge/active"] == 1


def test_the_hinge_is_per_fake():
    """Energies of 1 and 5 under a margin of 3: (2 + 0) / 2, not 3 - 3."""
    model = small.build("ebgan_ln", noise=0.0, margin=3.0)
    batch = small.batch(model)
    cost, _ = model.cost(batch)
    model.D.forward = lambda v: torch.tensor([1.0, 5.0])
    turn = next(iter(model.step(batch, epoch=0)))
    torch.testing.assert_close(turn.loss, cost + 1)
    assert turn.terms["hinge/active"] == 0.5


def test_the_generator_descends_the_energy_of_fakes_of_its_own():
    model = small.build("ebgan_ln", noise=0.0)
    drawn = []
    forward = model.G.forward
    model.G.forward = lambda z: drawn.append(z) or forward(z)
    _, turn = model.step(small.batch(model), epoch=0)
    assert turn.player == "G" and len(drawn) == 2 and not torch.equal(*drawn)
    torch.testing.assert_close(turn.loss, model.energy(forward(drawn[1])).mean())


def test_the_margin_falls_from_its_first_value_to_0_in_the_game_and_stays_there():
    model = small.build("ebgan_ln", margin=16.0, game_epochs=4, epochs=3)
    margins = [model.margin.item()]
    for epoch in range(model.epochs):
        model.after_epoch(epoch, {})
        margins.append(model.hinge.item())
    assert margins == [16, 12, 8, 4, 0, 0, 0, 0]


def test_the_generator_rests_after_the_game_and_the_loss_is_the_ladder_networks():
    model = small.build("ebgan_ln", noise=0.0, game_epochs=2, epochs=1)
    batch = small.batch(model)
    assert [turn.player for turn in model.step(batch, epoch=1)] == ["D", "G"]
    (turn,) = model.step(batch, epoch=2)
    assert turn.player == "D" and turn.loss == model.cost(batch)[0]


def test_a_generator_that_rests_keeps_its_weights():
    model = small.build("ebgan_ln", game_epochs=1, epochs=2)
    training: Training = small.training(model, "ebgan_ln")
    records = training.epochs()
    next(records)
    before = {key: value.clone() for key, value in model.G.state_dict().items()}
    list(records)
    assert all(torch.equal(value, before[key]) for key, value in model.G.state_dict().items())
    assert (training.players["G"].age, training.players["D"].age) == (1, 3)


def test_after_the_game_the_rate_is_that_of_a_ladder_network_alone():
    model = small.build("ebgan_ln", game_epochs=3, epochs=4, constant=0.5, alone_rate=0.4)
    rates = [model.rate_factor.item()]
    for epoch in range(6):
        model.after_epoch(epoch, {})
        rates.append(round(model.rate_factor.item(), 6))
    assert rates == [1, 1, 1, 0.4, 0.4, 0.4, 0.2]


PAIRS = [
    (suite, name.removeprefix("ladder"))
    for suite, block in SUITES.items()
    for name in block.methods
    if name.partition("__")[0] == "ladder"
]


@pytest.mark.parametrize(("suite", "variant"), PAIRS)
def test_a_shipped_pair_differs_in_the_game_alone(suite: str, variant: str):
    blocks = SUITES[suite].methods
    ladder, ln = blocks[f"ladder{variant}"], blocks[f"ebgan_ln{variant}"]
    assert ln.optim["D"].lr * ln.hparams.alone_rate == pytest.approx(ladder.optim["D"].lr)
    shared = type(ladder.hparams).model_fields.keys() - {"chain_steps"}
    assert all(getattr(ln.hparams, key) == getattr(ladder.hparams, key) for key in shared)
