"""Averages of weights, by hand."""

import pytest
import torch
from torch import nn

from ebmrepro.networks.conv3x3 import Vanishing
from ebmrepro.training.ema import Average


def test_an_average_begins_at_the_first_weights_and_forgets_by_its_decay():
    """A decay that is not its own complement: the average moves little, and not much."""
    layer = nn.Linear(1, 1)
    nn.init.constant_(layer.weight, 1.0)
    average = Average(layer, decay=0.75)
    for weight in (5.0, 8.0):  # 1 -> 0.75 * 1 + 0.25 * 5 = 2 -> 0.75 * 2 + 0.25 * 8 = 3.5
        nn.init.constant_(layer.weight, weight)
        average.add()
    with average.in_place():
        assert layer.weight.item() == 3.5
    assert layer.weight.item() == 8.0
    assert not any(value.requires_grad for value in average.values)  # no graph of all steps grows


def test_statistics_of_batch_normalisation_are_averaged_and_counts_are_not():
    network = nn.Sequential(nn.BatchNorm1d(1), Vanishing(nn.Linear(1, 1), steps=10))
    average, (norm, vanishing) = Average(network, decay=0.75), network
    assert isinstance(norm, nn.BatchNorm1d) and isinstance(vanishing, Vanishing)
    network(torch.tensor([[10.0], [10.0]]))  # momentum 0.1: the running mean is 1
    vanishing.age()
    average.add()
    with average.in_place():
        assert norm.running_mean is not None and norm.running_mean.item() == 0.25
        assert norm.num_batches_tracked is not None and norm.num_batches_tracked.item() == 1
        assert vanishing.steps_done.item() == 1


def test_weights_are_back_after_a_failure():
    layer = nn.Linear(1, 1)
    average = Average(layer, decay=0.5)
    nn.init.constant_(layer.weight, 7.0)
    with pytest.raises(RuntimeError, match="drawing failed"), average.in_place():
        raise RuntimeError("drawing failed")
    assert layer.weight.item() == 7.0
