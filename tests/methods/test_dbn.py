"""The DBN's arithmetic, after the two papers of 2006 and the released code."""

import math

import pytest
import small
import torch
from binary import states

from ebmrepro.config.optimisers import SGD, Momentum
from ebmrepro.methods.base.method import Labelled
from ebmrepro.methods.base.rbm_stack import visible
from ebmrepro.networks.energies import RBM
from ebmrepro.training.loop import Player


def random_rbm(visible: int = 3, hidden: int = 4) -> RBM:
    rbm = RBM(visible, hidden, std=1.0)
    with torch.no_grad():
        rbm.b.normal_()
        rbm.c.normal_()
    return rbm


def test_free_energy_is_minus_log_of_the_sum_over_hidden_states():
    rbm = random_rbm()
    for v in states(3):
        energies = [-(v @ rbm.W @ h + rbm.b @ v + rbm.c @ h) for h in states(4)]
        by_hand = -torch.logsumexp(-torch.stack(energies), dim=0)
        torch.testing.assert_close(rbm(v[None])[0], by_hand)


def test_free_energy_by_hand():
    rbm = RBM(1, 1, std=1.0)
    with torch.no_grad():
        rbm.W.fill_(2.0)
        rbm.b.fill_(1.0)
        rbm.c.fill_(-1.0)
    # F(1) = -1 - log(1 + exp(-1 + 2))
    assert rbm(torch.ones(1, 1)).item() == pytest.approx(-1 - math.log(1 + math.e))


def test_the_contrast_descends_by_the_statistics_of_contrastive_divergence():
    """d/dW [mean F(v_0) - mean F(v_k)] = - (<v h>_data - <v h>_recon), probabilities in both."""
    model = small.build("dbn", cd_steps=1)
    v0 = torch.rand(8, 64)
    torch.manual_seed(7)
    turn = model.contrastive_divergence(v0, epoch=0)
    turn.loss.backward()
    rbm = model.get_submodule("rbms.0")
    assert isinstance(rbm, RBM)
    with torch.no_grad():
        torch.manual_seed(7)
        p0 = rbm.up(v0)
        vk = rbm.down(torch.bernoulli(p0))  # hidden sampled, reconstruction by probabilities
        pk = rbm.up(vk)
    torch.testing.assert_close(rbm.W.grad, -(v0.T @ p0 - vk.T @ pk) / 8)
    torch.testing.assert_close(rbm.b.grad, -(v0 - vk).mean(0))
    torch.testing.assert_close(rbm.c.grad, -(p0 - pk).mean(0))


def test_cd_k_runs_k_gibbs_steps(monkeypatch: pytest.MonkeyPatch):
    model, calls = small.build("dbn", cd_steps=3), []
    rbm = model.get_submodule("rbms.0")
    down = rbm.down
    monkeypatch.setattr(rbm, "down", lambda h: calls.append(h) or down(h))
    model.contrastive_divergence(torch.rand(4, 64), epoch=0)
    assert len(calls) == 3
    assert all(set(h.unique().tolist()) <= {0.0, 1.0} for h in calls), "hidden units are sampled"


def test_the_update_is_the_released_codes():
    """inc = mom * inc + eps * (grad - cost * W): the weight cost is inside the bracket."""
    rbm = random_rbm()
    momentum = Momentum(initial=0.5, final=0.9, epochs=1)
    spec = SGD(name="sgd", lr=0.1, momentum=momentum, weight_decay=0.0002)
    player = Player(rbm, spec)
    W, b, inc_W, inc_b = rbm.W.detach().clone(), rbm.b.detach().clone(), 0, 0
    for mom, epochs in ((0.5, 1), (0.9, 2)):
        for _ in range(epochs):
            v = torch.rand(5, 3)
            player.take(rbm(v).mean())
            grad_W, grad_b = rbm.W.grad, rbm.b.grad
            assert grad_W is not None and grad_b is not None
            inc_W = mom * inc_W + 0.1 * (-grad_W - 0.0002 * W)
            inc_b = mom * inc_b + 0.1 * -grad_b
            W, b = W + inc_W, b + inc_b
            torch.testing.assert_close(rbm.W.detach(), W)
            torch.testing.assert_close(rbm.b.detach(), b)
            player.end_epoch()


def test_upper_layers_learn_from_detached_probabilities_of_the_one_below():
    model = small.build("dbn")
    (turn,) = model.step(small.batch(model), epoch=model.hp.rbm_epochs)
    assert turn.player == "rbms.1"
    turn.loss.backward()
    assert all(p.grad is None for p in model.get_submodule("rbms.0").parameters())


def test_the_pretrained_classifier_starts_from_the_rbms():
    model = small.build("dbn")
    model.after_epoch(model.greedy_epochs - 1, {})
    x = torch.rand(4, *small.SHAPE) * 2 - 1
    v = (x.flatten(1) + 1) / 2
    for rbm in model.stack:
        v = rbm.up(v)
    torch.testing.assert_close(model.features(x), v)
    head = model.classifier[-1]
    assert 0 < head.weight.abs().max() < 6 * model.hp.init_std and not head.bias.any()


def test_the_warm_up_moves_the_softmax_layer_alone():
    model = small.build("dbn")
    training = small.training(model, "dbn")
    model.after_epoch(model.greedy_epochs - 1, {})
    body = {k: v.clone() for k, v in model.classifier[:-1].state_dict().items()}
    head = model.classifier[-1].weight.detach().clone()
    turns = model.step(small.batch(model), epoch=model.greedy_epochs)
    training._take(next(turns))
    assert all(torch.equal(v, body[k]) for k, v in model.classifier[:-1].state_dict().items())
    assert not torch.equal(model.classifier[-1].weight, head)


@pytest.mark.parametrize(("asked", "of", "epochs"), [(2, 10, 2), (5, 6, 3), (0, 4, 0)])
def test_the_warm_up_is_as_long_as_asked_and_at_most_half_of_the_fine_tuning(asked, of, epochs):
    model = small.build("dbn", warmup_epochs=asked, finetune_epochs=of)
    assert [model._warms_up(age) for age in range(of)] == [True] * epochs + [False] * (of - epochs)
    # Its phases are those of the RBMs, then the first epoch, the warm-up and what follows it.
    phases = [model.phase(model.greedy_epochs + age) for age in range(of)]
    assert phases == [(age == 0, age < epochs) for age in range(of)]


def test_both_classifiers_have_the_same_shape_and_one_starts_at_random():
    model = small.build("dbn")
    shapes = [p.shape for p in model.classifier.parameters()]
    assert shapes == [p.shape for p in model.scratch.parameters()]
    spread = model.scratch[0].weight.std().item()
    assert spread == pytest.approx(math.sqrt(2 / (64 + 10)), rel=0.2)  # Glorot's
    assert not model.scratch[0].bias.any()


def test_pseudo_likelihood_is_that_of_every_bit_given_the_others():
    rbm = random_rbm()
    weights = {tuple(v.tolist()): math.exp(-rbm(v[None]).item()) for v in states(3)}
    for v in states(3):
        by_hand = 0.0
        for i in range(3):
            flipped = v.clone()
            flipped[i] = 1 - flipped[i]
            mine, other = weights[tuple(v.tolist())], weights[tuple(flipped.tolist())]
            by_hand += math.log(mine / (mine + other))
        assert rbm.pseudo_likelihood(v[None]).item() == pytest.approx(by_hand, abs=1e-5)


def test_gibbs_sampling_reaches_the_rbms_distribution():
    rbm = random_rbm(visible=3, hidden=2)
    p = torch.softmax(-rbm(states(3)), dim=0).detach()
    v = torch.bernoulli(rbm.gibbs(torch.rand(20000, 3).round(), 50, sample_visible=True))
    index = (v @ torch.tensor([4.0, 2.0, 1.0])).long()
    frequencies = torch.bincount(index, minlength=8) / len(v)
    assert (frequencies - p).abs().max() < 0.015  # four standard deviations of a frequency


def test_gradient_norms_are_measured_where_both_networks_begin():
    model = small.build("dbn")
    training = small.training(model, "dbn")
    list(training.epochs())
    assert model.get_buffer("grad_steps").item() == len(training.batches)


def test_gradient_norms_are_means_over_batches_of_each_layers_own():
    model = small.build("dbn")
    batches = [small.batch(model, n) for n in (12, 5)]
    for x in batches:
        next(model.step(x, epoch=model.greedy_epochs))
    values = model.diagnose(batches, batches)
    for start, network in {"pretrained": model.classifier, "random": model.scratch}.items():
        norms = []
        for x in batches:
            network.zero_grad()
            torch.nn.functional.cross_entropy(network(visible(x.x)), x.y).backward()
            norms.append([network[i].weight.grad.norm().item() for i in (0, 2, 4)])
        by_hand = [sum(each) / 2 for each in zip(*norms, strict=True)]
        assert [values[f"grad_norm_{start}_{i}"] for i in (1, 2, 3)] == pytest.approx(by_hand)


def test_diagnosis_counts_the_errors_of_each_network():
    model = small.build("dbn", small_start=True)
    networks = {"pretrained": model.classifier, "random": model.scratch, "small": model.small}
    for answer, network in enumerate(networks.values()):
        network[-1].bias.data[answer] += 100.0
    x = small.batch(model, 6).x
    values = model.diagnose([small.batch(model)], [Labelled(x, torch.tensor([0, 0, 0, 1, 1, 2]))])
    errors = [values[f"error_{start}"] for start in networks]
    assert errors == pytest.approx([3 / 6, 4 / 6, 5 / 6])


def test_the_gap_is_the_free_energy_of_unseen_images_above_that_of_seen_ones():
    model = small.build("dbn")
    splits = train, test = [small.batch(model, n) for n in (12, 7)]
    values = model.diagnose([train], [test])
    seen, unseen = (model.stack[0](visible(x.x)).mean().item() for x in splits)
    assert values["free_energy_train"] == pytest.approx(seen)
    assert values["free_energy_test"] == pytest.approx(unseen)
    assert values["free_energy_gap"] == pytest.approx(unseen - seen, rel=1e-3) != 0


def test_the_chains_of_the_sampler_are_traced_without_moving_what_it_draws():
    model = small.build("dbn", chain_steps=6)
    torch.manual_seed(3)
    before = model.sample(4)
    assert not before.requires_grad  # no graph grows with the chain
    torch.manual_seed(3)
    free = model.chains(5)
    assert free.shape == (1, 5, 6) and free.isfinite().all()
    assert torch.equal(model.sample(4), before)


def test_fine_tuning_descends_the_cross_entropy_of_the_whole_network():
    model = small.build("dbn")
    batch = small.batch(model)
    turn, *_ = model.step(batch, model.greedy_epochs + 2)  # after the warm-up
    logits = model.classifier((batch.x.flatten(1) + 1) / 2)
    torch.testing.assert_close(turn.loss, torch.nn.functional.cross_entropy(logits, batch.y))
