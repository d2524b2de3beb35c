"""Watch, from outside of a workload, whether its steps run under autocast and scale their gradients."""

from __future__ import annotations

import contextlib
import math
import numbers
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from ..wire import Observed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Quiet = Callable[[], AbstractContextManager[object]]

_SAME = 1e-3  # relative: a float16 loss holds its gradient to three digits


class Watch:
    """Counts what happens between `step()` and its end. Changes no number that the workload computes.

    Args:
        quiet: a context in which the sanitizer does not take what happens for the workload's doing.
    """

    def __init__(self, device: str, quiet: Quiet = contextlib.nullcontext) -> None:
        self.finite = True
        self._quiet = quiet
        self._device_type = device.partition(":")[0]
        self._steps = 0
        self._with_modules = 0
        self._autocast: Counter[str] = Counter()
        self._seen: set[str] = set()  # in the running step: the dtypes of autocast, and "called"
        self._calls: Counter[str] = Counter()
        self._scales: list[float] = []
        self._scaled_in_step = False

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Listen to every torch module and every GradScaler; a torch before 2.4 does not tell."""
        torch = sys.modules.get("torch")
        if not hasattr(torch, "get_autocast_dtype"):
            yield
            return
        assert torch is not None
        handle = torch.nn.modules.module.register_module_forward_pre_hook(self._called)
        scaler = torch.amp.GradScaler
        originals = {name: getattr(scaler, name) for name in ("scale", "step", "update")}
        scaler.scale = self._scale(originals["scale"])
        for name in ("step", "update"):
            setattr(scaler, name, self._counted(name, originals[name]))
        try:
            yield
        finally:
            handle.remove()
            for name, original in originals.items():
                setattr(scaler, name, original)

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        self._seen.clear()
        self._scaled_in_step = False
        self._steps += 1
        yield
        self._with_modules += "called" in self._seen
        self._autocast.update(self._seen - {"called"})

    def _called(self, _module: object, _args: object) -> None:
        torch = sys.modules["torch"]
        self._seen.add("called")
        if torch.is_autocast_enabled(self._device_type):
            self._seen.add(str(torch.get_autocast_dtype(self._device_type)).removeprefix("torch."))

    def _scale(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def scale(scaler: Any, outputs: Any) -> Any:
            scaled = original(scaler, outputs)
            if scaler.is_enabled() and getattr(outputs, "requires_grad", False):
                with self._quiet():
                    factor = float(scaler.get_scale())
                self._calls["scaled"] += 1
                if not self._scaled_in_step:
                    self._scales.append(factor)
                self._scaled_in_step = True
                if not outputs.is_leaf:
                    outputs.register_hook(lambda gradient: self._entered(gradient, factor))
            return scaled

        return scale

    def _entered(self, gradient: Any, factor: float) -> None:
        """Note with which gradient backward came to the loss: that of a scaled loss is the scale itself."""
        with self._quiet():
            value = float(gradient.detach().float().max().item())
        self._calls["from_scale" if math.isclose(value, factor, rel_tol=_SAME) else "otherwise"] += 1

    def _counted(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def counted(scaler: Any, *args: Any, **kwargs: Any) -> Any:
            self._calls[name] += bool(scaler.is_enabled())
            return original(scaler, *args, **kwargs)

        return counted

    def observed(self, training: object) -> Observed:
        cuda = getattr(sys.modules.get("torch"), "cuda", None)
        return Observed(
            steps=self._steps,
            with_modules=self._with_modules,
            under_autocast=dict(sorted(self._autocast.items())),
            scaled=self._calls["scaled"],
            from_scale=self._calls["from_scale"],
            otherwise=self._calls["otherwise"],
            scaler_steps=self._calls["step"],
            scaler_updates=self._calls["update"],
            scales=tuple(self._scales),
            logged=_logged(training),
            cuda=cuda is not None and bool(cuda.is_available()),
        )


def _logged(training: object) -> tuple[float, ...] | None:
    scales = getattr(training, "loss_scales", None)
    if not isinstance(scales, (list, tuple)) or not all(isinstance(scale, numbers.Real) for scale in scales):
        return None
    return tuple(float(scale) for scale in scales)
