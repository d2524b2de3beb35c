"""Decides what the verified project's interpreter can import besides the project: read from files, never imported."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages._source.editable import editable_modules, path_file_entries
from stages._source.folders import FolderIndex, Found
from verifier.api import VerifierError, read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANSWER_WITHIN_S = 30.0
_INSTALLATION = str(Path(__file__).resolve().parents[2])
_HIDDEN_ALWAYS = frozenset({"stages", "reports"})  # ours; a project may have folders of those names
_LIBRARIES = frozenset({"verifier", "amp_runtime"})  # ours, and meant to be imported by others
# code that makes submodules appear which no file holds: writes to sys.modules, changes of a package's path
_REGISTERS_MODULES = re.compile(
    r"sys\.modules(\[[^\n]*\]\s*=[^=]|\.setdefault|\.update|\s*[,)])|__path__|declare_namespace|meta_path"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """What one Python says about itself. `path` holds folders and zip files, in the order of look-up."""

    executable: str
    version: tuple[int, int, int]
    platform: str
    os_name: str
    path: tuple[str, ...]
    standard: frozenset[str]  # top-level names of the standard library
    builtin: frozenset[str]  # modules compiled into the interpreter
    frozen: frozenset[str]  # modules found before any folder is searched
    builtins: frozenset[str]  # names that every module sees


def _facts() -> dict[str, Any]:  # runs inside the target interpreter too: plain code, old syntax, own imports
    import _imp, builtins, os, sys  # noqa: E401, PLC0415, I001

    frozen: Any = getattr(_imp, "_frozen_module_names", lambda: [])()
    return {
        "executable": sys.executable,
        "version": list(sys.version_info[:3]),
        "platform": sys.platform,
        "os_name": os.name,
        "path": [entry for entry in sys.path if entry],
        "standard": sorted(getattr(sys, "stdlib_module_names", ())),
        "builtin": sorted(sys.builtin_module_names),
        "frozen": sorted(name for name in frozen if not name.startswith("__")),
        "builtins": sorted(dir(builtins)),
        "prefixes": [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix],
    }


def interpreter(python: Path | None = None) -> Interpreter:
    """Return the facts of `python`, or of the interpreter that runs us; asked once per path.

    Raises:
        VerifierError: `python` cannot be started, does not answer in time, or is no Python 3.
    """
    return _interpreter(str(python) if python is not None else None)


@lru_cache(maxsize=8)
def _interpreter(python: str | None) -> Interpreter:
    if python is None:
        facts = _facts()
        facts["path"] = _own_path(facts["path"], facts["prefixes"])
    else:
        facts = _ask(python)
    try:
        version = tuple(int(part) for part in facts["version"])
        return Interpreter(
            executable=str(facts["executable"]),
            version=(version[0], version[1], version[2]),
            platform=str(facts["platform"]),
            os_name=str(facts["os_name"]),
            path=tuple(str(entry) for entry in facts["path"]),
            standard=frozenset(facts["standard"]) or sys.stdlib_module_names,  # Python 3.9 and older do not say
            builtin=frozenset(facts["builtin"]),
            frozen=frozenset(facts["frozen"]),
            builtins=frozenset(facts["builtins"]),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise VerifierError(f"the interpreter {python} gave an answer that is no description of a Python") from error


def _ask(python: str) -> dict[str, Any]:
    code = f"{inspect.getsource(_facts).replace('-> dict[str, Any]', '')}\nimport json\nprint(json.dumps(_facts()))"
    try:
        done = subprocess.run(
            [python, "-I", "-c", code],
            capture_output=True,
            text=True,
            timeout=_ANSWER_WITHIN_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise VerifierError(f"the interpreter {python} did not answer within {_ANSWER_WITHIN_S:g} s") from error
    except (OSError, ValueError) as error:
        raise VerifierError(f"the interpreter {python} cannot be started: {error}") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise VerifierError(f"the interpreter {python} failed with exit code {done.returncode}: {last}")
    try:
        facts = json.loads(done.stdout)
    except ValueError as error:
        raise VerifierError(f"the interpreter {python} did not answer as a Python would") from error
    if not isinstance(facts, dict):
        raise VerifierError(f"the interpreter {python} did not answer as a Python would")
    return facts


def _own_path(path: list[str], prefixes: list[str]) -> list[str]:
    """Keep what the installation itself put on the path: no current folder, script folder, PYTHONPATH or user site."""
    homes = tuple(prefix.rstrip("/\\") for prefix in prefixes)
    scripts = sysconfig.get_path("scripts")  # a console script puts its own folder first
    installed = [entry for entry in path if entry.startswith(homes) and entry != scripts]
    linked = {line for entry in installed for line in path_file_entries(entry)}
    return list(dict.fromkeys([*installed, *(entry for entry in path if entry in linked)]))


class Environment:
    """The modules that exist outside the project. Answers come from file names and, rarely, file text."""

    def __init__(self, facts: Interpreter) -> None:
        self.facts = facts
        self.folders = FolderIndex()
        self._known: dict[str, Found | bool | None] = {}
        self._editable: Mapping[str, str] | None = None
        self._registering: dict[str, bool] = {}  # kept no longer than this: what a run reads is noted in that run

    def is_standard(self, name: str) -> bool:
        """Say whether a dotted name belongs to the standard library."""
        top = name.partition(".")[0]
        return top in self.facts.standard or top in self.facts.builtin

    def has_module(self, name: str) -> bool | None:
        """Say whether a module can be imported; None where only running code could tell."""
        found = self._find(name)
        return True if isinstance(found, Found) else found

    def source_of(self, name: str) -> Path | None:
        """Return the Python source of a module, or None where there is none to read."""
        found = self._find(name)
        return Path(found.file) if isinstance(found, Found) and found.file else None

    def _find(self, name: str) -> Found | bool | None:
        """Return where a module is; True: it exists without files; False: it does not exist; None: unknown."""
        if name not in self._known:
            self._known[name] = self._look_up(name)
        return self._known[name]

    def _look_up(self, name: str) -> Found | bool | None:
        top, *parts = name.split(".")
        if top not in self._known:
            self._known[top] = self._top(top)
        found, dotted = self._known[top], top
        for part in parts:
            if found is None or found is False:
                return found
            above, parent, dotted = found, dotted, f"{dotted}.{part}"
            if dotted not in self._known:
                self._known[dotted] = self._below(above, parent, part)
            found = self._known[dotted]
        return found

    def _below(self, above: Found | bool, parent: str, last: str) -> Found | bool | None:
        name = f"{parent}.{last}"
        if name in self.facts.builtin or name in self.facts.frozen:
            return True
        if not isinstance(above, Found):
            return None  # below a built-in module anything may be registered
        if found := self.folders.child(last, parent, above.folders):
            return found
        if above.kind == "compiled":
            return None
        return None if above.file and self._registers(above.file) else False

    def _registers(self, file: str) -> bool:
        if file not in self._registering:
            self._registering[file] = _registers_modules(file)
        return self._registering[file]

    def _top(self, name: str) -> Found | bool | None:
        if name == "__main__":
            return True  # whatever was started
        if name in self.facts.builtin or name in self.facts.frozen:
            return self._in_path(name) or True
        if found := self._in_path(name):
            return found
        if name in self.facts.standard:
            return True  # of another platform, or compiled in some other way
        if self._editable is None:
            self._editable = editable_modules(self.facts.path)
        if place := self._editable.get(name):
            folder, _, file = place.rpartition("/")
            stem = file.removesuffix(".py")
            return self.folders.child(stem, "", (folder,)) or None
        return False

    def _in_path(self, name: str) -> Found | None:
        entries = []
        for entry in self.facts.path:
            if entry == _INSTALLATION and not self._visible(name, entry):
                continue
            entries.append(entry)
        return self.folders.child(name, "", tuple(entries))

    def _visible(self, name: str, entry: str) -> bool:
        if name in _HIDDEN_ALWAYS:
            return False
        return entry.endswith(("site-packages", "dist-packages")) or name in _LIBRARIES


def _registers_modules(file: str) -> bool:
    try:
        text = read_regular(Path(file)).decode("utf-8", "replace")
    except OSError:
        return True
    return _REGISTERS_MODULES.search(text) is not None


def environment(python: Path | None = None) -> Environment:
    """Return the environment of `python`, or of the running interpreter without its user site and script folder."""
    return Environment(interpreter(python))
