"""The parts that train: the stages' own function, with a deadline between any two steps."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch

from ebmrepro import data
from ebmrepro.config import forms, params
from ebmrepro.config.params import Training
from ebmrepro.networks import device
from ebmrepro.pipeline.offload.parts import DONE, LEAST, NO_TIME, Cell, Part, Told, in_words
from ebmrepro.runs import identity, layout, models, run
from ebmrepro.runs.checkpoints import Checkpoints
from ebmrepro.system import memory
from ebmrepro.system.reading import known
from ebmrepro.system.signals import Watch
from ebmrepro.training.together import Turns, together

SETTLE = 2.0  # seconds from the first step on that say nothing of the speed: a GPU warms up
LOOK = 5.0  # seconds after them, from which the end of the training is foreseen
SPARE = 0.25  # of its time, by which it may be foreseen too late: phases differ in speed
ASIDE = 75  # exit code of a training that was put aside
TOGETHER = "together"  # name of the part whose trainings take turns
LOST = "failed: the process that trained it beside others ended"


class Deadline(Watch):
    """Stops a training at its deadline, or as soon as it is foreseen to end long after it.

    Args:
        deadline: on `clock`.
        steps: left of the training; none: it is worth going on with though it will not end.
        turn: its place in the order of worth.
        turns: those of all that take turns with it, it among them; changes as they come and go.
    """

    def __init__(
        self,
        deadline: float,
        steps: int | None,
        clock: Callable[[], float] = time.monotonic,
        turn: int = 0,
        turns: Collection[int] = (0,),
    ):
        super().__init__()
        self.deadline, self.steps, self.clock = deadline, steps, clock
        self.turn, self.turns, self.known = turn, turns, len(turns)
        self.taken = 0
        self.first: float | None = None  # when the first step had been taken
        self.settled: tuple[float, int] | None = None  # when the speed counts from; steps by then

    def reason(self) -> tuple[str, int] | None:
        """Asked once after every step."""
        now, self.taken = self.clock(), self.taken + 1
        if len(self.turns) != self.known:  # it is faster or slower from now on
            self.known, self.first, self.settled = len(self.turns), None, None
        if self.first is None:
            self.first = now
        if self.settled is None and now - self.first >= SETTLE:
            self.settled = now, self.taken
        if now >= self.deadline:
            return "at its deadline", ASIDE
        # The least worth gives way first: those that are left may make it then.
        least = self.turn == max(self.turns)
        if least and self.steps and self.settled and now - self.settled[0] >= LOOK:
            speed = (self.taken - self.settled[1]) / (now - self.settled[0])
            left = (self.steps - self.taken) / speed if speed else float("inf")
            if left > self.deadline - now + SPARE * (self.deadline - self.first):
                return f"because it would take {left:.0f} s more and has less", ASIDE
        return super().reason()


def train(
    training: Training,
    to_the_end: bool,
    deadline: float,
    turn: int = 0,
    turns: Collection[int] = (0,),
) -> Iterator[Cell | None]:
    """Train, or go on; raises signals.Stopped with a checkpoint saved where it does not fit."""
    settings = params.load()
    about = data.describe(Path("data") / training.suite)
    method = models.untrained(*training, settings)
    block = settings.block(training.suite, training.name)
    steps = method.epochs * (about["splits"]["train"]["count"] // block.batch_size)
    name = identity.fingerprint(*training, settings)
    yield "fingerprint", name
    if has_ended(training, name):  # in an earlier sitting
        yield "steps", steps
        return
    before = Checkpoints(layout.root(), name, identity.made_with(), training.label).newest()
    left = steps - (before[0] if before else 0)
    watch = Deadline(deadline, left if to_the_end else None, turn=turn, turns=turns)
    yield "steps before", steps - left
    yield from run.turns(*training, settings, watch)
    yield "steps", steps


def train_together(trainings: list[Training], places: int, deadline: float) -> Iterator[Cell]:
    """Train so many at a time, in the order of `schedule`; a cell says what became of one."""
    settings = params.load()
    told = {
        each: Told(LOST, 0.0, {"fingerprint": identity.fingerprint(*each, settings)})
        for each in trainings
    }
    for each in trainings:
        yield each.label, asdict(told[each])
    waiting = deque((turn, True) for turn in range(len(trainings)))
    turns: set[int] = set()

    def one(turn: int, to_the_end: bool) -> Turns:
        began, now = time.monotonic(), told[trainings[turn]]
        try:
            for cell in train(trainings[turn], to_the_end, deadline, turn, turns):
                now.cells |= [cell] if cell else []
                yield
        finally:
            now.seconds = round(now.seconds + time.monotonic() - began, 2)

    def more(idle: bool) -> tuple[tuple[int, bool], Turns] | None:
        if not waiting or deadline - time.monotonic() < LEAST:
            return None
        turns.add(waiting[0][0])
        return waiting[0], one(*waiting.popleft())

    where = device.device()
    for (turn, to_the_end), error in together(more, where, places if where.type == "cuda" else 1):
        turns.remove(turn)
        now = told[trainings[turn]]
        now.how = DONE if error is None else in_words(error)
        if to_the_end and is_put_aside(now):
            waiting.append((turn, False))
        yield trainings[turn].label, asdict(now)
        if error is not None and where.type == "cuda":
            torch.cuda.synchronize(where)  # raises if this process can compute no more on its GPU
        memory.collect()
    for turn in (turn for turn, to_the_end in waiting if to_the_end):
        yield trainings[turn].label, asdict(replace(told[trainings[turn]], how=NO_TIME))


def schedule(
    trainings: list[Training], told: Mapping[str, Told], places: int = 1
) -> Iterator[Part]:
    """All that fit, the most worth first; then what is left of the time goes to those begun.

    Where there are several places, so many in one process first; if that process breaks, those that
    it leaves have one of their own each.
    """
    if places > 1:
        yield Part(TOGETHER, partial(train_together, trainings, places))
    for training in trainings:
        if training.label not in told or told[training.label].how in (LOST, NO_TIME):
            yield Part(training.label, partial(train, training, True))
    for training in trainings:
        if is_put_aside(told.get(training.label)):
            yield Part(training.label, partial(train, training, False))


def has_ended(training: Training, fingerprint: str) -> bool:
    """Whether all of it is there: its weights, a card that says so, and its provenance, which it
    writes last, but which a training begun anew has from the one before."""
    folder = layout.folder(*training)
    card = known(forms.Card.read, folder / "run.json") or {}
    ended = card.get("fingerprint") == fingerprint and "steps" in card
    return ended and (folder / "model.safetensors").exists() and provenance(fingerprint).exists()


def provenance(fingerprint: str) -> Path:
    return Path(".ebmrepro") / "provenance" / f"{fingerprint}.json"


def is_put_aside(told: Told | None) -> bool:
    """Whether a training was begun and has its checkpoint to go on from."""
    return told is not None and "steps before" in told.cells and ": stopped " in told.how
