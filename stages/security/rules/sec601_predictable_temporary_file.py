"""SEC601: a temporary file has a name that others on the machine can know before it is made."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.security.problem import Problem
from stages.security.view import argument, shown, text_value
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.security.view import View

RULE = RuleInfo(
    code="SEC601",
    name="predictable-temporary-file",
    severity=Severity.LOW,
    summary="A temporary file has a name that others on the machine can know before it is made.",
    why=(
        "In a folder that everybody may write to, somebody else can put a file or a link there first: what is written"
        " then goes elsewhere, and what is loaded is theirs. MEDIUM where a pickle is loaded from there."
    ),
    examples=(
        Bad("""
            import tempfile

            import torch

            name = tempfile.mktemp()  # expect: SEC601
            torch.save({}, "/tmp/model.pt")  # expect: SEC601
            state = torch.load("/tmp/model.pt", weights_only=False)  # expect: SEC601
            with open("/tmp/log.txt", "w") as file:  # expect: SEC601
                file.write("x")
        """),
        Good("""
            import tempfile

            import torch

            with tempfile.TemporaryDirectory() as folder:
                torch.save({}, f"{folder}/model.pt")
            handle, name = tempfile.mkstemp()
            text = open("/tmp/log.txt").read()
            state = torch.load("/tmp/model.pt", weights_only=True)
        """),
    ),
)
WANTED = Wanted(torch=False, some=(b"mktemp", b"/tmp/"))
_MAKES = frozenset(["tempfile.mktemp"])
_SAVES = {"torch.save": ("f", 1), "numpy.save": ("file", 0), "numpy.savez": ("file", 0), "open": ("file", 0)}
_LOADS = {"torch.load": ("f", 0), "joblib.load": ("filename", 0)}


def look(view: View) -> Iterator[Problem]:
    """Report names that are made before the file, and literal paths below /tmp that are written or unpickled."""
    for call, _, name in view.calls_of(_MAKES | _SAVES.keys() | _LOADS.keys()):
        if name in _MAKES:
            yield _problem(call, "`tempfile.mktemp` only makes up a name, which others can take before you do")
            continue
        path = _beginning(argument(call, *(_SAVES.get(name) or _LOADS[name])))
        if path is None or not path.startswith("/tmp/") or (name == "open" and not _writes(call)):
            continue
        if name in _LOADS:
            if name == "torch.load" and not _unpickles(call):
                continue
            message = f"`{shown(call)}` unpickles a file that anybody on the machine could have put there"
            yield _problem(call, message, Severity.MEDIUM)
        else:
            yield _problem(call, f"`{shown(call.func)}` writes to `{path}`, a name that is the same for everybody")


def _beginning(node: ast.expr | None) -> str | None:
    if isinstance(node, ast.JoinedStr) and node.values:
        return None  # what is filled in may make it unique
    return text_value(node)


def _writes(call: ast.Call) -> bool:
    return any(letter in (text_value(argument(call, "mode", 1)) or "r") for letter in "wax")


def _unpickles(call: ast.Call) -> bool:
    safe = argument(call, "weights_only")
    return isinstance(safe, ast.Constant) and safe.value is False


def _problem(call: ast.Call, message: str, severity: Severity | None = None) -> Problem:
    return Problem(
        node=call,
        severity=severity,
        message=message,
        remedy="Use `tempfile.TemporaryDirectory` or `tempfile.NamedTemporaryFile`, or a folder of the run.",
    )
