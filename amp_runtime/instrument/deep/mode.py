"""Puts us between the program and ATen, and takes us out again, whatever else lies on the stack of modes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from .session import Session

_DEPTH = torch._C._len_torch_dispatch_stack
_AT = torch._C._get_dispatch_stack_at


class DeepMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Hands every operator to the session. Without one it lets everything through.

    It is put on the stack by hand: entering it would set flags of torch that only a well-nested exit sets back.
    """

    supports_higher_order_operators = True

    def __init__(self, session: Session) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.session: Session | None = session
        self._process = os.getpid()

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        return True  # compiled regions stay compiled

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        session = self.session
        if session is None or os.getpid() != self._process:  # a forked worker of a DataLoader brings us along
            return func(*args, **kwargs)
        call = session.before(func, args, kwargs)
        out = func(*args, **kwargs)
        if call is not None:
            session.after(call, out)
        return out


def push(mode: DeepMode) -> None:
    torch._C._push_on_torch_dispatch_stack(mode)


def remove_finished() -> bool:
    """Take every mode of ours that has no session any more off this thread's stack; return whether none is left.

    Within a backward pass the engine works on a copy of the stack, and what is taken off there comes back.
    """
    if torch._C._current_graph_task_id() == -1:
        while (position := _finished()) is not None:
            above = [torch._C._pop_torch_dispatch_stack(None) for _ in range(_DEPTH() - position)]
            for mode in reversed(above[:-1]):
                torch._C._push_on_torch_dispatch_stack(mode)
    return _finished() is None


def _finished() -> int | None:
    for position in range(_DEPTH()):
        mode = _AT(position)
        if isinstance(mode, DeepMode) and mode.session is None:
            return position
    return None
