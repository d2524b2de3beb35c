"""Run a training script as the interpreter would, under the sanitizer."""

from __future__ import annotations

import builtins
import functools
import importlib.util
import os
import sys
import types
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING

from ..wire import ScriptEnd
from .child import Unit
from .emulated import emulate_cuda
from .failure import safe_text
from .imports import forget
from .watched import watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType

    from ..wire import Request, ScriptUnit
    from .child import Reporter


class StepsDoneError(BaseException):
    """Ends a program after the training steps that were asked for. No `except Exception` holds it up."""


def units(request: Request, startup: frozenset[str]) -> Iterable[Unit]:
    return [
        Unit(name=f"{number}", body=functools.partial(_run, script, request, startup))
        for number, script in enumerate(request.scripts)
    ]


def _run(script: ScriptUnit, request: Request, startup: frozenset[str], reporter: Reporter) -> None:
    if script.emulate and not emulate_cuda(reporter):
        return
    from .ranks import Ranks  # noqa: PLC0415 - it loads more of the standard library than other projects may find loaded

    program = load(script, request, startup, reporter)
    end = functools.partial(end_after, script.steps)
    with watched(request.root, reporter, end) as progress:
        ranks = Ranks(script, request)
        try:
            exit_code, stopped = ranks.run(program)
        finally:
            seen = ranks.seen()
            for rank in seen:
                reporter.item(rank)
    devices = progress.devices or tuple(sorted({device for rank in seen for device in rank.devices}))
    reporter.item(ScriptEnd(exit_code=exit_code, stopped=stopped, devices=devices))


def load(
    script: ScriptUnit, request: Request, startup: frozenset[str], reporter: Reporter
) -> Callable[[], tuple[int, bool]]:
    """Make this process the program's, and return what runs it and tells its exit code and whether it was ended."""
    reporter.phase("loading the script")
    folder = os.path.join(request.root, script.folder)
    os.chdir(folder)
    for stream in (sys.stdout, sys.stderr):  # a pipe to a person who watches
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    main, code = _prepared(script, folder, request.root, startup)
    reporter.phase("running, before its first training step")
    return functools.partial(_execute, main, code)


def _execute(main: types.ModuleType, code: CodeType) -> tuple[int, bool]:
    try:
        # verify: allow[SEC201] running the script of the project is what this process was started for
        exec(code, vars(main))
    except StepsDoneError:
        return 0, True
    except SystemExit as leaving:
        return _exit_code(leaving), False
    return 0, False


def end_after(steps: int | None, step: int) -> None:
    if steps is not None and step >= steps:
        raise StepsDoneError(f"the {steps} training steps that were asked for are done")


def _exit_code(leaving: SystemExit) -> int:
    """Return what the interpreter makes of it; whatever is no number is a message, and a failure."""
    if leaving.code is None or isinstance(leaving.code, int):
        return int(leaving.code or 0) & 0xFF
    print(safe_text(leaving.code), file=sys.stderr)
    return 1


def _prepared(script: ScriptUnit, folder: str, root: str, startup: frozenset[str]) -> tuple[types.ModuleType, CodeType]:
    """Set the interpreter up for the program, and return its main module and what to execute in it.

    Raises:
        OSError, SyntaxError, ImportError: the script cannot be read, compiled or found.
    """
    file_name = os.path.join(root, script.target)
    first = folder if script.module else os.path.dirname(os.path.realpath(file_name))
    sys.path.insert(0, first)
    for name in _modules_in(first):  # the program's own file comes before what only the harness has loaded
        forget(name, root, startup)
    main = types.ModuleType("__main__")
    vars(main)["__builtins__"] = builtins
    sys.modules["__main__"] = main
    if script.module:
        return main, _as_module(main, script)
    sys.argv = [script.shown, *script.arguments]
    vars(main).update(__file__=file_name, __loader__=SourceFileLoader("__main__", file_name), __spec__=None)
    with open(file_name, "rb") as file:
        return main, compile(file.read(), file_name, "exec", dont_inherit=True)


def _as_module(main: types.ModuleType, script: ScriptUnit) -> CodeType:
    name = script.target
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        name = f"{name}.__main__"
        spec = importlib.util.find_spec(name)
    code: CodeType | None = None if spec is None or spec.loader is None else spec.loader.get_code(spec.name)  # type: ignore[attr-defined]
    if spec is None or code is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    sys.argv = [spec.origin or name, *script.arguments]
    vars(main).update(__file__=spec.origin, __loader__=spec.loader, __spec__=spec, __package__=spec.parent)
    return code


def _modules_in(folder: str) -> list[str]:
    """Return the names that this folder gives to modules which are loaded, but from elsewhere."""
    names = {entry.removesuffix(".py") for entry in os.listdir(folder) if _is_module(folder, entry)}
    loaded = {name for name in names if name in sys.modules and name not in ("torch", "numpy")}
    return sorted(name for name in loaded if not _from(folder, getattr(sys.modules[name], "__file__", None)))


def _is_module(folder: str, entry: str) -> bool:
    return entry.endswith(".py") or os.path.isfile(os.path.join(folder, entry, "__init__.py"))


def _from(folder: str, file: object) -> bool:
    return isinstance(file, str) and os.path.realpath(file).startswith(os.path.realpath(folder) + os.sep)
