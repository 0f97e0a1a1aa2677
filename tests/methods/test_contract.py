"""Laws that hold for every method, whatever its paper; a new file is tested by its name."""

import copy
import io
import math
from typing import Any, Protocol

import numpy as np
import pytest
import small
import torch
from params_file import shipped

from ebmrepro.config import declarations, documents
from ebmrepro.evaluation import inference
from ebmrepro.methods.base import Labelled, abilities, method
from ebmrepro.methods.base.abilities import Diagnoses, InfersLabels
from ebmrepro.networks.images import from_uint8
from ebmrepro.runs.models import draw
from ebmrepro.training.loop import Training

Weights = dict[str, torch.Tensor]
NAMED = {"G", "D", "encoder", "decoder"}
NETS = {"mlp": small.MLP, "conv": small.CONV, "normed": small.NORMED, "conv3x3": small.CONV3X3}


@pytest.fixture(params=list(NETS.values()), ids=list(NETS))
def net(request: pytest.FixtureRequest) -> dict:
    return request.param


OWN = [name for name in small.METHODS if NAMED & small.hparams(name).model_fields_set]
each_network = pytest.mark.parametrize(
    ("name", "net"),
    [
        pytest.param(name, net, id=f"{name}-{kind}")
        for name in small.METHODS
        for kind, net in NETS.items()
        if name in OWN or net is small.MLP  # the others have no network to choose
    ],
)


def same(a: Weights, b: Weights) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@each_network
def test_an_energy_is_one_finite_number_per_image(name: str, net: dict):
    model = small.build(name, net).eval()
    x = small.batch(model)
    energy = model.energy(x.x if model.labelled else x)
    assert energy.shape == (8,) and energy.isfinite().all()


@each_network
def test_an_energy_does_not_depend_on_the_company_of_an_image(name: str, net: dict):
    model = small.build(name, net).eval()
    x = torch.rand(6, *small.SHAPE) * 2 - 1
    alone = torch.cat([model.energy(one) for one in x.split(1)])
    torch.testing.assert_close(model.energy(x), alone, rtol=1e-4, atol=1e-5)


@each_network
def test_samples_are_images_in_range(name: str, net: dict):
    x = small.build(name, net).eval().sample(7)
    assert x.shape == (7, *small.SHAPE)
    assert x.min() >= -1 and x.max() <= 1


@pytest.mark.parametrize("name", [n for n in small.METHODS if hasattr(method.load(n), "image")])
def test_pixels_from_0_to_1_are_an_image_from_minus_1_to_1(name: str):
    model = small.build(name)
    pixels = torch.tensor([0.0, 0.5, 1.0])[:, None].expand(3, torch.Size(small.SHAPE).numel())
    if name == "autoencoder_gaussian":  # its units are standardised pixels
        pixels = (pixels - model.mean) / model.scale
    assert model.image(pixels).flatten(1).unique(dim=1).flatten().tolist() == [-1, 0, 1]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 9, 11)])
@each_network
def test_networks_are_sized_by_the_data(name: str, net: dict, shape: tuple[int, int, int]):
    if net is small.CONV3X3 and shape[1] % 2:
        net = {**net, "scales": 1}  # such a size is not halved
    model = method.build(name, small.hparams(name, net), shape, 10, seed=0).eval()
    x = model.sample(2)
    assert x.shape == (2, *shape) and model.energy(x).shape == (2,)


def test_real_and_fake_share_a_pass_only_where_it_changes_nothing(net: dict):
    """With batch normalisation in D they are two batches, as in the paper."""
    model = small.build("ebgan", encoder=net, decoder=net)
    x, x_g = small.batch(model), model.sample(5)
    real, fake = model.D.pair(x, x_g)
    torch.testing.assert_close(real, model.D(x))
    torch.testing.assert_close(fake, model.D(x_g))


@pytest.mark.parametrize("name", small.GANS)
def test_each_player_draws_its_own_z(name: str, monkeypatch: pytest.MonkeyPatch):
    model, drawn = small.build(name), []
    forward = model.G.forward
    monkeypatch.setattr(model.G, "forward", lambda z: drawn.append(z) or forward(z))
    list(model.step(small.batch(model), epoch=model.epochs))
    z_D, z_G = drawn
    assert not torch.equal(z_D, z_G)


@each_network
def test_a_turn_moves_only_its_player(name: str, net: dict):
    model = small.build(name, net)
    training = small.training(model, name)
    for epoch in range(model.epochs):
        training.epoch = epoch
        for turn in model.step(small.batch(model), epoch):
            before = copy.deepcopy(model.state_dict())
            training._take(turn)
            moved = {k for k, v in model.named_parameters() if not torch.equal(v, before[k])}
            assert turn.loss is not None or not moved
            assert all(key.startswith(turn.player + ".") for key in moved)
        next(training.epochs())


@each_network
def test_the_loss_of_a_turn_has_a_gradient_in_its_player_alone(name: str, net: dict):
    """Else a compiled backward pass computes what nobody asks for."""
    model = small.build(name, net)
    training = small.training(model, name)
    names = {id(weight): key for key, weight in model.named_parameters()}
    for training.epoch in range(model.epochs):
        for turn in model.step(small.batch(model), training.epoch):
            if turn.loss is not None:
                reached = {names[id(weight)] for weight in leaves(turn.loss)}
                assert reached and all(key.startswith(turn.player + ".") for key in reached)
            training._take(turn)
    assert all(weight.requires_grad for weight in model.parameters())


def leaves(loss: torch.Tensor) -> list[torch.Tensor]:
    """The weights that a backward pass from a loss would come to."""
    waiting: list[Any] = [loss.grad_fn]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [before for before, _ in node.next_functions]
    return [node.variable for node in seen if hasattr(node, "variable")]


@pytest.mark.parametrize("name", small.METHODS)
def test_every_player_moves_and_every_term_is_a_finite_scalar(name: str):
    model = small.build(name)
    training = small.training(model, name)
    before = copy.deepcopy(model.state_dict())
    records = list(training.epochs())
    assert len(records) == model.epochs
    assert records[-1]["step"] == model.epochs * len(training.batches)
    assert all(math.isfinite(value) for record in records for value in record.values())
    for key, player in training.players.items():
        assert player.age > 0, key
        at = [k for k, _ in model.named_parameters() if k.startswith(key + ".")]
        assert any(not torch.equal(model.state_dict()[k], before[k]) for k in at), key


@pytest.mark.parametrize("name", small.METHODS)
def test_a_seed_fixes_every_bit(name: str):
    def weights(seed: int) -> dict[str, torch.Tensor]:
        model = small.build(name, seed=seed)
        list(small.training(model, name, seed).epochs())
        return model.state_dict()

    once, again, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(once[key], again[key]) for key in once)
    assert any(not torch.equal(once[key], other[key]) for key in once)


@pytest.mark.parametrize("name", small.METHODS)
def test_every_seed_has_first_weights_and_draws_of_its_own(name: str):
    """Before any image is seen, whose order would differ as well."""
    models = [small.build(name, seed=seed) for seed in (0, 1, 2, 1)]
    first = [torch.cat([w.flatten() for w in m.parameters() if w.ndim > 1]) for m in models]
    *different, again = first
    assert torch.equal(again, first[1])
    for i, a in enumerate(different):
        assert not any(torch.equal(a, b) for b in different[:i])
    *drawn, again = [draw(models[0].eval(), 20, seed) for seed in (0, 1, 2, 1)]
    assert np.array_equal(again, drawn[1])
    assert len({each.tobytes() for each in drawn}) == 3


@pytest.mark.parametrize("position", [0, 2], ids=["after an epoch", "within one"])
@pytest.mark.parametrize("name", small.METHODS)
def test_a_restored_training_goes_on_as_if_nothing_had_happened(name: str, position: int):
    ema = dict.fromkeys(method.load(name).players, 0.9)
    whole = small.training(small.build(name), name, ema=ema)
    expected = list(whole.epochs())

    first = small.training(small.build(name), name, ema=ema)
    file, head = io.BytesIO(), []
    for step in first.steps():
        head += [step.record] if step.record else []
        if first.step == 2 * len(first.batches) + position:
            torch.save(first.state(), file)
            break
    file.seek(0)

    torch.manual_seed(99)  # another process: nothing is left of the first one's generator
    second = small.training(small.build(name, seed=5), name, ema=ema)
    second.restore(torch.load(file, weights_only=True))
    assert [*head, *second.epochs()] == expected
    assert same(whole.method.state_dict(), second.method.state_dict())
    with whole.averaged(), second.averaged():
        assert same(whole.method.state_dict(), second.method.state_dict())


@pytest.mark.parametrize("name", small.METHODS)
def test_an_average_draws_in_place_of_the_weights_and_changes_nothing_in_the_training(name: str):
    ema = dict.fromkeys(method.load(name).players, 0.9)
    without = small.training(small.build(name), name)
    records = list(without.epochs())
    averaged = small.training(small.build(name), name, ema=ema)
    start = copy.deepcopy(averaged.method.state_dict())
    assert list(averaged.epochs()) == records
    trained = copy.deepcopy(without.method.state_dict())
    assert same(averaged.method.state_dict(), trained)
    with averaged.averaged():
        drawing = copy.deepcopy(averaged.method.state_dict())
    assert same(averaged.method.state_dict(), trained)

    def apart(far: dict[str, torch.Tensor]) -> set[str]:
        return {key.partition(".")[0] for key in far if not torch.equal(far[key], drawing[key])}

    assert apart(trained) == set(ema) <= apart(start)  # between where they are and where they were


def test_a_player_that_has_moved_in_an_epoch_is_one_older_after_it_also_when_restored():
    """Of a method that moves a player in some steps of an epoch only; a schedule counts epochs."""
    first, second = (small.training(small.build("ebgan"), "ebgan") for _ in range(2))
    first.players["G"].moved = True
    second.restore(first.state())
    second.players["G"].end_epoch()
    second.players["D"].end_epoch()
    assert (second.players["G"].age, second.players["D"].age) == (1, 0)


@pytest.mark.parametrize("name", small.METHODS)
def test_state_is_a_buffer_whose_identity_is_stable(name: str):
    model = small.build(name)
    buffers = {key: id(value) for key, value in model.named_buffers(recurse=False)}
    list(small.training(model, name).epochs())
    assert {key: id(value) for key, value in model.named_buffers(recurse=False)} == buffers
    plain = {k: v for k, v in vars(model).items() if isinstance(v, float | torch.Tensor)}
    assert not plain, "what an algorithm remembers belongs into a buffer"


@pytest.mark.parametrize("name", small.METHODS)
def test_it_is_trained_as_networks_are_trained_however_it_was_left(name: str):
    """In evaluation batch normalisation has other statistics; images may have been drawn before."""
    fresh, left = (small.training(small.build(name, small.NORMED), name) for _ in range(2))
    left.method.eval()
    for training in (fresh, left):
        torch.manual_seed(0)
        list(training.epochs())
    assert same(fresh.method.state_dict(), left.method.state_dict())


@pytest.mark.parametrize("name", small.METHODS)
def test_hparams_read_without_torch_are_those_of_the_class(name: str):
    read, real = declarations.hparams_class(name), method.load(name).Hparams
    assert read.model_json_schema() == real.model_json_schema()


@pytest.mark.parametrize("name", small.METHODS)
def test_players_read_without_torch_are_those_that_take_turns(name: str):
    training = small.training(small.build(name), name)
    list(training.epochs())  # a turn of any player that the optim block has not is refused
    took = {key.partition(".")[0] for key, player in training.players.items() if player.age}
    assert declarations.declared(name)["players"] == method.load(name).players
    assert set(method.load(name).players) == took


@pytest.mark.parametrize("name", small.METHODS)
def test_the_smallest_batch_is_the_smallest_that_can_be_learnt_from(name: str):
    least = method.load(name).smallest_batch
    assert declarations.declared(name).get("smallest_batch", 1) == least

    def is_finite(n: int) -> bool:
        model = small.build(name)
        try:
            turns = list(model.step(small.batch(model, n), model.epochs - 1))
        except ValueError:  # as torch has it of one image, which it is to normalise
            return False
        return all(turn.loss is None or turn.loss.isfinite() for turn in turns)

    assert is_finite(least) and (least == 1 or not is_finite(least - 1))


def test_a_turn_of_a_player_without_an_optimiser_is_refused():
    model = small.build("ebgan")
    whole = small.training(model, "ebgan")
    block = shipped().suites["digits"].block("ebgan")
    partial = Training(model, whole.batches, {"G": block.optim["G"]})
    with pytest.raises(documents.ParamsError, match="found a turn of 'D', the optim block has G"):
        list(partial.epochs())


def test_an_optimiser_without_a_player_is_refused():
    model = small.build("ebgan")
    whole = small.training(model, "ebgan")
    block = shipped().suites["digits"].block("ebgan")
    spec = block.optim["G"]
    with pytest.raises(documents.ParamsError, match="found X, the method's players are G, D"):
        Training(model, whole.batches, {"G": spec, "D": spec, "X": spec})


def test_a_term_that_is_not_finite_stops_the_run_by_name():
    from ebmrepro.training.loop import NotFinite

    model = small.build("ebgan")
    with torch.no_grad():
        next(model.get_submodule("G").parameters()).fill_(math.nan)
    with pytest.raises(NotFinite, match="ebgan: energy/fake is nan in step 1"):
        list(small.training(model, "ebgan").epochs())


@pytest.mark.parametrize("name", small.METHODS)
def test_a_diagnosis_does_not_depend_on_how_its_images_are_cut_into_batches(name: str):
    model: Any = small.build(name).eval()
    learnt = isinstance(model, Diagnoses | InfersLabels)
    assert learnt is (name not in small.GANS), "it would read all images"
    if name in small.GANS:
        return
    images, labels = small.pictures(24)
    whole = Labelled(from_uint8(images), torch.from_numpy(labels))
    if name == "dbn":
        model.grad_steps += 1
    parts = [Labelled(*part) for part in zip(*(each.split(10) for each in whole), strict=True)]
    if isinstance(model, Diagnoses):
        one, cut = model.diagnose([whole], [whole]), model.diagnose(parts, parts)
    else:
        one, cut = (inference.errors(*inference.infer(model, split)) for split in ([whole], parts))
    sampled = {f"error_updown_{way}" for way in ("sampled", "averaged", "gibbs")}  # other draws
    known = {key for key in one if math.isfinite(one[key])} - sampled
    assert known and one.keys() == cut.keys()
    assert {key: cut[key] for key in known} == pytest.approx(
        {key: one[key] for key in known}, rel=1e-5, abs=1e-5
    )


@pytest.mark.parametrize("name", small.METHODS)
def test_a_hinge_is_a_number_or_none(name: str):
    hinge = small.build(name).hinge
    assert hinge is None or math.isfinite(float(hinge))


def test_every_ability_can_be_asked_for_and_some_method_has_it():
    named = vars(abilities).values()
    known: Any = [each for each in named if Protocol in getattr(each, "__bases__", ())]
    assert len(known) > 5
    models = [small.build(name) for name in small.METHODS]
    assert [each for each in known if not any(isinstance(m, each) for m in models)] == []
