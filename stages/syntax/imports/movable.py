"""Decides which import statements can be made lazy: moved into the functions that use what they bind."""

from __future__ import annotations

import ast
import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.walking import walk
from stages.syntax.imports.lower import is_postponed
from stages.syntax.imports.usage import Usage, UseOf, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stages._source.records import ImportSite
    from stages.syntax.imports.cycles import Project
    from stages.syntax.imports.graph import Edge

# called by Python itself, perhaps while a module loads
_IMPLICIT = frozenset({"__init_subclass__", "__set_name__", "__prepare__", "__class_getitem__", "__getattr__"})
Import = ast.Import | ast.ImportFrom


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyImport:
    """A statement that can be made lazy.

    Args:
        functions: where it belongs; none where nothing in its module uses what it binds.
        annotated: annotations that are not evaluated name it too, so it stays for type checking.
    """

    path: str
    line: int
    statement: str
    functions: tuple[str, ...]
    annotated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedImport:
    """A statement that cannot be made lazy, and why: the reason completes "it cannot, because ..."."""

    path: str
    line: int
    statement: str
    reason: str


class Movables:
    """Judges statements of a project. `called` are names of functions that may run while modules load."""

    def __init__(self, project: Project, edges: Sequence[Edge]) -> None:
        self._project = project
        self._usages: dict[str, Usage] = {}
        self._sources: dict[str, set[str]] = {}
        for edge in edges:
            self._sources.setdefault(edge.target, set()).add(edge.source)

    def judge(self, path: str, line: int, called: Iterable[str]) -> LazyImport | FixedImport | None:
        """Judge the import statement on a line; None where there is none to be seen."""
        tree = self._project.tree(path)
        found = [node for node in walk(tree) if _is_import_on(node, line)] if tree is not None else []
        if tree is None or not found:
            return None
        node = found[0]
        assert isinstance(node, Import)
        text = ast.unparse(node)
        holder = _holder(tree.body, node)
        reason = "another import stands on its line" if len(found) > 1 else ""
        reason = reason or self._why_not(path, tree, node, holder)
        uses = [] if holder else self._uses(path, tree, node)
        reason = reason or _why_not_by_use(path, uses, frozenset(called))
        if reason:
            return FixedImport(path=path, line=line, statement=text, reason=reason)
        return LazyImport(
            path=path,
            line=line,
            statement=text,
            functions=tuple(dict.fromkeys(use.function for use in uses if use.when == "function")),
            annotated=any(use.when == "annotation" for use in uses),
        )

    def _usage(self, path: str, tree: ast.Module) -> Usage:
        if path not in self._usages:
            postponed = is_postponed(tree, self._project.conditions)
            self._usages[path] = usage_of(tree, postponed=postponed)
        return self._usages[path]

    def _uses(self, path: str, tree: ast.Module, node: Import) -> list[UseOf]:
        """Return the uses of what a statement at module level binds."""
        usage = self._usage(path, tree)
        found = []
        for alias in node.names:
            shared = not alias.asname and isinstance(node, ast.Import) and usage.bindings.get(_bound(alias), 0) > 1
            parts = tuple(alias.name.split(".")) if shared else (_bound(alias),)
            for use in usage.uses:
                length = min(len(parts), len(use.chain))
                if use.chain[:length] == parts[:length]:
                    found.append(use)
        return found

    def _why_not(self, path: str, tree: ast.Module, node: Import, holder: str | None) -> str:
        names = [_bound(alias) for alias in node.names]
        if "*" in names:
            return "a star import can only stand at module level"
        if holder is None:
            return "it does not stand at the top level of its module, and what is around it decides whether it runs"
        usage = self._usage(path, tree)
        scan = self._project.exports.scan(self._project.locator.layout.absolute(path))
        if scan.dynamic and "__getattr__" not in scan.bindings:
            return "its module writes to its own namespace"
        for name in names:
            if name in usage.strings:
                return f"its module names `{name}` in a string, as `__all__` does"
            if not holder and usage.bindings.get(name, 0) > 1 and not _all_plain(tree, name):
                return f"`{name}` is bound in another place of its module too"
        if holder and any(_class_uses(tree, holder, name) for name in names):
            return f"the body of class {holder} uses it"
        submodule = _loads_submodule(path, node)
        if path.endswith("__init__.py") and not any(use.when == "function" for use in self._uses(path, tree, node)):
            return "it is what the package offers to those who import it"
        return self._taken(path, [*names, *submodule], own=bool(holder))

    def _taken(self, path: str, names: Sequence[str], *, own: bool) -> str:
        """Say who else takes one of the names from this module; "" where nobody is seen to."""
        direct = self._sources.get(path, set()) - {path}
        for source in sorted(direct):
            for site in self._project.exports.scan(self._project.locator.layout.absolute(source)).imports:
                if name := self._takes(source, site, path, names):
                    return f"{source}:{site.line} takes {name} from its module"
        wanted = "|".join(re.escape(name) for name in names)
        attribute = re.compile(rf"\.\s*(?:{wanted})\b".encode())
        words = [name.encode() for name in names]  # found at once where they are, unlike the pattern
        texts = [(path, attribute)] if own else []
        for source in sorted((direct | self._around(path)) - {path}):
            data = self._project.locator.bytes_of(self._project.locator.layout.absolute(source))
            if any(word in data for word in words) and attribute.search(data):
                called = "|".join(re.escape(name) for name in sorted(self._names_for(path, source)))
                texts.append((source, re.compile(rf"\b(?:{called})\s*\.\s*(?:{wanted})\b".encode())))
        for source, pattern in texts:
            data = self._project.locator.bytes_of(self._project.locator.layout.absolute(source))
            for found in pattern.finditer(data):
                if not _is_import_line(data, found.start()):
                    line = data.count(b"\n", 0, found.start()) + 1
                    return (
                        f"{source}:{line} reads `{found.group().decode(errors='replace')}`, which may be its module's"
                    )
        return ""

    def _names_for(self, path: str, source: str) -> set[str]:
        """Return the names by which a file may mean the module, as the last one before an attribute."""
        layout = self._project.locator.layout
        names = {self._project.names.of(path).rpartition(".")[2]}
        for record in self._project.records_of(source):
            if record.names is None and record.alias:
                names.add(record.alias)
            for wanted, bound in record.names or ():
                found = self._project.locator.locate(layout.absolute(source), record.module, record.level).found
                below = self._project.locator.submodule(found, wanted) if found is not None and found.folders else None
                if below is not None and below.file is not None and layout.relative(below.file) == path:
                    names.add(bound)
        return names

    def _around(self, path: str) -> set[str]:
        """Return the files that import a package above the module."""
        found: set[str] = set()
        folder = path.rpartition("/")[0]
        while folder:
            found |= self._sources.get(f"{folder}/__init__.py", set())
            folder = folder.rpartition("/")[0]
        return found

    def _takes(self, source: str, site: ImportSite, path: str, names: Sequence[str]) -> str:
        layout = self._project.locator.layout
        if not site.names or not ("*" in site.names or any(name in site.names for name in names)):
            return ""
        found = self._project.locator.locate(layout.absolute(source), site.module, site.level).found
        if found is None or found.file is None or layout.relative(found.file) != path:
            return ""
        if "*" not in site.names:
            return f"`{next(name for name in names if name in site.names)}`"
        public = self._project.exports.public(layout.absolute(path))
        if public.known and public.names.isdisjoint(names):
            return ""
        return "all public names"


def without(tree: ast.Module, moved: Sequence[LazyImport]) -> ast.Module:
    """Return the module with imports moved into the functions that use them; the given tree stays as it is."""
    return ast.Module(_moved(tree.body, moved, ""), [])


def _moved(body: Iterable[ast.stmt], moved: Sequence[LazyImport], scope: str) -> list[ast.stmt]:
    lines = {item.line for item in moved}
    kept: list[ast.stmt] = []
    for node in body:
        if isinstance(node, Import) and node.lineno in lines:
            continue
        if isinstance(node, ast.ClassDef):
            inner = copy.copy(node)
            inner.body = _moved(node.body, moved, f"{scope}{node.name}.")
            kept.append(inner)
        elif isinstance(node, ast.FunctionDef):
            inside = [item.statement for item in moved if f"{scope}{node.name}" in item.functions]
            kept.append(_with_imports(node, inside) if inside else node)
        else:
            kept.append(node)
    return kept


def _with_imports(node: ast.FunctionDef, statements: Sequence[str]) -> ast.FunctionDef:
    inner = copy.copy(node)
    inner.body = [*ast.parse("\n".join(statements)).body, *node.body]
    return inner


def _is_import_on(node: ast.AST, line: int) -> bool:
    return isinstance(node, Import) and node.lineno == line


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _holder(body: Iterable[ast.stmt], wanted: Import, scope: str = "") -> str | None:
    """Return the class in whose body the statement stands, "" for the module's, None for any other place."""
    for node in body:
        if node is wanted:
            return scope
        if isinstance(node, ast.ClassDef):
            inner = _holder(node.body, wanted, f"{scope}.{node.name}" if scope else node.name)
            if inner is not None:
                return inner
    return None


def _all_plain(tree: ast.Module, name: str) -> bool:
    """Say whether only statements like `import name.part`, of different modules, bind a name at module level."""
    plain: list[str] = []
    counted = 0
    for node in tree.body:
        for alias in node.names if isinstance(node, Import) else ():
            if _bound(alias) == name:
                counted += 1
                if isinstance(node, ast.Import) and not alias.asname:
                    plain.append(alias.name)
    every = usage_of(tree, postponed=True).bindings.get(name, 0)
    return len(set(plain)) == counted == every


def _class_uses(tree: ast.Module, holder: str, name: str) -> bool:
    """Say whether the class binds the name in another way too, or reads it in its body, outside functions."""
    body: Sequence[ast.stmt] = tree.body
    for part in holder.split("."):
        body = [item for node in body if isinstance(node, ast.ClassDef) and node.name == part for item in node.body]
    usage = usage_of(ast.Module(list(body), []), postponed=False)
    read = any(use.chain[0] == name and use.when not in ("function", "shadowed") for use in usage.uses)
    return read or usage.bindings.get(name, 0) > 1


def _loads_submodule(path: str, node: Import) -> list[str]:
    """Return names of modules that become attributes of the package whose own file holds the statement."""
    if not path.endswith("__init__.py"):
        return []
    if isinstance(node, ast.ImportFrom):
        return [node.module.rpartition(".")[2]] if node.module else []
    return [alias.name.rpartition(".")[2] for alias in node.names]


def _why_not_by_use(path: str, uses: Sequence[UseOf], called: frozenset[str]) -> str:
    for use in uses:
        name = ".".join(use.chain)
        if use.when == "loading":
            return f"`{name}` is needed while its module loads, on line {use.line}"
        if use.when == "lambda":
            return f"a lambda on line {use.line} uses `{name}`, and cannot import it"
        if use.when == "shadowed":
            return f"a function inside {use.function}() has its own `{use.chain[0]}`"
        if use.when == "function":
            parts = use.function.split(".")
            if not called.isdisjoint(parts) or not _IMPLICIT.isdisjoint(parts):
                return f"{use.function}(), which uses `{name}`, may be called while modules load"
    return ""


def _is_import_line(data: bytes, place: int) -> bool:
    start = data.rfind(b"\n", 0, place) + 1
    return data[start:place].lstrip().startswith((b"import ", b"from "))
