"""What a DBN's errors are held against: table 1 of Hinton, Osindero and Teh (2006)."""

from __future__ import annotations

from ebmrepro.config.documents import Strict
from ebmrepro.config.optimisers import Optim
from ebmrepro.config.types import Count, Layers, Natural, Positive


class SupportVectors(Strict):
    """Kernel ((1 + u . v) / 2)^degree of images of length 1; C of the soft margin."""

    degree: Count
    C: Positive


class Backprop(Strict):
    """A network of rectified layers and a softmax, from random weights."""

    hidden: Layers
    epochs: Count
    batch_size: Count
    held_out: Natural  # training images that choose the epoch to stop at; 0: the last one
    optim: Optim


class Selected(Strict):
    """Up-down whose epoch is chosen on images held out, and which then goes on with all."""

    first: Count  # training images of the training whose epoch is chosen
    held_out: Count  # others, which choose it
    more: Count  # epochs with all training images, at most


class Classifiers(Strict):
    support_vectors: SupportVectors
    two_layers: Backprop
    one_layer: Backprop
    selected: Selected | None = None  # the key is left out where a suite's DBN is not so trained
