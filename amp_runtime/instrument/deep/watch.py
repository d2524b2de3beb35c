"""Looks into a training step: start before it, stop after it, read the record."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .mode import DeepMode, push, remove_finished
from .session import Session
from .stacks import Stacks

if TYPE_CHECKING:
    from .records import DeepStep

_BUDGET = 2 << 30


class DeepWatch:
    """Watches the operators that this thread runs between `start` and `stop`, and the backward passes it begins.

    No number that the program computes changes, and no random number is drawn. Python code and hooks of the program
    see nothing of it, but operators take several times as long, and FP32 shadows of half tensors take memory.

    Not looked into, and said in `unseen`: compiled regions, tensor subclasses such as DTensor, sparse tensors,
    functorch transforms, higher-order operators; and, unsaid, other threads of the program and DataLoader workers.

    Args:
        roots: folders of the program, for choosing the lines that are named.
        budget_bytes: memory that FP32 shadows may take at a time. Beyond it the comparison with FP32 ends and the rest
            goes on; 0 for no comparison.

    Raises:
        ValueError: a negative budget.
    """

    def __init__(self, *, roots: Sequence[str] = (), budget_bytes: int = _BUDGET) -> None:
        if budget_bytes < 0:
            raise ValueError(f"budget_bytes must be at least 0, not {budget_bytes}")
        self._stacks = Stacks(tuple(roots))
        self._budget = budget_bytes
        self._mode: DeepMode | None = None
        self._session: Session | None = None

    @property
    def watching(self) -> bool:
        return self._session is not None

    def start(self) -> str:
        """Begin. Returns "" or, where it cannot, the reason; the program goes on either way.

        Raises:
            RuntimeError: it has begun already.
        """
        if self._session is not None:
            raise RuntimeError("this step is being watched already; stop first")
        self.settle()
        if reason := _refusal():
            return reason
        try:
            session = Session(self._stacks, self._budget)
            session.install()
        except Exception as error:  # of ours, and not for the program to meet
            return f"watching failed to begin because of {type(error).__name__}: {error}"
        self._session, self._mode = session, DeepMode(session)
        push(self._mode)
        return ""

    def stop(self) -> DeepStep:
        """End, wherever the program is: in a hook, after an exception, under modes that it has entered since.

        Called within a backward pass, our mode lets everything through until the next `settle`, `start` or `stop`.

        Raises:
            RuntimeError: it has not begun.
        """
        if self._session is None or self._mode is None:
            raise RuntimeError("nothing is being watched; start first")
        session, self._session = self._session, None
        self._mode.session = None
        self._mode = None
        self.settle()
        return session.close()

    def settle(self) -> bool:
        """Take what is left of an ended watching off this thread; return whether nothing is left."""
        return remove_finished()


def _refusal() -> str:
    if torch._C._current_graph_task_id() != -1:
        return "a backward pass is running: what is begun inside it would end with the node that it began in"
    if not hasattr(TorchDispatchMode, "ignore_compile_internals") and "torch._dynamo" in sys.modules:
        return f"torch {torch.__version__} would run compiled regions eagerly while they are watched"
    if torch._C._get_tracing_state() is not None:
        return "the program is being traced"
    if torch.cuda.is_available() and torch.cuda.is_current_stream_capturing():
        return "a CUDA graph is being captured"
    return ""
