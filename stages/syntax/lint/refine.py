"""Decides which of ruff's hits are passed on: not those that the rest of the project or pytest explains."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from stages._source.parsing import parse
from stages._source.patterns import late
from stages._source.testfiles import is_test_file
from stages.syntax.lint.selection import SELECT, VERSION_SYNTAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from stages._source.records import FileScan
    from stages._source.ruff.diagnostics import Diagnostic
    from verifier.api import SourceFile, SourceTree

Function = ast.FunctionDef | ast.AsyncFunctionDef
_QUOTED = late(r"`([^`]+)`")
_NEWER = late(r"on Python 3\.\d+ \(syntax was (?:added|changed) in|requires? Python 3\.\d+")
_PARAMETER = late(r"(\w+)\s*(?::[^=]*)?=\s*\Z")
_COLLECTS = frozenset({"__init__.py", "conftest.py"})  # importing a name is how these files offer it
_CHANGES = frozenset(
    [
        "append",
        "extend",
        "insert",
        "remove",
        "pop",
        "clear",
        "sort",
        "reverse",
        "add",
        "update",
        "discard",
        "setdefault",
    ]
)


class Refinement:
    """Judges hits with the project at hand."""

    def __init__(
        self,
        files: SourceTree,
        scans: Mapping[str, FileScan],
        rest: Callable[[], Sequence[SourceFile]] = tuple,
    ) -> None:
        """Take the task's files; `rest` returns the project's other ones, and is asked only where it matters."""
        self._files = files
        self._find_rest = rest
        self._rest: Sequence[SourceFile] | None = None
        self._scans = scans
        self._users: dict[str, list[tuple[str, frozenset[str] | None]]] | None = None
        self._last: tuple[str, Sequence[str]] | None = None
        self._defaults: dict[str, frozenset[tuple[int, int]]] = {}
        self._judges: dict[str, Callable[[Diagnostic, SourceFile], bool]] = {
            "F401": self._unused_import,
            "F811": lambda hit, file: not _is_fixture(file, name_in(hit)),
            "F841": lambda hit, file: _is_plain_target(hit, parse(file)),
            "B006": lambda hit, file: (
                _may_change(hit, self._lines(file)) and (hit.line, hit.column) in self._changed(file)
            ),
            "B015": lambda hit, _: not is_test_file(hit.path),  # `pytest.raises` around a comparison
            VERSION_SYNTAX: lambda hit, _: _NEWER.search(hit.message) is not None,
        }

    def of(self, hits: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
        for hit in hits:
            file = self._files.get(hit.path)
            if file is None or not (hit.code.startswith(SELECT) or hit.code == VERSION_SYNTAX):
                continue
            judge = self._judges.get(hit.code)
            if judge is None or judge(hit, file):
                yield hit

    def _unused_import(self, hit: Diagnostic, file: SourceFile) -> bool:
        """Tell an import that nothing uses from one that is offered, asked for by a test, or tried out."""
        if PurePosixPath(hit.path).name in _COLLECTS or hit.path.endswith(".pyi") or "find_spec" in hit.message:
            return False
        name = name_in(hit)
        if _is_fixture(file, name) or self._used_elsewhere(hit.path, name):
            return False
        tree = parse(file)
        return not _is_passed_on(hit, tree) and not _is_tried(hit, tree)

    def _used_elsewhere(self, path: str, name: str) -> bool:
        """Say whether a file that imports this one takes `name` from it, or from a module of its name: close enough."""
        stem = PurePosixPath(path).stem
        if self._users is None:
            self._users = self._importers()
        for user, names in self._users.get(stem, ()):
            if user == path:
                continue
            if names is not None and (name in names or "*" in names):
                return True
            if f"{stem}.{name}".encode() in self._text(user) or f'{stem}.{name}"'.encode() in self._text(user):
                return True
        return self._used_in_rest(stem, name)

    def _used_in_rest(self, stem: str, name: str) -> bool:
        if self._rest is None:
            self._rest = self._find_rest()
        taken = rf"\b{re.escape(stem)}\s+import\b[^\n(]*(?:\([^)]*)?\b{re.escape(name)}\b"
        use = re.compile(rf"{taken}|\b{re.escape(stem)}\.{re.escape(name)}\b".encode())
        return any(use.search(file.data or b"") for file in self._rest)

    def _importers(self) -> dict[str, list[tuple[str, frozenset[str] | None]]]:
        """Return, by the last part of a module's name, the files that import it and the names they take from it."""
        users: dict[str, list[tuple[str, frozenset[str] | None]]] = {}
        for path, scan in self._scans.items():
            for site in scan.imports:
                stem = site.module.rpartition(".")[2]
                users.setdefault(stem, []).append((path, frozenset(site.names) if site.names else None))
                for name in site.names or ():
                    users.setdefault(name, []).append((path, None))
        return users

    def _changed(self, file: SourceFile) -> frozenset[tuple[int, int]]:
        if file.path not in self._defaults:
            self._defaults[file.path] = _changed_defaults(parse(file))
        return self._defaults[file.path]

    def _lines(self, file: SourceFile) -> Sequence[str]:
        if self._last is None or self._last[0] != file.path:  # hits come file by file
            self._last = (file.path, file.text_lines)
        return self._last[1]

    def _text(self, path: str) -> bytes:
        file = self._files.get(path)
        return (file.data or b"") if file is not None else b""


def name_in(hit: Diagnostic) -> str:
    """Return the local name that a message is about: the last part of what it quotes first."""
    quoted = _QUOTED.search(hit.message)
    if quoted is None:
        return ""
    words = quoted[1].split(" as ")
    return words[-1].strip() if len(words) > 1 else words[0].rpartition(".")[2].strip()


def _is_fixture(file: SourceFile, name: str) -> bool:
    """Say whether a test file asks for `name` as a parameter: pytest finds the fixture by that name."""
    tree = parse(file) if is_test_file(file.path) else None
    if tree is None:
        return False
    return any(
        (isinstance(node, ast.arg) and node.arg == name) or (isinstance(node, ast.Constant) and node.value == name)
        for node in ast.walk(tree)
    )


def _is_passed_on(hit: Diagnostic, tree: ast.Module | None) -> bool:
    """Say whether the file exists to hand names on: it takes them from elsewhere and defines nothing of its own."""
    if tree is None:
        return False
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.lineno <= hit.line <= (node.end_lineno or node.lineno):
            return not any(isinstance(other, Function | ast.ClassDef) for other in tree.body) and (
                node.level > 0 or _only_imports(tree)
            )
    return False


def _is_tried(hit: Diagnostic, tree: ast.Module | None) -> bool:
    """Say whether the code asks by the import whether it is possible: what it does else stands in an except clause."""
    tried = [
        statement
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.Try) and node.handlers
        for statement in node.body
    ]
    return any(
        isinstance(node, ast.Import | ast.ImportFrom) and node.lineno <= hit.line <= (node.end_lineno or node.lineno)
        for node in tried
    )


def _only_imports(tree: ast.Module) -> bool:
    return all(
        isinstance(node, ast.ImportFrom) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in tree.body
    )


def _is_plain_target(hit: Diagnostic, tree: ast.Module | None) -> bool:
    """Tell a value that is computed and dropped from the name of an exception or a context, which costs nothing."""
    if tree is None:
        return False
    targets = (
        target
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    )
    return any(target.lineno == hit.line for target in targets)


def _may_change(hit: Diagnostic, lines: Sequence[str]) -> bool:
    """Look, before the file is parsed, for a line that would change the parameter in place."""
    before = lines[hit.line - 1][: hit.column - 1] if hit.line <= len(lines) else ""
    named = _PARAMETER.search(before)
    if named is None:
        return True  # written over several lines: the tree says
    name = re.escape(named[1])
    change = rf"\b{name}\s*(?:\.(?:{'|'.join(sorted(_CHANGES))})\b|\[|[-+|&^*]=)"
    return re.search(change, "\n".join(lines)) is not None


def _changed_defaults(tree: ast.Module | None) -> frozenset[tuple[int, int]]:
    """Return where defaults stand that their function changes in place; one that is merely read or kept is harmless.

    A parameter that the function binds anew, as in `x = list(x)`, no longer stands for the default.
    """
    return frozenset(
        (default.lineno, default.col_offset + 1)
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, Function)
        for name, default in _defaults(node)
        if isinstance(default, ast.List | ast.Dict | ast.Set | ast.Call | ast.ListComp | ast.DictComp | ast.SetComp)
        and any(_changes(inner, name) for inner in ast.walk(node))
        and not any(_binds(inner, name) for inner in ast.walk(node))
    )


def _defaults(node: Function) -> Iterator[tuple[str, ast.expr]]:
    positional = [*node.args.posonlyargs, *node.args.args]
    count = len(node.args.defaults)
    yield from zip((item.arg for item in positional[len(positional) - count :]), node.args.defaults, strict=True)
    for item, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if default is not None:
            yield item.arg, default


def _changes(node: ast.AST, name: str) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=held), attr=method)):
            return held == name and method in _CHANGES
        case ast.Subscript(value=ast.Name(id=held), ctx=ast.Store() | ast.Del()):
            return held == name
        case ast.AugAssign(target=ast.Name(id=held)):
            return held == name
    return False


def _binds(node: ast.AST, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return not isinstance(node, ast.AugAssign) and any(
        isinstance(inner, ast.Name) and inner.id == name and isinstance(inner.ctx, ast.Store)
        for target in targets
        if isinstance(target, ast.AST)
        for inner in ast.walk(target)
    )
