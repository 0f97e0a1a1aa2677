"""A classifier learns by cross-entropy, epoch by epoch, and reads images in any parts alike."""

from __future__ import annotations

import numpy as np
import pytest
import small
import torch
from torch import nn

from ebmrepro.config.optimisers import SGD, Momentum
from ebmrepro.networks import images
from ebmrepro.training import classifier

OPTIM = SGD(
    name="sgd",
    lr=0.1,
    momentum=Momentum(initial=0.5, final=0.9, epochs=2),
    weight_decay=0.0,
)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, small.CLASSES))


def test_steps_are_those_of_gradient_descent_with_momentum_that_grows_with_epochs():
    """One batch an epoch, so their order is nothing: four steps by hand. Momentum is 0.5 in the
    first two epochs and 0.9 after them, inside the learning rate's bracket."""
    x, y = small.pictures(8)
    net = network()
    w = [p.detach().clone().requires_grad_() for p in net[1].parameters()]
    v = [torch.zeros_like(p) for p in w]
    inputs, labels = images.from_uint8(x).flatten(1), torch.from_numpy(y)
    settings = {"epochs": 4, "batch_size": 8, "seed": 1}
    done = []
    for epoch in classifier.train(net, x, y, OPTIM, **settings):
        loss = nn.functional.cross_entropy(inputs @ w[0].T + w[1], labels)
        momentum = 0.5 if epoch <= 2 else 0.9
        with torch.no_grad():
            for i, gradient in enumerate(torch.autograd.grad(loss, w)):
                v[i] = momentum * v[i] + gradient
                w[i] -= 0.1 * v[i]
        done.append(epoch)
        for own, by_hand in zip(net[1].parameters(), w, strict=True):
            assert torch.allclose(own, by_hand, atol=1e-5)
    assert done == [1, 2, 3, 4]


def test_the_seed_and_nothing_else_orders_the_images():
    x, y = small.pictures(40)

    def trained(seed: int) -> list[torch.Tensor]:
        net = network()
        for _ in classifier.train(net, x, y, OPTIM, epochs=2, batch_size=8, seed=seed):
            pass
        return [*net.parameters()]

    assert all(map(torch.equal, trained(1), trained(1)))
    assert not all(map(torch.equal, trained(1), trained(2)))


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_images_in_parts_have_the_logits_of_all_at_once(
    monkeypatch: pytest.MonkeyPatch, at_once: int
):
    x, _ = small.pictures(20)
    net = network()
    monkeypatch.setattr(classifier, "AT_A_TIME", at_once)
    found = classifier.logits(net, x)
    assert not found.requires_grad and found.shape == (20, small.CLASSES)
    assert np.allclose(found, net(images.from_uint8(x)).detach(), atol=1e-6)
