"""One class per precision over an FP32 base that changes nothing, so that a training step needs no `if amp`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from amp_runtime.device import require_device
from amp_runtime.precision import Precision
from amp_runtime.scaling import LossScaler

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch.optim import Optimizer

    from amp_runtime.config import AmpConfig, LossScaling
    from amp_runtime.scaling import ScaledStep

_log = logging.getLogger(__name__)

_HALF = (torch.float16, torch.bfloat16)


class Fp32Policy:
    """Train in float32: no autocast, no scaling. The base of the other two.

    Raises:
        ValueError: a device that is not there, or whose type PyTorch has no autocast for.
    """

    precision: ClassVar[Precision] = Precision.FP32
    dtype: ClassVar[torch.dtype] = torch.float32  # of matrix products; weights are float32 in every policy

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        if not torch.amp.is_autocast_available(self.device.type):
            raise ValueError(f"PyTorch has no autocast for device type {self.device.type!r}")
        require_device(self.device)

    @property
    def scaler(self) -> LossScaler | None:
        """The loss scaler; None in fp32 and bf16, which need none."""
        return None

    def check(self, optimizer: Optimizer) -> None:
        """Refuse parameters this policy cannot train.

        Raises:
            ValueError: trained parameters that are themselves half precision. Mixed precision keeps float32 weights and
                casts per operation; updates to half-precision weights round to nothing at small learning rates.
        """
        for parameter in trained_parameters(optimizer):
            if parameter.dtype in _HALF or (self.precision.is_low and parameter.dtype is torch.float64):
                raise ValueError(
                    f"a trained parameter of shape {tuple(parameter.shape)} is {parameter.dtype}; "
                    f"{self.precision} training keeps its weights in float32: call model.float() before the optimizer "
                    "is made, and let autocast choose the precision of each operation"
                )

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context for forward and loss, and for nothing else."""
        return contextlib.nullcontext()

    def scale(self, loss: torch.Tensor) -> torch.Tensor:
        """Return the 0-dim loss times the loss scale, where there is one; backward starts from it."""
        return loss

    def unscale(self, *optimizers: Optimizer) -> None:
        """Make the gradients true before anything reads or clips them; all optimizers of the step at once."""

    def step(self, *optimizers: Optimizer) -> ScaledStep | None:
        """Step the optimizers; returns what the loss scaler did with all of them, where there is one."""
        for optimizer in optimizers:
            optimizer.step()
        return None

    def update(self) -> None:
        """Adapt the loss scale, where there is one; the last act of a step."""

    def abandon(self) -> None:
        """Forget a step that an exception ended between `unscale` and `update`."""

    def state_dict(self) -> dict[str, Any]:
        """Return the precision, and the state of the loss scaler where there is one, for a checkpoint."""
        return {"precision": self.precision.value}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state of a run, of this precision or another.

        Weights, optimizer state and schedule are float32 in every precision and no business of a policy. A loss scale
        goes on only from float16 to float16: no other run has one, and none needs one. A run that changes to float16
        begins with the first scale, one that leaves float16 drops its scale; a warning says so.

        Raises:
            ValueError: no state of a policy.
        """
        saved = self._saved_precision(state)
        if saved is not self.precision:
            after = "; its loss scale is dropped" if saved.needs_loss_scaling else ""
            _log.warning("the state was saved by a %s run and this one trains in %s%s", saved, self.precision, after)

    def _saved_precision(self, state: Mapping[str, Any]) -> Precision:
        name = state.get("precision")
        if name not in list(Precision):
            raise ValueError(f"this is no state of a precision policy: its precision is {name!r}")
        return Precision(name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.device)!r})"


class Bf16Policy(Fp32Policy):
    """Autocast to bfloat16. It has float32's range, so it needs no loss scaling and gets none."""

    precision = Precision.BF16
    dtype = torch.bfloat16

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, dtype=self.dtype)


class Fp16Policy(Fp32Policy):
    """Autocast to float16 with dynamic loss scaling."""

    precision = Precision.FP16
    dtype = torch.float16

    def __init__(self, device: torch.device | str = "cpu", scaling: LossScaling | None = None) -> None:
        super().__init__(device)
        self._scaler = LossScaler(self.device, scaling)

    @property
    def scaler(self) -> LossScaler:
        return self._scaler

    def check(self, optimizer: Optimizer) -> None:
        """As in the base, and refuse optimizers that need a closure: it would see scaled gradients."""
        super().check(optimizer)
        if isinstance(optimizer, torch.optim.LBFGS):
            raise ValueError("LBFGS calls a closure several times per step, which loss scaling cannot do; use bf16")

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, dtype=self.dtype)

    def scale(self, loss: torch.Tensor) -> torch.Tensor:
        return self._scaler.scale(loss)

    def unscale(self, *optimizers: Optimizer) -> None:
        self._scaler.unscale(*optimizers)

    def step(self, *optimizers: Optimizer) -> ScaledStep:
        return self._scaler.step(*optimizers)

    def update(self) -> None:
        self._scaler.update()

    def abandon(self) -> None:
        self._scaler.abandon()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "loss_scaling": self._scaler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As in the base; the scale, its growth and its counters go on where a float16 run was saved.

        Raises:
            ValueError: no state of a policy, or a broken one of its loss scaler.
        """
        saved = self._saved_precision(state)
        if saved is self.precision:
            if "loss_scaling" not in state:
                raise ValueError("this is no state of an fp16 policy: it has no loss scale")
            self._scaler.load_state_dict(state["loss_scaling"])
            return
        self._scaler.reset()
        _log.warning(
            "the state was saved by a %s run and this one trains in fp16; the loss scale starts afresh at %g",
            saved,
            self._scaler.settings.init_scale,
        )


def policy_for(config: AmpConfig) -> Fp32Policy:
    """Build the policy that a configuration names."""
    if config.precision is Precision.FP16:
        return Fp16Policy(config.device, config.loss_scaling)
    return Bf16Policy(config.device) if config.precision is Precision.BF16 else Fp32Policy(config.device)


def trained_parameters(optimizer: Optimizer) -> list[torch.Tensor]:
    """Every parameter of `optimizer` that requires a gradient, in its own order."""
    return [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
