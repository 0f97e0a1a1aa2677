"""The generative DBN's arithmetic, after the pseudocode of Hinton, Osindero and Teh (2006)."""

import math
from typing import Any

import pytest
import small
import torch
from binary import states

from ebmrepro.evaluation import inference
from ebmrepro.methods import dbn_updown
from ebmrepro.methods.base.method import Labelled
from ebmrepro.methods.dbn_updown import _surprise
from ebmrepro.networks.energies import LabelledRBM
from ebmrepro.networks.layers import linear_layers
from ebmrepro.training.loop import Training


def random_top(features: int = 3, classes: int = 2, hidden: int = 4) -> LabelledRBM:
    torch.manual_seed(3)
    rbm = LabelledRBM(features, classes, hidden, std=1.0)
    with torch.no_grad():
        rbm.b.normal_()
        rbm.c.normal_()
    return rbm


def minus_energy(rbm: LabelledRBM, v: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    return v @ rbm.W @ h + rbm.b @ v + rbm.c @ h


def one_hot(y: int, classes: int = 2) -> torch.Tensor:
    return torch.eye(classes)[y]


def untied(**changes: Any) -> Any:
    """A network after its greedy phase, with biases that are not zero."""
    model = small.build("dbn_updown", **changes)
    with torch.no_grad():
        for rbm in model.rbms:
            rbm.b.normal_()
            rbm.c.normal_()
    model.after_epoch(model.greedy_epochs - 1, {})
    return model


def updown_turns(model: Any, batch: Labelled, seed: int = 7) -> dict[str, Any]:
    torch.manual_seed(seed)
    return {turn.player: turn for turn in model.step(batch, epoch=model.greedy_epochs)}


def layers(network: torch.nn.Module) -> list[torch.nn.Linear]:
    return linear_layers(network)


# The top RBM ------------------------------------------------------------------------------------


def test_the_free_energy_of_each_label_is_minus_log_of_the_sum_over_hidden_states():
    top = random_top()
    for features in states(3):
        by_hand = [
            -torch.logsumexp(
                torch.stack(
                    [minus_energy(top, torch.cat([features, one_hot(y)]), h) for h in states(4)]
                ),
                dim=0,
            )
            for y in range(2)
        ]
        torch.testing.assert_close(top.free_energies(features[None])[0], torch.stack(by_hand))


def test_the_label_of_lowest_free_energy_is_the_most_probable_by_enumeration():
    model = untied(layers=[3], top=4)
    x = torch.rand(20, *small.SHAPE) * 2 - 1
    features = model.recognition((x.flatten(1) + 1) / 2)
    for i, found in enumerate(model.joint_free_energy(x).argmin(1).tolist()):
        weights = [
            sum(
                minus_energy(model.top, torch.cat([features[i], one_hot(y, 3)]), h).exp()
                for h in states(4)
            )
            for y in range(3)
        ]
        p = torch.stack([torch.as_tensor(weight) for weight in weights])
        p = p / p.sum()
        torch.testing.assert_close((-model.joint_free_energy(x[i : i + 1])).softmax(1)[0], p)
        assert found == p.argmax().item()


def test_the_energy_sums_the_labels_out():
    model = untied()
    x = small.batch(model).x
    by_hand = -(-model.joint_free_energy(x)).exp().sum(1).log()
    torch.testing.assert_close(model.energy(x), by_hand, rtol=1e-4, atol=1e-4)


def test_free_energy_of_a_label_by_hand():
    top = LabelledRBM(1, 2, 1, std=1.0)
    with torch.no_grad():
        top.W.copy_(torch.tensor([[2.0], [0.5], [-1.0]]))
        top.b.copy_(torch.tensor([1.0, 0.25, -0.75]))
        top.c.fill_(-1.0)
    # F(1, y) = - 1 - b_y - log(1 + exp(-1 + 2 + W_y))
    expected = [-1.25 - math.log(1 + math.exp(1.5)), -0.25 - math.log(2)]
    assert top.free_energies(torch.ones(1, 1))[0].tolist() == pytest.approx(expected)


def test_drawn_labels_are_one_hot_and_follow_the_softmax():
    top = random_top(features=2, classes=3)
    h = torch.ones(20_000, 4)
    p = top.down(h)
    features, labels = top.part(top.draw(p))
    assert set(features.unique().tolist()) <= {0.0, 1.0}
    assert set(labels.unique().tolist()) == {0.0, 1.0} and (labels.sum(1) == 1).all()
    field = h[0] @ top.W.T + top.b
    softmax = field[-3:].exp() / field[-3:].exp().sum()
    torch.testing.assert_close(top.part(p)[1][0], softmax)
    torch.testing.assert_close(labels.mean(0), softmax, atol=0.02, rtol=0)


def test_a_long_chain_reaches_the_top_rbms_distribution():
    top = random_top(features=2, classes=2, hidden=3)
    visible = [(f, y) for f in states(2) for y in range(2)]
    log_p = torch.stack([-top(torch.cat([f, one_hot(y)])[None])[0] for f, y in visible])
    expected = log_p.softmax(0)
    v = top.join(torch.zeros(20_000, 2), torch.zeros(20_000, dtype=torch.int64))
    v = top.draw(top.gibbs(v, 50, sample_visible=True))
    for (features, y), p in zip(visible, expected.tolist(), strict=True):
        share = (v == torch.cat([features, one_hot(y)])).all(1).float().mean().item()
        assert share == pytest.approx(p, abs=0.02)


def test_a_clamped_chain_keeps_its_label_and_reaches_the_conditional_distribution():
    top = random_top(features=2, classes=2, hidden=3)
    for y in range(2):
        log_p = torch.stack([-top.free_energies(f[None])[0, y] for f in states(2)])
        expected = states(2).T @ log_p.softmax(0)  # p(feature = 1 | y)
        mean = top.recall(torch.full((20_000,), y), steps=50).mean(0)
        torch.testing.assert_close(mean, expected.detach(), atol=0.02, rtol=0)


# Greedy -----------------------------------------------------------------------------------------


def test_the_top_rbm_learns_from_probabilities_of_the_layer_below_and_the_label():
    model = small.build("dbn_updown")
    batch = small.batch(model)
    torch.manual_seed(7)
    (turn,) = model.step(batch, epoch=model.greedy_epochs - 1)
    assert turn.player == "rbms.2"
    turn.loss.backward()
    lower, top = model.rbms[:-1], model.rbms[-1]
    assert all(p.grad is None for p in lower.parameters())
    with torch.no_grad():
        torch.manual_seed(7)
        v = (batch.x.flatten(1) + 1) / 2
        for rbm in lower:
            v = rbm.up(v)
        v0 = torch.cat([v, torch.eye(3)[batch.y]], 1)
        p0 = top.up(v0)
        vk = top.down(torch.bernoulli(p0))  # hidden sampled, reconstruction by probabilities
        pk = top.up(vk)
    torch.testing.assert_close(top.W.grad, -(v0.T @ p0 - vk.T @ pk) / 8)
    torch.testing.assert_close(top.b.grad, -(v0 - vk).mean(0))
    torch.testing.assert_close(top.c.grad, -(p0 - pk).mean(0))
    torch.testing.assert_close(top.part(vk)[1].sum(1), torch.ones(8))


# Up-down ----------------------------------------------------------------------------------------


def test_recognition_and_generative_weights_start_as_copies_of_the_greedy_ones_and_part():
    model = small.build("dbn_updown")
    training = small.training(model, "dbn_updown")
    epochs = training.epochs()
    for _ in range(model.greedy_epochs):
        next(epochs)
    upwards, downwards = layers(model.recognition), layers(model.generative)[::-1]
    for rbm, R, G in zip(model.rbms, upwards, downwards, strict=False):
        assert torch.equal(R.weight, rbm.W.T) and torch.equal(R.bias, rbm.c)
        assert torch.equal(G.weight, rbm.W) and torch.equal(G.bias, rbm.b)
    assert torch.equal(model.top.W, model.rbms[-1].W)
    greedy = {key: value.clone() for key, value in model.rbms.state_dict().items()}
    list(epochs)
    for R, G in zip(upwards, downwards, strict=True):
        assert not torch.equal(R.weight, G.weight.T)
    assert not torch.equal(model.top.W, model.rbms[-1].W)
    assert all(torch.equal(value, greedy[key]) for key, value in model.rbms.state_dict().items())


def test_a_delta_rule_by_hand():
    """One layer of one unit: dw = r s_before (s - p), with p = sigmoid(w s_before + b)."""
    model = untied(layers=[1], top=2)
    (G,) = layers(model.generative)
    G.weight = torch.nn.Parameter(torch.tensor([[2.0]]))
    G.bias = torch.nn.Parameter(torch.tensor([-1.0]))
    s_before, s = torch.tensor([[1.0], [0.0]]), torch.tensor([[0.25], [1.0]])
    loss = _surprise(model.generative, [s_before, s])
    loss.backward()
    p = [1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))]
    cost = [-(0.25 * math.log(p[0]) + 0.75 * math.log(1 - p[0])), -math.log(p[1])]
    assert loss.item() == pytest.approx(sum(cost) / 2)
    assert G.weight.grad is not None and G.bias.grad is not None
    assert -G.weight.grad.item() == pytest.approx((0.25 - p[0]) / 2)  # the second has s_before 0
    assert -G.bias.grad.item() == pytest.approx((0.25 - p[0] + 1 - p[1]) / 2)


def test_one_iteration_moves_all_weights_as_the_papers_pseudocode_does():
    """The pseudocode with the same random numbers, and probabilities in the top RBM's statistics:
    all states first, then all updates.
    """
    model = untied(gibbs_steps=[2])
    batch = small.batch(model)
    (hidvis, penhid) = layers(model.generative)[::-1]
    (vishid, hidpen) = layers(model.recognition)
    top = model.top
    turns = updown_turns(model, batch)
    assert list(turns) == ["generative", "top", "recognition"]
    for player, turn in turns.items():
        turn.loss.backward(inputs=list(getattr(model, player).parameters()))

    def given(layer: torch.nn.Linear, s: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(s @ layer.weight.T + layer.bias)

    with torch.no_grad():
        torch.manual_seed(7)
        data = (batch.x.flatten(1) + 1) / 2
        wakehid = given(vishid, data).bernoulli()
        wakepen = given(hidpen, wakehid).bernoulli()
        v0 = torch.cat([wakepen, torch.eye(3)[batch.y]], 1)
        v = v0
        for _ in range(2):
            p = top.down(top.up(v).bernoulli())
            negpen = p[:, :-3].bernoulli()
            upto = p[:, -3:].cumsum(1)  # a label by the inverse of its distribution
            u = torch.rand(8, 1) * upto[:, -1:]
            neglab = torch.eye(3)[torch.searchsorted(upto, u, right=True).squeeze(1)]
            v = torch.cat([negpen, neglab], 1)
        sleeppen = v[:, :-3]
        sleephid = given(penhid, sleeppen).bernoulli()
        sleepvis = given(hidvis, sleephid)
        rules = [
            (hidvis, wakehid, data),
            (penhid, wakepen, wakehid),
            (hidpen, sleephid, sleeppen),
            (vishid, sleepvis, sleephid),
        ]
    for layer, before, s in rules:
        assert layer.weight.grad is not None and layer.bias.grad is not None
        difference = (s - given(layer, before)).detach()
        torch.testing.assert_close(-layer.weight.grad, difference.T @ before / 8)
        torch.testing.assert_close(-layer.bias.grad, difference.mean(0))
    positive, negative = v0.T @ top.up(v0), v.T @ top.up(v)
    torch.testing.assert_close(-top.W.grad, (positive - negative).detach() / 8)
    torch.testing.assert_close(-top.b.grad, (v0 - v).mean(0))
    torch.testing.assert_close(-top.c.grad, (top.up(v0) - top.up(v)).mean(0).detach())


def test_wake_and_sleep_states_are_sampled_and_only_pixels_are_probabilities():
    model = untied()
    batch = small.batch(model)
    up = model._up((batch.x.flatten(1) + 1) / 2)
    down = model._down(up[-1])
    assert [state.shape[1] for state in up] == [64, 10, 8]
    assert [state.shape[1] for state in down] == [8, 10, 64]
    for state in (*up[1:], *down[:-1]):
        assert set(state.unique().tolist()) <= {0.0, 1.0}
    assert ((down[-1] > 0) & (down[-1] < 1)).all()


def test_gibbs_steps_grow_in_equal_parts_of_the_up_down_epochs(monkeypatch: pytest.MonkeyPatch):
    model, counted = untied(updown_epochs=6, gibbs_steps=[3, 6, 10]), []
    gibbs = model.top.gibbs
    monkeypatch.setattr(model.top, "gibbs", lambda v, k, **o: counted.append(k) or gibbs(v, k, **o))
    for epoch in range(model.greedy_epochs, model.epochs):
        list(model.step(small.batch(model), epoch))
    assert counted == [3, 3, 6, 6, 10, 10]


def test_samples_come_from_clamped_labels_in_turn(monkeypatch: pytest.MonkeyPatch):
    model, asked = untied(), []
    recall = model.top.recall
    monkeypatch.setattr(model.top, "recall", lambda y, n: asked.append((y, n)) or recall(y, n))
    assert model.sample(7).shape == (7, *small.SHAPE)
    ((labels, steps),) = asked
    assert labels.tolist() == [0, 1, 2, 0, 1, 2, 0] and steps == 5


@pytest.fixture(scope="module")
def trained() -> Any:
    """Up-down on blobs that differ by class, until its labels are right."""
    model = small.build(
        "dbn_updown", layers=[24, 16], top=24, rbm_epochs=30, updown_epochs=45, chain_steps=50
    )
    training: Training = small.training(model, "dbn_updown")
    list(training.epochs())
    return model.eval()


def test_training_learns_the_labels(trained: Any):
    images, labels = small.pictures(60, seed=1)
    from ebmrepro.networks.images import from_uint8

    test = Labelled(from_uint8(images), torch.from_numpy(labels))
    found = inference.errors(*inference.infer(trained, [test]))
    assert found["error_updown"] <= 0.1 and found["error_greedy"] <= 0.2
    again = inference.errors(*inference.infer(trained, [test]))
    assert again == found, "sampled passes have a seed of their own"
    label = trained.joint_free_energy(test.x).argmin(1)
    assert (label != test.y).float().mean().item() == pytest.approx(found["error_updown"])


def test_a_clamped_label_draws_images_of_its_class(trained: Any):
    torch.manual_seed(0)
    y = torch.arange(60) % 3
    x = trained.sample_class(y)
    bright = torch.stack([x[:, 0, 2 * k : 2 * k + 3, 2:6].mean((1, 2)) for k in range(3)], 1)
    own = torch.stack([bright[y == k].mean(0) for k in range(3)])
    assert own.argmax(1).tolist() == [0, 1, 2]


def test_the_chain_of_a_label_finds_images_of_its_class_from_random_pixels(trained: Any):
    torch.manual_seed(0)
    y = torch.arange(60) % 3
    x = trained.imagine(y, [0, 50])
    bright = torch.stack([x[:, :, 0, 2 * k : 2 * k + 3, 2:6].mean((2, 3)) for k in range(3)], 2)
    start, own = (torch.stack([bright[y == k, i].mean(0) for k in range(3)]) for i in (0, 1))
    assert own.argmax(1).tolist() == [0, 1, 2]
    assert (start - start.mean(0)).abs().max() < 0.3, "no step has been taken, so no label was seen"


def test_a_chain_is_looked_at_after_so_many_steps_with_its_label_clamped(monkeypatch):
    model, seen, drawn = untied(), [], []
    gibbs, down = model.top.gibbs, model._down
    monkeypatch.setattr(model.top, "gibbs", lambda v, *k, **o: seen.append(v) or gibbs(v, *k, **o))
    monkeypatch.setattr(model, "_down", lambda h: drawn.append(len(seen)) or down(h))
    y = torch.tensor([2, 0, 1, 1])
    x = model.imagine(y, [0, 2, 5])
    assert x.shape == (4, 3, *small.SHAPE) and x.abs().max() <= 1
    assert drawn == [0, 2, 5] and len(seen) == 5
    for v in seen:
        features, labels = model.top.part(v)
        assert set(features.unique().tolist()) <= {0.0, 1.0}
        assert labels.argmax(1).tolist() == y.tolist() and labels.sum().item() == 4


def test_label_units_start_even_and_settle_at_the_exact_distribution(monkeypatch):
    """With the features held, Gibbs sampling leads to the softmax of - F."""
    model = untied(layers=[4], top=5)
    with torch.no_grad():
        model.top.W.normal_(std=0.7)
        model.top.b.normal_()
    h = torch.tensor([1.0, 0.0, 1.0, 1.0])
    field, fields = model.top.field, []
    monkeypatch.setattr(model.top, "field", lambda v: fields.append(v) or field(v))
    monkeypatch.setattr(dbn_updown, "SETTLING", 30)
    torch.manual_seed(0)
    p = model._settled(h.expand(20_000, 4)).exp()
    exact = (-model.top.free_energies(h[None])).softmax(1)[0]
    torch.testing.assert_close(p.mean(0), exact, atol=0.01, rtol=0)
    first, *later = [model.top.part(v) for v in fields]
    assert (first[1] == 1 / 3).all() and len(later) == 29
    assert all((labels.max(1).values == 1).all() for _, labels in later), "one label is on"
    assert all((features == h).all() for features, _ in (first, *later)), "features are held"


def test_ways_to_infer_a_label_are_distributions_and_the_sampled_ones_share_a_pass(monkeypatch):
    model = untied()
    x = small.batch(model).x
    ups: list[torch.Tensor] = []
    settled, up = model._settled, model._up
    monkeypatch.setattr(model, "_up", lambda v: ups.append(up(v)[-1]) or [ups[-1]])
    monkeypatch.setattr(model, "_settled", lambda h: ups.append(h) or settled(h))
    found = model.infer(x)
    assert next(iter(found)) == "updown", "the way of the reported errors comes first"
    for way, scores in found.items():
        if way != "updown_averaged":  # a mean of logarithms
            torch.testing.assert_close(scores.exp().sum(1), torch.ones(8), msg=way)
    *passes, held = ups
    assert len(passes) == 20 and torch.equal(held, passes[0])
    by_hand = [(-model.top.free_energies(h)).log_softmax(1) for h in passes]
    torch.testing.assert_close(found["updown_sampled"], by_hand[0])
    torch.testing.assert_close(found["updown_averaged"], sum(by_hand) / 20)


def test_a_labels_chains_are_its_own_and_are_those_that_draw_its_images():
    """F along them has the mean that F of many recalled features has, label by label."""
    model = small.build("dbn_updown", layers=[10, 6], top=8, chain_steps=30)
    with torch.no_grad():
        model.top.W.mul_(10)  # init_std is 0.1
        model.top.b[-small.CLASSES :] = torch.tensor([0.0, 2.0, -2.0])
    free = model.chains(400)
    assert free.shape == (small.CLASSES, 400, 30)
    for label, own in enumerate(free):
        y = torch.full((4000,), label)
        h = torch.bernoulli(model.top.recall(y, 30))
        with torch.no_grad():
            there = model.top(model.top.join(h, y))
        assert own[:, 15:].mean().item() == pytest.approx(there.mean().item(), abs=0.15)
