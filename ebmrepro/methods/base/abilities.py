"""What some methods can do and others cannot.

A method has an ability when its class, or its family's, defines the functions; who needs one asks
`isinstance(model, AutoEncodes)`. Nothing is registered, and nothing returns None for "I cannot".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from ebmrepro.methods.base.method import Labelled


@runtime_checkable
class AutoEncodes(Protocol):
    """It has an auto-encoder."""

    def code(self, x: Tensor) -> Tensor: ...  # (N, C, H, W) -> (N, K)

    def reconstruct(self, x: Tensor) -> Tensor: ...  # D(x), (N, C, H, W) -> the same shape


@runtime_checkable
class ComparesStarts(AutoEncodes, Protocol):
    """Its paper shows reconstructions of an auto-encoder from several starts, beside PCA's."""

    def reconstructions(self, x: Tensor) -> Mapping[str, Tensor]: ...  # by start, as `reconstruct`


@runtime_checkable
class ModelsLabels(Protocol):
    """It has an energy of images with labels."""

    def joint_free_energy(self, x: Tensor) -> Tensor: ...  # F(x, y), (N, C, H, W) -> (N, classes)


@runtime_checkable
class InfersLabels(Protocol):
    """Its paper infers labels in several ways, and draws what the model has in mind of a label."""

    def infer(self, x: Tensor) -> Mapping[str, Tensor]:
        """log p(y | x) by way, (N, C, H, W) -> (N, classes) each, the way of its reported errors
        first; what a way gets wrong is measured as `error_<way>`.
        """
        ...

    def imagine(self, y: Tensor, at: Sequence[int]) -> Tensor:
        """Images along a chain of each label, after so many Gibbs steps each, rising,
        (N,) int64 -> (N, len(at), C, H, W).
        """
        ...


@runtime_checkable
class RunsChains(Protocol):
    """Its images are the ends of Markov chains."""

    def chains(self, n: int) -> Tensor:
        """F along `n` chains such as those that draw images, after each step, (groups, n, steps);
        the chains of a group sample one distribution.
        """
        ...


@runtime_checkable
class Completes(Protocol):
    """Its own sampler infers a part of an image from the rest."""

    def complete(self, x: Tensor, known: Tensor) -> Tensor:
        """Images whose pixels outside the mask `known`, bool (C, H, W), are inferred from those
        inside, (N, C, H, W) -> the same shape.
        """
        ...


@runtime_checkable
class Diagnoses(Protocol):
    """Its paper asks something of a trained model that no measure of all methods does."""

    def diagnose(self, train: Iterable[Labelled], test: Iterable[Labelled]) -> dict[str, float]:
        """By measure, on real data that come in batches, as often as they are asked for; NaN if
        unknown.
        """
        ...


@runtime_checkable
class Extracts(Protocol):
    """Its classifier is a suite's extractor of features, in which all methods are compared."""

    def features(self, x: Tensor) -> Tensor: ...  # the last hidden layer, (N, C, H, W) -> (N, K)

    def classify(self, features: Tensor) -> Tensor: ...  # p(y | x), (N, K) -> (N, classes)
