"""Generation: going to where the energy is low.

Denoising starts at a noisy image, completion at an image whose right half is unknown (the left is
clamped), sampling at noise; each descends the energy. An auto-encoder can also project: its
reconstruction is one step towards the data. A restricted Boltzmann machine can sample the unknown
half given the known one. Descent does not know when to stop, for the lowest energy is not the best
image; it is stopped at the step that is best on training images. An energy with a margin is flat or
unlearnt away from the data and is no density: a descent from noise ends where the energy happens to
be low. Beside them stands what mean and covariance alone achieve, without any energy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ebmrepro.config import tour
from ebmrepro.data import corruptions, ood_images
from ebmrepro.methods.base import Method
from ebmrepro.methods.base.abilities import AutoEncodes, Completes
from ebmrepro.networks import device, images
from ebmrepro.runs import models
from ebmrepro.studies.tour.answer import Answer
from ebmrepro.studies.tour.descent import descend
from ebmrepro.studies.tour.linear import Gaussian
from ebmrepro.studies.tour.material import Material

COLUMNS = 10  # images across a picture


@dataclass(frozen=True)
class Task:
    """Images to be restored, and what they were: (N, C, H, W) on the device."""

    truth: Tensor
    given: Tensor
    practice_truth: Tensor  # the same of training images, to choose the number of steps on
    practice: Tensor


@dataclass(frozen=True)
class Question:
    asked: tour.Generation
    seed: int
    train: Tensor  # (N, K), on the host, to find the nearest in
    noisy: Task
    halved: Task  # the unknown half is the training images' mean
    known: Tensor  # bool (C, H, W)
    linear_noisy: Tensor
    linear_halved: Tensor
    start: Tensor  # noise, from which samples descend


def prepare(material: Material) -> Question:
    asked, seed = material.asked.generation, material.asked.seed
    where = device.device()

    def on_device(pictures: np.ndarray) -> Tensor:
        return images.from_uint8(pictures).to(where)

    seen = images.from_uint8(material.train).flatten(1).numpy()
    gaussian = Gaussian.of(seen.astype(np.float64))
    test, practice = material.test[: asked.images], material.held_out[: asked.images]
    shape = test.shape[1:]

    spoilt = [corruptions.noisy(x, asked.noise, seed + i) for i, x in enumerate((test, practice))]
    noisy = Task(*map(on_device, (test, spoilt[0], practice, spoilt[1])))
    known = torch.zeros(shape, dtype=torch.bool, device=where)
    known[..., : shape[-1] // 2] = True
    mean = torch.from_numpy(gaussian.mean).float().to(where).unflatten(0, shape)
    halves = [torch.where(known, x, mean) for x in (noisy.truth, noisy.practice_truth)]
    halved = Task(noisy.truth, halves[0], noisy.practice_truth, halves[1])

    def guessed(x: np.ndarray) -> Tensor:
        return torch.from_numpy(x).float().to(where).clamp(-1, 1).unflatten(1, shape)

    flat = [t.flatten(1).cpu().numpy().astype(np.float64) for t in (noisy.given, halved.given)]
    return Question(
        asked,
        seed,
        torch.from_numpy(seen),
        noisy,
        halved,
        known,
        guessed(gaussian.denoise(flat[0], asked.noise)),
        guessed(gaussian.complete(flat[1], known.flatten().cpu().numpy())),
        on_device(ood_images.noise(shape, asked.samples, seed)),
    )


@torch.no_grad()
def answer(model: Method, question: Question) -> Answer:
    found, asked = Answer(), question.asked
    _denoise(model, question, found)
    _complete(model, question, found)
    own = models.draw(model, asked.samples, question.seed)
    *_, (fallen, _) = descend(model.energy, question.start, asked.sample_steps, asked.step)
    found.values["sample_distance_own"] = _distance(question, own)
    found.values["sample_distance_descent"] = _distance(question, images.to_uint8(fallen))
    rows = [own[:COLUMNS], own[COLUMNS:], fallen[:COLUMNS], fallen[COLUMNS:]]
    found.pictures["sampling"] = _rows(rows)
    return found


def shared(material: Material, question: Question) -> Answer:
    """What needs no model: errors at the start, and of linear guesses."""
    noisy, halved, unknown = question.noisy, question.halved, ~question.known
    values = {
        "denoise_error_noisy": _error(noisy.given, noisy.truth),
        "denoise_error_linear": _error(question.linear_noisy, noisy.truth),
        "complete_error_mean": _error(halved.given, halved.truth, unknown),
        "complete_error_linear": _error(question.linear_halved, halved.truth, unknown),
        "sample_distance_test": _distance(question, images.to_uint8(noisy.truth)),
    }
    pictures = {
        "denoising": _rows([noisy.truth, noisy.given, question.linear_noisy]),
        "completion": _rows([halved.truth, _half(question), question.linear_halved]),
    }
    return Answer(values, {}, pictures)


def _denoise(model: Method, question: Question, found: Answer) -> None:
    task, values = question.noisy, found.values
    stop, x = _stopped(model.energy, task, question.asked, None)
    before, after = _error(task.given, task.truth), _error(x, task.truth)
    values["denoise_steps"] = float(stop)
    values["denoise_error_descent"] = after
    values["denoise_gain_descent"] = before - after
    rows = [task.truth, task.given, x]
    if isinstance(model, AutoEncodes):
        projected = model.reconstruct(task.given).clamp(-1, 1)
        after = _error(projected, task.truth)
        values["denoise_error_projection"] = after
        values["denoise_gain_projection"] = before - after
        rows.append(projected)
    found.pictures["denoising"] = _rows(rows)


def _complete(model: Method, question: Question, found: Answer) -> None:
    task, unknown, values = question.halved, ~question.known, found.values
    _, x = _stopped(model.energy, task, question.asked, unknown)
    before, after = (_error(guess, task.truth, unknown) for guess in (task.given, x))
    values["complete_error_descent"] = after
    values["complete_gain_descent"] = before - after
    rows = [task.truth, _half(question), x]
    if isinstance(model, Completes):
        with torch.random.fork_rng():
            torch.manual_seed(question.seed)
            sampled = model.complete(task.given, question.known)
        after = _error(sampled, task.truth, unknown)
        values["complete_error_gibbs"] = after
        values["complete_gain_gibbs"] = before - after
        rows.append(sampled)
    found.pictures["completion"] = _rows(rows)


def _stopped(
    energy: Callable[[Tensor], Tensor], task: Task, asked: tour.Generation, free: Tensor | None
) -> tuple[int, Tensor]:
    """The number of steps that is best in practice, and the images after so many."""
    practice = descend(energy, task.practice, asked.steps, asked.step, free)
    errors = [_error(x, task.practice_truth, free) for x, _ in practice]
    stop = int(np.argmin(errors))
    *_, (x, _) = descend(energy, task.given, stop, asked.step, free)
    return stop, x


def _error(x: Tensor, truth: Tensor, where: Tensor | None = None) -> float:
    """Root mean square of the difference, over the pixels of the mask `where` (C, H, W)."""
    difference = x - truth if where is None else (x - truth)[:, where]
    return difference.square().mean().sqrt().item()


def _distance(question: Question, pictures: np.ndarray) -> float:
    """Root mean squared distance per pixel to the nearest training image, mean over images."""
    x = images.from_uint8(pictures).flatten(1)
    least = torch.cdist(x, question.train).amin(dim=1)
    return (least / np.sqrt(x.shape[1])).mean().item()


def _half(question: Question) -> Tensor:
    """The known half, the unknown one black."""
    black = torch.full_like(question.halved.truth, -1)
    return torch.where(question.known, question.halved.truth, black)


def _rows(sets: list[Tensor] | list[np.ndarray | Tensor]) -> np.ndarray:
    """The first images of each set, a row for each."""
    rows = [x if isinstance(x, np.ndarray) else images.to_uint8(x) for x in sets]
    return images.grid(np.concatenate([row[:COLUMNS] for row in rows]), COLUMNS)
