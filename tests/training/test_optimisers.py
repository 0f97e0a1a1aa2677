"""The update rules are torch's, bit for bit."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from ebmrepro.config.optimisers import SGD, Adam, Adamax, Momentum
from ebmrepro.training import optimisers

MOMENTUM = Momentum(initial=0.5, final=0.9, epochs=2)
SPECS = {
    "adam": Adam(name="adam", lr=0.01, beta1=0.5, beta2=0.999),
    "adamax": Adamax(name="adamax", lr=0.01, beta1=0.5, beta2=0.999),
    "sgd": SGD(name="sgd", lr=0.01, momentum=MOMENTUM, weight_decay=0.1),
}


def reference(net: nn.Module, name: str) -> torch.optim.Optimizer:
    parameters = list(net.parameters())
    match name:
        case "adam":
            return torch.optim.Adam(parameters, lr=0.01, betas=(0.5, 0.999), fused=True)
        case "adamax":
            return torch.optim.Adamax(parameters, lr=0.01, betas=(0.5, 0.999))
        case _:
            weights = {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.1}
            biases = {"params": [p for p in parameters if p.ndim == 1]}
            return torch.optim.SGD([weights, biases], lr=0.01, momentum=0.5, fused=True)


@pytest.mark.parametrize("name", SPECS)
def test_parameters_move_as_torchs_classes_move_them(name: str):
    nets: list[Any] = []
    for _ in range(2):
        torch.manual_seed(1)
        nets.append(nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 2)))
    ours, theirs = (
        optimisers.make(list(nets[0].parameters()), SPECS[name]),
        reference(nets[1], name),
    )
    for epoch in range(1, 5):
        for step in range(5):
            x = torch.randn(8, 5)
            for net, clear in ((nets[0], ours.clear), (nets[1], theirs.zero_grad)):
                clear()
                # The first layer gets no gradient in the first epoch, as in a warm-up; torch's
                # fused SGD cannot take that.
                hidden = net[:2](x)
                warm_up = epoch == 1 and name != "sgd"
                net[2](hidden.detach() if warm_up else hidden).square().mean().backward()
            ours.step()
            theirs.step()
            for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
                assert torch.equal(a, b), (epoch, step)
        ours.end_epoch(epoch)
        factor = 0.5**epoch
        ours.scale(factor)
        for group in theirs.param_groups:
            group["lr"] = factor * 0.01
            if name == "sgd":
                group["momentum"] = 0.5 if epoch < 2 else 0.9


@pytest.mark.slow
def test_making_one_does_not_import_the_compiler():
    code = (
        "import sys; import ebmrepro.runs.run; import small; "
        "model = small.build('ebgan'); list(small.training(model, 'ebgan').epochs()); "
        "print('torch._dynamo' in sys.modules)"
    )
    tests = str(__import__("pathlib").Path(__file__).parents[1])
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {tests!r}); {code}"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("name", SPECS)
def test_a_player_of_one_parameter_moves_and_sees_what_is_not_finite(name: str):
    net = nn.Linear(2, 1, bias=False)
    before = net.weight.detach().clone()
    optimiser = optimisers.make(list(net.parameters()), SPECS[name])
    net(torch.ones(1, 2)).sum().backward()
    assert optimiser.not_finite() == 0
    optimiser.step()
    assert (net.weight < before).all()  # the gradient is 1
    net.weight.grad = torch.tensor([[1.0, float("nan")]])
    assert optimiser.not_finite() == 1
