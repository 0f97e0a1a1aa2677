"""One configuration of EBGAN's grid: its networks, its losses, and its training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_grid import SHAPE, pictures, small, whole

from ebmrepro.methods.base import method
from ebmrepro.networks import layers
from ebmrepro.studies.grid import play
from ebmrepro.studies.grid.configurations import Configuration
from ebmrepro.system.signals import Watch
from ebmrepro.training.batches import Batches
from ebmrepro.training.loop import Training


def one(kind: Any = "ebgan", **changes: Any) -> Configuration:
    told: dict[str, Any] = {"nLayerG": 3, "nLayerD": 4, "sizeG": 6, "sizeD": 5, "dropoutD": False}
    told |= {"optimD": "adam", "optimG": "adam", "lr": 0.001}
    return Configuration(kind, **{**told, "margin": None if kind == "gan" else 10.0, **changes})


def build(chosen: Configuration) -> Any:
    return play.build(chosen, small(), SHAPE, seed=0, epochs=3)


@pytest.mark.parametrize("kind", ["ebgan", "gan", "ebgan_pt", "sweep"])
@pytest.mark.parametrize(("layers_G", "layers_D"), [(2, 2), (3, 5), (5, 4)])
def test_networks_have_the_layers_and_widths_of_their_configuration(
    kind: str, layers_G: int, layers_D: int
):
    model: Any = build(one(kind, nLayerG=layers_G, nLayerD=layers_D))
    G, D = layers.linear_layers(model.G), layers.linear_layers(model.D)
    assert [layer.out_features for layer in G] == [6] * (layers_G - 1) + [64]
    last = 1 if kind == "gan" else 64
    assert [layer.out_features for layer in D] == [5] * (layers_D - 1) + [last]
    normed = sum(isinstance(part, torch.nn.BatchNorm1d) for part in model.D.modules())
    assert normed == layers_D - 2  # none at its input, none at its output
    if kind != "gan":  # Dec is always one layer
        assert len(layers.linear_layers(model.D.decoder)) == 1


@pytest.mark.parametrize("kind", ["ebgan", "gan"])
def test_dropout_in_d_follows_every_hidden_layer_and_its_absence_none(kind: str):
    for dropout, count in ((True, 3), (False, 0)):
        model: Any = build(one(kind, dropoutD=dropout))
        found = [part.p for part in model.modules() if isinstance(part, torch.nn.Dropout)]
        assert found == [0.5] * count


def test_initial_weights_have_the_deviation_of_the_parameters():
    wide = one(sizeG=300, sizeD=300)
    model: Any = build(wide)
    for network, std in ((model.G, 0.02), (model.D, 0.002)):
        weights = torch.cat([layer.weight.flatten() for layer in layers.linear_layers(network)])
        assert weights.std().item() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("kind", ["ebgan", "gan", "ebgan_pt"])
def test_losses_are_those_of_the_papers_at_the_same_weights(kind: str):
    """By hand from the networks' outputs, with the noise drawn in the same order."""
    model: Any = build(one(kind))
    x = torch.rand(6, *SHAPE) * 2 - 1
    turns = {}
    torch.manual_seed(5)
    for turn in model.step(x, 0):
        turns[turn.player] = turn.loss.item()
    torch.manual_seed(5)
    first, second = model.G(torch.randn(6, 4)).detach(), model.G(torch.randn(6, 4))
    if kind == "gan":
        logistic = torch.nn.functional.binary_cross_entropy_with_logits
        ones, zeros = torch.ones(6), torch.zeros(6)
        D = logistic(model.D(x), ones) + logistic(model.D(first), zeros)
        G = logistic(model.D(second), ones)
    else:

        def energy(images: torch.Tensor) -> torch.Tensor:
            error = model.D.decoder(model.D.encoder(images)) - images
            return error.square().flatten(1).sum(1).sqrt()

        D = energy(x).mean() + (10 - energy(first)).clamp(min=0).mean()
        G = energy(second).mean()
        if kind == "ebgan_pt":
            S = torch.nn.functional.normalize(model.D.encoder(second), dim=1)
            cosines = (S @ S.T).square()
            G = G + 0.1 * (cosines.sum() - cosines.diagonal().sum()) / (6 * 5)
    assert turns["D"] == pytest.approx(D.item(), rel=1e-5)
    assert turns["G"] == pytest.approx(G.item(), rel=1e-5)


@pytest.mark.parametrize("kind", ["ebgan", "ebgan_pt", "gan"])
def test_a_step_is_the_methods_own_at_equal_weights(kind: str):
    """Where the method's networks can express a configuration, both take the same step."""
    name = play.METHOD[kind]
    chosen = one(kind, nLayerD=2)
    ours = build(chosen)
    hp = ours.hp
    if kind == "gan":
        hp = hp.model_copy(update={"D": hp.D.model_copy(update={"hidden": [5]})})
    theirs: Any = method.build(name, hp, SHAPE, 1, 0)
    weights = [p.detach().clone() for p in ours.parameters()]
    assert [p.shape for p in theirs.parameters()] == [w.shape for w in weights]
    with torch.no_grad():
        for p, weight in zip(theirs.parameters(), weights, strict=True):
            p.copy_(weight)
    for model in (ours, theirs):
        torch.manual_seed(7)
        batches = Batches(pictures(64), None, 64, 0, torch.device("cpu"))
        list(Training(model, batches, play.optimisers(chosen, small())).steps())
    moved = False
    for p, q, weight in zip(ours.parameters(), theirs.parameters(), weights, strict=True):
        assert torch.equal(p, q)
        moved |= not torch.equal(p, weight)
    assert moved


def test_each_player_moves_by_its_own_rule_at_the_grids_rate():
    rules = play.optimisers(one("gan", optimD="sgd", lr=0.01), small())
    adam, sgd = rules["G"], rules["D"]
    assert (adam.name, adam.lr, sgd.name, sgd.lr) == ("adam", 0.01, "sgd", 0.01)


def test_a_training_that_diverges_is_said_to_and_draws_nothing():
    played = whole(
        one("gan", optimG="sgd", optimD="sgd", lr=1e12),
        small(),
        pictures(64),
        0,
        60,
        torch.device("cpu"),
        Watch(),
    )
    assert played.diverged
    assert played.steps < 60  # seen at a look, and not trained on
    assert played.generated.shape == (0, *SHAPE)
    assert played.real is None
