"""Precision belongs to Lightning's Trainer: turn a configuration into what the Trainer is given, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.plugins.precision import Precision as PrecisionPlugin
from lightning.pytorch.strategies import Strategy

from amp_runtime.precision import Precision

if TYPE_CHECKING:
    from amp_runtime.config import AmpConfig

_STRINGS = {Precision.FP32: "32-true", Precision.BF16: "bf16-mixed"}
_NAMES = {"32-true": "fp32", "bf16-mixed": "bf16", "16-mixed": "fp16"}
_ACCELERATORS = ("cpu", "cuda", "mps")


def trainer_options(config: AmpConfig) -> dict[str, Any]:
    """Return the keyword arguments of `Trainer` that this configuration decides.

    FP32 is `precision="32-true"` and BF16 `precision="bf16-mixed"`. FP16 is a `MixedPrecision` plugin with a loss
    scaler of its own, because `precision="16-mixed"` means something else on a CPU, where Lightning trains in bfloat16
    and says so in a warning, and because it would drop the configured loss scaling. Weights stay float32 in all three.

    With several optimizers Lightning adapts the scale after each one, so `growth_interval` counts their steps
    together.

    Raises:
        ValueError: a device that Lightning has no accelerator for.
    """
    device = torch.device(config.device)
    if device.type not in _ACCELERATORS:
        raise ValueError(f"Lightning has no accelerator for {config.device!r}; use one of {', '.join(_ACCELERATORS)}")
    options: dict[str, Any] = {
        "accelerator": device.type,
        "devices": 1 if device.type == "cpu" or device.index is None else [device.index],
    }
    if config.precision is Precision.FP16:
        return {**options, "plugins": [_fp16_plugin(config, device.type)]}
    return {**options, "precision": _STRINGS[config.precision]}


def amp_trainer(config: AmpConfig, **options: Any) -> Trainer:
    """Make a Trainer that trains as `config` says; `options` are all its other arguments.

    `devices` may be given where the configuration names no single one, for data-parallel training.

    Raises:
        ValueError: an option that the configuration decides, or a second source of precision among the plugins or in
            the strategy. Nothing is overridden silently, neither way.
    """
    decided = trainer_options(config)
    refused = {"accelerator", "precision"} | ({"devices"} if torch.device(config.device).index is not None else set())
    for name in sorted(refused & options.keys()):
        raise ValueError(
            f"{name}={options[name]!r} contradicts or repeats the configuration, which decides it; drop it"
        )
    given = options.pop("plugins", None)
    plugins = list(given) if isinstance(given, list | tuple) else [] if given is None else [given]
    strategy = options.get("strategy")
    # Public attribute access would answer with Lightning's default where none was chosen.
    theirs = [strategy._precision_plugin] if isinstance(strategy, Strategy) else []
    for plugin in (*plugins, *theirs):
        if isinstance(plugin, PrecisionPlugin):
            raise ValueError(
                f"a {type(plugin).__name__} plugin sets the precision a second time; the configuration already says "
                f"{config.precision}, so drop the plugin"
            )
    plugins += decided.pop("plugins", [])
    return Trainer(**{**decided, **options}, plugins=plugins or None)


def trainer_precision(trainer: Trainer) -> str:
    """Return what a Trainer really trains in: `"fp32"`, `"bf16"` or `"fp16"`, else Lightning's own name for it.

    This is the precision after Lightning's fallbacks, which are not in the arguments the Trainer was given.
    """
    name = str(trainer.precision)
    return _NAMES.get(name, name)


def _fp16_plugin(config: AmpConfig, device_type: str) -> MixedPrecision:
    scaling = config.loss_scaling
    if scaling is None:
        raise ValueError("an FP16 configuration without loss scaling cannot be trained")
    scaler = torch.amp.GradScaler(
        device_type,
        init_scale=scaling.init_scale,
        growth_factor=scaling.growth_factor,
        backoff_factor=scaling.backoff_factor,
        growth_interval=scaling.growth_interval,
    )
    return MixedPrecision("16-mixed", device_type, scaler)
