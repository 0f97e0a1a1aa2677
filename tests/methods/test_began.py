"""BEGAN's arithmetic, by hand. Berthelot et al. (2017)."""

import pytest
import small
import torch

from ebmrepro.methods.base.method import Method


def one_step(model: Method, real: float, fake_D: float, fake_G: float) -> list:
    """One step of a BEGAN whose energies are given."""
    small.give_energies(model, [real] * 2 + [fake_D] * 2, [fake_G] * 2)
    return list(model.step(torch.zeros(2, *small.SHAPE), epoch=0))


def began(k: float, gamma: float = 0.5, lambda_k: float = 0.1) -> Method:
    model = small.build("began", gamma=gamma, lambda_k=lambda_k)
    model.get_buffer("k").fill_(k)
    return model


def test_k_starts_at_zero():
    assert small.build("began").get_buffer("k").item() == 0


def test_losses_and_measure_by_hand():
    model = began(k=0.25)
    g, d = one_step(model, real=4.0, fake_D=2.0, fake_G=1.0)
    assert (g.player, d.player) == ("G", "D")
    assert g.loss.item() == 1.0  # L_G = L(G(z_G))
    assert d.loss.item() == pytest.approx(4 - 0.25 * 2)  # L_D = L(x) - k_t L(G(z_D))
    assert g.terms["began/M_global"].item() == pytest.approx(4 + abs(0.5 * 4 - 1))
    assert model.get_buffer("k").item() == pytest.approx(0.25 + 0.1 * (0.5 * 4 - 1))


def test_k_rises_exactly_when_the_fakes_are_below_gamma_times_the_real_energy():
    for fake, sign in ((1.9, 1), (2.0, 0), (2.1, -1)):
        model = began(k=0.5)
        one_step(model, real=4.0, fake_D=1.0, fake_G=fake)
        assert torch.sign(model.get_buffer("k") - 0.5).item() == sign


@pytest.mark.parametrize(("k", "fake", "expected"), [(0.95, 0.0, 1.0), (0.05, 9.0, 0.0)])
def test_k_stays_between_zero_and_one(k: float, fake: float, expected: float):
    model = began(k=k, lambda_k=1.0)
    one_step(model, real=4.0, fake_D=1.0, fake_G=fake)
    assert model.get_buffer("k").item() == expected


@pytest.mark.parametrize(
    ("k", "fake", "held"),
    [(0.95, 0.0, 1), (0.95, 1.9, 1), (0.05, 9.0, 1), (0.05, 2.1, 1), (0.5, 2.0, 0), (0.0, 2.0, 0)],
)
def test_a_step_that_is_held_at_a_bound_is_counted(k: float, fake: float, held: int):
    """gamma 0.5, lambda_k 1, L(x) = 4: k moves by 2 - L(G(z_G)), or as far as it can."""
    _, d = one_step(began(k=k, lambda_k=1.0), real=4.0, fake_D=1.0, fake_G=fake)
    assert d.terms["began/held"].item() == held


def test_the_controller_moves_after_both_turns_are_taken():
    model = began(k=0.0)
    turns = model.step(small.batch(model), epoch=0)
    next(turns)
    next(turns)
    assert model.get_buffer("k").item() == 0
    assert next(turns, None) is None
    assert model.get_buffer("k").item() != 0


def test_z_is_uniform_and_drawn_anew_for_each_player(monkeypatch: pytest.MonkeyPatch):
    model, drawn = began(k=0.0), []
    monkeypatch.setattr(
        model.G, "forward", lambda z: drawn.append(z) or torch.zeros(len(z), *small.SHAPE)
    )
    list(model.step(small.batch(model), epoch=0))
    z_D, z_G = drawn
    assert not torch.equal(z_D, z_G)
    many = torch.cat(drawn)
    assert many.min() >= -1 and many.max() <= 1 and many.min() < 0 < many.max()


def test_both_losses_are_taken_at_the_parameters_of_the_same_step():
    """D and G move simultaneously: neither loss is that of an updated opponent."""
    model = small.build("began", lambda_k=1.0)
    model.get_buffer("k").fill_(0.5)
    training, x = small.training(model, "began"), small.batch(model)
    torch.manual_seed(1)
    untouched = [turn.loss.item() for turn in model.step(x, 0) if turn.loss is not None]
    model.get_buffer("k").fill_(0.5)
    torch.manual_seed(1)
    moved = []
    for turn in model.step(x, 0):
        moved.append(turn.loss.item() if turn.loss is not None else None)
        training._take(turn)
    assert moved == untouched


def stalling(**changes: float) -> Method:
    stall = {"epochs": 2, "factor": 0.5, "floor": 0.2, **changes}
    return small.build("began", stall=stall)


def test_learning_rates_fall_when_the_measure_of_convergence_stalls():
    """Two epochs without a new least value, counted anew after each fall; never below the floor."""
    model, rates = stalling(), []
    for epoch, M in enumerate([5.0, 4.0, 4.5, 4.0, 4.0, 3.0, 3.5, 3.5, 3.5, 3.5]):
        model.after_epoch(epoch, {"began/M_global": torch.tensor(M)})
        rates.append(float(model.rate_factor))
    assert rates == pytest.approx([1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2])


def test_without_a_rule_for_stalls_rates_are_constant_and_nothing_is_remembered_for_them():
    model = small.build("began", stall=None)
    model.after_epoch(0, {"began/M_global": torch.tensor(1.0)})
    assert model.rate_factor == 1.0
    assert set(model.state_values()) == {"began/k"}


def test_the_loop_learns_at_the_rate_that_is_left_also_when_restored():
    training = small.training(stalling(epochs=1), "began")
    first = {name: player.optimiser.lr for name, player in training.players.items()}
    training.method.get_buffer("least").fill_(0)  # every epoch stalls
    records = list(training.epochs())
    assert [record["began/rate"] for record in records] == pytest.approx([0.5, 0.25, 0.2])
    again = small.training(stalling(epochs=1), "began")
    again.restore(training.state())
    for each in (training, again):
        lrs = {name: player.optimiser.lr for name, player in each.players.items()}
        assert lrs == pytest.approx({name: 0.2 * lr for name, lr in first.items()})
