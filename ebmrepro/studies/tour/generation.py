"""Generation: going to where the energy is low.

Denoising starts at a noisy image, completion at an image whose right half is unknown (the left is
clamped), sampling at noise; each descends the energy. An auto-encoder can also project: its
reconstruction is one step towards the data. A restricted Boltzmann machine can sample the unknown
half given the known one. Descent does not know when to stop, for the lowest energy is not the best
image; it is stopped at the step that is best on images held out, or else on training images. An
energy with a margin is flat or unlearnt away from the data and is no density: a descent from noise
ends where the energy happens to be low. Beside them stands what mean and covariance alone achieve,
without any energy, unless images are too large for a covariance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ebmrepro.config import tour
from ebmrepro.data import corruptions, ood_images
from ebmrepro.methods.base.abilities import AutoEncodes, Completes
from ebmrepro.networks import device, images
from ebmrepro.networks.random import seeded
from ebmrepro.networks.samplers import Energy
from ebmrepro.runs import models
from ebmrepro.studies.tour import linear
from ebmrepro.studies.tour.descent import descend
from ebmrepro.studies.tour.linear import Gaussian
from ebmrepro.studies.tour.material import Material
from ebmrepro.studies.tour.question import Answer, Question

COLUMNS = 10  # images across a picture
AT_A_TIME = 2**26  # pixels of training images that are held as numbers, 512 MiB in float64


@dataclass(frozen=True)
class Task:
    """Images to be restored, (N, C, H, W) on the device: what they were, and what is given; the
    same of others, to choose the number of steps on.
    """

    name: str
    truth: Tensor
    practice_truth: Tensor
    given: Tensor
    practice: Tensor
    shown: Tensor  # the given, in a picture
    free: Tensor | None = None  # bool (C, H, W), the pixels to be restored; None: all

    def descend(self, energy: Energy, asked: tour.Generation) -> tuple[int, Tensor]:
        """The number of steps that is best in practice, and the images after so many."""
        practice = descend(energy, self.practice, asked.steps, asked.step, self.free)
        errors = [self._distance(x, self.practice_truth) for x, _ in practice]
        stop = int(np.argmin(errors))
        *_, (x, _) = descend(energy, self.given, stop, asked.step, self.free)
        return stop, x

    def error(self, x: Tensor) -> float:
        return self._distance(x, self.truth)

    def judge(self, guesses: Mapping[str, Tensor], answer: Answer) -> None:
        """What each way of guessing has achieved, and gained on what was given."""
        for way, x in guesses.items():
            answer.values[f"{self.name}_error_{way}"] = self.error(x)
            answer.values[f"{self.name}_gain_{way}"] = self.error(self.given) - self.error(x)

    def picture(self, *guesses: Tensor) -> np.ndarray:
        return _rows(*map(images.to_uint8, (self.truth, self.shown, *guesses)))

    def _distance(self, x: Tensor, truth: Tensor) -> float:
        """Root mean square of the difference, over the free pixels."""
        difference = x - truth if self.free is None else (x - truth)[:, self.free]
        return difference.square().mean().sqrt().item()


class Generation(Question):
    def __init__(self, material: Material):
        super().__init__(material)
        self.asked, self.seed = asked, seed = material.asked.generation, material.asked.seed
        where = device.device()

        def on_device(pictures: np.ndarray) -> Tensor:
            return images.from_uint8(pictures).to(where)

        def seen() -> Iterator[np.ndarray]:
            return (x.numpy().astype(np.float64) for x in self._train())

        shape = material.test.shape[1:]
        few = np.prod(shape) <= linear.LARGEST
        gaussian = Gaussian.of(seen) if few else None
        middle = gaussian.mean if gaussian else linear.mean(seen)
        self.start = on_device(ood_images.noise(shape, asked.samples, seed))

        clean = [x[: asked.images] for x in (material.test, material.held_out)]
        noisy = [corruptions.noisy(x, asked.noise, seed + i) for i, x in enumerate(clean)]
        truths, noisy = [*map(on_device, clean)], [*map(on_device, noisy)]
        self.noisy = Task("denoise", *truths, *noisy, shown=noisy[0])
        self.known = torch.zeros(shape, dtype=torch.bool, device=where)
        self.known[..., : shape[-1] // 2] = True
        mean = torch.from_numpy(middle).float().to(where).unflatten(0, shape)
        halved = [torch.where(self.known, x, mean) for x in truths]
        black = torch.where(self.known, truths[0], -1)
        self.halved = Task("complete", *truths, *halved, shown=black, free=~self.known)

        def flat(x: Tensor) -> np.ndarray:
            return x.flatten(1).cpu().numpy().astype(np.float64)

        self.linear: dict[str, Tensor] = {}  # task -> its images, guessed; none without a Gaussian
        if gaussian:
            known = self.known.flatten().cpu().numpy()
            guesses = {
                "denoise": gaussian.denoise(flat(noisy[0]), asked.noise),
                "complete": gaussian.complete(flat(halved[0]), known),
            }
            self.linear = {
                task: torch.from_numpy(x).float().to(where).clamp(-1, 1).unflatten(1, shape)
                for task, x in guesses.items()
            }

    @torch.no_grad()
    def answer(self, model):
        asked, answer = self.asked, Answer()
        stop, x = self.noisy.descend(model.energy, asked)
        guesses = {"descent": x}
        if isinstance(model, AutoEncodes):
            guesses["projection"] = model.reconstruct(self.noisy.given).clamp(-1, 1)
        self.noisy.judge(guesses, answer)
        answer.values["denoise_steps"] = stop
        answer.pictures["denoising"] = self.noisy.picture(*guesses.values())

        guesses = {"descent": self.halved.descend(model.energy, asked)[1]}
        if isinstance(model, Completes):
            with seeded(self.seed, self.known.device):
                guesses["gibbs"] = model.complete(self.halved.given, self.known)
        self.halved.judge(guesses, answer)
        answer.pictures["completion"] = self.halved.picture(*guesses.values())

        own = models.draw(model, asked.samples, self.seed)
        *_, (x, _) = descend(model.energy, self.start, asked.sample_steps, asked.step)
        fallen = images.to_uint8(x)
        answer.values["sample_distance_own"] = self._to_nearest(own)
        answer.values["sample_distance_descent"] = self._to_nearest(fallen)
        answer.pictures["sampling"] = _rows(
            own[:COLUMNS], own[COLUMNS:], fallen[:COLUMNS], fallen[COLUMNS:]
        )
        return answer

    def shared(self):
        """Errors at the start, and of linear guesses."""
        answer, tasks = Answer(), {"denoising": self.noisy, "completion": self.halved}
        if not self.linear:
            pixels = self.known.numel()
            why = f"{pixels:,} pixels: the covariance of at most {linear.LARGEST:,} is held"
            answer = Answer.missing({f"{task.name}_error_linear": why for task in tasks.values()})
        for picture, task in tasks.items():
            if task.name in self.linear:
                guess = self.linear[task.name]
                answer.values[f"{task.name}_error_linear"] = task.error(guess)
                answer.pictures[picture] = task.picture(guess)
        answer.values |= {
            "denoise_error_noisy": self.noisy.error(self.noisy.given),
            "complete_error_mean": self.halved.error(self.halved.given),
            "sample_distance_test": self._to_nearest(images.to_uint8(self.noisy.truth)),
        }
        return answer

    def _to_nearest(self, pictures: np.ndarray) -> float:
        """Root mean squared distance per pixel to the nearest training image, mean over images."""
        x = images.from_uint8(pictures).flatten(1)
        distances = [torch.cdist(x, part).amin(dim=1) for part in self._train()]
        least = torch.stack(distances).amin(dim=0)
        return (least / np.sqrt(x.shape[1])).mean().item()

    def _train(self) -> Iterator[Tensor]:
        """Training images (n, K), on the host, as many at once as fit."""
        train = self.material.train
        step = max(1, AT_A_TIME // int(np.prod(train.shape[1:])))
        for i in range(0, len(train), step):
            yield images.from_uint8(train[i : i + step]).flatten(1)


def _rows(*sets: np.ndarray) -> np.ndarray:
    """The first images of each set, a row for each."""
    return images.grid(np.concatenate([x[:COLUMNS] for x in sets]), COLUMNS)
