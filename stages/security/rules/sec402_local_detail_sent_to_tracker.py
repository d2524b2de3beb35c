"""SEC402: a tracker is sent a path or name of the machine it ran on."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages.security.inventory import WANTED as TRACKED
from stages.security.inventory import sent
from stages.security.problem import Problem
from stages.security.view import shown
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.security.inventory import Sent
    from stages.security.view import View

RULE = RuleInfo(
    code="SEC402",
    name="local-detail-sent-to-tracker",
    severity=Severity.INFO,
    summary="A tracker is sent a path or name of the machine it ran on.",
    why=(
        "Absolute paths, user and host names say who trained where, and help nobody to repeat the run."
        " A shared or public project shows them to everybody."
    ),
    examples=(
        Bad("""
            import os
            import socket

            import wandb

            wandb.init(config={"data": os.path.abspath("data")})  # expect: SEC402
            wandb.log({"host": socket.gethostname()})  # expect: SEC402
            wandb.config.update({"root": "/home/ada/data"})  # expect: SEC402
        """),
        Good("""
            import os

            import wandb

            wandb.init(config={"data": os.path.basename("data"), "log": "/data"})
        """),
    ),
)
WANTED = TRACKED
_TELLS = frozenset(
    [
        *("os.getcwd", "os.path.abspath", "os.path.realpath", "os.path.expanduser", "pathlib.Path.cwd"),
        *("pathlib.Path.home", "getpass.getuser", "os.getlogin", "socket.gethostname", "platform.node"),
    ]
)
_HOME = late(r"(?:/home/|/Users/|[A-Z]:\\Users\\)\w+")


def look(view: View) -> Iterator[Problem]:
    """Report such values, once for each call."""
    for item in sent(view):
        what = _tells(view, item)
        if what:
            yield Problem(
                node=item.call,
                message=f"{item.tracker} is sent `{what}`" + (f" as `{item.key}`" if item.key.strip("*") else ""),
                remedy="Send a path below the project, or nothing of it.",
                cause=f"{item.call.lineno}",
            )


def _tells(view: View, item: Sent) -> str:
    if item.value is None or item.kind == "files":
        return ""
    for part in ast.walk(item.value):
        if isinstance(part, ast.Call) and view.names(part.func, item.scope) & _TELLS:
            return shown(part)
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and _HOME.match(part.value):
            return part.value
    return ""
