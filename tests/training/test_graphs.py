"""Recorded steps: what the host adds to a step is in its phase; their bytes are those of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import small
import torch

from ebmrepro.training import graphs
from ebmrepro.training.loop import Training


class Again:
    """Stands in for a GPU's recording, by doing again what was recorded, as it was then.

    A real one adds to a step what the host added when it was recorded, so the epoch is that one's,
    and its results lie where they lay then.
    """

    def __init__(self, training: Training, function: Callable[[], None]):
        self.training, self.epoch, self.function = training, training.epoch, function
        self.numbers = [p.optimiser.numbers for p in training.players.values()]
        memory, random = training.memory(), training.random()
        before = [value.clone() for value in memory.values()]
        function()
        for value, old in zip(memory.values(), before, strict=True):
            value.detach().copy_(old)
        training.set_random(random)
        self.replays = 0

    def replay(self) -> None:
        training, epoch = self.training, self.training.epoch
        now = [p.optimiser.numbers for p in training.players.values()]
        assert now == self.numbers, "rates and momenta are those of the recording"
        training.epoch = self.epoch
        self.function()
        training.epoch = epoch
        self.replays += 1


class Recorder:
    def __init__(self) -> None:
        self.made: list[Again] = []

    def __call__(self, function: Callable[[], None]) -> Again:
        assert self.training
        self.made.append(Again(self.training, function))
        return self.made[-1]

    training: Training | None = None


def trained(name: str, record: bool) -> tuple[dict[str, Any], list[dict[str, float]], Recorder]:
    model, recorder = small.build(name), Recorder()
    training = small.training(model, name, recorder=recorder if record else None)
    recorder.training = training
    torch.manual_seed(3)
    records = list(training.epochs())
    return {key: value.clone() for key, value in training.memory().items()}, records, recorder


@pytest.mark.parametrize("name", small.METHODS)
def test_a_training_of_recorded_steps_has_the_bytes_of_one_without(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(graphs, "FIRST", 1)
    plain, records, _ = trained(name, record=False)
    replayed, again, recorder = trained(name, record=True)
    assert again == records
    assert plain.keys() == replayed.keys()
    differs = [key for key in plain if not torch.equal(plain[key], replayed[key])]
    assert not differs
    assert sum(each.replays for each in recorder.made) > graphs.BOTH * len(recorder.made) > 0


@pytest.mark.parametrize("own", [True, False], ids=["stream of its own", "default stream"])
def test_a_step_is_recorded_on_the_gpu_that_trains(own: bool, monkeypatch: pytest.MonkeyPatch):
    """On a stream of the second one; the process begins at the first."""
    gpu, done, entered = torch.device("cuda:1"), [], []

    @contextmanager
    def enter(*given: Any, **named: Any) -> Iterator[None]:
        entered.append(named.get("stream", given[0]))
        yield

    monkeypatch.setattr(graphs, "_other", lambda device: ("another", device))
    names = {"current_stream": "own" if own else "default", "default_stream": "default"}
    for name, stream in names.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, stream=stream: (stream, device))
    for name in ("device", "graph"):
        monkeypatch.setattr(torch.cuda, name, enter)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    record = graphs.recorder(gpu)
    assert record
    record(lambda: done.append(list(entered)))
    assert done == [[gpu, ("own" if own else "another", gpu)]]


def test_steps_are_recorded_on_one_gpu_alone_and_where_nobody_forbids_it(
    monkeypatch: pytest.MonkeyPatch,
):
    gpu = torch.device("cuda")
    assert graphs.recorder(torch.device("cpu")) is None
    assert graphs.recorder(gpu) is not None
    monkeypatch.setattr(graphs.distributed, "count", lambda: 2)
    assert graphs.recorder(gpu) is None
    monkeypatch.undo()
    monkeypatch.setenv("EBMREPRO_GRAPHS", "off")
    assert graphs.recorder(gpu) is None
