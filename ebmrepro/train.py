"""The loop: turns are taken here, and nothing here knows any method.

Optimisers, their schedules, devices and the averaging of terms are the loop's; the mathematics is
the method's. Records come out, one an epoch; the caller decides what to do with them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ebmrepro import optimisers
from ebmrepro.data.batches import Batches
from ebmrepro.method import Labelled, Method, Turn
from ebmrepro.params import Optim, ParamsError, UserError

Record = dict[str, float]


class NotFinite(UserError):
    """A term of the training became NaN or infinite."""


class Player:
    """A submodule with its optimiser, which moves when the method yields a turn for it."""

    def __init__(self, module: nn.Module, spec: Optim):
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.optimiser = optimisers.make(self.parameters, spec)
        self.age = 0  # epochs in which it has moved
        self.moved = False

    def take(self, loss: Tensor) -> None:
        """Descend the loss in this player's parameters, and in no others."""
        self.optimiser.clear()
        loss.backward(inputs=self.parameters)
        self.optimiser.step()
        self.moved = True

    def end_epoch(self) -> None:
        self.age += self.moved
        self.moved = False
        self.optimiser.end_epoch(self.age)

    def state(self) -> dict[str, Any]:
        return {"moments": self.optimiser.state, "age": self.age}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.optimiser.load(state["moments"])
        self.age = state["age"]
        self.optimiser.end_epoch(self.age)


class Training:
    """A method, its batches and its players: one run, from any epoch to its last."""

    def __init__(self, method: Method, batches: Batches, optim: Mapping[str, Optim]):
        self.method, self.batches = method, batches
        self.players = _players(method, optim)
        self.epoch = 0  # epochs done

    @property
    def step(self) -> int:
        """Iterations done."""
        return self.epoch * len(self.batches)

    def epochs(self) -> Iterator[Record]:
        """Train to the end of the budget; one record per epoch.

        A record holds `epoch` and `step` so far, the means of all terms and losses over the epoch,
        and the scalars that the algorithm remembers, as they stand after it.

        Raises:
            NotFinite: a mean is NaN or infinite; the epoch's step and term are named.
        """
        self.method.train()
        while self.epoch < self.method.epochs:
            means = self._epoch()
            self.method.after_epoch(self.epoch, means)
            for player in self.players.values():
                player.end_epoch()
            self.epoch += 1
            values = {**means, **self.method.state_values()}
            record = dict(zip(values, torch.stack([*values.values()]).tolist(), strict=True))
            self._check(record, means)
            # A state that has no value yet (MAGAN's E_G before the first epoch) is left out.
            known = {key: value for key, value in record.items() if math.isfinite(value)}
            yield {"epoch": self.epoch, "step": self.step, **known}

    def _epoch(self) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        for x, y in self.batches.epoch(self.epoch):
            batch = x if y is None else Labelled(x, y)
            for turn in self.method.step(batch, self.epoch):
                for key, value in self._take(turn).items():
                    value = value.detach()
                    sums[key] = sums[key] + value if key in sums else value.clone()
                    counts[key] = counts.get(key, 0) + 1
        return {key: value.float() / counts[key] for key, value in sums.items()}

    def _take(self, turn: Turn) -> Mapping[str, Tensor]:
        if turn.loss is None:
            return turn.terms
        if turn.player not in self.players:
            raise ParamsError(
                f"params.yaml: {self.method.name}: found a turn of {turn.player!r}, "
                f"the optim block has {', '.join(self.players)}"
            )
        self.players[turn.player].take(turn.loss)
        return {f"loss/{turn.player}": turn.loss, **turn.terms}

    def _check(self, record: Record, means: Mapping[str, Tensor]) -> None:
        for key in means:
            if not math.isfinite(record[key]):
                raise NotFinite(
                    f"{self.method.name}: {key} is {record[key]} in the epoch that ended at step "
                    f"{self.step}"
                )


def device() -> torch.device:
    """EBMREPRO_DEVICE if set, else the GPU if there is one, else the CPU."""
    chosen = os.environ.get("EBMREPRO_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    found = range(torch.cuda.device_count())
    allowed = ["cpu", *(["cuda"] if found else []), *(f"cuda:{i}" for i in found)]
    if chosen not in allowed:
        raise UserError(f"EBMREPRO_DEVICE: found {chosen!r}; here are {', '.join(allowed)}")
    return torch.device(chosen)


def _players(method: Method, optim: Mapping[str, Optim]) -> dict[str, Player]:
    """One player per entry; a list of modules is one player each, `rbms.0`, `rbms.1`, ..."""
    children = dict(method.named_children())
    if unknown := sorted(set(optim) - set(children)):
        raise ParamsError(
            f"params.yaml: {method.name}: optim: found {', '.join(unknown)}, "
            f"the method's players are {', '.join(children)}"
        )
    players: dict[str, Player] = {}
    for name, spec in optim.items():
        module = children[name]
        if isinstance(module, nn.ModuleList):
            players |= {f"{name}.{i}": Player(part, spec) for i, part in enumerate(module)}
        else:
            players[name] = Player(module, spec)
    return players
