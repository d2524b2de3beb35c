"""Hears torch's anomaly detection being switched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..scaling_events import AnomalyDetectionSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..patches import Patches
    from ..run import Run


def install(run: Run, patches: Patches) -> None:
    patches.wrap(torch.autograd.set_detect_anomaly, "__init__", lambda original: _switched(run, original))
    patches.wrap(torch.autograd.detect_anomaly, "__enter__", lambda original: _switched(run, original))


def looks_for_nan() -> bool:
    return torch.is_anomaly_enabled() and torch.is_anomaly_check_nan_enabled()


def _switched(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def switched(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if not run.muted:
            run.emit(AnomalyDetectionSet(place=run.place(), step=run.step, enabled=looks_for_nan()))
        return result

    return switched
