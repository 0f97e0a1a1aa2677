"""torch's update rules, called as the functions they are.

torch's optimiser classes import its compiler when the first one is made, which costs every training
as much time as importing torch itself, and look up their hooks at each step. The functions below
them do neither; tests hold them to the classes, bit for bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamax import adamax
from torch.optim.sgd import sgd

from ebmrepro.config.optimisers import SGD, Adam, Adamax, Optim

EPSILON = 1e-8  # of Adam and Adamax, torch's and the paper's


class Optimiser(ABC):
    """Updates parameters from their gradients; one without a gradient stays as it is.

    `state` holds one dictionary of tensors per parameter, empty until the parameter first moves.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], spec: Optim):
        self.parameters = list(parameters)
        self.first_lr = self.lr = spec.lr
        self.state: list[dict[str, Tensor]] = [{} for _ in self.parameters]

    def clear(self) -> None:
        """Drop all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def not_finite(self) -> Tensor:
        """1 where a gradient holds a value that is not finite, else 0; (), on their device."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        one = torch.ones((), device=self.parameters[0].device)
        found = torch.zeros_like(one)
        if gradients:  # the check of torch's GradScaler: one kernel; it multiplies them by 1
            check = torch._amp_foreach_non_finite_check_and_unscale_  # pyright: ignore[reportPrivateImportUsage]
            check(gradients, found, one)
        return found

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        pairs = zip(self.parameters, self.state, strict=True)
        live = [(p, p.grad, state) for p, state in pairs if p.grad is not None]
        for parameter, _, state in live:
            if not state:
                state.update(self._start(parameter))
        if live:
            parameters, gradients, states = (list(column) for column in zip(*live, strict=True))
            self._update(parameters, gradients, states)

    @abstractmethod
    def _start(self, parameter: Tensor) -> dict[str, Tensor]:
        """State of a parameter before its first move."""

    @abstractmethod
    def _update(
        self, parameters: list[Tensor], gradients: list[Tensor], states: list[dict[str, Tensor]]
    ) -> None: ...

    def load(self, state: Sequence[dict[str, Tensor]]) -> None:
        """Take a saved state, one dictionary per parameter, onto the parameters' devices."""
        for parameter, own, saved in zip(self.parameters, self.state, state, strict=True):
            if saved:
                if not own:  # else it stays where it is, for a step that is replayed
                    own.update(self._start(parameter))
                for key, value in saved.items():
                    own[key].copy_(value)

    def scale(self, factor: float) -> None:
        """Learn from now on at `factor` times the learning rate of the specification."""
        self.lr = factor * self.first_lr

    def end_epoch(self, age: int) -> None:  # noqa: B027, most have no schedule
        """Called after the player's `age`-th epoch of moves."""

    @property
    def numbers(self) -> tuple[float, ...]:
        """Those of the host that a step is made with, and that change."""
        return (self.lr,)


class _Moments(Optimiser):
    """Adam and Adamax: two running moments of the gradient, and a count of steps."""

    rule: Callable[..., None]

    def __init__(self, parameters: Sequence[nn.Parameter], spec: Adam | Adamax):
        super().__init__(parameters, spec)
        betas = {"beta1": spec.beta1, "beta2": spec.beta2}
        self.settings = {**betas, "eps": EPSILON, "weight_decay": 0.0}
        self.on_gpu = self.parameters[0].device.type == "cuda"
        if isinstance(spec, Adam):
            self.rule, self.extra = adam, ([],)  # no maxima: amsgrad is off
            self.settings |= {"amsgrad": False, "maximize": False, "fused": True}
        else:
            self.rule, self.extra = adamax, ()
            if self.on_gpu:  # its bias correction else is a number of the host
                self.settings |= {"capturable": True, "foreach": True}

    def _start(self, parameter):
        zeros = torch.zeros_like
        # The fused rule counts its steps on the device; the other, on a CPU, on the host.
        count = torch.zeros((), device=parameter.device if self.extra or self.on_gpu else "cpu")
        return {"step": count, "first": zeros(parameter), "second": zeros(parameter)}

    def _update(self, parameters, gradients, states):
        first, second, steps = ([s[key] for s in states] for key in ("first", "second", "step"))
        self.rule(
            parameters, gradients, first, second, *self.extra, steps, lr=self.lr, **self.settings
        )


class _Descent(Optimiser):
    """SGD with momentum; weights decay inside the learning-rate bracket, biases do not."""

    def __init__(self, parameters: Sequence[nn.Parameter], spec: SGD):
        super().__init__(parameters, spec)
        self.spec = spec
        self.end_epoch(age=0)

    def end_epoch(self, age):
        phase = self.spec.momentum
        self.momentum = phase.initial if age < phase.epochs else phase.final

    @property
    def numbers(self):
        return self.lr, self.momentum

    def _start(self, parameter):
        return {"momentum": torch.zeros_like(parameter)}

    def _update(self, parameters, gradients, states):
        for decay, chosen in (
            (self.spec.weight_decay, [i for i, p in enumerate(parameters) if p.ndim > 1]),
            (0.0, [i for i, p in enumerate(parameters) if p.ndim <= 1]),
        ):
            buffers: list[Tensor | None] = [states[i]["momentum"] for i in chosen]
            sgd(
                [parameters[i] for i in chosen],
                [gradients[i] for i in chosen],
                buffers,
                fused=True,
                lr=self.lr,
                momentum=self.momentum,
                weight_decay=decay,
                dampening=0.0,
                nesterov=False,
                maximize=False,
            )


def make(parameters: Sequence[nn.Parameter], spec: Optim) -> Optimiser:
    """The optimiser that an entry of an `optim` block describes."""
    return _Descent(parameters, spec) if isinstance(spec, SGD) else _Moments(parameters, spec)
