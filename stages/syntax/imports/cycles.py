"""Decides which import cycles fail, from which modules, and which work only by luck or because they are lazy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stages.syntax.imports.called import called_on_import
from stages.syntax.imports.graph import Edge, adjacency, components, reaching, shortest_path
from stages.syntax.imports.simulate import Simulation
from stages.syntax.imports.simulated import Failed
from stages.syntax.imports.world import World

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stages._source.folders import Listing
    from stages._source.records import FileScan
    from stages.syntax.imports.conditions import Conditions
    from stages.syntax.imports.exports import Exports
    from stages.syntax.imports.laziness import Proposal
    from stages.syntax.imports.names import ModuleNames
    from stages.syntax.imports.places import Locator
    from stages.syntax.imports.statements import ImportRecord

_EAGER = frozenset({"eager"})
_ALL = frozenset({"eager", "lazy", "type-only"})
_SIMULATED = frozenset({"eager", "access"})
_MAY_RUN = frozenset({"eager", "access", "lazy"})
_PROMOTE_BYTES = 400_000  # of modules read to see which functions run on import
_TRIED_EDGES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """One cycle, judged.

    Args:
        members: all files that are tied together; `ring` is one shortest way round, in import order.
        edges: one edge for each step of the ring.
        failed: what happens, for a cycle that fails; from `fails_from`, in the order of names.
        failures: file and error of each module in `fails_from`.
        proposal: which imports to make lazy, once it has been searched for.
    """

    kind: Literal["failing", "fragile", "lazy"]
    members: tuple[str, ...]
    ring: tuple[str, ...]
    edges: tuple[Edge, ...]
    failed: Failed | None = None
    fails_from: tuple[str, ...] = ()
    failures: tuple[tuple[str, Failed], ...] = ()
    proposal: Proposal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What entries are simulated on. `edges` count imports in functions that may run on import as eager."""

    edges: tuple[Edge, ...]
    eager: Mapping[str, Sequence[str]]
    world: World


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What the judgement rests on: the graph of all files, and how to look closer."""

    edges: tuple[Edge, ...]
    names: ModuleNames
    locator: Locator
    exports: Exports
    conditions: Conditions
    tree_of: Callable[[str], ast.Module | None]
    records_of: Callable[[str], tuple[ImportRecord, ...]]

    def scan(self, path: str) -> FileScan:
        return self.exports.scan(self.locator.layout.absolute(path))

    def tree(self, path: str) -> ast.Module | None:
        return self.tree_of(self.locator.layout.absolute(path))


def precise_edges(project: Project) -> tuple[Edge, ...]:
    """Return the edges with those inside eager cycles checked against syntax trees: some are type-only after all."""
    edges = project.edges
    while True:
        tied = {path: members for members in components(adjacency(edges, _EAGER)) for path in members}
        inside = [edge for edge in edges if edge.kind == "eager" and tied.get(edge.source) == tied.get(edge.target, ())]
        doubtful = {edge.source for edge in inside if _is_indented(project, edge)}
        kinds = {path: {record.line: record for record in project.records_of(path)} for path in sorted(doubtful)}
        refined = tuple(_refined(edge, kinds.get(edge.source)) for edge in edges)
        kept = tuple(edge for edge in refined if edge is not None)
        if kept == edges:
            return edges
        edges = kept


def _is_indented(project: Project, edge: Edge) -> bool:
    """Say whether an import stands inside something; one that begins its line runs for certain."""
    data = project.locator.bytes_of(project.locator.layout.absolute(edge.source))
    start = -1
    for _ in range(edge.line - 1):
        start = data.find(b"\n", start + 1)
    return not data.startswith((b"import", b"from"), start + 1)


def _refined(edge: Edge, records: Mapping[int, ImportRecord] | None) -> Edge | None:
    record = records.get(edge.line) if records else None
    if record is None or edge.kind != "eager":
        return edge
    if not record.applies:
        return None
    if record.kind == "type-only":
        return Edge(edge.source, edge.target, edge.line, "type-only", edge.implied)
    return edge


def promoted_edges(project: Project, edges: Sequence[Edge], area: set[str]) -> tuple[Edge, ...]:
    """Return lazy edges of an area as eager ones, where a call at module level may run the function that holds them."""
    lazy = [edge for edge in edges if edge.kind == "lazy" and edge.source in area and edge.target in area]
    if not lazy:
        return ()
    sizes = (len(project.locator.bytes_of(project.locator.layout.absolute(path))) for path in area)
    if sum(sizes) > _PROMOTE_BYTES:
        return ()
    trees = [tree for path in sorted(area) if (tree := project.tree(path)) is not None]
    called = called_on_import(trees)
    found = []
    for edge in lazy:
        scopes = [record.scope for record in project.records_of(edge.source) if record.line == edge.line]
        calls = project.exports.named_imports(project.locator.layout.absolute(edge.source))
        scopes += [call.scope for call in calls if call.site.line == edge.line]
        if any(not called.isdisjoint(scope.split(".")) for scope in scopes):
            found.append(Edge(edge.source, edge.target, edge.line, "eager", edge.implied))
    return tuple(found)


class Simulations:
    """Runs entries, each in its own interpreter; what importing a package does is done once."""

    def __init__(self, project: Project, world: World) -> None:
        self._project = project
        self._world = world
        self._packages: dict[tuple[str, tuple[str, ...]], Simulation | Failed] = {}
        self._wanted: frozenset[str] | None = None

    def enter(self, path: str) -> Failed | None:
        """Return what importing this file's module first raises, or None."""
        found = self._project.names.search_path(path)
        if found is None:
            return None
        name = self._project.names.of(path)
        search = self._that_matter(found, name)
        if path.endswith("/__init__.py"):
            state = self._after(name, search)
            return state if isinstance(state, Failed) else None
        state = self._after(name.rpartition(".")[0], search)
        if isinstance(state, Failed):
            return state
        if name in state.modules:
            return None
        return state.copy().enter(name)

    def _after(self, name: str, search: tuple[str, ...]) -> Simulation | Failed:
        if not name:
            return Simulation(self._world, self._project.conditions, search)
        key = (name, search)
        if key not in self._packages:
            before = self._after(name.rpartition(".")[0], search)
            if isinstance(before, Simulation) and name not in before.modules:
                before = before.copy()
                failed = before.enter(name)
                self._packages[key] = failed or before
            else:
                self._packages[key] = before
        return self._packages[key]

    def _that_matter(self, search: tuple[str, ...], name: str) -> tuple[str, ...]:
        """Leave out the folders that hold nothing anyone asks for: most entries then share one import path."""
        if self._wanted is None:
            scans = map(self._project.scan, self._project.names.paths())
            sites = [site for scan in scans for site in scan.imports if not site.level]
            for path in self._project.names.paths():
                calls = self._project.exports.named_imports(self._project.locator.layout.absolute(path))
                sites += [call.site for call in calls if not call.site.level]
            self._wanted = frozenset(site.module.partition(".")[0] for site in sites)
        wanted = self._wanted | {name.partition(".")[0]}
        layout = self._project.locator.layout
        return tuple(
            folder
            for folder in search
            if folder in layout.roots or not wanted.isdisjoint(_stems(layout.folders.listing(folder)))
        )


def _stems(listing: Listing) -> set[str]:
    return {name.partition(".")[0] for name in (*listing.files, *listing.folders)}


def tied_entries(project: Project, edges: Sequence[Edge]) -> tuple[dict[str, Failed], Stage]:
    """Simulate each module of each cycle as the first import; return those that fail for a cycle, and the stage.

    Where all of these work, every other entry does too: it reaches a cycle with no module of it half loaded, so
    whatever it has loaded before is complete, and completeness only helps.
    """
    loose = adjacency(edges, _MAY_RUN)
    area = {path for members in components(loose) for path in members}
    every = (*edges, *promoted_edges(project, edges, area))
    eager = adjacency(every, _SIMULATED)
    tied = {path for members in components(eager) for path in members}
    between = reaching(eager, tied) & _reachable(eager, tied)
    stage = _stage(project, every, eager, between)
    return _simulate(project, stage, tied), stage


def all_entries(project: Project, edges: Sequence[Edge], known: Iterable[str]) -> tuple[dict[str, Failed], Stage]:
    """Simulate every module that leads to one that is known to fail; return failures and the stage they rest on."""
    area = reaching(adjacency(edges, _MAY_RUN), known)
    every = (*edges, *promoted_edges(project, edges, area))
    eager = adjacency(every, _SIMULATED)
    tied = {path for members in components(eager) for path in members}
    upstream = reaching(eager, tied)
    stage = _stage(project, every, eager, upstream)
    return _simulate(project, stage, _entries(project, upstream)), stage


def _stage(
    project: Project, edges: tuple[Edge, ...], eager: Mapping[str, Sequence[str]], followed: Iterable[str]
) -> Stage:
    world = World(project.locator, project.exports, project.conditions, project.tree_of, eager, followed)
    return Stage(edges=edges, eager=eager, world=world)


def _simulate(project: Project, stage: Stage, entries: Iterable[str]) -> dict[str, Failed]:
    runs = Simulations(project, stage.world)
    outcomes = ((path, runs.enter(path)) for path in sorted(entries))
    return {path: failed for path, failed in outcomes if failed is not None and failed.ring}


def _reachable(eager: Mapping[str, Sequence[str]], starts: Iterable[str]) -> set[str]:
    seen = set(starts)
    pending = list(seen)
    while pending:
        for target in eager.get(pending.pop(), ()):
            if target not in seen:
                seen.add(target)
                pending.append(target)
    return seen


def _entries(project: Project, upstream: set[str]) -> set[str]:
    """Return the files whose import runs one of the given files: themselves, and all below a package among them."""
    names = {project.names.of(path) for path in upstream}
    found = set(upstream)
    for path in project.names.paths():
        parts = project.names.of(path).split(".")
        if any(".".join(parts[:count]) in names for count in range(1, len(parts))):
            found.add(path)
    return found


def failing_cycles(
    project: Project, edges: Sequence[Edge], eager: Mapping[str, Sequence[str]], failures: Mapping[str, Failed]
) -> list[Cycle]:
    """Group failing entries by the shortest cycle that holds the import which raises."""
    groups: dict[tuple[str, ...], list[tuple[str, Failed]]] = {}
    rings: dict[tuple[str, ...], tuple[str, ...]] = {}
    for path, failed in sorted(failures.items(), key=lambda item: project.names.of(item[0])):
        ring = ring_of(eager, failed)
        key = tuple(sorted(set(ring)))
        rings.setdefault(key, ring)
        groups.setdefault(key, []).append((path, failed))
    cycles = []
    for key, found in sorted(groups.items()):
        on_ring = [failed for path, failed in found if path in key]
        cycles.append(
            Cycle(
                kind="failing",
                members=key,
                ring=rings[key],
                edges=_steps(edges, rings[key], _ALL),
                failed=(on_ring or [failed for _, failed in found])[0],
                fails_from=tuple(sorted(project.names.of(path) for path, _ in found)),
                failures=tuple(found),
            )
        )
    return cycles


def ring_of(eager: Mapping[str, Sequence[str]], failed: Failed) -> tuple[str, ...]:
    """Return the shortest way from the module that is half loaded to the one that needs it."""
    needed, needing = failed.ring[0], failed.ring[-1]
    return (needed,) if needed == needing else tuple(shortest_path(eager, needed, needing)) or failed.ring


def fragile_cycles(edges: Sequence[Edge], failing: Iterable[Cycle]) -> list[Cycle]:
    """Return the eager cycles in which no failing one lies."""
    eager = adjacency(edges, _EAGER)
    broken = {path for cycle in failing for path in cycle.members}
    cycles = []
    for members in components(eager):
        if broken.isdisjoint(members):
            ring = _shortest_ring(eager, members)
            cycles.append(Cycle(kind="fragile", members=members, ring=ring, edges=_steps(edges, ring, _EAGER)))
    return cycles


def lazy_cycles(edges: Sequence[Edge]) -> list[Cycle]:
    """Return the cycles that exist only when lazy and type-only imports count too."""
    counted = [edge for edge in edges if edge.kind == "eager" or not edge.implied]
    whole = adjacency(counted, _ALL)
    eager = {path: members for members in components(adjacency(edges, _EAGER)) for path in members}
    cycles = []
    for members in components(whole):
        if members == eager.get(members[0]):
            continue
        ring = _lazy_ring(counted, whole, members, eager)
        if len(ring) > 1:
            cycles.append(Cycle(kind="lazy", members=members, ring=ring, edges=_steps(edges, ring, _ALL)))
    return cycles


def _lazy_ring(
    edges: Sequence[Edge],
    whole: Mapping[str, Sequence[str]],
    members: tuple[str, ...],
    eager: Mapping[str, tuple[str, ...]],
) -> tuple[str, ...]:
    """Return a short cycle through an import that is not eager, starting with the module it is in."""
    inside = set(members)
    graph = {path: [target for target in whole.get(path, ()) if target in inside] for path in members}
    best: tuple[str, ...] = ()
    tried = 0
    for edge in sorted(edges, key=lambda edge: (edge.source, edge.line, edge.target)):
        if edge.kind == "eager" or edge.source not in inside or edge.target not in inside:
            continue
        if eager.get(edge.source) == eager.get(edge.target, ()):
            continue
        path = shortest_path(graph, edge.target, edge.source)
        if path and (not best or len(path) < len(best)):
            best = (path[-1], *path[:-1])
        tried += 1
        if tried >= _TRIED_EDGES or len(best) == 2:
            break
    return best


def _shortest_ring(eager: Mapping[str, Sequence[str]], members: tuple[str, ...]) -> tuple[str, ...]:
    inside = set(members)
    graph = {path: [target for target in eager.get(path, ()) if target in inside] for path in members}
    best: tuple[str, ...] = ()
    for path in members[:_TRIED_EDGES]:
        way = shortest_path(graph, path, path)
        if way and (not best or len(way) - 1 < len(best)):
            best = tuple(way[:-1])
        if len(best) == 1:
            break
    return best


def _steps(edges: Sequence[Edge], ring: tuple[str, ...], kinds: frozenset[str]) -> tuple[Edge, ...]:
    """Return for each step of a ring the first import that makes it, eager before lazy."""
    steps = []
    for number, source in enumerate(ring):
        target = ring[(number + 1) % len(ring)]
        fitting = [edge for edge in edges if edge.source == source and edge.target == target and edge.kind in kinds]
        if fitting:
            steps.append(min(fitting, key=lambda edge: (edge.kind != "eager", edge.implied, edge.line)))
    return tuple(steps)
