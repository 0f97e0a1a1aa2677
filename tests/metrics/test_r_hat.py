"""Split-R-hat: by hand, against ArviZ, and what it sees."""

from __future__ import annotations

import math

import pytest
import torch

from ebmrepro.metrics import r_hat

ARVIZ = [[0.0, 1.0, 4.0, 2.0], [2.0, 4.0, 1.0, 0.0], [1.0, 4.0, 2.0, 2.0]]


def test_by_hand():
    # halves [0, 2], [4, 6]: variances 2 and 2, means 1 and 5, whose variance is 8; n = 2
    found = r_hat.split_r_hat(torch.tensor([[0.0, 2.0, 4.0, 6.0]]))
    assert found == pytest.approx(math.sqrt(1 / 2 + 8 / 2))


def test_it_is_that_of_arviz():
    """arviz_stats 0.8.0's `rhat(..., method="split")` of the same numbers."""
    assert r_hat.split_r_hat(torch.tensor(ARVIZ)) == pytest.approx(1.1607620001760186, abs=1e-12)


def test_chains_that_agree_come_near_one_and_one_that_drifts_or_stands_apart_does_not():
    torch.manual_seed(0)
    alike = torch.randn(8, 400)
    assert r_hat.split_r_hat(alike) == pytest.approx(1, abs=0.02)
    assert r_hat.split_r_hat(alike + torch.linspace(0, 3, 400)) > r_hat.LIMIT
    apart = alike.clone()
    apart[0] += 3
    assert r_hat.split_r_hat(apart) > r_hat.LIMIT


def test_only_the_second_half_of_a_chain_counts():
    torch.manual_seed(0)
    chains = torch.randn(4, 200)
    chains[:, :100] += 50
    assert r_hat.settled(chains) < r_hat.LIMIT < r_hat.split_r_hat(chains)


def test_chains_that_never_move_agree_only_where_they_are_the_same():
    assert r_hat.split_r_hat(torch.zeros(3, 8)) == 1
    assert r_hat.split_r_hat(torch.tensor([[0.0] * 8, [1.0] * 8])) == math.inf


def test_too_short_chains_are_refused():
    with pytest.raises(ValueError, match="found 3; at least 4"):
        r_hat.split_r_hat(torch.zeros(2, 3))


def test_chains_that_have_not_mixed_are_flagged_by_the_worst_of_their_groups():
    torch.manual_seed(0)
    fine = torch.randn(2, 20, 200)
    found = r_hat.of_chains(fine)
    assert found.values["r_hat_samples"] < r_hat.LIMIT and not found.flags["r_hat_samples"]
    drifting = torch.stack([fine[0], fine[1] + torch.linspace(0, 9, 200)])
    found = r_hat.of_chains(drifting)
    assert found.values["r_hat_samples"] > r_hat.LIMIT
    assert "200 steps have not mixed" in str(found.flags["r_hat_samples"])
    assert "2 labels, 20 chains each" in found.protocol["r_hat_samples"]


def test_of_chains_that_are_too_short_nothing_is_said():
    found = r_hat.of_chains(torch.randn(1, 5, 7))
    assert (
        found.values["r_hat_samples"] is None and "8 are needed" in found.reasons["r_hat_samples"]
    )
