"""Say how an exception is usually put right, by its type and text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amp_runtime.wire import Failure

_MISSING = re.compile(r"No module named '(?P<name>[^']+)'")
_READ_ONLY = re.compile(r"Errno 30|Read-only file system")
_NETWORK = re.compile(
    r"name resolution|Name or service not known|Network is unreachable|Connection refused|[Cc]ould ?n[o']t connect"
)
_CAGE_FILES = (
    "While it is verified, code may write only to its copy of the project and to its temporary folder (tempfile or "
    "$TMPDIR); large data stands there as read-only links. Write there, or to a folder that the code makes itself."
)
_CAGE_NETWORK = (
    "While it is verified, code reaches no network. Let it use local data, or allow the network for this task: "
    "allow-network = true."
)
_CYCLE = re.compile(r"partially initialized module|circular import")


def missing_module(failure: Failure) -> str | None:
    """Return the name of the module that could not be found, where that is what went wrong."""
    found = _MISSING.search(failure.message)
    return found["name"] if found and failure.type == "ModuleNotFoundError" else None


def remedy_for(failure: Failure, otherwise: str) -> str:
    if failure.type == "SystemExit":
        return 'Move the call below `if __name__ == "__main__":`, or raise an exception that callers can handle.'
    if _CYCLE.search(failure.message):
        return "Break the import cycle: move the import at the line shown into the function that uses it."
    if missing := missing_module(failure):
        return (
            f"Correct the name {missing!r} at the line shown, restore that module, or install the package it is in; "
            "where another interpreter has it, name that one: `--python PATH`, or `python` in the configuration."
        )
    if failure.type == "ImportError":
        return "Correct the imported name at the line shown, or define it in the module it is taken from."
    if failure.type in ("NameError", "UnboundLocalError"):
        return "Define or import the name before the line shown runs, or correct its spelling."
    if failure.type == "PermissionError" or _READ_ONLY.search(failure.message):
        return _CAGE_FILES
    if _NETWORK.search(failure.message):
        return _CAGE_NETWORK
    if failure.type in ("SyntaxError", "IndentationError", "TabError"):
        return "Correct the syntax at the line shown."
    return otherwise
