"""Decides which imports need, whenever the package loads, what only an extra or a development group declares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.dependencies import bringing, is_shared
from stages._source.requirements import normalise
from stages.syntax.dependencies.problem import Problem
from stages.syntax.imports.graph import reaching

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stages._source.declarations import Declarations
    from stages._source.dependencies import Dependencies
    from stages._source.distributions import Distributions
    from stages._source.records import ImportSite
    from stages._source.requirements import Requirement
    from stages.syntax.imports.judge import Imports

_ELSEWHERE = frozenset({"extra", "development", "build"})
_NO_DISTRIBUTION = frozenset({"setuptools", "pip", "wheel"})  # there before anything is installed, nearly everywhere
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class _Candidate:
    path: str
    site: ImportSite
    folder: str  # of the declarations
    stated: Declarations
    wanted: tuple[Requirement, ...]


def misplaced(imports: Imports, dependencies: Dependencies, distributions: Distributions) -> list[Problem]:
    """Return what every import of an installed package of the project needs, and its installation does not bring."""
    found: dict[tuple[str, str], list[_Candidate]] = {}
    for candidate in _candidates(imports, dependencies):
        package = _package(imports, candidate)
        if package is not None:
            found.setdefault((candidate.folder, package), []).append(candidate)
    problems: list[Problem] = []
    for (folder, package), candidates in sorted(found.items()):
        stated = dependencies.stated_in(folder)
        brought, complete = distributions.closure(item for item in stated.requirements if item.role == "runtime")
        kept = [item for item in candidates if brought.isdisjoint(need.name for need in item.wanted)]
        if not complete or not kept or _changes_path(imports, package):
            continue
        loaded = _loaded(imports, package, {item.path for item in kept})
        problems += _problems(package, [item for item in kept if item.path in loaded and _is_plain(imports, item)])
    return problems


def _candidates(imports: Imports, dependencies: Dependencies) -> Iterator[_Candidate]:
    """Yield eager imports of modules that are declared, and nowhere as part of the installation."""
    stating: dict[str, tuple[str, ...]] = {}  # folder -> those above it that declare something, nearest first
    settled: dict[tuple[tuple[str, ...], str], tuple[str, tuple[Requirement, ...]] | None] = {}
    for path, scan in imports.scans.items():
        if imports.request.is_test(path):
            continue
        folder = path.rpartition("/")[0]
        if folder not in stating:
            every = dependencies.stated_for(path)
            stating[folder] = tuple(name for name, stated in every if stated.requirements or not stated.complete)
        above = stating[folder]
        for site in scan.imports if above else ():
            if not site.eager or site.level:
                continue
            key = (above, site.module)
            if key not in settled:
                settled[key] = _elsewhere(dependencies, above, site.module)
            if (where := settled[key]) is not None and _is_foreign(imports, path, site.module):
                yield _Candidate(path, site, where[0], dependencies.stated_in(where[0]), where[1])


def _elsewhere(
    dependencies: Dependencies, above: tuple[str, ...], module: str
) -> tuple[str, tuple[Requirement, ...]] | None:
    """Return where a module is declared, and how, if that is nowhere as part of an installation."""
    every = [(folder, dependencies.stated_in(folder)) for folder in above]
    wanted = [
        (folder, item)
        for folder, stated in every
        for name in bringing(module, {item.name for item in stated.requirements})
        for item in stated.requirements
        if item.name == name
    ]
    if not wanted or any(item.role not in _ELSEWHERE or item.name in _NO_DISTRIBUTION for _, item in wanted):
        return None
    folder = wanted[0][0]
    stated = dependencies.stated_in(folder)
    if not stated.installs or not all(one.complete for _, one in every):
        return None
    if any(item.role == "runtime" and item.name == stated.name for item in stated.requirements):
        return None  # it asks for its own extras
    if is_shared(module) or any(item.name == stated.name for _, item in wanted):
        return None  # one of many distributions below a common name, or the project itself
    return folder, tuple(item for one, item in wanted if one == folder)


def _is_foreign(imports: Imports, path: str, module: str) -> bool:
    return imports.locator.locate(imports.layout.absolute(path), module, 0).group == "third-party"


def _package(imports: Imports, candidate: _Candidate) -> str | None:
    """Return the `__init__.py` of the distribution's package that holds a file; None where it is not installed."""
    top = imports.layout.search_root(candidate.path)
    root = imports.layout.absolute(candidate.folder).rstrip("/")
    rest = imports.layout.absolute(candidate.path).removeprefix(f"{top}/")
    name, _, below = rest.partition("/")
    if not below or top not in (root, f"{root}/src"):
        return None
    if normalise(name) != candidate.stated.name and top == root:
        return None
    return imports.layout.relative(f"{top}/{name}/__init__.py")


def _loaded(imports: Imports, package: str, wanted: set[str]) -> frozenset[str]:
    """Return which of the files certainly run whenever the package is imported."""
    followed = imports.follow()
    coarse = {path: {edge.target for edge in found.edges if edge.kind == "eager"} for path, found in followed.items()}
    useful = reaching(coarse, wanted)
    seen = {package} & useful
    pending = list(seen)
    while pending:
        path = pending.pop()
        for edge in followed[path].edges if path in followed else ():
            if edge.kind != "eager" or edge.target not in useful or edge.target in seen:
                continue
            if _runs(imports, path, edge.line):
                seen.add(edge.target)
                pending.append(edge.target)
    return frozenset(seen & wanted)


def _changes_path(imports: Imports, path: str) -> bool:
    """Say whether a file may bring modules of its own along."""
    return b"sys.path" in imports.locator.bytes_of(imports.layout.absolute(path))


def _runs(imports: Imports, path: str, line: int) -> bool:
    """Say whether an import runs, and raises if it fails, whenever its module is loaded."""
    records = [item for item in imports.records_near(path, line) if item.line <= line <= item.end_line]
    return bool(records) and all(item.kind == "eager" and item.applies and not item.optional for item in records)


def _is_plain(imports: Imports, candidate: _Candidate) -> bool:
    return _runs(imports, candidate.path, candidate.site.line) and not _changes_path(imports, candidate.path)


def _problems(package: str, candidates: Iterable[_Candidate]) -> Iterator[Problem]:
    groups: dict[tuple[str, ...], list[_Candidate]] = {}
    for item in candidates:
        groups.setdefault(tuple(sorted({need.name for need in item.wanted})), []).append(item)
    for names, items in groups.items():
        needs = {need for item in items for need in item.wanted}
        places = sorted({(item.path, item.site.line) for item in items})
        yield Problem(
            kind="misplaced",
            distribution=" or ".join(names),
            declared_in=", ".join(sorted({_joined(items[0].folder, need.file) for need in needs})),
            group=", ".join(sorted({_group(need) for need in needs})),
            modules=tuple(sorted({item.site.module.partition(".")[0] for item in items})),
            imported_by=tuple(f"{path}:{line}" for path, line in places[:_SHOWN]),
            package=package.rpartition("/")[0].rpartition("/")[2],
        )


def _group(need: Requirement) -> str:
    if need.role == "build":
        return "the build"
    if need.role == "extra":
        return f"the extra {need.group}" if need.group else "an extra"
    return f"the group {need.group}" if need.group else "development"


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
