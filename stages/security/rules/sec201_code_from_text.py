"""SEC201: text is run as code that the program did not write itself."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.wanted import Wanted
from stages.security.flows import Source, sources
from stages.security.loads import how_bad, origin_of
from stages.security.problem import Problem
from stages.security.view import shown
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.security.view import View

RULE = RuleInfo(
    code="SEC201",
    name="code-from-text",
    severity=Severity.LOW,
    summary="Text is run as code that the program did not write itself.",
    why=(
        "`eval` and `exec` do whatever the text says. HIGH where it comes over the network, MEDIUM where the command"
        " line gives it: sweeps, job queues and web forms fill in such options, and nobody reads them as code. LOW"
        " where a caller gives it, INFO where a file of the project itself is run. `model.eval()` is another thing."
    ),
    examples=(
        Bad("""
            import argparse

            import requests

            args = argparse.ArgumentParser().parse_args()
            betas = eval(args.betas)  # expect: SEC201


            def build(name, url):
                exec(requests.get(url).text)  # expect: SEC201
                eval(name)  # expect: SEC201
                return eval(f"{name}()")
        """),
        Good("""
            import ast


            def eval_loss(model, text):
                model.eval()
                return ast.literal_eval(text)


            KIND = "relu"
            value = eval("1 + 1")
            name = eval(f"'{KIND}'")
        """),
        Good("""
            from trainer.tools import eval


            def run(text):
                return eval(text)
        """),
    ),
)
WANTED = Wanted(torch=False, some=(b"eval(", b"exec("), pattern=late(rb"(?<![\w.])(?:eval|exec)\("))
_RUNS = frozenset(["eval", "exec", "builtins.eval", "builtins.exec"])


def look(view: View) -> Iterator[Problem]:
    """Report calls of the builtins with text that is not the program's own."""
    for call, scope, _ in view.calls_of(_RUNS):
        if not call.args or isinstance(call.args[0], ast.Constant) or is_magic(view, call):
            continue
        text = call.args[0]
        reads = _reads_file(view, text, scope)
        if not reads and sources(view, text, scope) == {Source.FIXED}:
            continue
        severity = how_bad(view, text, scope, unknown=Severity.LOW, command_line=Severity.MEDIUM)
        yield Problem(
            node=call,
            severity=severity,
            message=f"`{shown(call)}` runs text as code; it comes from {origin_of(view, text, scope)}",
            remedy="Read values with `ast.literal_eval` or as JSON, and choose functions and classes by name from a "
            "dict.",
            cause=f"{view.label(call)} {severity}",
        )


def is_magic(view: View, call: ast.Call) -> bool:
    """Say whether a call stands for a magic of a notebook, whose text is shown to whoever runs the cell."""
    return view.module.path.endswith(".ipynb") and isinstance(call.args[0], ast.Name) and call.args[0].id == "In"


def _reads_file(view: View, text: ast.expr, scope: Scope) -> bool:
    return any(isinstance(part, ast.Call) and view.names(part.func, scope) & {"open"} for part in ast.walk(text))
