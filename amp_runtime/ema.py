"""An exponential moving average of a model's weights, kept in float32 whatever the model itself is in."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from amp_runtime.wrapping import unwrapped


class EmaWarmup(enum.StrEnum):
    """How the average forgets the first, random weights. `t` is the number of updates, this one included.

    - NONE: the decay is the same from the start, so the first weights keep the share `decay**t`.
    - RAMP: decay `min(decay, (1 + t) / (10 + t))`, as TensorFlow's ExponentialMovingAverage with `num_updates`.
    - DEBIAS: as if the average had begun at zero and were divided by `1 - decay**t`, which is Adam's bias correction:
      the first weights have no share at all.
    """

    NONE = "none"
    RAMP = "ramp"
    DEBIAS = "debias"


class ExponentialMovingAverage:
    """Keeps `average = decay * average + (1 - decay) * weight` for every floating-point parameter of a model.

    In bfloat16 or float16 such an average never moves: an update below half a unit in the last place is rounded away,
    and `1 - decay` is far below it. So it is float32, or float64 for parameters that are. Buffers, such as running
    statistics, are averages already, or counters: they are copied.

    Names are those of the plain model, without what DistributedDataParallel and `torch.compile` put before them.

    Args:
        model: whose parameters to follow; the average starts at their values.
        decay: share of the old average, at least 0 and below 1.
        warmup: see `EmaWarmup`.

    Raises:
        ValueError: a decay outside that range.
    """

    def __init__(self, model: torch.nn.Module, decay: float = 0.999, *, warmup: EmaWarmup = EmaWarmup.NONE) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be at least 0 and below 1, not {decay!r}")
        self.model = unwrapped(model)
        self.decay = decay
        self.warmup = EmaWarmup(warmup)
        self.updates = 0
        self._swapped = False
        with torch.no_grad():
            self._averages = {name: _wide(parameter).clone() for name, parameter in self._parameters().items()}
            self._buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights as they are now into the average. Call it after a step that changed them, and only then.

        Raises:
            RuntimeError: called inside `swapped()`, where the model holds the average itself.
        """
        if self._swapped:
            raise RuntimeError("the model holds its averaged weights now; train after the swapped() block has ended")
        self.updates += 1
        parameters = self._parameters()
        averages = [self._averages[name] for name in parameters]
        torch._foreach_lerp_(averages, [_wide(parameter) for parameter in parameters.values()], 1 - self.current_decay)
        for name, buffer in self.model.named_buffers():
            self._buffers[name].copy_(buffer)

    @property
    def current_decay(self) -> float:
        """The decay of the latest update, warm-up included."""
        if self.updates == 0 or self.warmup is EmaWarmup.NONE:
            return self.decay
        if self.warmup is EmaWarmup.RAMP:
            return min(self.decay, (1 + self.updates) / (10 + self.updates))
        return self.decay * (1 - self.decay ** (self.updates - 1)) / (1 - self.decay**self.updates)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Put the averaged weights and buffers into the model; on exit, also by an exception, its own come back.

        Raises:
            RuntimeError: inside another such block, or inside an autocast context, which keeps half-precision copies
                of the weights from before.
        """
        if self._swapped:
            raise RuntimeError("the model holds its averaged weights already")
        if any(torch.is_autocast_enabled(kind) for kind in {p.device.type for p in self.model.parameters()}):
            raise RuntimeError("autocast keeps copies of the weights; swap them before its context is entered")
        places = {**self._parameters(), **dict(self.model.named_buffers())}
        own = {name: place.detach().clone() for name, place in places.items()}
        self._swapped = True
        try:
            _write(places, {**self._averages, **self._buffers})
            yield
        finally:
            _write(places, own)
            self._swapped = False

    def averaged_state_dict(self) -> dict[str, Any]:
        """Return a state dict for the plain model, in the dtypes of its parameters, with the averages in it."""
        with self.swapped():
            return {
                name: value.clone() if isinstance(value, torch.Tensor) else value
                for name, value in self.model.state_dict().items()
            }

    def state_dict(self) -> dict[str, Any]:
        """Averages, buffers and update count, for a checkpoint; tensors are the live ones, not copies."""
        return {
            "decay": self.decay,
            "warmup": self.warmup.value,
            "updates": self.updates,
            "averages": dict(self._averages),
            "buffers": dict(self._buffers),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned; the saved decay and warm-up win over the constructor's.

        Raises:
            ValueError: the state of another model; nothing is changed then.
        """
        for name, own in (("averages", self._averages), ("buffers", self._buffers)):
            saved = state[name]
            wrong = sorted(key for key in saved.keys() | own.keys() if _form(saved.get(key)) != _form(own.get(key)))
            if wrong:
                raise ValueError(
                    f"the averages are of another model: {len(wrong)} {name} differ, first {wrong[0]!r}: "
                    f"saved {_form(saved.get(wrong[0]))}, needed {_form(own.get(wrong[0]))}"
                )
        with torch.no_grad():
            for name, own in (("averages", self._averages), ("buffers", self._buffers)):
                _write(own, state[name])
        self.decay, self.warmup, self.updates = state["decay"], EmaWarmup(state["warmup"]), state["updates"]

    def _parameters(self) -> dict[str, torch.Tensor]:
        return {name: p.detach() for name, p in self.model.named_parameters() if p.is_floating_point()}


@torch.no_grad()
def _write(places: dict[str, torch.Tensor], values: dict[str, torch.Tensor]) -> None:
    for name, place in places.items():
        place.copy_(values[name])


def _wide(parameter: torch.Tensor) -> torch.Tensor:
    """Return a parameter in float32 at least; itself, not a copy, where it already is."""
    return parameter.detach() if parameter.dtype is torch.float64 else parameter.detach().float()


def _form(tensor: torch.Tensor | None) -> str:
    return "nothing" if tensor is None else f"{tensor.dtype} {tuple(tensor.shape)}"
