"""Which line, which module and which pass an operator belongs to, read off the Python stack.

No hook is needed for it: a module that runs is on the stack. So nothing of the program changes, a recomputed forward
pass inside the backward pass is told apart, and compiled regions see no new hooks.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..frames import Frames

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from .records import Phase

(
    _OTHER,
    _LIBRARY,
    _PROGRAM,
    _SKIPPED,
    _MODULE,
    _BACKWARD,
    _OPTIMIZER,
    _SCALER,
    _CLIPPING,
    _FUNCTIONAL,
    _COMPILED,
    _APPLY,
) = range(12)
_PHASES: dict[int, Phase] = {
    _MODULE: "forward",
    _BACKWARD: "backward",
    _OPTIMIZER: "optimizer",
    _SCALER: "scaler",
    _CLIPPING: "clipping",
}
_FILES = {
    "/nn/functional.py": _FUNCTIONAL,
    "/amp/grad_scaler.py": _SCALER,
    "/fsdp/sharded_grad_scaler.py": _SCALER,
    "/utils/clip_grad.py": _CLIPPING,
    "/torch/_compile.py": _SKIPPED,
    "/torch/_ops.py": _SKIPPED,
}
_CALLS = ("Module._call_impl", "Module._wrapped_call_impl")


class Where:
    """What one walk up the stack found. `call` tells two calls on one line apart: code and instruction."""

    __slots__ = ("api", "applies", "call", "caller", "compiled", "frame", "module", "phase", "through")

    def __init__(self) -> None:
        self.module: torch.nn.Module | None = None
        self.phase: Phase = "forward"
        self.api = ""
        self.applies = False  # an autograd.Function of the program
        self.through = ""
        self.frame: tuple[CodeType, int] | None = None
        self.caller: tuple[CodeType, int] | None = None
        self.call: tuple[CodeType, int] | None = None
        self.compiled = False


class Stacks(Frames):
    """Reads call stacks as `Frames` does, and knows torch's own frames that say what is going on."""

    def __init__(self, roots: tuple[str, ...]) -> None:
        super().__init__(roots)
        self._markers: dict[CodeType, int] = {}
        self._generated = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or f"{tempfile.gettempdir()}/torchinductor_"

    def where(self) -> Where:
        """Walk from the operator that runs up to the line of the program, and on to what tells the pass."""
        found = Where()
        markers = self._markers
        decided = False
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            code = frame.f_code
            marker = markers.get(code)
            if marker is None:
                marker = markers[code] = self._marker(code)
            if marker != _SKIPPED:
                if found.call is None:
                    found.call = (code, frame.f_lasti)
                if marker == _COMPILED:
                    found.compiled = True
                    return found
                if decided and marker == _BACKWARD:
                    return found  # a recomputed forward pass, of whose lines none is on the stack
                if not decided and marker in _PHASES:
                    decided = True
                    found.phase = _PHASES[marker]
                    if marker == _BACKWARD:
                        return found
                    if marker == _MODULE:
                        found.module = _called(frame)
                self._note(found, frame, marker)
                if decided and found.frame is not None and (marker == _PROGRAM or found.caller is not None):
                    return found
            frame = frame.f_back
        if not decided and torch._C._current_graph_task_id() != -1:
            found.phase = "backward"  # in a thread of the autograd engine
        return found

    def outermost_module(self) -> torch.nn.Module | None:
        """Return the module whose call encloses all others on this stack."""
        found = None
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code is _CALL_IMPL:
                found = _called(frame) or found
            frame = frame.f_back
        return found

    @staticmethod
    def _note(found: Where, frame: FrameType, marker: int) -> None:
        if marker in (_PROGRAM, _LIBRARY):
            if found.frame is None:
                found.frame = (frame.f_code, frame.f_lineno)
            if marker == _PROGRAM and found.caller is None:
                found.caller = (frame.f_code, frame.f_lineno)
        elif marker == _APPLY:
            found.applies = True
        elif marker == _MODULE:
            found.through = found.through if found.frame else ""  # the line calls a module
        elif found.frame is None:
            name = frame.f_code.co_qualname
            if marker == _FUNCTIONAL:
                found.api = name
            if name not in _CALLS:
                found.through = name

    def _marker(self, code: CodeType) -> int:
        if code is _CALL_IMPL:
            return _MODULE
        path = code.co_filename
        kind = self._kind(path)
        if path.startswith(self._generated) or "/_inductor/" in path:
            return _COMPILED
        if kind:
            return _PROGRAM if kind == 2 else _LIBRARY
        if os.path.realpath(path).startswith(_HERE):
            return _SKIPPED
        if not os.path.realpath(path).startswith(self._torch):
            return _OTHER
        for end, marker in _FILES.items():
            if path.endswith(end):
                scales = marker == _SCALER and code.co_qualname.startswith("GradScaler.scale")
                return _OTHER if scales else marker  # scaling the loss belongs to the forward pass
        return _by_function(path, code.co_qualname)


def _by_function(path: str, name: str) -> int:
    if name == "_engine_run_backward":
        return _BACKWARD
    if name == "Optimizer.profile_hook_step.<locals>.wrapper":
        return _OPTIMIZER
    if name == "Function.apply":
        return _APPLY
    return _SKIPPED if "/_dynamo/" in path else _OTHER


def _called(frame: FrameType) -> torch.nn.Module | None:
    module: Any = frame.f_locals.get("self")
    return module if isinstance(module, torch.nn.Module) else None


_CALL_IMPL = torch.nn.Module._call_impl.__code__
_HERE = f"{Path(__file__).resolve().parent}/"
