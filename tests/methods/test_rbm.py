"""The RBM's arithmetic, after Salakhutdinov and Murray (2008)."""

import pytest
import small
import torch
from params_file import shipped

from ebmrepro.config import params, training
from ebmrepro.methods.base.method import Labelled
from ebmrepro.networks.random import fixed_bits


def binary(x: torch.Tensor) -> bool:
    return set(x.unique().tolist()) <= {0.0, 1.0}


def first_turn(model, x: torch.Tensor, epoch: int = 0):
    (turn,) = list(model.step(x, epoch))
    return turn


def record(rbm, seen: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the v of every free energy that is computed from now on."""
    known = rbm.free_energy
    monkeypatch.setattr(rbm, "free_energy", lambda v, field: seen.append(v) or known(v, field))


def test_the_loss_descends_by_the_statistics_of_contrastive_divergence(
    monkeypatch: pytest.MonkeyPatch,
):
    """dW = <v h>_data - <v h>_k with v sampled at both ends and h a probability in both."""
    model, seen = small.build("rbm", layers=[6], cd_steps=[3]), []
    rbm, steps = model.stack[0], []
    gibbs = rbm.gibbs
    record(rbm, seen, monkeypatch)
    monkeypatch.setattr(
        rbm,
        "gibbs",
        lambda v, k, **how: steps.append((k, how["sample_visible"])) or gibbs(v, k, **how),
    )
    first_turn(model, small.batch(model)).loss.backward()
    v, v_k = seen
    assert binary(v) and binary(v_k) and v.shape == (8, 64)
    assert steps == [(3, True)]
    with torch.no_grad():
        torch.testing.assert_close(rbm.W.grad, -(v.T @ rbm.up(v) - v_k.T @ rbm.up(v_k)) / 8)
    torch.testing.assert_close(rbm.b.grad, -(v - v_k).mean(0))


def test_pixels_are_drawn_anew_from_their_grey_levels_in_every_step(
    monkeypatch: pytest.MonkeyPatch,
):
    model, seen = small.build("rbm", layers=[6], cd_steps=[1]), []
    rbm, x = model.stack[0], torch.full((2000, *small.SHAPE), -0.5)  # grey level 1/4
    record(rbm, seen, monkeypatch)
    first_turn(model, x)
    first_turn(model, x)
    assert seen[0].mean().item() == pytest.approx(0.25, abs=0.01)
    assert not torch.equal(seen[0], seen[2])


def test_the_rate_falls_linearly_over_the_epochs_of_a_layer():
    model = small.build("rbm", layers=[6, 4], cd_steps=[1, 1], rbm_epochs=4)
    shares = []
    for epoch in range(8):
        turn = first_turn(model, small.batch(model), epoch)
        shares.append(
            (turn.loss / turn.terms[f"contrast/{'rbm1' if epoch < 4 else 'rbm2'}"]).item()
        )
    assert shares == pytest.approx([1, 0.75, 0.5, 0.25] * 2)


def test_layers_are_trained_in_turn_each_on_samples_of_the_one_below(
    monkeypatch: pytest.MonkeyPatch,
):
    model = small.build("rbm", layers=[6, 4], cd_steps=[1, 2], rbm_epochs=2)
    seen, top = [], model.stack[1]
    record(top, seen, monkeypatch)
    turns = [first_turn(model, small.batch(model), epoch) for epoch in range(4)]
    assert [turn.player for turn in turns] == ["rbms.0", "rbms.0", "rbms.1", "rbms.1"]
    assert seen[0].shape == (8, 6) and all(map(binary, seen))


def test_visible_biases_start_at_the_log_odds_of_the_first_batch_and_only_once():
    model = small.build("rbm", layers=[6], cd_steps=[1])
    white = torch.ones(8, *small.SHAPE)
    first_turn(model, white)
    torch.testing.assert_close(model.stack[0].b.detach(), torch.full((64,), 9.0).log())
    first_turn(model, -white)
    assert (model.stack[0].b > 2).all()


def test_each_layer_has_its_own_k():
    with pytest.raises(ValueError, match=r"cd_steps: found 1 numbers; there are 2 layers"):
        small.hparams("rbm", cd_steps=[1])


def test_what_is_measured_follows_from_how_many_layers_there_are():
    x = small.pictures()[0]
    for layers, ks, name in (
        ([6], [1], "log_likelihood"),
        ([6, 4], [1, 1], "log_likelihood_bound"),
    ):
        model = small.build("rbm", layers=layers, cd_steps=ks)
        split = Labelled((torch.from_numpy(x) / 127.5 - 1).float(), torch.zeros(len(x)))
        found = model.diagnose([split], [split])
        assert found[name] < 0 and found["log_z_exact"] > 0


def test_the_shipped_systems_differ_from_the_first_in_layers_k_and_precision_alone():
    methods = shipped().suites["mnist"].methods
    about = {"epoch_fraction", "grids", "hparams.layers", "hparams.cd_steps", "precision"}
    plain = {
        name: {
            key: value
            for key, value in params.flatten(block.model_dump()).items()
            if key not in about
        }
        for name, block in methods.items()
        if training.base(name) == "rbm"
    }
    of_the_paper = plain.pop("rbm__paper")
    assert len(plain) == 5 and all(values == plain["rbm"] for values in plain.values())
    by_k = [methods[name] for name in ("rbm", "rbm__cd1", "rbm__cd3")]
    assert {(each.epoch_fraction, each.hparams.rbm_epochs) for each in by_k} == {(1.0, 50)}
    moved = {key: value for key, value in of_the_paper.items() if value != plain["rbm"][key]}
    assert moved == {
        "hparams.binarised": "once",
        "hparams.rate": "constant",
        "hparams.visible_bias": "zero",
        "hparams.likelihood.ais.base_counts": 5.0,
    }
    assert of_the_paper["optim.rbms.lr"] == 0.05 and of_the_paper["hparams.init_std"] == 0.01


def test_binarised_once_an_image_has_the_same_bits_whenever_it_comes(
    monkeypatch: pytest.MonkeyPatch,
):
    model, seen = small.build("rbm", layers=[6], cd_steps=[1], binarised="once"), []
    record(model.stack[0], seen, monkeypatch)
    x = small.batch(model)
    first_turn(model, x)
    first_turn(model, x.flip(0))
    assert binary(seen[0]) and torch.equal(seen[0], seen[2].flip(0))
    assert torch.equal(model.bits((x.flatten(1) + 1) / 2), seen[0]), (
        "the likelihood is measured on the same bits"
    )


def test_bits_fixed_by_an_image_are_as_frequent_as_its_grey_levels_and_independent():
    numbers, shades = torch.arange(4096), torch.tensor([0, 51, 127, 128, 204, 255])
    grey = torch.cat([torch.stack([numbers // 256, numbers % 256], 1), shades.repeat(4096, 1)], 1)
    bits = fixed_bits(grey / 255, seed=0)[:, 2:]
    torch.testing.assert_close(bits.mean(0), shades / 255, atol=4 * 0.5 / 64, rtol=0)
    correlations = torch.corrcoef(bits[:, 1:5].T) - torch.eye(4)
    assert correlations.abs().max() < 4 / 64
    assert not torch.equal(bits, fixed_bits(grey / 255, seed=1)[:, 2:])


def test_a_constant_rate_stays_and_zero_biases_are_left_at_zero():
    model = small.build("rbm", layers=[6], cd_steps=[1], rate="constant", visible_bias="zero")
    turn = first_turn(model, small.batch(model), epoch=1)
    assert turn.loss.item() == turn.terms["contrast/rbm1"].item()
    first_turn(model, small.batch(model))
    assert not model.stack[0].b.any()


@pytest.mark.parametrize(("rate", "phases"), [("falling", 6), ("constant", 4)])
def test_a_step_is_recorded_anew_where_its_rate_or_its_start_is_another(rate: str, phases: int):
    """A constant rate leaves of three epochs of a layer the first, in which its biases start."""
    model = small.build("rbm", layers=[6, 4], cd_steps=[1, 1], rbm_epochs=3, rate=rate)
    assert len({model.phase(epoch) for epoch in range(6)}) == phases


def test_images_come_from_binary_units_of_the_top_rbm_by_a_pass_through_each_layer_below(
    monkeypatch: pytest.MonkeyPatch,
):
    model = small.build("rbm", layers=[6, 5, 4, 3], cd_steps=[1] * 4)
    passed = []
    for number, rbm in enumerate(model.stack[:-1]):
        down = rbm.down
        monkeypatch.setattr(
            rbm, "down", lambda h, n=number, f=down: passed.append((n, binary(h))) or f(h)
        )
    gibbs, sampled = model.stack[-1].gibbs, []
    monkeypatch.setattr(
        model.stack[-1], "gibbs", lambda v, k, **how: sampled.append(how) or gibbs(v, k, **how)
    )
    assert model.sample(50).shape == (50, *small.SHAPE)
    assert passed == [(2, True), (1, True), (0, True)]
    assert sampled == [{"sample_visible": True}]
