"""Several trainings in one process, which take turns, so that a GPU has the kernels of all of them.

A small training leaves most of a GPU idle. Processes side by side would not change that: the GPU
gives its time to one context after the other. So one process launches the steps of one training
after those of another, each on a stream of its own, and the GPU computes them side by side. A
training pauses before a step at whose end the host waits for the GPU (`Training.waits`): what it
has launched goes on while the others have their turns.

What belongs to the process, and would take a training's bytes from what they are alone, is its own
for its turns: random states, the number of threads, how products are rounded.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import torch

from ebmrepro.system.signals import Stopped

K = TypeVar("K")
Turns = Iterator[None]  # a training, which pauses where another may have its turn

FLAGS: tuple[tuple[Any, str], ...] = (  # that `precision.multiply` sets
    (torch.backends.cuda.matmul, "allow_tf32"),
    (torch.backends.cudnn, "allow_tf32"),
    (torch.backends.cudnn, "deterministic"),
)


def together(
    more: Callable[[bool], tuple[K, Turns] | None], device: torch.device, places: int
) -> Iterator[tuple[K, BaseException | None]]:
    """Go round trainings; yields each as it ends, with what it raised. The others go on.

    Args:
        more: gives the next training and its name when a place is free, None where there is none
            now. It is told whether nobody is training: then it may wait, and None means the end.
    """
    on_gpu = device.type == "cuda"
    free = [torch.cuda.Stream(device) if on_gpu else None for _ in range(places)]
    busy: list[tuple[K, Turns, Surroundings]] = []
    while True:
        while free and (one := more(not busy)):
            busy.append((*one, Surroundings(free.pop())))
        if not busy:
            return
        for each in list(busy):
            name, turns, own = each
            try:
                with own.current():
                    next(turns)
                continue
            except StopIteration:
                error = None
            except (Exception, Stopped, SystemExit) as raised:
                error = raised
                _let_go(raised)
            busy.remove(each)
            free.append(own.stream)
            yield name, error


class Surroundings:
    """What of the process is a training's own; at first what the process has.

    The generator of a GPU is not read and written but exchanged, since a recorded step goes on with
    the state, an object with its places on the GPU, that was the generator's when it was recorded
    (torch's CUDAGeneratorImpl.h; seen with torch 2.15).
    """

    def __init__(self, stream: torch.cuda.Stream | None):
        self.stream, self._process = stream, _process()
        self._random = None if stream is None else _generator(stream).clone_state()
        self.away = 0.0  # seconds that others had
        self._left = time.monotonic()

    @contextmanager
    def current(self) -> Iterator[None]:
        """For the time of this context they are those of the process."""
        global _current
        before, _current = _process(), self
        _give(self._process)
        self.away += time.monotonic() - self._left
        try:
            with ExitStack() as stack:
                if self.stream is not None and self._random is not None:
                    generator = _generator(self.stream)
                    stack.callback(generator.graphsafe_set_state, generator.graphsafe_get_state())
                    generator.graphsafe_set_state(self._random)
                    stack.enter_context(torch.cuda.stream(self.stream))
                yield
        finally:
            self._left, self._process, _current = time.monotonic(), _process(), None
            _give(before)


_current: Surroundings | None = None


def _let_go(error: BaseException | None) -> None:
    """Of what the frames of a failed training hold: a traceback would keep its memory."""
    while error:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def clock() -> float:
    """Seconds, of which a training that takes turns has only its own: those of all add up."""
    return time.monotonic() - (_current.away if _current else 0.0)


def _generator(stream: torch.cuda.Stream) -> torch.Generator:
    return torch.cuda.default_generators[stream.device.index]


def _process() -> tuple[torch.Tensor, int, list[bool]]:
    flags = [getattr(place, name) for place, name in FLAGS]
    return torch.get_rng_state(), torch.get_num_threads(), flags


def _give(state: tuple[torch.Tensor, int, list[bool]]) -> None:
    random, threads, flags = state
    torch.set_rng_state(random)
    torch.set_num_threads(threads)
    for (place, name), value in zip(FLAGS, flags, strict=True):
        setattr(place, name, value)
