"""AMP705: a project uses names of torch.amp that the oldest torch it asks for does not have."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.versions import shown
from stages._source.wanted import Wanted
from stages.logic.guards import asked_before
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Seen
    from stages._source.versions import Version
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP705",
    name="min-torch-version",
    severity=Severity.LOW,
    summary="A project uses names of torch.amp that the oldest torch it asks for does not have.",
    why=(
        "torch.amp.GradScaler came with torch 2.3, torch.amp.custom_fwd with 2.4. With an older torch that the"
        " requirements allow, the import fails."
    ),
    mode="static",
    unseen="The versions that a project admits are in its metadata; a run has one of them.",
    examples=(
        Bad("""
            # --- requirements.txt
            torch>=1.13
            # --- train.py
            import torch

            def build(use_amp):
                return torch.amp.GradScaler("cuda", enabled=use_amp)  # expect: AMP705
        """),
        Bad("""
            # --- pyproject.toml
            [project]
            name = "kernels"
            version = "1"
            dependencies = ["torch~=2.1"]
            # --- op.py
            from torch.amp import custom_bwd, custom_fwd  # expect: AMP705
        """),
        Good("""
            # --- requirements.txt
            torch>=2.4
            # --- train.py
            from torch.amp import GradScaler, autocast, custom_fwd
        """),
        Good("""
            # --- requirements.txt
            torch>=1.13
            # --- train.py
            import torch

            try:
                from torch.amp import GradScaler
            except ImportError:
                from torch.cuda.amp import GradScaler

            def build():
                if hasattr(torch.amp, "GradScaler"):
                    return torch.amp.GradScaler("cuda")
                return GradScaler()
        """),
    ),
)

_SINCE: dict[str, Version] = {
    "torch.amp.GradScaler": (2, 3),
    "torch.amp.grad_scaler.GradScaler": (2, 3),
    "torch.GradScaler": (2, 3),
    "torch.amp.custom_fwd": (2, 4),
    "torch.amp.custom_bwd": (2, 4),
    "torch.amp.is_autocast_available": (2, 4),
    "torch.get_autocast_dtype": (2, 4),
}
_LAST = frozenset(name.rpartition(".")[2] for name in _SINCE)


READS = Wanted(some=tuple(name.encode() for name in sorted(_LAST)))


def inspect(view: View) -> Iterator[Problem]:
    """Report the first use of each name that is newer than the oldest torch that the requirements allow."""
    oldest = view.torch.least
    if oldest is None:
        return
    said: set[str] = set()
    for node, name in sorted(_newer(view), key=lambda item: (item[0].lineno, item[0].col_offset)):
        if name in said or oldest >= _SINCE[name] or asked_before(view, node):
            continue
        said.add(name)
        yield Problem(
            place=view.place(node),
            message=f"{name} needs torch {shown(_SINCE[name])}, but `{view.torch.said}` allows older ones",
            why="With an older torch that the requirements allow, this raises ImportError or AttributeError.",
            remedy=f"Ask for `torch>={shown(_SINCE[name])}`, or fall back to torch.cuda.amp where the name is missing.",
        )
        return


def _newer(view: View) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
    for bindings in view.module.scopes.root.bindings.values():  # one inside a function may never be reached
        for binding in bindings:
            if binding.how == "import" and binding.origin in _SINCE and isinstance(binding.node, ast.stmt):
                yield binding.node, binding.origin
    for seen in view.module.scopes.loads:
        if isinstance(seen.node, ast.Attribute) and seen.node.attr in _LAST and (name := _only(view, seen)):
            yield seen.node, name


def _only(view: View, seen: Seen) -> str | None:
    assert isinstance(seen.node, ast.Attribute)
    names = view.origins(seen.node, seen.scope)
    return next((name for name in names if name in _SINCE), None) if len(names) == 1 else None
