"""Hears autocast regions begin and end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..events import AutocastEntered, AutocastExited
from ..run import Region

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..patches import Patches
    from ..run import Run

ASKED = "__amp_sanitizer_asked__"  # on a context: it was made with `enabled`, whatever torch made of it


def install(run: Run, patches: Patches) -> None:
    owner = torch.amp.autocast_mode.autocast
    patches.wrap(owner, "__enter__", lambda original: _enter(run, original))
    patches.wrap(owner, "__exit__", lambda original: _exit(run, original))


def _enter(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def entered(context: Any) -> Any:
        result = original(context)
        if run.idle:
            return result
        run.window.close()  # a forward begins: an accumulation goes on
        device = context.device
        enabled = torch.is_autocast_enabled(device)
        dtype = str(context.fast_dtype).removeprefix("torch.")
        place = run.place()
        via, cache = run.frames.via(), torch.is_autocast_cache_enabled()
        regions = run.local.regions
        regions.append(
            Region(
                device=device,
                dtype=dtype,
                enabled=enabled,
                place=place,
                context=context,
                cache=cache,
                via=via,
                generator=run.frames.generator(),
            )
        )
        if enabled:
            run.region(f"{device} {dtype}")
        run.emit(
            AutocastEntered(
                place=place,
                step=run.step,
                device=device,
                dtype=dtype,
                enabled=enabled,
                cache=cache,
                nesting=nesting(),
                context=context,
                asked=enabled or getattr(context, ASKED, False),
                via=via,
            )
        )
        return result

    return entered


def _exit(run: Run, original: Callable[..., Any]) -> Callable[..., Any]:
    def exited(context: Any, *args: Any) -> Any:
        result = original(context, *args)
        if run.muted or (run.resting and not run.local.regions):
            return result
        if len(args) > 1 and args[1] is not None:
            run.raised(args[1])
        _close(run.local.regions, context)
        run.emit(AutocastExited(place=run.place(), step=run.step, device=context.device, nesting=nesting()))
        return result

    return exited


def _close(regions: list[Region], context: Any) -> None:
    """Take a region off with those in it that were never left; not if its beginning was not heard."""
    if not any(region.context is context for region in regions):
        return
    while True:
        left = regions.pop()
        left.open = False
        if left.context is context:
            return


def nesting() -> int:
    """Return how deep the contexts of this thread are nested; torch tells it only when it counts."""
    torch.autocast_increment_nesting()
    return int(torch.autocast_decrement_nesting())


def enabled_for(device: str) -> bool:
    return bool(torch.is_autocast_enabled(device))
