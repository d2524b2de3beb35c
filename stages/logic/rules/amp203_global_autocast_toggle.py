"""AMP203: autocast is turned on by its global switch instead of a context."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP203",
    name="global-autocast-toggle",
    severity=Severity.CRITICAL,
    summary="Autocast is turned on by its global switch instead of a context.",
    why=(
        "`set_autocast_enabled(True)` caches cast weights like a context does, but nothing ever clears that cache:"
        " after every optimizer step the forward goes on with the first weights. The switch also stays on for whatever"
        " runs later in the thread. Nothing raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer):
                torch.set_autocast_enabled("cuda", True)  # expect: AMP203
                for batch in loader:
                    loss = model(batch).mean()
                    loss.backward()
                    optimizer.step()
        """),
        Bad("""
            import torch

            torch.set_autocast_enabled(True)  # expect: AMP203

            def step(model, batch):
                return model(batch).mean()
        """),
        Bad("""
            import torch

            @torch.inference_mode()
            def evaluate(model, loader):
                torch.set_autocast_enabled("cuda", True)  # expect: AMP203
                return [model(x) for x in loader]
        """),
        Good("""
            import torch

            class Cast:
                def __enter__(self):
                    self.before = torch.is_autocast_enabled("cuda")
                    torch.set_autocast_enabled("cuda", True)
                    torch.autocast_increment_nesting()

                def __exit__(self, *error):
                    if torch.autocast_decrement_nesting() == 0:
                        torch.clear_autocast_cache()
                    torch.set_autocast_enabled("cuda", self.before)
        """),
        Good("""
            import threading
            import torch

            def parallel(model, batches):
                enabled = torch.is_autocast_enabled("cuda")

                def work(batch):
                    torch.set_autocast_enabled("cuda", enabled)
                    model(batch)

                torch.set_autocast_enabled("cuda", False)
                for batch in batches:
                    threading.Thread(target=work, args=(batch,)).start()

            def manual(model, batch):
                torch.set_autocast_enabled("cuda", True)
                try:
                    return model(batch)
                finally:
                    torch.clear_autocast_cache()
                    torch.set_autocast_enabled("cuda", False)
        """),
    ),
)
_SWITCH = late(r"torch\.(?:_C\.)?set_autocast_(?:cpu_|xpu_|gpu_)?enabled")
_CAREFUL = frozenset(["clear_autocast_cache", "autocast_increment_nesting", "autocast_decrement_nesting"])
_METHODS = ("__enter__", "__exit__", "__call__")


READS = Wanted(every=(b"set_autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Report the switch where it is literally turned on and nothing around sees to the cache."""
    for seen in view.calls():
        if not isinstance(seen.node, ast.Call) or not _turns_on(seen.node):
            continue
        if not any(_SWITCH.fullmatch(name) for name in view.origins(seen.node.func, seen.scope)):
            continue
        if _is_careful(seen.scope.node):
            continue
        yield Problem(
            place=view.place(seen.node),
            message="autocast is turned on globally, and nothing clears its cache of cast weights",
            why="After an optimizer step the forward goes on with the weights that were cached first.",
            remedy="Enter `with torch.autocast(...):` around each forward and its loss instead.",
        )


def _turns_on(call: ast.Call) -> bool:
    values = [*call.args[-1:], *(keyword.value for keyword in call.keywords if keyword.arg == "enabled")]
    return any(isinstance(value, ast.Constant) and value.value is True for value in values)


def _is_harmless(decorator: ast.expr) -> bool:
    """Say whether a decorator only turns gradients off, and sees to no context around the function."""
    return last_name(decorator.func if isinstance(decorator, ast.Call) else decorator) in ("no_grad", "inference_mode")


def _is_careful(owner: ast.AST) -> bool:
    """Say whether the function is part of a context of its own, or clears the cache."""
    if isinstance(owner, Function) and (owner.name in _METHODS or not all(map(_is_harmless, owner.decorator_list))):
        return True
    return any(isinstance(node, ast.Attribute) and node.attr in _CAREFUL for node in ast.walk(owner))
