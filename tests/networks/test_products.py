"""Products whose factors are rounded to bfloat16, by hand and against double precision."""

import pytest
import torch

from ebmrepro.networks.products import affine, product

LAST = 2.0**-8  # half a step between the numbers of bfloat16, relative, at most


def test_factors_are_rounded_and_sums_are_not_lost():
    almost_one = torch.full((1, 1), 1 + 2.0**-10)
    assert product(almost_one, almost_one, rounded=True).item() == 1
    ones = torch.ones(1, 1000)  # a sum in bfloat16 would stay at 256
    assert product(ones, ones.T, rounded=True).item() == 1000


def test_a_bias_is_added_in_float32():
    one = torch.ones(1, 1)
    given = one, one, torch.tensor([2.0**-20])
    assert affine(*given, rounded=True).item() == 1 + 2.0**-20


@pytest.mark.parametrize("gradient", [True, False])
def test_a_rounded_product_is_that_of_rounded_factors(gradient: bool):
    a, b = torch.rand(30, 784), torch.rand(784, 20)
    with torch.set_grad_enabled(gradient):
        found = product(a, b, rounded=True)
    assert found.dtype == torch.float32
    expected = a.bfloat16().double() @ b.bfloat16().double()
    torch.testing.assert_close(found.double(), expected, rtol=1.01 * LAST, atol=0)


def test_its_derivatives_are_rounded_products_and_lie_as_weights_do():
    a, weights = torch.rand(30, 50), torch.rand(20, 50)
    a.requires_grad_()
    weights.requires_grad_()
    by = torch.rand(30, 20)
    found = torch.autograd.grad(product(a, weights.T, rounded=True), [a, weights], by)
    rough, A, W = (x.detach().bfloat16().double() for x in (by, a, weights))
    for one, expected in zip(found, (rough @ W, rough.T @ A), strict=True):
        assert one.dtype == torch.float32 and one.is_contiguous()
        torch.testing.assert_close(one.double(), expected, rtol=1.01 * LAST, atol=0)


def test_products_that_are_not_rounded_are_torchs():
    a, b, c = torch.rand(5, 7), torch.rand(7, 3), torch.rand(3)
    assert torch.equal(product(a, b, rounded=False), a @ b)
    assert torch.equal(affine(a, b, c, rounded=False), torch.nn.functional.linear(a, b.T, c))
