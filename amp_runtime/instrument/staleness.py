"""Finds forwards that used half copies of weights made before the weights were written, as autocast's cache keeps them.

The proof is in the graph: a cast of a leaf that is older than a write to it, and an operation younger than that write
which took the result of that cast.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch

from .graph import now, read
from .precision_events import StaleWeightsUsed

if TYPE_CHECKING:
    from .graph import Graph, WeightCast
    from .run import Region, Run

_MOST = 64  # writes in one region that are remembered; older ones are covered by younger ones


@dataclass(slots=True, kw_only=True)
class Write:
    """Parameters were written while autocast's cache was in use.

    Args:
        what: an optimizer's step, a loaded state, or something that only version counters have shown.
        first, last: sequence numbers of this thread's graph nodes around it.
        leaves: ids of the parameters.
        region: the outermost context around it; None where autocast was on without one.
    """

    what: Literal["step", "load", "other"]
    name: str
    place: tuple[str, int]
    first: int
    last: int
    leaves: frozenset[int]
    region: Region | None


@dataclass(slots=True)
class Writes:
    """The writes of one thread, from the first one in a region until a backward after it has been looked at."""

    found: list[Write] = field(default_factory=list)
    versions: dict[int, int] = field(default_factory=dict)  # of the leaves that were cast, when last looked at
    looked: int = 0
    region: Region | None = None  # the outermost one then

    def add(self, write: Write) -> None:
        self.found.append(write)
        del self.found[:-_MOST]
        for leaf in write.leaves:
            self.versions.pop(leaf, None)


def may_be_cached(run: Run, device: str) -> bool:
    """Whether copies of weights made now may be used again."""
    regions = run.local.regions
    if regions:
        return any(region.enabled and region.cache for region in regions) or regions[0].cache
    return bool(torch.is_autocast_enabled(device))


def wrote(run: Run, what: Literal["step", "load", "other"], name: str, leaves: list[Any], first: int) -> None:
    """Remember a write that has just ended and began when the next node's number was `first`."""
    regions = run.local.regions
    run.local.writes.add(
        Write(
            what=what,
            name=name,
            place=run.place(),
            first=first,
            last=now(),
            leaves=frozenset(map(id, leaves)),
            region=regions[0] if regions else None,
        )
    )


def look(run: Run, roots: tuple[Any, ...], place: tuple[str, int]) -> None:
    """Look at the graph of a backward that is about to run, if there is a reason to."""
    writes, regions = run.local.writes, run.local.regions
    if not (writes.found or writes.versions or regions):
        return
    graph = read(roots)
    _notice(run, graph, place)
    for write in reversed(writes.found):
        stale = [cast for cast in graph.casts if _is_stale(cast, write)]
        behind_compiled = graph.compiled and write.what == "step" and write.region is not None
        if stale or behind_compiled:
            run.emit(
                StaleWeightsUsed(
                    place=place, step=run.step, write=write, stale=len(stale), casts=len(graph.casts), graph=graph
                )
            )
            break
    if regions:
        writes.versions = {id(cast.leaf): cast.leaf._version for cast in graph.casts}
        writes.looked, writes.region = now(), regions[0]
    else:
        writes.found.clear()
        writes.versions.clear()


def _is_stale(cast: WeightCast, write: Write) -> bool:
    return cast.made < write.first and cast.used >= write.last and id(cast.leaf) in write.leaves


def _notice(run: Run, graph: Graph, place: tuple[str, int]) -> None:
    """Notice weights that were written since the last look by nobody that we hear, by their version counters."""
    writes = run.local.writes
    if not writes.versions:
        return
    written = [
        cast.leaf
        for cast in graph.casts
        if cast.made < writes.looked <= cast.used
        and writes.versions.get(id(cast.leaf), cast.leaf._version) != cast.leaf._version
    ]
    if written:
        region = writes.region
        writes.found.append(
            Write(
                what="other",
                name="",
                place=place if region is None else region.place,
                first=writes.looked,
                last=writes.looked,
                leaves=frozenset(map(id, written)),
                region=region,
            )
        )
