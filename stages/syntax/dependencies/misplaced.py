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
        installed = [item for item in stated.requirements if item.role == "runtime"]
        brought, complete = distributions.closure(installed)
        kept = [item for item in candidates if brought.isdisjoint(need.name for need in item.wanted)]
        kept = [item for item in kept if not _changes_path(imports, item.path, package)]
        loaded = _loaded(imports, package, {item.path for item in kept}) if complete and kept else frozenset()
        problems += _problems(package, [item for item in kept if item.path in loaded and _is_plain(imports, item)])
    return problems


def _candidates(imports: Imports, dependencies: Dependencies) -> Iterator[_Candidate]:
    """Yield eager imports of modules that are declared, and nowhere as part of the installation."""
    settled: dict[tuple[str, str], tuple[str, Declarations, tuple[Requirement, ...]] | None] = {}
    for path, scan in imports.scans.items():
        if imports.request.is_test(path):
            continue
        folder = path.rpartition("/")[0]
        for site in scan.imports:
            if not site.eager or site.level:
                continue
            key = (folder, site.module)
            if key not in settled:
                settled[key] = _elsewhere(imports, dependencies, path, site)
            if (where := settled[key]) is not None:
                yield _Candidate(path, site, *where)


def _elsewhere(
    imports: Imports, dependencies: Dependencies, path: str, site: ImportSite
) -> tuple[str, Declarations, tuple[Requirement, ...]] | None:
    place = imports.locator.locate(imports.layout.absolute(path), site.module, 0)
    if place.group != "third-party":
        return None
    every = dependencies.stated_for(path)
    wanted = [
        (folder, item)
        for folder, stated in every
        for name in bringing(site.module, {item.name for item in stated.requirements})
        for item in stated.requirements
        if item.name == name
    ]
    if not wanted or any(item.role not in _ELSEWHERE or item.name in _NO_DISTRIBUTION for _, item in wanted):
        return None
    folder, stated = next((folder, stated) for folder, stated in every if any(folder == one for one, _ in wanted))
    if not stated.installs or not all(one.complete for _, one in every):
        return None
    if any(item.name == stated.name for item in stated.requirements if item.role == "runtime"):
        return None  # it asks for its own extras
    if is_shared(site.module) or any(item.name == stated.name for _, item in wanted):
        return None  # one of many distributions below a common name; the project itself
    return folder, stated, tuple(item for one, item in wanted if one == folder)


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


def _changes_path(imports: Imports, *paths: str) -> bool:
    """Say whether one of the files may bring modules of its own along."""
    return any(b"sys.path" in imports.locator.bytes_of(imports.layout.absolute(path)) for path in paths)


def _runs(imports: Imports, path: str, line: int) -> bool:
    """Say whether an import runs, and raises if it fails, whenever its module is loaded."""
    records = [item for item in imports.records_near(path, line) if item.line <= line <= item.end_line]
    return bool(records) and all(item.kind == "eager" and item.applies and not item.optional for item in records)


def _is_plain(imports: Imports, candidate: _Candidate) -> bool:
    return _runs(imports, candidate.path, candidate.site.line)


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
