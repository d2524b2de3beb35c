"""One class per precision over an FP32 base that changes nothing, so that a training step needs no `if amp`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from amp_runtime.precision import Precision
from amp_runtime.scaling import LossScaler

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch.optim import Optimizer

    from amp_runtime.config import AmpConfig, LossScaling
    from amp_runtime.scaling import ScaledStep

_HALF = (torch.float16, torch.bfloat16)


class Fp32Policy:
    """Train in float32: no autocast, no scaling. The base of the other two.

    Raises:
        ValueError: a device whose type PyTorch has no autocast for.
    """

    precision: ClassVar[Precision] = Precision.FP32

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        if not torch.amp.is_autocast_available(self.device.type):
            raise ValueError(f"PyTorch has no autocast for device type {self.device.type!r}")

    @property
    def scaler(self) -> LossScaler | None:
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
        return {"precision": self.precision.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state of the same precision.

        Raises:
            ValueError: the state of another precision.
        """
        if state["precision"] != self.precision.value:
            raise ValueError(f"the state was saved by a {state['precision']} run; this one trains in {self.precision}")


class Bf16Policy(Fp32Policy):
    """Autocast to bfloat16. It has float32's range, so it needs no loss scaling and gets none."""

    precision = Precision.BF16

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


class Fp16Policy(Fp32Policy):
    """Autocast to float16 with dynamic loss scaling."""

    precision = Precision.FP16

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
        return torch.autocast(self.device.type, dtype=torch.float16)

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

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._scaler.load_state_dict(state["loss_scaling"])


def policy_for(config: AmpConfig) -> Fp32Policy:
    """Build the policy that a configuration names."""
    if config.precision is Precision.FP16:
        return Fp16Policy(config.device, config.loss_scaling)
    return Bf16Policy(config.device) if config.precision is Precision.BF16 else Fp32Policy(config.device)


def trained_parameters(optimizer: Optimizer) -> list[torch.Tensor]:
    """Every parameter of `optimizer` that requires a gradient, in its own order."""
    return [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
