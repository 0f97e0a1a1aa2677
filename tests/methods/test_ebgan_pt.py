"""The pulling-away term's arithmetic. Zhao et al. (2017), section 2.4."""

import numpy as np
import pytest
import small
import torch

from ebmrepro.methods.ebgan_pt import pulling_away
from ebmrepro.metrics.pulling_away import pulling_away as measured


def test_two_codes_by_hand():
    # (3, 4) and (1, 0): cosine 3/5, squared 9/25, the same for (i, j) and (j, i)
    assert pulling_away(torch.tensor([[3.0, 4], [1, 0]])).item() == pytest.approx(0.36)


def test_three_codes_by_hand():
    # cosines 0, 1/sqrt 2, 1/sqrt 2: mean over the six ordered pairs of their squares
    codes = torch.tensor([[1.0, 0], [0, 2], [3, 3]])
    assert pulling_away(codes).item() == pytest.approx((0 + 0.5 + 0.5) / 3)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_collapse_to_a_line_is_one_whatever_the_sign(sign: float):
    """An unsquared cosine would reward codes that point in opposite directions."""
    a = torch.randn(1, 5)
    assert pulling_away(torch.cat([a, sign * a]).repeat(4, 1)).item() == pytest.approx(1)


def test_orthogonal_codes_are_zero():
    assert pulling_away(torch.eye(8) * 3).item() == 0


def test_more_codes_than_dimensions_cannot_reach_zero():
    """Welch's bound (N - s) / (s (N - 1)): 64 codes in 32 dimensions, at least 0.0159."""
    assert pulling_away(torch.randn(64, 32)).item() > 32 / (32 * 63)


def test_a_zero_code_gives_neither_nan_nor_a_push():
    codes = torch.randn(4, 3)
    codes[0] = 0
    codes.requires_grad_()
    value = pulling_away(codes)
    value.backward()
    assert value.isfinite() and codes.grad is not None and codes.grad.isfinite().all()
    assert codes.grad[0].abs().max() == 0


def test_the_loss_and_the_measure_are_one_number():
    codes = torch.randn(20, 7)
    codes[3] = 0
    assert pulling_away(codes).item() == pytest.approx(measured(codes.numpy()), rel=1e-5)
    assert isinstance(measured(np.eye(3)), float)


def test_it_stands_in_the_generators_loss_alone_with_its_weight():
    def losses(weight: float) -> list[float]:
        model = small.build("ebgan_pt", pt_weight=weight)
        torch.manual_seed(3)
        turns = list(model.step(small.batch(model), epoch=0))
        return [turn.loss.item() for turn in turns if turn.loss is not None] + [
            turns[1].terms["ebgan_pt/f_PT"].item()
        ]

    (d0, g0, _), (d1, g1, term) = losses(0.0), losses(0.1)
    assert d0 == d1
    assert g1 - g0 == pytest.approx(0.1 * term, rel=1e-4)


def test_the_hinge_is_per_sample():
    model = small.build("ebgan_pt", margin=2.0, pt_weight=0.0)
    small.give_energies(model, [0.5, 1.5, 1.0, 4.0])
    d = next(model.step(torch.zeros(2, *small.SHAPE), epoch=0))
    assert d.loss.item() == pytest.approx(1 + (1 + 0) / 2)  # of the means it would be 1 + 0
    assert d.terms["hinge/active"].item() == 0.5
