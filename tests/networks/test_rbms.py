"""Laws of RBMs of every kind of unit: the fast gradient of CD, and the chain that it starts."""

import pytest
import torch

from ebmrepro.methods.autoencoder import LinearRBM
from ebmrepro.networks.energies import RBM, LabelledRBM

KINDS = {
    "binary": lambda: RBM(7, 5, std=1.0),
    "linear hidden units": lambda: LinearRBM(7, 5, std=1.0),
    "labelled": lambda: LabelledRBM(4, 3, 5, std=1.0),
}


def made(kind: str) -> tuple[RBM, torch.Tensor, torch.Tensor]:
    """An RBM in double precision, and two batches of visible units."""
    torch.manual_seed(0)
    rbm = KINDS[kind]().double()
    with torch.no_grad():
        rbm.b.normal_()
        rbm.c.normal_()
    v, v_k = torch.rand(2, 6, 7, dtype=torch.float64)
    return rbm, v, v_k


@pytest.mark.parametrize("kind", KINDS)
def test_the_contrast_is_the_difference_of_free_energies_and_so_is_its_derivative(kind):
    rbm, v, v_k = made(kind)
    parameters = list(rbm.parameters())
    expected = rbm(v).mean() - rbm(v_k).mean()
    by_autograd = torch.autograd.grad(3 * expected, parameters)  # an outer derivative that is not 1
    contrast = rbm.contrast(v, v_k, rbm.field(v).detach())
    torch.testing.assert_close(contrast, expected)
    torch.testing.assert_close(torch.autograd.grad(3 * contrast, parameters), by_autograd)


def test_batches_of_a_contrast_may_differ_in_size():
    rbm, v, v_k = made("binary")
    by_autograd = torch.autograd.grad(rbm(v).mean() - rbm(v_k[:2]).mean(), rbm.W)
    contrast = rbm.contrast(v, v_k[:2], rbm.field(v).detach())
    torch.testing.assert_close(torch.autograd.grad(contrast, rbm.W), by_autograd)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sample_visible", [False, True])
def test_a_field_that_is_known_changes_nothing_in_a_chain(kind, sample_visible):
    rbm, v, _ = made(kind)
    torch.manual_seed(1)
    alone = rbm.gibbs(v, 3, sample_visible=sample_visible)
    torch.manual_seed(1)
    shared = rbm.gibbs(v, 3, sample_visible=sample_visible, field=rbm.field(v).detach())
    assert torch.equal(alone, shared)
