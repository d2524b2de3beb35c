"""Decides what a module does that reaches outside, or runs what it is given: facts for a reader, not findings."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.origins import origins
from stages.syntax.inventory.text import text_of

if TYPE_CHECKING:
    from stages._source.program.project import Module, Project
    from stages._source.program.scopes import Seen
    from verifier.api import Json

KINDS = ("runs code it is given", "unpickles", "runs commands", "uses the network", "reads files", "writes files")
_CODE = frozenset(["eval", "exec", "compile", "__import__", "importlib.import_module", "runpy.run_path"])
_PICKLES = frozenset(
    ["pickle.load", "pickle.loads", "pickle.Unpickler", "dill.load", "dill.loads", "cloudpickle.load", "joblib.load"]
)
_COMMANDS = frozenset(["os.system", "os.popen", "os.execv", "os.execvp", "pty.spawn"])
_NETWORK = frozenset(["requests", "urllib", "socket", "http", "httpx", "aiohttp", "smtplib", "ftplib", "paramiko"])
_READERS = frozenset(["read_text", "read_bytes"])
_WRITERS = frozenset(["write_text", "write_bytes", "unlink", "rmdir", "mkdir", "touch"])
_WRITING = frozenset(
    ["torch.save", "shutil.rmtree", "shutil.move", "shutil.copy", "os.remove", "os.makedirs", "os.unlink"]
)


def security(project: Project, module: Module) -> dict[str, Json]:
    """Return for each kind of reach where the module has it; an empty list says that it was looked for."""
    found: dict[str, list[Json]] = {kind: [] for kind in KINDS}
    for seen in module.scopes.calls:
        kind = _kind(project, seen)
        if kind is not None and isinstance(seen.node, ast.Call):
            found[kind].append({"line": seen.node.lineno, "what": text_of(seen.node)})
    return {kind: sorted(rows, key=_line) for kind, rows in found.items()}


def _line(row: Json) -> int:
    line = row.get("line") if isinstance(row, dict) else 0
    return line if isinstance(line, int) else 0


def _kind(project: Project, seen: Seen) -> str | None:
    call = seen.node
    if not isinstance(call, ast.Call):
        return None
    names = origins(project, call.func, seen.scope)
    tops = {name.partition(".")[0] for name in names}
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if names & _CODE:
        return KINDS[0]
    if names & _PICKLES or _unpickles(names, given):
        return KINDS[1]
    if names & _COMMANDS or "subprocess" in tops:
        return KINDS[2]
    if tops & _NETWORK and not names & tops:
        return KINDS[3]
    if "open" in names:
        return KINDS[5] if _writes(call, given) else KINDS[4]
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if names & _WRITING or method in _WRITERS:
        return KINDS[5]
    return KINDS[4] if method in _READERS or "torch.load" in names else None


def _unpickles(names: frozenset[str], given: dict[str | None, ast.expr]) -> bool:
    """Say whether a loader is told to unpickle: torch does so by itself only before 2.6."""
    safe, allowed = given.get("weights_only"), given.get("allow_pickle")
    told_unsafe = isinstance(safe, ast.Constant) and safe.value is False
    told_allowed = isinstance(allowed, ast.Constant) and allowed.value is True
    return ("torch.load" in names and told_unsafe) or ("numpy.load" in names and told_allowed)


def _writes(call: ast.Call, given: dict[str | None, ast.expr]) -> bool:
    mode = call.args[1] if len(call.args) > 1 else given.get("mode")
    return isinstance(mode, ast.Constant) and isinstance(mode.value, str) and bool(set("wax+") & set(mode.value))
