"""A gradient step of each kind of layer, worked out; and four networks on equal terms."""

import copy
import math
from typing import Any

import pytest
import small
import torch

from ebmrepro.methods.base.method import Labelled
from ebmrepro.methods.base.rbm_stack import visible
from ebmrepro.methods.greedy import STARTS, AutoAssociator
from ebmrepro.training.batches import Batches
from ebmrepro.training.loop import Training

KINDS = STARTS[:3]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def turns(model: Any, x: Labelled, epoch: int) -> dict[str, Any]:
    """By player, each with its gradients taken, as the loop takes them."""
    found = {}
    for turn in model.step(x, epoch):
        own = [*model.get_submodule(turn.player).parameters()]
        turn.loss.backward(inputs=own)
        found[turn.player] = turn
    return found


def test_an_auto_associator_of_two_units_by_hand():
    """W moves for both of its uses: d logit / dW = h + W h (1 - h) v."""
    own = AutoAssociator(1, 1, std=1.0)
    with torch.no_grad():
        own.W.fill_(2.0)
        own.b.fill_(0.5)
        own.c.fill_(-1.0)
    v = torch.full((1, 1), 0.25)
    h = sigmoid(-1 + 2 * 0.25)
    logit = 0.5 + 2 * h
    assert own(v).item() == pytest.approx(logit)
    torch.nn.functional.binary_cross_entropy_with_logits(own(v), v).backward()
    off = sigmoid(logit) - 0.25
    assert own.W.grad is not None and own.b.grad is not None and own.c.grad is not None
    assert own.W.grad.item() == pytest.approx(off * (h + 2 * h * (1 - h) * 0.25))
    assert own.b.grad.item() == pytest.approx(off)
    assert own.c.grad.item() == pytest.approx(off * 2 * h * (1 - h))


def test_an_auto_associator_descends_the_cross_entropy_of_its_reconstruction():
    model = small.build("greedy")
    x = small.batch(model)
    turn = turns(model, x, 0)["autoassociators.0"]
    own = model.get_submodule("autoassociators.0")
    with torch.no_grad():
        v = visible(x.x)
        h = (v @ own.W + own.c).sigmoid()
        p = (h @ own.W.T + own.b).sigmoid()
        off = (p - v) / len(v)
        back = (off @ own.W) * h * (1 - h)
        nats = -(v * p.log() + (1 - v) * (1 - p).log()).sum(1).mean()
    torch.testing.assert_close(turn.loss.detach(), nats)
    torch.testing.assert_close(own.W.grad, off.T @ h + v.T @ back)
    torch.testing.assert_close(own.b.grad, off.sum(0))
    torch.testing.assert_close(own.c.grad, back.sum(0))
    error = turn.terms["reconstruction/autoassociator1"]
    torch.testing.assert_close(error, (v - p).square().mean())


def test_a_supervised_layer_descends_the_cross_entropy_of_its_own_softmax_layer():
    model = small.build("greedy")
    x = small.batch(model)
    turn = turns(model, x, 0)["supervised.0"]
    hidden, _, last = model.get_submodule("supervised.0")
    with torch.no_grad():
        v = visible(x.x)
        h = (v @ hidden.weight.T + hidden.bias).sigmoid()
        q = (h @ last.weight.T + last.bias).softmax(1)
        off = (q - torch.eye(small.CLASSES)[x.y]) / len(v)
        back = (off @ last.weight) * h * (1 - h)
        nats = -q[torch.arange(len(v)), x.y].log().mean()
    torch.testing.assert_close(turn.loss.detach(), nats)
    torch.testing.assert_close(last.weight.grad, off.T @ h)
    torch.testing.assert_close(last.bias.grad, off.sum(0))
    torch.testing.assert_close(hidden.weight.grad, back.T @ v)
    torch.testing.assert_close(hidden.bias.grad, back.sum(0))


def test_an_rbm_descends_by_the_statistics_of_contrastive_divergence():
    model = small.build("greedy", cd_steps=1)
    x = small.batch(model)
    torch.manual_seed(7)
    turns(model, x, 0)
    rbm = model.get_submodule("rbms.0")
    with torch.no_grad():
        torch.manual_seed(7)
        v0 = visible(x.x)
        p0 = rbm.up(v0)
        vk = rbm.down(torch.bernoulli(p0))
        pk = rbm.up(vk)
    torch.testing.assert_close(rbm.W.grad, -(v0.T @ p0 - vk.T @ pk) / len(v0))
    torch.testing.assert_close(rbm.b.grad, -(v0 - vk).mean(0))
    torch.testing.assert_close(rbm.c.grad, -(p0 - pk).mean(0))


@pytest.mark.parametrize("kind", ["autoassociators", "supervised"])
def test_the_second_layer_learns_on_the_hidden_units_of_the_first_of_its_kind(kind: str):
    """Which get no gradient."""
    model = small.build("greedy")
    x = small.batch(model)
    first, own = (model.get_submodule(f"{kind}.{layer}") for layer in (0, 1))
    seen = []
    own.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    turn = next(t for t in model.step(x, model.hp.rbm_epochs) if t.player == f"{kind}.1")
    h = first.up(visible(x.x)) if kind == "autoassociators" else first[:-1](visible(x.x))
    torch.testing.assert_close(seen[0], h)
    turn.loss.backward()
    assert all(p.grad is None for p in first.parameters())
    assert all(p.grad is not None for p in own.parameters())


def test_each_pretrained_network_starts_from_its_layers_and_all_from_one_softmax_layer():
    model = small.build("greedy")
    scratch = copy.deepcopy(model.classifiers[-1].state_dict())
    model.after_epoch(model.greedy_epochs - 1, {})
    x = small.batch(model)
    v = visible(x.x)
    through = {kind: v for kind in KINDS}
    for layer in range(len(model.hp.layers)):
        through["rbms"] = model.rbms[layer].up(through["rbms"])
        through["autoassociators"] = model.autoassociators[layer].up(through["autoassociators"])
        through["supervised"] = model.supervised[layer][:-1](through["supervised"])
    for kind, network in zip(KINDS, model.classifiers, strict=False):
        torch.testing.assert_close(network[:-1](v), through[kind])
        assert torch.equal(network[-1].weight, model.classifiers[0][-1].weight)
        assert not network[-1].bias.any()
        assert not torch.equal(network[-1].weight, model.supervised[-1][-1].weight), "is dropped"
    now = model.classifiers[-1].state_dict()
    assert all(torch.equal(value, now[key]) for key, value in scratch.items())


def test_all_kinds_are_pretrained_and_all_networks_fine_tuned_for_as_long_by_one_rule():
    model = small.build("greedy")
    training = small.training(model, "greedy")
    list(training.epochs())
    ages = {key: player.age for key, player in training.players.items()}
    depth = len(model.hp.layers)
    assert ages == {
        **{f"{kind}.{i}": model.hp.rbm_epochs for kind in KINDS for i in range(depth)},
        **{f"classifiers.{i}": model.hp.finetune_epochs for i in range(len(STARTS))},
    }
    shapes = [[p.shape for p in network.parameters()] for network in model.classifiers]
    assert all(each == shapes[0] for each in shapes)


def test_labels_move_supervised_layers_alone_before_the_fine_tuning():
    def trained(shift: int) -> dict[str, torch.Tensor]:
        model, (images, labels) = small.build("greedy"), small.pictures()
        labels = (labels + shift) % small.CLASSES
        batches = Batches(images, labels, 8, 0, torch.device("cpu"))
        training = Training(model, batches, small.shipped("greedy").optim)
        for record in training.epochs():
            if record["epoch"] == model.greedy_epochs:
                break
        return copy.deepcopy(model.state_dict())

    one, other = trained(0), trained(1)
    moved = {key.partition(".")[0] for key in one if not torch.equal(one[key], other[key])}
    assert moved == {"supervised", "classifiers"}
    for i, start in enumerate(STARTS):
        keys = [key for key in one if key.startswith(f"classifiers.{i}.")]
        same = all(torch.equal(one[key], other[key]) for key in keys)
        assert same is (start != "supervised")


def test_a_diagnosis_counts_the_errors_of_each_network():
    model = small.build("greedy")
    x = small.batch(model, 12)
    found = model.diagnose([x], [x])
    assert [*found] == [
        *("error_pretrained", "error_autoassociators", "error_supervised", "error_random")
    ]
    for share, network in zip(found.values(), model.classifiers, strict=True):
        wrong = (network(visible(x.x)).argmax(1) != x.y).float().mean().item()
        assert share == pytest.approx(wrong)
