"""The loop: turns are taken here, and nothing here knows any method.

Optimisers, their schedules, devices, ranks and the averaging of terms are the loop's; the
mathematics is the method's. Steps come out one by one, and with the last of an epoch its record;
what happens between two of them, saving, stopping, drawing, is the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ebmrepro.config.documents import ParamsError
from ebmrepro.config.optimisers import Optim
from ebmrepro.config.types import Precision
from ebmrepro.methods.base import Labelled, Method, PartlyLabelled, Turn
from ebmrepro.networks import distributed
from ebmrepro.networks.conv3x3 import Vanishing
from ebmrepro.networks.precision import prepare
from ebmrepro.networks.random import WholeBatch
from ebmrepro.training import batch_norm, graphs, optimisers
from ebmrepro.training.batches import Batches
from ebmrepro.training.ema import Average
from ebmrepro.training.finite import Finite, NotFinite

Record = dict[str, float]

LOOK = 100  # steps between looks whether all is finite, at each of which the host waits for a GPU


class Step(NamedTuple):
    """What a step of the training leaves to look at."""

    terms: Mapping[str, Tensor]  # of its turns, and their losses; scalars on the device
    record: Record | None  # of the epoch that ends with it, see `Training.steps`


class Taken(NamedTuple):
    """What the turns of a step leave."""

    terms: Mapping[str, Tensor]  # of them, and their losses; scalars on the device
    added: Sequence[str]  # which sums they were added to
    players: Sequence[str]  # who moved


class Player:
    """A submodule with its optimiser, which moves when the method yields a turn for it."""

    def __init__(self, module: nn.Module, spec: Optim, decay: float | None = None):
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.optimiser = optimisers.make(self.parameters, spec)
        self.average = None if decay is None else Average(module, decay)
        self.age = 0  # epochs in which it has moved
        self.moved = False

    def take(self, loss: Tensor) -> Tensor:
        """Descend the loss in this player's parameters, and in no others.

        Returns 0 if all of the gradient was finite, on the device.
        """
        self.optimiser.clear()
        loss.backward(inputs=self.parameters)
        distributed.average_gradients(self.parameters)
        not_finite = self.optimiser.not_finite()
        self.optimiser.step()
        if self.average:
            self.average.add()
        self.moved = True
        return not_finite

    def end_epoch(self) -> None:
        self.age += self.moved
        self.moved = False
        self.optimiser.end_epoch(self.age)

    def state(self) -> dict[str, Any]:
        return {
            "moments": self.optimiser.state,
            "average": self.average.values if self.average else [],
            "age": self.age,
            "moved": self.moved,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.optimiser.load(state["moments"])
        if self.average:
            self.average.load(state["average"])
        self.age, self.moved = state["age"], state["moved"]
        self.optimiser.end_epoch(self.age)


class Training:
    """A method, its batches and its players: one run, from any step to its last.

    `ema` holds the decays of those players whose weights are averaged, see `ema.py`; for
    `precision` and `compiler` see `networks/precision.py`, for `recorder` `graphs.py`.
    """

    def __init__(
        self,
        method: Method,
        batches: Batches,
        optim: Mapping[str, Optim],
        ema: Mapping[str, float] | None = None,
        precision: Precision | None = None,
        compiler: str | None = None,
        recorder: graphs.Recorder | None = None,
    ):
        self.method, self.batches = method, batches
        self._gpu = batches.device if batches.device.type == "cuda" else None
        if distributed.count() > 1:
            batch_norm.over_ranks(method)
        prepare(method, precision, compiler)  # before copies of the weights are made
        self.players = _players(method, optim, ema or {})
        self.epoch = 0  # epochs done
        self.position = 0  # iterations done in the epoch that has begun
        self._sums: dict[str, Tensor] = {}  # of terms and losses over an epoch, where they stay
        self._counts: dict[str, int] = {}  # of what the epoch that has begun has had so far
        self._finite = Finite(method.name)
        self._vanishing = [part for part in method.modules() if isinstance(part, Vanishing)]
        self._replay = graphs.Replay(self, recorder) if recorder else None

    @property
    def step(self) -> int:
        """Iterations done."""
        return self.epoch * len(self.batches) + self.position

    @property
    def waits(self) -> bool:
        """Whether the host waits for a GPU at the end of the next step."""
        ahead = self.position + 1
        return ahead % LOOK == 0 or ahead == len(self.batches)

    def steps(self) -> Iterator[Step]:
        """Train to the end of the budget; between any two steps `state` may be taken.

        A record holds `epoch` and `step` so far, the means of all terms and losses over the epoch,
        and the scalars that the algorithm remembers, as they stand after it.

        Raises:
            NotFinite: a term, a loss or a gradient was NaN or infinite; it and its step are named.
        """
        self.method.train()
        take = self._replay.step if self._replay else self.device_step
        while self.epoch < self.method.epochs:
            self.batches.begin(self.epoch, self.position)
            while True:
                taken = take()
                self._count(taken)
                ends = self.position == len(self.batches)
                yield Step(taken.terms, self._end_epoch() if ends else None)
                if ends:
                    break

    def epochs(self) -> Iterator[Record]:
        """The same, a record at a time."""
        return (step.record for step in self.steps() if step.record)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """For the time of this context each average stands in for the weights: it is what draws."""
        with ExitStack() as stack:
            for player in self.players.values():
                if player.average:
                    stack.enter_context(player.average.in_place())
            yield

    def state(self) -> dict[str, Any]:
        """All that the rest of the training follows from, the process's random generators and
        number of threads, by which sums are split, among it.

        Raises:
            NotFinite: see `check`; what is not finite is never saved.
        """
        self.check()
        return {
            "epoch": self.epoch,
            "position": self.position,
            "sums": {key: self._sums[key] for key in self._counts},
            "counts": self._counts,
            "method": self.method.state_dict(),
            "players": {name: player.state() for name, player in self.players.items()},
            **self.random(),
            "threads": torch.get_num_threads(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a `state`, in a training made from the same parameters."""
        self.epoch, self.position = state["epoch"], state["position"]
        where = self.batches.device
        for total in self._sums.values():
            total.zero_()
        for key, value in state["sums"].items():
            self._sums.setdefault(key, torch.zeros_like(value, device=where)).copy_(value)
        self._counts = dict(state["counts"])
        self.method.load_state_dict(state["method"])
        for name, player in self.players.items():
            player.restore(state["players"][name])
        self._set_rates()
        torch.set_num_threads(state["threads"])
        self.set_random(state)

    def random(self) -> dict[str, Tensor | None]:
        """States of the random generators."""
        on_gpu = torch.cuda.get_rng_state(self._gpu) if self._gpu else None
        return {"random": torch.get_rng_state(), "random_gpu": on_gpu}

    def set_random(self, state: Mapping[str, Any]) -> None:
        """Go back to `random`."""
        torch.set_rng_state(state["random"])
        if self._gpu:
            torch.cuda.set_rng_state(state["random_gpu"], self._gpu)

    def memory(self) -> dict[str, Tensor]:
        """All that steps change on the device, by name; places that stay."""
        places = {f"sum of {key}": value for key, value in self._sums.items()}
        places |= self.method.state_dict()
        for name, player in self.players.items():
            for i, moments in enumerate(player.optimiser.state):
                places |= {f"{name}'s {key} {i}": moment for key, moment in moments.items()}
            averages = player.average.values if player.average else []
            places |= {f"{name}'s average {i}": value for i, value in enumerate(averages)}
        return {**places, "position": self.batches.position}

    @torch.no_grad()
    def check(self) -> None:
        """Look at every term, loss and gradient so far, and at weights, statistics and moments.

        What an algorithm remembers may be infinite, as long as it knows no value yet (MAGAN's E_G).

        Raises:
            NotFinite: one of them is NaN or infinite.
        """
        self._look()
        remembered = {name for name, _ in self.method.named_buffers(recurse=False)}
        for name, value in self.memory().items():
            bad = value.isnan() if name in remembered else ~value.isfinite()
            if bad.any():
                raise NotFinite(f"{self.method.name}: {name} is not finite after step {self.step}")

    def device_step(self) -> Taken:
        """All of a step that happens on the device, and nothing that the host has to remember."""
        x, y = self.batches.take()
        batch = x if y is None else Labelled(x, y)
        if few := self.batches.take_few():
            batch = PartlyLabelled(x, Labelled(*few))
        terms: dict[str, Tensor] = {}
        added: list[str] = []
        players: list[str] = []
        with WholeBatch() if distributed.count() > 1 else nullcontext():
            for turn in self.method.step(batch, self.epoch):
                taken = self._take(turn)
                for key, value in taken.items():
                    self._sums.setdefault(key, torch.zeros_like(value)).add_(value)
                added += taken
                players += [] if turn.loss is None else [turn.player]
                terms |= taken
        for part in self._vanishing:
            part.age()
        self._finite.end_step(self.batches.position)
        self.batches.position.add_(1)
        return Taken(terms, added, players)

    def _count(self, taken: Taken) -> None:
        """What the host remembers of a step."""
        for key in taken.added:
            self._counts[key] = self._counts.get(key, 0) + 1
        self.position += 1
        if self.position % LOOK == 0:
            self._look()

    def _look(self) -> None:
        self._finite.look(self.epoch * len(self.batches))

    def _end_epoch(self) -> Record:
        self._look()
        own = torch.stack([self._sums[key].float() / n for key, n in self._counts.items()])
        means = dict(zip(self._counts, distributed.mean(own), strict=True))
        for total in self._sums.values():
            total.zero_()
        self.batches.end()
        self.position, self._counts = 0, {}
        self.method.after_epoch(self.epoch, means)
        for player in self.players.values():
            player.end_epoch()
        self._set_rates()
        self.epoch += 1
        values = {**means, **self.method.state_values()}
        record = dict(zip(values, torch.stack([*values.values()]).tolist(), strict=True))
        # A state that has no value yet (MAGAN's E_G before the first epoch) is left out.
        known = {key: value for key, value in record.items() if math.isfinite(value)}
        return {"epoch": self.epoch, "step": self.step, **known}

    def _set_rates(self) -> None:
        factor = float(self.method.rate_factor)
        for player in self.players.values():
            player.optimiser.scale(factor)

    def _take(self, turn: Turn) -> dict[str, Tensor]:
        """Have a turn's player move; returns the turn's terms and its loss, detached."""
        terms = {key: value.detach() for key, value in turn.terms.items()}
        for key, value in terms.items():
            self._finite.see(key, value)
        if turn.loss is None:
            return terms
        if turn.player not in self.players:
            raise ParamsError(
                f"params.yaml: {self.method.name}: found a turn of {turn.player!r}, "
                f"the optim block has {', '.join(self.players)}"
            )
        name, loss = f"loss/{turn.player}", turn.loss.detach()
        self._finite.see(name, loss)
        not_finite = self.players[turn.player].take(turn.loss)
        self._finite.see(f"the gradient of {turn.player}", not_finite, counts=True)
        return {name: loss, **terms}


def _players(
    method: Method, optim: Mapping[str, Optim], ema: Mapping[str, float]
) -> dict[str, Player]:
    """One player per entry; a list of modules is one player each, `rbms.0`, `rbms.1`, ...

    A module without weights, of a network that was not asked for, is none.
    """
    children = dict(method.named_children())
    if unknown := sorted(set(optim) - set(children)):
        raise ParamsError(
            f"params.yaml: {method.name}: optim: found {', '.join(unknown)}, "
            f"the method's players are {', '.join(children)}"
        )
    players: dict[str, Player] = {}
    for name, spec in optim.items():
        module, decay = children[name], ema.get(name)
        if next(module.parameters(), None) is None:
            continue
        if isinstance(module, nn.ModuleList):
            players |= {f"{name}.{i}": Player(part, spec, decay) for i, part in enumerate(module)}
        else:
            players[name] = Player(module, spec, decay)
    return players
