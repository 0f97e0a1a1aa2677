"""Networks in another precision, in another order in memory, and compiled: the same method."""

import copy
import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest
import small
import torch
from functorch.compile import make_boxed_func
from torch import nn
from torch._dynamo.backends.common import aot_autograd
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ebmrepro.config import types
from ebmrepro.methods.base.method import Method
from ebmrepro.networks import precision
from ebmrepro.networks.energies import RBM
from ebmrepro.system import errors
from ebmrepro.training import batch_norm
from ebmrepro.training.loop import Record

NETS = {"normed": small.NORMED, "conv3x3": small.CONV3X3}
PLAIN = [*small.OF_RBMS, *small.LADDERS]


def trained(name: str, net: dict[str, Any], **settings: Any) -> tuple[Method, list[Record]]:
    model = small.build(name, net)
    return model, list(small.training(model, name, **settings).epochs())


def assert_near(name: str, net: dict[str, Any], tolerance: float, **settings: Any) -> None:
    """A training with the settings ends where one without them ends."""
    (a, before), (b, after) = trained(name, net), trained(name, net, **settings)
    for one, other in zip(before, after, strict=True):
        assert other == pytest.approx(one, rel=tolerance, abs=tolerance)
    for key, value in a.state_dict().items():
        torch.testing.assert_close(
            b.state_dict()[key], value, rtol=tolerance, atol=tolerance, msg=key
        )


class Calls(TorchDispatchMode):
    """What torch is asked to compute while it is entered, of a compiled program too."""

    def __init__(self):
        super().__init__()
        self.calls: list[tuple[Any, Any]] = []  # operations and what they were given
        self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls.append((func.overloadpacket, args))
        out = func(*args, **(kwargs or {}))
        if flops := flop_registry.get(func.overloadpacket):
            self.flops += flops(*args, **(kwargs or {}), out_val=out)
        return out


@pytest.fixture
def compiles() -> Iterator[None]:
    yield
    torch._dynamo.reset()


def test_networks_are_the_outermost_sequences_of_layers():
    model = small.build("ebgan", small.CONV3X3)
    found = precision.networks(model)
    assert found == [model.G, model.D.encoder, model.D.decoder]
    assert precision.networks(small.build("rbm")) == []


@pytest.mark.parametrize(
    ("name", "net"),
    [*itertools.product(small.GANS, NETS.values()), *((name, small.MLP) for name in PLAIN)],
)
def test_bfloat16_moves_every_player_and_leaves_all_but_the_layers_in_float32(name: str, net: Any):
    start = {k: v.clone() for k, v in small.build(name, net).state_dict().items()}
    (_, exact), (model, rough) = trained(name, net), trained(name, net, precision="bf16")
    assert rough != exact
    assert rough[0] == pytest.approx(exact[0], rel=0.05, abs=0.05)  # bfloat16 has 8 bits
    state = model.state_dict()
    assert [v.dtype for v in state.values()] == [v.dtype for v in start.values()]
    moved = {
        k.partition(".")[0] for k, _ in model.named_parameters() if (state[k] != start[k]).any()
    }
    assert moved == set(model.players)
    x = model.eval().sample(3)
    assert x.dtype == model.energy(x).dtype == torch.float32


def test_layers_see_bfloat16_where_a_block_asks_for_it():
    model = small.build("ebgan", small.CONV)
    precision.prepare(model, "bf16")
    seen: list[torch.dtype] = []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            layer.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    model.D(model.sample(2))
    assert len(seen) > 3 and set(seen) == {torch.bfloat16}


@pytest.mark.parametrize("net", [small.MLP, small.CONV3X3], ids=["mlp", "conv3x3"])
@pytest.mark.parametrize("name", small.GANS)
def test_weights_are_rounded_together_at_each_call_of_a_network(name: str, net: Any):
    """And never one by one, nor their gradients, each of which would be a kernel on a GPU."""
    model = small.build(name, net)
    training = small.training(model, name, precision="bf16")
    training.epoch = model.epochs - 1
    learns: list[bool] = []  # at each call of a network

    def call(network: nn.Module, *_: Any) -> None:
        weights = [weight.requires_grad for weight in network.parameters()]
        learns.append(torch.is_grad_enabled() and all(weights))

    for network in precision.networks(model):
        network.register_forward_hook(call)
    with Calls() as found:
        next(training.steps())
    shapes = {weight.shape for weight in model.parameters()}
    casts = [given for op, given in found.calls if op is torch.ops.aten._to_copy]
    assert casts and not [given for given in casts if given[0].shape in shapes]
    together = [given for op, given in found.calls if op is torch.ops.aten._foreach_copy_]
    assert len(together) == len(learns) + sum(learns) and sum(learns) < len(learns)


@pytest.mark.parametrize("name", small.OF_RBMS)
def test_between_the_products_of_rbms_and_of_what_they_become_all_is_float32(name: str):
    model = small.build(name)
    training = small.training(model, name, precision="bf16")
    rbms = [part for part in model.modules() if isinstance(part, RBM)]
    assert rbms and all(rbm.rounded for rbm in rbms)
    layers = [part for part in model.modules() if isinstance(part, nn.Linear)]
    seen: list[torch.dtype] = []
    for layer in layers:
        layer.register_forward_hook(lambda *call: seen.append(call[2].dtype))
        x = torch.full((1, layer.in_features), 1 + 2.0**-10)  # it is rounded to 1
        assert torch.equal(layer(x), layer(torch.ones_like(x)))
    for rbm in rbms:
        v = torch.full((1, len(rbm.b)), 1 + 2.0**-10)
        assert torch.equal(rbm.field(v), rbm.field(torch.ones_like(v)))
        assert rbm.gibbs(v, 2, sample_visible=False).dtype == rbm.field(v).dtype == torch.float32
    list(training.epochs())
    assert set(seen) <= {torch.float32}


@pytest.mark.parametrize("name", small.OF_RBMS)
def test_weights_that_are_rounded_once_a_turn_are_those_that_the_turn_begins_with(name: str):
    ends = []
    for keep in (True, False):
        model = small.build(name)
        training = small.training(model, name, precision="bf16")
        if not keep:
            del model.step  # the class's own: each product rounds its factors itself
        list(training.epochs())
        assert all(part.kept is None for part in model.modules() if isinstance(part, RBM))
        ends.append(model.state_dict())
    for key, value in ends[0].items():
        assert torch.equal(value, ends[1][key]), key


def test_tf32_is_a_setting_of_gpus_that_is_off_unless_a_block_asks_for_it():
    model = small.build("ebgan")
    settings: list[tuple[types.Precision | None, bool]]
    settings = [("tf32", True), (None, False), ("bf16", False)]
    for chosen, rounds in settings:
        precision.prepare(model, chosen)
        assert torch.backends.cuda.matmul.allow_tf32 is rounds
        assert torch.backends.cudnn.allow_tf32 is rounds


@pytest.mark.parametrize("net", [small.CONV, small.CONV3X3], ids=["conv", "conv3x3"])
def test_the_order_of_numbers_in_memory_changes_sums_alone(
    net: Any, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patched:
        patched.setattr(precision, "channels_last", lambda network: network)
        model, before = trained("began", net)
        assert all(value.is_contiguous() for value in model.state_dict().values())
    model = small.build("began", net)
    training = small.training(model, "began", ema={"G": 0.9})
    strides = {key: value.stride() for key, value in model.state_dict().items()}
    after = list(training.epochs())
    for one, other in zip(before, after, strict=True):
        assert other == pytest.approx(one, rel=1e-4)
    assert {key: value.stride() for key, value in model.state_dict().items()} == strides
    assert any(not value.is_contiguous() for value in model.state_dict().values())


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's tracer looks at it
def test_a_traced_training_is_the_one_that_is_written(compiles: None):
    """Traced forwards and backwards, without the generation of code, which takes long."""
    assert_near("began", small.CONV3X3, 1e-4, compiler="aot_eager")


@pytest.mark.filterwarnings("ignore:The .grad attribute")
@pytest.mark.parametrize("name", ["began", "dcgan"])
def test_a_traced_step_multiplies_no_more_than_the_one_that_is_written(name: str, compiles: None):
    """Its backward pass is made for every weight that had a gradient on the way there."""
    found = Calls()

    def watched(graph: Any, _: Any) -> Any:
        def run(*given: Any) -> Any:
            with found:
                return graph(*given)

        return make_boxed_func(run)

    written = small.training(small.build(name), name)
    traced = small.training(small.build(name), name, compiler=aot_autograd(fw_compiler=watched))
    written.epoch = traced.epoch = written.method.epochs - 1  # both players move
    with Calls() as expected:
        next(written.steps())
    next(traced.steps())
    assert 0 < found.flops <= expected.flops


@pytest.mark.skipif("EBMREPRO_SOAK" not in os.environ, reason="make soak: it compiles for minutes")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", small.GANS)
def test_a_compiled_training_is_the_one_that_is_written(name: str, compiles: None):
    assert_near(name, small.CONV, 1e-3, compiler="inductor")


def test_compiling_is_asked_for_by_the_environment(monkeypatch: pytest.MonkeyPatch):
    assert precision.compiler() is None
    monkeypatch.setenv("EBMREPRO_COMPILE", "on")
    assert precision.compiler() == "inductor"
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(errors.UserError, match="EBMREPRO_COMPILE: found 'on' with 2 ranks"):
        precision.compiler()


def test_batch_normalisation_of_several_ranks_takes_bfloat16_as_that_of_one_does():
    alone = nn.BatchNorm2d(3)
    ours, x = batch_norm.OverRanks(copy.deepcopy(alone)), torch.randn(4, 3, 2, 2).bfloat16()
    torch.testing.assert_close(ours(x), alone(x), rtol=0.02, atol=0.02)
    assert ours(x).dtype == alone(x).dtype == torch.bfloat16
    assert alone.running_var is not None
    torch.testing.assert_close(ours.running_var, alone.running_var, rtol=0.01, atol=0.01)
