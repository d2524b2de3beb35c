"""How a run uses mixed precision: one frozen value, refused at construction where it contradicts itself. No torch."""

from __future__ import annotations

import logging
import math
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from amp_runtime.config_table import ConfigError, checked, nearest, read_table
from amp_runtime.precision import Precision, effective_precision

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from amp_runtime.capability import Capability

_log = logging.getLogger(__name__)

_SCALING_KEYS = {
    "init_scale": float,
    "growth_factor": float,
    "backoff_factor": float,
    "growth_interval": int,
    "collapse_patience": int,
}
_KEYS = {"precision": str, "device": str, "reason": str, "loss_scaling": dict}
_DEVICE_KINDS = ("cpu", "cuda", "xpu", "mps")
_LARGEST_SCALE = 2.0**127  # the scale is a float32


@dataclass(frozen=True, slots=True, kw_only=True)
class LossScaling:
    """Dynamic loss scaling for float16 gradients; the defaults are those of `torch.amp.GradScaler`.

    Args:
        init_scale: first factor on the loss.
        growth_factor: on the scale after `growth_interval` good steps in a row.
        backoff_factor: on the scale after a step with inf or NaN gradients.
        growth_interval: good steps between two growths.
        collapse_patience: skipped steps with a scale below 1 after which training stops with `ScaleCollapseError`.

    Raises:
        ConfigError: a figure with which scaling cannot work. GradScaler itself accepts most of them in silence.
    """

    init_scale: float = 65536.0
    growth_factor: float = 2.0
    backoff_factor: float = 0.5
    growth_interval: int = 2000
    collapse_patience: int = 10

    def __post_init__(self) -> None:
        if not (_is_number(self.init_scale) and 1 / _LARGEST_SCALE <= self.init_scale <= _LARGEST_SCALE):
            raise ConfigError(f"init_scale must be a positive finite number that float32 has, not {self.init_scale!r}")
        if not (_is_number(self.growth_factor) and self.growth_factor > 1):
            raise ConfigError(f"growth_factor must be finite and above 1, not {self.growth_factor!r}")
        if not (_is_number(self.backoff_factor) and 0 < self.backoff_factor < 1):
            raise ConfigError(f"backoff_factor must lie between 0 and 1, not {self.backoff_factor!r}")
        for name in ("growth_interval", "collapse_patience"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, where: str = "loss_scaling") -> LossScaling:
        """Build it from plain data; `where` names the place in errors.

        Raises:
            ConfigError: an unknown key, a value of a wrong type, or a figure with which scaling cannot work.
        """
        fields = checked(data, _SCALING_KEYS, where)
        try:
            return cls(**fields)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class AmpConfig:
    """The precision of a run, why it is that one, and its loss scaling. It never touches hyper-parameters.

    Args:
        precision: of the forward pass; a name that `Precision.parse` knows will do.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`, `"xpu"`, `"mps"`; ROCm devices are called cuda.
        reason: one sentence that says where the choice comes from.
        loss_scaling: only with FP16, where None means `LossScaling()`.

    Raises:
        ConfigError: an unknown precision or device, or loss scaling with a precision that does not need it.
    """

    precision: Precision = Precision.FP32
    device: str = "cpu"
    reason: str = "chosen by the caller"
    loss_scaling: LossScaling | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", Precision.parse(self.precision))
        _check_device(self.device)
        if not isinstance(self.loss_scaling, LossScaling | None):
            raise ConfigError(f"loss_scaling must be a LossScaling, not {self.loss_scaling!r}")
        if self.loss_scaling is not None and not self.precision.needs_loss_scaling:
            raise ConfigError(
                f"loss_scaling was given with {self.precision}, whose gradients do not underflow; "
                "drop it, or choose Precision.FP16"
            )
        if self.precision.needs_loss_scaling and self.loss_scaling is None:
            object.__setattr__(self, "loss_scaling", LossScaling())

    @property
    def enabled(self) -> bool:
        """Whether the run uses mixed precision at all."""
        return self.precision.is_low

    def as_text(self) -> str:
        """Say in three lines what a run will do and why, for its log."""
        rule = "none"
        if (scaling := self.loss_scaling) is not None:
            growth = f"times {scaling.growth_factor:g} after {scaling.growth_interval} good steps"
            backoff = f"times {scaling.backoff_factor:g} after a skipped one"
            rule = f"starts at {scaling.init_scale:g}, {growth}, {backoff}"
        return f"precision: {self.precision} ({self.reason})\ndevice: {self.device}\nloss scaling: {rule}"

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], *, where: str = "the configuration", capability: Capability | None = None
    ) -> AmpConfig:
        """Build a configuration from plain data, such as what `to_dict` returns.

        Args:
            data: any of `precision`, `device`, `reason` and the table `loss_scaling`, as the fields of this class; a
                key that is left out has its default. The precision `"auto"` stands for `AmpConfig.auto(device)`.
            where: names the place in errors.
            capability: stands in for the device of this machine, under `"auto"`.

        Raises:
            ConfigError: an unknown key (the nearest one is named), a value of a wrong type, or a contradiction.
        """
        fields = checked(data, _KEYS, where)
        try:
            if fields.get("precision") == "auto":
                return cls._auto_from(fields, capability)
            if "loss_scaling" in fields:
                fields["loss_scaling"] = LossScaling.from_dict(fields["loss_scaling"])
            return cls(**fields)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from None

    @classmethod
    def _auto_from(cls, fields: Mapping[str, Any], capability: Capability | None) -> AmpConfig:
        for key in ("loss_scaling", "reason"):
            if key in fields:
                raise ConfigError(f"{key} says something about one precision, and 'auto' leaves open which; drop one")
        device = fields.get("device", "cpu")
        _check_device(device)
        return cls.auto(device, capability=capability)

    @classmethod
    def from_toml(cls, source: str | Path, *, table: str = "amp", capability: Capability | None = None) -> AmpConfig:
        """Read a configuration from TOML: a `Path` to a file, or the text itself. See `from_dict` for the keys.

        Raises:
            ConfigError: no valid TOML, no such table, or what `from_dict` refuses.
            OSError: the file cannot be read.
        """
        data, where = read_table(source, table)
        return cls.from_dict(data, where=where, capability=capability)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data from which `from_dict` builds an equal configuration on any machine."""
        fields: dict[str, Any] = {"precision": self.precision.value, "device": self.device, "reason": self.reason}
        return fields if self.loss_scaling is None else {**fields, "loss_scaling": asdict(self.loss_scaling)}

    @classmethod
    def resolve(
        cls,
        requested: Precision,
        use_amp: bool | None = None,
        device: str = "cpu",
        *,
        capability: Capability | None = None,
    ) -> AmpConfig:
        """Take what `effective_precision` decides from a request, the AMP switch and what the device can train in.

        Where that is not what was requested or switched on, a warning says so; the reason of the result does always.
        """
        known = capability or _capability_of(device)
        requested = Precision.parse(requested)
        effective = effective_precision(requested, use_amp, known.amp_precisions)
        wanted = use_amp is not False and (use_amp or requested.is_low)
        if wanted and (not effective.precision.is_low or (requested.is_low and effective.precision is not requested)):
            _log.warning("training in %s: %s", effective.precision, effective.reason)
        return cls(precision=effective.precision, device=device, reason=effective.reason)

    @classmethod
    def auto(cls, device: str = "cpu", *, capability: Capability | None = None) -> AmpConfig:
        """Take the best format the device runs natively, or fp32 where it would only emulate one.

        Emulated formats give the right numbers but are slower than fp32; ask for them by name
        (`force_bf16`, `force_fp16`) where numerics, not speed, are the point.
        """
        known = capability or _capability_of(device)
        best = known.best_native_amp()
        return cls(precision=best.precision, device=device, reason=best.reason)

    @classmethod
    def force_bf16(cls, device: str = "cpu", *, capability: Capability | None = None) -> AmpConfig:
        """Use bfloat16. Raises ConfigError where the device cannot run it; logs where it only emulates it."""
        return cls(precision=Precision.BF16, device=device, reason=_demand(Precision.BF16, device, capability))

    @classmethod
    def force_fp16(
        cls, device: str = "cpu", *, capability: Capability | None = None, loss_scaling: LossScaling | None = None
    ) -> AmpConfig:
        """Use float16 with loss scaling. Raises ConfigError where the device cannot run it."""
        reason = _demand(Precision.FP16, device, capability)
        return cls(precision=Precision.FP16, device=device, reason=reason, loss_scaling=loss_scaling)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_device(device: str) -> None:
    kind = str(device).partition(":")[0]
    if kind == "rocm":
        raise ConfigError("device 'rocm' is called 'cuda' in PyTorch")
    if kind not in _DEVICE_KINDS or not re.fullmatch(r"\w+(:\d+)?", str(device)):
        raise ConfigError(f"device {device!r} is not known{nearest(kind, _DEVICE_KINDS)} ({', '.join(_DEVICE_KINDS)})")


def _capability_of(device: str) -> Capability:
    # Imported here: a configuration can be read and checked on a machine without torch.
    from amp_runtime.capability import capability_of  # noqa: PLC0415

    return capability_of(device)


def _demand(precision: Precision, device: str, capability: Capability | None) -> str:
    support = (capability or _capability_of(device)).dtypes[precision.value]
    if not support.works:
        raise ConfigError(f"{precision} was demanded, but {device} cannot run it: {support.reason}")
    if not support.native:
        _log.warning("%s on %s is emulated, so expect it to be slower than fp32: %s", precision, device, support.reason)
    return f"demanded by the caller; {support.reason}"
