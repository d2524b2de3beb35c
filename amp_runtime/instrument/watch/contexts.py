"""Hears autocast contexts being made, applied as decorators, and autocast being switched without one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import torch

from ..precision_events import AutocastApplied, AutocastMade, AutocastToggled, DefaultDtypeSet
from .autocast import ASKED, nesting

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from ..patches import Patches
    from ..run import Run

_OURS = __name__.partition(".watch.")[0] + "."
_SWITCHES = ("set_autocast_enabled", "set_autocast_cpu_enabled")


def install(run: Run, patches: Patches) -> None:
    base = torch.amp.autocast_mode.autocast
    # Not by their old names: programs use those, we do not. They are loaded with torch and derive from `base`.
    for owner in (base, *base.__subclasses__()):
        if "__init__" not in vars(owner):
            continue
        patches.wrap(owner, "__init__", lambda original: _made(run, original))
    patches.wrap(base, "__call__", lambda original: _applied(run, original))
    for name in _SWITCHES:
        patches.wrap(torch, name, lambda original: _switched(run, original))
    patches.wrap(torch, "set_default_dtype", lambda original: _default(run, original))


def _made(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def made(context: Any, *args: Any, **kwargs: Any) -> None:
        local = run.local
        if run.idle or local.making:  # the class that others derive from
            original(context, *args, **kwargs)
            return
        local.making = True
        try:
            original(context, *args, **kwargs)
        except Exception:
            _tell(run, context, args, kwargs, raised=True)
            raise
        finally:
            local.making = False
        _tell(run, context, args, kwargs)

    return made


def _tell(run: Run, context: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, raised: bool = False) -> None:
    module = type(context).__module__
    old = module.startswith(("torch.cuda.amp", "torch.cpu.amp"))
    position = 0 if old else 2
    asked = bool(kwargs.get("enabled", args[position] if len(args) > position else True))
    if asked and not raised:
        setattr(context, ASKED, True)
    run.emit(
        AutocastMade(
            place=run.place(),
            step=run.step,
            kind=f"{module.rpartition('.')[0]}.autocast" if old else "torch.autocast",
            args=args,
            kwargs=kwargs,
            context=None if raised else context,
            asked=asked,
            enabled=bool(getattr(context, "_enabled", False)),
            device=str(getattr(context, "device", "")),
            dtype=getattr(context, "fast_dtype", None),
            via=run.frames.via(),
        )
    )


def _applied(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def applied(context: Any, target: Any) -> Any:
        result = original(context, target)
        if not run.idle:
            run.emit(AutocastApplied(place=run.place(), step=run.step, context=context, target=target))
        return result

    return applied


def _switched(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def switched(*args: Any) -> Any:
        result = original(*args)
        if run.muted or _caller().startswith("torch."):  # a context does it, or torch takes care of its own
            return result
        device = next((one for one in args if isinstance(one, str)), "cuda")
        if original.__name__ == "set_autocast_cpu_enabled":
            device = "cpu"
        run.emit(
            AutocastToggled(
                place=run.place(),
                step=run.step,
                device=device,
                enabled=bool(args[-1]),
                nesting=nesting(),
                via=run.frames.via(),
            )
        )
        return result

    return switched


def _caller() -> str:
    """Return the module that called a patched function, past every patch of ours."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(_OURS):
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))


def _default(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def set_default(dtype: Any) -> None:
        original(dtype)
        if not run.muted:
            run.emit(DefaultDtypeSet(place=run.place(), step=run.step, dtype=dtype))

    return set_default
