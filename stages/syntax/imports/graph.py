"""Decides the import graph: which project file leads to which, on which line, and when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stages._source.patterns import late
from stages.syntax.imports.built import BuiltModules

if TYPE_CHECKING:
    from stages._source.folders import Found
    from stages._source.records import FileScan, ImportSite
    from stages.syntax.imports.exports import Exports
    from stages.syntax.imports.places import Group, Locator, Place

EdgeKind = Literal["eager", "lazy", "type-only", "access"]
_TYPE_CHECKING = late(rb"^if\s+(?:\w+\.)?TYPE_CHECKING\b(?:\s+(?:and|or)\b[^:\n]*)?\s*:.*$", re.MULTILINE)
_NEXT_STATEMENT = late(rb"^[^\s#]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Edge:
    """One file needs another.

    Args:
        kind: "access" is no import: `import a.b.c` lets a module of `a.b` reach `a.b` through its parent.
        implied: the target is a package whose own file runs first when a module below it is imported.
    """

    source: str  # paths relative to the root
    target: str
    line: int
    kind: EdgeKind
    implied: bool = False


@dataclass(frozen=True, slots=True)
class Suspect:
    """An import that does not resolve at first sight. `name` is None where the module itself is missing."""

    path: str
    site: ImportSite
    place: Place
    name: str | None = None


@dataclass(frozen=True, slots=True)
class FileImports:
    """What the imports of one file lead to."""

    edges: tuple[Edge, ...]
    suspects: tuple[Suspect, ...]
    groups: Mapping[Group, int]
    checked: int


class Grapher:
    """Follows the imports of files, one at a time."""

    def __init__(self, locator: Locator, exports: Exports) -> None:
        self._locator = locator
        self._exports = exports
        self._layout = locator.layout
        self._built = BuiltModules(locator.layout)
        self._above: dict[tuple[str, int], tuple[str, ...]] = {}

    def follow(self, path: str, scan: FileScan) -> FileImports:
        """Return edges to project files, and the imports that need a closer look."""
        walk = _Walk(path, self._layout.absolute(path), self._type_only(path, scan))
        for site in scan.imports:
            place = self._locator.locate(walk.file, site.module, site.level)
            walk.groups[place.group] = walk.groups.get(place.group, 0) + 1
            walk.checked += 1
            if place.problem is not None:
                walk.suspects.append(Suspect(path, site, place))
                above = place.found
                if above is not None and above.file is not None and not _is_below(walk.file, above.file):
                    self._edge(walk, site, above, implied=True)
            elif place.found is not None:
                self._found(walk, site, place)
        for named in self._exports.named_imports(walk.file):
            place = self._locator.locate(walk.file, named.site.module, named.site.level)
            if place.problem is None and place.found is not None:
                self._edge(walk, named.site, place.found)
        return FileImports(tuple(walk.edges), tuple(walk.suspects), walk.groups, walk.checked)

    def _found(self, walk: _Walk, site: ImportSite, place: Place) -> None:
        found = place.found
        assert found is not None
        if site.names is None or found.kind == "compiled":
            self._edge(walk, site, found)
            return
        whole = False  # the edge to the module itself is there already
        for name in site.names:
            walk.checked += 1
            submodule = self._locator.submodule(found, name) if found.folders and name != "*" else None
            if name != "*" and found.file != walk.file and not self._offers(found, name, submodule):
                walk.suspects.append(Suspect(walk.path, site, place, name))
            own = found.file is not None and (submodule is None or not self._is_that_submodule(found, name))
            if submodule is not None:
                self._edge(walk, site, submodule)
            if submodule is None and found.file == walk.file and self._built.makes(found.folders, name):
                continue  # a build puts it there before the package runs
            if (own or submodule is None) and not whole:
                whole = True
                self._edge(walk, site, found)

    def _offers(self, found: Found, name: str, submodule: Found | None) -> bool:
        if submodule is not None:
            return True
        if found.file is None:
            return False
        if name in self._exports.scan(found.file).bindings:
            return True
        every = self._exports.every(found.file)
        return not every.known or name in every.names

    def _is_that_submodule(self, package: Found, name: str) -> bool:
        """Say whether the package's own file leaves `name` to the submodule, rather than binding something else."""
        if package.file is None:
            return True
        scan = self._exports.scan(package.file)
        if name not in scan.bindings:
            return True
        for site in scan.imports:
            if site.names and name in site.names:
                place = self._locator.locate(package.file, site.module, site.level)
                return place.found is not None and place.found.file == package.file
        return False

    def _edge(self, walk: _Walk, site: ImportSite, found: Found | None, *, implied: bool = False) -> None:
        if found is None:
            return
        kind: EdgeKind = "lazy" if not site.eager else "type-only" if site.line in walk.type_only else "eager"
        if found.file is not None:
            target = self._layout.relative(found.file)
            if target is not None:
                walk.add(Edge(walk.path, target, site.line, kind, implied))
        for file in self._packages_above(found):
            target = self._layout.relative(file)
            if target is None:
                continue
            if not _is_below(walk.file, file):
                walk.add(Edge(walk.path, target, site.line, kind, implied=True))
            elif site.names is None and kind != "type-only":
                walk.add(Edge(walk.path, target, site.line, "access" if site.eager else "lazy", implied=True))

    def _packages_above(self, found: Found) -> tuple[str, ...]:
        """Return the `__init__.py` of every package above a module: each runs before the module does."""
        place = found.file or (f"{found.folders[0]}/__init__.py" if found.folders else "")
        key = (place, found.name.count("."))
        if key not in self._above:
            self._above[key] = tuple(self._packages_of(*key))
        return self._above[key]

    def _packages_of(self, place: str, depth: int) -> Iterable[str]:
        folder = place.rpartition("/")[0]
        if place.endswith("/__init__.py"):
            folder = folder.rpartition("/")[0]
        for _ in range(depth):
            if "__init__.py" in self._layout.folders.listing(folder).files:
                yield f"{folder}/__init__.py"
            folder = folder.rpartition("/")[0]

    def _type_only(self, path: str, scan: FileScan) -> frozenset[int]:
        """Return the lines below a module-level `if TYPE_CHECKING:`, from the text: trees are for suspects."""
        if not scan.imports:
            return frozenset()
        data = self._locator.bytes_of(self._layout.absolute(path))
        if b"TYPE_CHECKING" not in data:
            return frozenset()
        lines: set[int] = set()
        for match in _TYPE_CHECKING.finditer(data):
            end = _NEXT_STATEMENT.search(data, match.end())
            first = data.count(b"\n", 0, match.start()) + 1
            last = first + data.count(b"\n", match.start(), end.start() if end else len(data))
            lines.update(range(first, last if end else last + 1))
        return frozenset(lines)


class _Walk:
    """What has been collected so far for one file; an edge is kept once per line and kind."""

    def __init__(self, path: str, file: str, type_only: frozenset[int]) -> None:
        self.path = path
        self.file = file
        self.type_only = type_only
        self.edges: list[Edge] = []
        self._seen: set[Edge] = set()
        self.suspects: list[Suspect] = []
        self.groups: dict[Group, int] = {}
        self.checked = 0

    def add(self, edge: Edge) -> None:
        if edge not in self._seen:
            self._seen.add(edge)
            self.edges.append(edge)


def _is_below(file: str, package: str) -> bool:
    return file.startswith(package.removesuffix("__init__.py"))


def components(edges: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Return the strongly connected components with at least two members, or one that leads to itself.

    Tarjan's algorithm without recursion; members and components are sorted.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[tuple[str, ...]] = []
    for start in sorted(edges):
        if start in index:
            continue
        work = [(start, iter(edges.get(start, ())))]
        index[start] = low[start] = len(index)
        stack.append(start)
        on_stack.add(start)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(edges.get(target, ()))))
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    members = _pop_component(stack, on_stack, node)
                    if len(members) > 1 or node in edges.get(node, ()):
                        found.append(members)
    return sorted(found)


def _pop_component(stack: list[str], on_stack: set[str], root: str) -> tuple[str, ...]:
    members = []
    while True:
        member = stack.pop()
        on_stack.discard(member)
        members.append(member)
        if member == root:
            return tuple(sorted(members))


def adjacency(edges: Iterable[Edge], kinds: frozenset[str], *, implied: bool = True) -> dict[str, list[str]]:
    """Return successors by file, counting only edges of the given kinds; sorted, without repetition."""
    out: dict[str, set[str]] = {}
    for edge in edges:
        if edge.kind in kinds and (implied or not edge.implied):
            out.setdefault(edge.source, set()).add(edge.target)
    return {source: sorted(targets) for source, targets in sorted(out.items())}


def reaching(edges: Mapping[str, Iterable[str]], goals: Iterable[str]) -> set[str]:
    """Return the goals and every file that leads to one of them."""
    back: dict[str, list[str]] = {}
    for source, targets in edges.items():
        for target in targets:
            back.setdefault(target, []).append(source)
    seen = set(goals)
    pending = list(seen)
    while pending:
        for source in back.get(pending.pop(), ()):
            if source not in seen:
                seen.add(source)
                pending.append(source)
    return seen


def shortest_path(edges: Mapping[str, Iterable[str]], start: str, goal: str) -> list[str]:
    """Return a shortest way from start to goal (at least one step); empty where there is none."""
    before: dict[str, str] = {}
    pending = [start]
    while pending:
        following: list[str] = []
        for node in pending:
            for target in edges.get(node, ()):
                if target not in before:
                    before[target] = node
                    following.append(target)
        if goal in before:
            path = [goal, before[goal]]
            while path[-1] != start:
                path.append(before[path[-1]])
            return path[::-1]
        pending = following
    return []
