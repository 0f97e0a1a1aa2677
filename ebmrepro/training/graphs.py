"""Whole steps as graphs: on a GPU the host launches one thing a step, where it launched hundreds.

A small step is bound by the host, which takes some ten microseconds to launch a kernel. Recorded
once, a step is replayed as it was: the same kernels on the same places in memory. So all that a
step changes stays where it is, and a new recording is made where what the host adds to a step
changes: its phase (`Method.phase`), learning rates and momenta.

Each recording is held to the steps it stands for before it is used: a few steps are taken both
ways from one state. Where recording fails or they differ, the training goes on without, and says
why.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from ebmrepro.networks import distributed

if TYPE_CHECKING:
    from ebmrepro.training.loop import Taken, Training

FIRST = 3  # steps of each phase that are taken before one is recorded: libraries set themselves up
BOTH = 2  # steps that are taken both ways
TOLERANCE = 1e-4  # of the largest number of a tensor: kernels may add up in another order


class Recording(Protocol):
    def replay(self) -> None:
        """Do again, on the device, all that was recorded."""


Recorder = Callable[[Callable[[], None]], Recording]  # records what a function does, not doing it


def recorder(device: torch.device) -> Recorder | None:
    """CUDA graphs where there is one GPU for the training; off with EBMREPRO_GRAPHS=off."""
    wanted = os.environ.get("EBMREPRO_GRAPHS") != "off"
    recorded = wanted and device.type == "cuda" and distributed.count() == 1
    return partial(_record, device) if recorded else None


def _record(device: torch.device, function: Callable[[], None]) -> Recording:
    """On the training's own stream where it has one: libraries lend each stream its workspace, and
    recordings that were made on one stream must not be replayed side by side. Threads may go on:
    another training's reads batches ahead.
    """
    graph = torch.cuda.CUDAGraph()
    with (
        torch.cuda.device(device),  # for which torch waits before it records
        torch.cuda.graph(graph, stream=_stream(device), capture_error_mode="thread_local"),
    ):
        function()
    return graph


def _stream(device: torch.device) -> torch.cuda.Stream:
    """The current one of a GPU; if it is the default one, on which torch cannot record, another."""
    current = torch.cuda.current_stream(device)
    return _other(device) if current == torch.cuda.default_stream(device) else current


@cache
def _other(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


class Replay:
    """The steps of a training, most of them replayed."""

    def __init__(self, training: Training, record: Recorder):
        self.training, self.record = training, record
        self.phase: object = self  # none yet
        self.taken = 0  # steps of the phase that were not replayed
        self.recording: Recording | None = None
        self.left: Taken | None = None  # by the step that was recorded, at each replay
        self.off = not training.batches.on_device

    def step(self) -> Taken:
        """Take one step, as `Training.device_step` does."""
        if self.off:
            return self.training.device_step()
        if self.phase != (phase := self._phase()):
            self.phase, self.taken, self.recording, self.left = phase, 0, None, None
        if self.taken < FIRST or self._few_left():
            self.taken += 1
            return self._aside()
        if self.recording is None and not self._recorded():
            return self.training.device_step()
        assert self.recording and self.left
        self.recording.replay()
        for name in self.left.players:
            self.training.players[name].moved = True
        return self.left

    def _phase(self) -> object:
        """All that the host adds to a step."""
        epoch, players = self.training.epoch, self.training.players
        numbers = {name: player.optimiser.numbers for name, player in players.items()}
        return self.training.method.phase(epoch), numbers

    def _few_left(self) -> bool:
        """Whether the epoch has no room for steps both ways, which read its batches."""
        batches = self.training.batches
        return self.recording is None and len(batches) - self.training.position < BOTH

    def _aside(self) -> Taken:
        """A step on another stream than the default one, as torch asks for before a recording."""
        device = self.training.batches.device
        if device.type != "cuda":
            return self.training.device_step()
        current, stream = torch.cuda.current_stream(device), _stream(device)
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            taken = self.training.device_step()
        current.wait_stream(stream)
        return taken

    def _recorded(self) -> bool:
        """Record a step, and hold it to a few that are taken one by one; False if it is no use."""
        training, found = self.training, []
        try:
            self.recording = self.record(lambda: found.append(training.device_step()))
        except RuntimeError as error:
            return self._without(f"cannot be recorded: {str(error).splitlines()[0]}")
        (self.left,) = found
        before = training.memory()
        start = [value.clone() for value in before.values()]
        random = training.random()

        def back() -> None:
            for value, old in zip(before.values(), start, strict=True):
                value.detach().copy_(old)
            training.set_random(random)

        for _ in range(BOTH):
            training.device_step()
        expected = [value.clone() for value in before.values()]
        back()
        for _ in range(BOTH):
            self.recording.replay()
        differs = [
            name
            for (name, value), other in zip(before.items(), expected, strict=True)
            if not _close(value, other)
        ]
        back()
        return not differs or self._without(f"replayed differ in {', '.join(differs[:3])}")

    def _without(self, why: str) -> bool:
        self.off, self.recording, self.left = True, None, None
        name = self.training.method.name
        print(f"{name}: trains without CUDA graphs: its steps {why}", flush=True)
        return False


def _close(value: Tensor, other: Tensor) -> bool:
    if not value.is_floating_point():
        return torch.equal(value, other)
    same = (value == other) | (value.isnan() & other.isnan())  # infinities too
    near = (value - other).abs() <= TOLERANCE * other.abs().amax() if value.numel() else same
    return bool((same | near).all())
