"""Loss scaling around `torch.amp.GradScaler`: knows which steps were skipped, and stops when the scale collapses."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import torch

from amp_runtime.config import LossScaling
from amp_runtime.scale_history import ScaleHistory

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from amp_runtime.scale_history import ScaleChange

_log = logging.getLogger(__name__)


class ScaleCollapseError(RuntimeError):
    """The loss scale fell below 1 and stayed there: gradients are inf or NaN at any scale."""


@dataclass(frozen=True, slots=True)
class ScaledStep:
    """What became of one scaled optimizer step.

    Args:
        scale: the factor that was on the loss, a 0-dim float32 tensor on the training device.
        overflow: False or True where the host knows; else a 0-dim tensor, non-zero for a skipped step.
    """

    scale: torch.Tensor
    overflow: bool | torch.Tensor

    @property
    def skipped(self) -> bool:
        """Whether parameters were left alone. May wait for the device, for fused optimizers only."""
        return self.overflow if isinstance(self.overflow, bool) else bool(self.overflow.item())


class LossScaler:
    """Scale, unscale, step, update, in this order, once each per optimizer step.

    GradScaler returns nothing that says whether it skipped (pytorch#67590). It runs plain optimizers only when all
    gradients are finite, so a hook on the optimizer knows for free. Fused optimizers always run and skip inside
    their kernel; for them the flag that the kernel read is kept, and read when somebody asks.
    """

    def __init__(self, device: torch.device | str, settings: LossScaling | None = None) -> None:
        self.settings = settings or LossScaling()
        self.device = torch.device(device)
        self.steps = 0
        self._skips = 0
        self._low_skips = 0
        self._pending: list[ScaledStep] = []
        self._one = torch.ones((), device=self.device)
        self._warned_half_loss = False
        self._history = ScaleHistory()
        self._scaler = torch.amp.GradScaler(self.device.type, **_arguments(self.settings))
        if not self._scaler.is_enabled():
            raise ValueError(f"loss scaling does not work on {self.device}: PyTorch disabled the scaler")

    @property
    def current_scale(self) -> float:
        """The factor for the next loss. Waits for the device."""
        return float(self._scaler.get_scale())

    @property
    def skipped_steps(self) -> int:
        """How many steps were skipped so far. Waits for the device if fused steps are still unread."""
        self._settle()
        return self._skips

    @property
    def scale_changes(self) -> tuple[ScaleChange, ...]:
        """When the scale changed, and whether by growth or overflow, oldest first. Waits for the device."""
        self._settle()
        return self._history.changes()

    def scale(self, loss: torch.Tensor) -> torch.Tensor:
        """Return `loss` times the scale.

        Raises:
            ValueError: a loss that is not one number: in float16 every element would overflow.
        """
        if loss.dim() != 0:
            raise ValueError(f"the loss must be one number (0-dim), not of shape {tuple(loss.shape)}: reduce it first")
        if loss.dtype is torch.float16 and not self._warned_half_loss:
            self._warned_half_loss = True
            _log.warning("the loss is float16, so no scale above 32768 can work; compute it from logits.float()")
        return self._scaler.scale(loss)

    def unscale(self, *optimizers: Optimizer) -> None:
        """Divide the gradients of `optimizers` by the scale, in place, and note whether all are finite.

        One inf or NaN counts for all of them. GradScaler by itself lets each optimizer decide alone, so that a batch
        could move one network and not the other, and a schedule or an average of the weights could not follow.
        """
        for optimizer in optimizers:
            self._scaler.unscale_(optimizer)
        if len(optimizers) > 1:
            flags = [flag for one in optimizers for flag in self._scaler._found_inf_per_device(one).values()]
            overflow = torch.stack([flag.to(self.device) for flag in flags]).amax()
            for flag in flags:
                flag.copy_(overflow)

    def step(self, *optimizers: Optimizer) -> ScaledStep:
        """Step `optimizers` unless a gradient is inf or NaN."""
        ran: list[torch.Tensor | None] = []

        def note(stepped: Optimizer, _args: Any, _kwargs: Any) -> None:
            ran.append(getattr(stepped, "found_inf", None))

        # A scaled 1 is a fresh tensor: unlike get_scale() it costs no wait, and update() cannot change it.
        scale = self._scaler.scale(self._one)
        for optimizer in optimizers:
            handle = optimizer.register_step_post_hook(note)
            try:
                self._scaler.step(optimizer)
            finally:
                handle.remove()
        done = ScaledStep(scale=scale, overflow=_overflow(ran, len(optimizers)))
        self._pending.append(done)
        return done

    def abandon(self) -> None:
        """Forget a step that an exception ended between `unscale` and `update`, so that another one can begin."""
        self._scaler._per_optimizer_states.clear()

    def update(self) -> None:
        """Grow or back off the scale. Call it last, once per step.

        Raises:
            ScaleCollapseError: `collapse_patience` steps were skipped with a scale below 1.
        """
        self._scaler.update()
        self.steps += 1
        unread = [step for step in self._pending if not isinstance(step.overflow, bool)]
        # Flags that only the device knows are read in batches, soon enough to stop long before the
        # scale's reciprocal overflows (144 skips in a row).
        if not unread or len(unread) >= 8:
            self._settle()

    def _settle(self) -> None:
        pending, self._pending = self._pending, []
        for step in pending:
            self._history.add(step.scale)
            if step.skipped:
                self._note_skip(float(step.scale.item()))

    def _note_skip(self, scale: float) -> None:
        self._skips += 1
        self._low_skips = self._low_skips + 1 if scale < 1 else 0
        if self._low_skips == 1:
            _log.warning("the loss scale fell to %g: gradients overflow although the loss is hardly scaled", scale)
        if self._low_skips >= self.settings.collapse_patience:
            raise ScaleCollapseError(
                f"the loss scale collapsed to {scale:g}: {self._low_skips} steps were skipped with a scale below 1, so "
                "gradients are inf or NaN whatever the scale. Look for the operation that produces them (a NaN in "
                "the data, log(0), a division by zero, a learning rate that diverged), or train in bf16."
            )

    def state_dict(self) -> dict[str, Any]:
        """Scale, growth tracker and counters, for a checkpoint."""
        self._settle()
        return {
            "scaler": self._scaler.state_dict(),
            "steps": self.steps,
            "skips": self._skips,
            "low_skips": self._low_skips,
            "history": self._history.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, or the state of a `torch.amp.GradScaler` of another program.

        The saved growth settings win over the constructor's, as in PyTorch; where they differ, a warning says so.

        Raises:
            ValueError: no state of a scaler, one of a scaler that was switched off, or a scale that cannot be.
        """
        own: Mapping[str, Any] = state
        if "scaler" not in state:
            own = {"scaler": state, "steps": 0, "skips": 0, "low_skips": 0, "history": []}
        saved = _checked(own["scaler"])
        settings = replace(self.settings, **{name: saved[name] for name in _GROWTH})
        if settings != self.settings:
            _log.warning("loss scaling goes on as it was saved, with %s instead of %s", settings, self.settings)
        self.settings = settings
        self._scaler.load_state_dict(dict(saved))
        self.steps, self._skips, self._low_skips = own["steps"], own["skips"], own["low_skips"]
        self._history.load_state_dict(own["history"])
        self._pending.clear()

    def reset(self) -> None:
        """Begin anew: first scale, no steps, no history."""
        fresh = torch.amp.GradScaler(self.device.type, **_arguments(self.settings))
        self._scaler.load_state_dict(fresh.state_dict())
        self.steps = self._skips = self._low_skips = 0
        self.abandon()
        self._pending.clear()
        self._history = ScaleHistory()


_GROWTH = ("growth_factor", "backoff_factor", "growth_interval")


def _arguments(settings: LossScaling) -> dict[str, Any]:
    return {"init_scale": settings.init_scale} | {name: getattr(settings, name) for name in _GROWTH}


def _checked(saved: Mapping[str, Any]) -> Mapping[str, Any]:
    if not saved:
        raise ValueError("the saved loss scaler was switched off, so it has no scale to go on with; call reset()")
    missing = [name for name in ("scale", *_GROWTH, "_growth_tracker") if name not in saved]
    if missing:
        raise ValueError(f"this is no state of a loss scaler: it lacks {', '.join(missing)}")
    if not (math.isfinite(saved["scale"]) and saved["scale"] > 0):
        raise ValueError(f"the saved loss scale is {saved['scale']!r}; training cannot go on with it")
    return saved


def _overflow(ran: list[torch.Tensor | None], optimizers: int) -> bool | torch.Tensor:
    """Judge a step by the optimizers that ran: for a fused one its kernel's flag, None for one that GradScaler let run.

    They share one fate, so one that the host knows of spares the wait for the others.
    """
    if len(ran) < optimizers:
        return True
    return False if None in ran else cast("torch.Tensor", ran[0])
