"""SEC101: `torch.load` unpickles a whole object, so that whoever wrote the file runs code here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.versions import shown as version_shown
from stages._source.wanted import Wanted
from stages.security.loads import how_bad, origin_of
from stages.security.problem import Problem
from stages.security.view import argument, is_constant, passes_more, shown
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.security.view import View

RULE = RuleInfo(
    code="SEC101",
    name="unsafe-torch-load",
    severity=Severity.LOW,
    summary="A checkpoint is unpickled as a whole, so that whoever wrote the file runs code here.",
    why=(
        "A pickle is a program, and loading it runs it. `torch.load` reads tensors and plain containers alone since"
        " torch 2.6, unless it is told `weights_only=False`; older releases unpickle everything by default. It is"
        " HIGH where the file comes from an address or a repository that the code does not name or cannot trust,"
        " MEDIUM where it is downloaded from a fixed https address or named on the command line, LOW for other paths,"
        " INFO for a fixed path of the project's own."
    ),
    examples=(
        Bad("""
            import io

            import requests
            import torch
            from torch import load as read


            def resume(path):
                return torch.load(path, weights_only=False)  # expect: SEC101


            def fetch(url):
                return read(io.BytesIO(requests.get(url).content), weights_only=False)  # expect: SEC101
        """),
        Bad("""
            # --- requirements.txt
            torch==2.3.1
            # --- train.py
            import torch


            def resume(path):
                model = torch.load(path)  # expect: SEC101
                optimizer = torch.load(path + ".optim", map_location="cpu")
                return model, optimizer
        """),
        Good("""
            # --- pyproject.toml
            [project]
            name = "p"
            version = "1"
            dependencies = ["torch>=2.6"]
            # --- train.py
            import torch


            def resume(path, weights_only, **options):
                torch.load(path)
                torch.load(path, weights_only=weights_only)
                torch.load(path, **options)
                return torch.load(path, weights_only=True)
        """),
        Good("""
            import torch


            def resume(path):
                return torch.load(path)
        """),
    ),
)
WANTED = Wanted(
    torch=True,
    some=(b"torch.load", b"import load", b", load", b"serialization", b"import torch as"),
    # `load` itself, as an attribute or imported: not what only begins so, as `load_dataset`
    pattern=late(rb"\.load\b|\bload[ \t]*(?:$|[^\w \t])|\bload[ \t]+as\b", re.MULTILINE),
)
_LOADS = frozenset(["torch.load", "torch.serialization.load"])
_SAFE_FROM = (2, 6)


def look(view: View) -> Iterator[Problem]:
    """Report loads that unpickle: told so, or by the default of the torch that the project asks for."""
    for call, scope, _ in view.calls_of(_LOADS):
        safe = argument(call, "weights_only")
        if is_constant(safe, False):
            yield _told(view, call, scope)
        elif (safe is None and not passes_more(call)) or is_constant(safe, None):
            yield from _by_default(view, call, scope)


def _told(view: View, call: ast.Call, scope: Scope) -> Problem:
    file = argument(call, "f", 0)
    return Problem(
        node=call,
        severity=how_bad(view, file, scope, unknown=Severity.LOW, command_line=Severity.MEDIUM),
        message=f"`{shown(call)}` unpickles whatever the file holds; it comes from {origin_of(view, file, scope)}",
        remedy="Save state dicts and load them with `weights_only=True`; allow classes one by one with "
        "`torch.serialization.add_safe_globals`. Publish weights as safetensors.",
    )


def _by_default(view: View, call: ast.Call, scope: Scope) -> Iterator[Problem]:
    file = argument(call, "f", 0)
    least, before = view.torch.least, view.torch.before
    old = before is not None and before <= _SAFE_FROM
    admits = least is not None and least < _SAFE_FROM
    if not old and not admits:
        if least is None and view.installed is not None and view.installed < _SAFE_FROM:
            said = f"the installed torch {version_shown(view.installed)}"
        else:
            return
    else:
        said = f"`{view.torch.said}`"
    severity = how_bad(view, file, scope, unknown=Severity.LOW, command_line=Severity.LOW)
    if not old and least is not None:  # whoever installs the project today has a safe default
        severity = Severity(max(0, severity - 1))
    yield Problem(
        node=call,
        severity=severity,
        message=f"`torch.load` without `weights_only=True` unpickles whatever the file holds before torch 2.6, and "
        f"the project has or admits that: {said}; it comes from {origin_of(view, file, scope)}",
        remedy="Pass `weights_only=True`, which torch knows since 1.13, or ask for `torch>=2.6`.",
        cause="" if severity >= Severity.MEDIUM else "default",
    )
