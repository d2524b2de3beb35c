"""Whether autocast is on, as the program has set it.

Where an operator arrives, torch has already switched autocast off to run it, so that asking there says nothing.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from ..patches import Patches

_DEVICES = ("cpu", "cuda", "xpu", "mps")


class AutocastState:
    """The contexts of each thread, innermost last; known from `install` on, and before it in the thread that calls it.

    A thread of the autograd engine has none: there it is unknown.
    """

    def __init__(self) -> None:
        self._local = threading.local()

    def install(self, patches: Patches) -> None:
        """Listen to `torch.set_autocast_enabled`, which every context goes through."""
        self._local.contexts = {device: [torch.is_autocast_enabled(device)] for device in _DEVICES}
        patches.wrap(torch, "set_autocast_enabled", self._listening)

    def enabled(self, device: str) -> bool | None:
        """Whether operators on this kind of device are cast in this thread; None if that is unknown."""
        contexts = self._contexts().get(device)
        return contexts[-1] if contexts else None

    def disabled_inside(self, device: str) -> bool:
        """Whether it is off in a region inside one where it is on."""
        contexts = self._contexts().get(device, [])
        return len(contexts) > 1 and not contexts[-1] and any(contexts)

    def _contexts(self) -> dict[str, list[bool]]:
        found: dict[str, list[bool]] | None = getattr(self._local, "contexts", None)
        if found is None:
            found = self._local.contexts = {}
        return found

    def _listening(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def set_autocast_enabled(*args: Any) -> Any:
            device, enabled = args if len(args) == 2 else ("cuda", args[0])
            contexts = self._contexts().get(device)
            if contexts is None:
                contexts = self._contexts()[device] = [torch.is_autocast_enabled(device)]
            done = original(*args)
            self._note(contexts, bool(enabled), _method())
            return done

        return set_autocast_enabled

    @staticmethod
    def _note(contexts: list[bool], enabled: bool, method: str) -> None:
        if method == "__enter__":
            contexts.append(enabled)
            return
        if method == "__exit__" and len(contexts) > 1:
            contexts.pop()
        contexts[-1] = enabled


def _method() -> str:
    """Return the method of `torch.autocast` that is setting it, or ""."""
    frame = sys._getframe(2)
    for _ in range(6):  # other people's wrappers lie between
        if frame.f_code.co_filename.endswith("autocast_mode.py"):
            return frame.f_code.co_name
        if frame.f_back is None:
            break
        frame = frame.f_back
    return ""
