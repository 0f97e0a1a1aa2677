"""Of one rank alone, batch normalisation over ranks is torch's own, and so is what it remembers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ebmrepro.training import batch_norm


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(nn.BatchNorm1d(3, momentum=0.3), (5, 3)), (nn.BatchNorm2d(3), (4, 3, 2, 2))],
)
def test_one_rank_alone_normalises_as_torch_does(layer: nn.Module, shape: tuple[int, ...]):
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, 0.5, 2.0)
    theirs, ours = nn.Sequential(layer), nn.Sequential(copy.deepcopy(layer))
    batch_norm.over_ranks(ours)
    assert isinstance(ours[0], batch_norm.OverRanks)
    x, weight = torch.empty(shape), torch.rand(shape)
    for _ in range(3):
        x = 2 + 3 * torch.randn(shape)
        inputs = [x.clone().requires_grad_() for _ in range(2)]
        for net, given in zip((theirs, ours), inputs, strict=True):
            net.zero_grad()
            (weight * net(given) ** 2).sum().backward()
        assert torch.allclose(ours(x), theirs(x), atol=1e-5)
        assert inputs[0].grad is not None and inputs[1].grad is not None
        assert torch.allclose(inputs[1].grad, inputs[0].grad, atol=1e-3)
        for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.allclose(own.grad, other.grad, atol=1e-3)  # type: ignore[arg-type]
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for key, value in theirs.state_dict().items():
        assert torch.allclose(ours.state_dict()[key], value, atol=1e-5), key
    assert torch.allclose(ours.eval()(x), theirs.eval()(x), atol=1e-5)  # by what it remembers
    assert ours(x.bfloat16()).dtype is torch.bfloat16


def test_layers_within_layers_ask_the_other_ranks_and_nothing_else_changes():
    net = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.BatchNorm1d(3), nn.ReLU()))
    linear, inner = net[0], net[1]
    batch_norm.over_ranks(net)
    assert net[0] is linear and net[1] is inner
    assert isinstance(inner[0], batch_norm.OverRanks)  # type: ignore[index]
