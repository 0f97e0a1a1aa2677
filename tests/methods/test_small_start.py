"""A network from small random weights learns beside the others of its method."""

from __future__ import annotations

import pytest
import small
import torch

from ebmrepro.methods.base.method import Labelled


@pytest.mark.parametrize(
    ("method", "first", "records", "measure"),
    [
        ("dbn", "small.0.weight", {"loss/small", "error/small"}, "error_small"),
        (
            "autoencoder",
            "small.encoder.0.weight",
            {"loss/small", "sum_sq/small"},
            "reconstruction_sum_sq_small",
        ),
    ],
)
def test_it_moves_none_of_the_others(method: str, first: str, records: set[str], measure: str):
    """Its weights and its turns draw nothing that the others would have drawn."""
    with_it, without = (small.build(method, small_start=start) for start in (True, False))
    assert with_it.state_dict()[first].std().item() == pytest.approx(0.01, rel=0.2)
    epochs = []
    for model in (with_it, without):
        torch.manual_seed(7)
        epochs.append(list(small.training(model, method).epochs()))
    weights, own_weights = without.state_dict(), with_it.state_dict()
    assert {key.split(".")[0] for key in own_weights.keys() - weights.keys()} == {"small"}
    assert all(torch.equal(value, own_weights[key]) for key, value in weights.items())
    own, other = epochs
    assert all(one.items() >= two.items() for one, two in zip(own, other, strict=True))
    assert set(own[-1]) - set(other[-1]) == records
    x = small.batch(with_it)
    x = x if with_it.labelled else Labelled(x, torch.zeros(len(x)))
    assert set(with_it.diagnose([x], [x])) - set(without.diagnose([x], [x])) == {measure}
