"""Trainings that take turns: each has the surroundings that it has alone, and ends by itself."""

from __future__ import annotations

import os
import signal
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from ebmrepro.networks import precision
from ebmrepro.system.signals import Watch
from ebmrepro.training import together as room
from ebmrepro.training.together import Turns, clock, together

CPU = torch.device("cpu")


def all_of(trainings: dict[str, Turns], places: int = 8) -> dict[str, BaseException | None]:
    left = iter(trainings.items())
    return dict(together(lambda idle: next(left, None), CPU, places))


def test_a_training_finds_what_it_left_and_the_process_what_it_had():
    def training(numbers: Any, found: list[Any]) -> Turns:
        seed, threads, rounds = numbers
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        precision.multiply(rounds)
        for _ in range(3):
            flags = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
            found.append((torch.rand(1).item(), torch.get_num_threads(), *flags))
            yield

    settings: list[Any] = [(1, 1, None), (2, 2, "tf32"), (3, 3, None)]
    precision.multiply(None)
    torch.manual_seed(0)
    before = torch.get_rng_state(), torch.get_num_threads()
    alone: list[list[Any]] = [[], [], []]
    for numbers, found in zip(settings, alone, strict=True):
        assert all_of({"alone": training(numbers, found)}) == {"alone": None}
    beside: list[list[Any]] = [[], [], []]
    made = (training(numbers, found) for numbers, found in zip(settings, beside, strict=True))
    assert all_of(dict(zip("abc", made, strict=True))) == dict.fromkeys("abc")
    assert beside == alone
    assert torch.equal(torch.get_rng_state(), before[0]) and torch.get_num_threads() == before[1]
    assert not torch.backends.cuda.matmul.allow_tf32


def test_they_go_round_as_many_as_there_are_places_and_a_failure_is_its_own():
    order: list[str] = []

    def training(name: str, turns: int) -> Turns:
        for _ in range(turns):
            order.append(name)
            yield
        if name == "b":
            raise ValueError("b alone")

    made = {name: training(name, turns) for name, turns in (("a", 3), ("b", 1), ("c", 2))}
    ended = all_of(made, places=2)
    assert [name for name, error in ended.items() if error is None] == ["a", "c"]
    assert str(ended["b"]) == "b alone"
    assert "".join(order) == "abaacc" or "".join(order) == "abacac"


def test_what_failed_holds_no_memory():
    class Large:
        pass

    def training() -> Turns:
        large = Large()
        held.append(weakref.ref(large))
        try:
            yield
            raise KeyError("deep")
        except KeyError:
            raise ValueError("told") from None

    held: list[weakref.ref[Large]] = []
    ended = all_of({"a": training()})
    assert str(ended["a"]) == "told" and held[0]() is None


def test_the_next_is_asked_for_when_a_place_is_free_and_told_whether_it_may_wait():
    asked: list[bool] = []

    def more(idle: bool) -> tuple[str, Turns] | None:
        asked.append(idle)
        return ("late", iter([None])) if len(asked) == 2 else None

    # Nobody trains and there is none: the end; while there may be more, `more` waits itself.
    assert not list(together(more, CPU, 2)) and asked == [True]
    assert list(together(more, CPU, 2)) == [("late", None)]
    assert asked == [True, True, False, False, True]


def test_seconds_of_all_add_up_to_those_of_the_clock():
    def training(found: list[float]) -> Turns:
        began = clock()
        for _ in range(3):
            time.sleep(0.02)
            yield
        found.append(clock() - began)

    found: list[float] = []
    began = time.monotonic()
    all_of({name: training(found) for name in "abc"})
    assert len(found) == 3 and min(found) >= 0.06
    assert sum(found) <= time.monotonic() - began
    assert room._current is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_all_and_ends_with_the_last(number: signal.Signals):
    before = signal.getsignal(number)
    first, second, third = Watch(), Watch(), Watch()
    told: list[Callable[[], Any]] = []
    with first:
        second.__enter__()
        os.kill(os.getpid(), number)
        told += [first.reason, second.reason]
    third.__enter__()  # begun in the meantime
    second.__exit__()
    assert signal.getsignal(number) is signal.SIG_DFL  # a second one ends the process
    third.__exit__()
    assert signal.getsignal(number) is before
    assert [each() for each in [*told, third.reason]] == [(f"by {number.name}", 128 + number)] * 3
    with Watch() as later:
        assert later.reason() is None


def test_a_training_pauses_before_each_wait(monkeypatch: pytest.MonkeyPatch):
    import small

    from ebmrepro.training import loop

    monkeypatch.setattr(loop, "LOOK", 2)
    training = small.training(small.build("began"), "began")
    waits: Iterator[bool] = (training.waits for _ in training.steps())
    # Of three batches: before the second, a look, and before the third, the end of the epoch.
    assert list(waits) == [True, True, False] * training.method.epochs
