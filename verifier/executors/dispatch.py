"""Deals tasks out to the nodes of a cluster: as many at once as fit, one that is lost once more, on another node."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from verifier.errors import StageError
from verifier.executors.cluster import Lost
from verifier.executors.placing import Node, fitted, place
from verifier.model.stage import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One task: what it needs, and what a node is asked."""

    task: str
    need: Resources
    request: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a node has answered; `failed`: why none did."""

    job: Job
    answer: str = ""
    failed: str = ""


class Nodes(Protocol):
    """What is asked of a cluster (`cluster.Cluster`)."""

    def nodes(self) -> list[Node]: ...
    def start(self, node: Node, need: Resources, program: Sequence[str], request: str) -> Any: ...
    def finished(self, waiting: Sequence[Any]) -> list[Any]: ...
    def answer(self, handle: Any) -> str | Lost: ...
    def stop(self, waiting: Sequence[Any]) -> None: ...


@dataclass(slots=True)
class _Try:
    """One attempt. `lost`: where it was lost before, by the id of the node, and why."""

    job: Job
    lost: dict[str, str] = field(default_factory=dict)
    node: Node | None = None
    need: Resources = field(default_factory=Resources)


def dispatch(
    cluster: Nodes, jobs: Sequence[Job], program: Sequence[str], tell: Callable[[str, str], None]
) -> Iterator[Outcome]:
    """Yield what became of each job, as they come.

    Args:
        program: what a node runs, behind `python`.
        tell: takes the name of a task and a line about it.
    """
    pending = deque(_Try(job) for job in jobs)
    running: dict[Any, _Try] = {}
    try:
        while pending or running:
            yield from _start(cluster, pending, running, program, tell)
            for handle in cluster.finished(list(running)) if running else ():
                done = running.pop(handle)
                answer = cluster.answer(handle)
                if not isinstance(answer, Lost):
                    yield Outcome(job=done.job, answer=answer)
                elif again := _again(done, answer, tell):
                    pending.appendleft(again)
                else:
                    yield Outcome(job=done.job, failed=_both(done, answer))
    finally:
        cluster.stop(list(running))


def _start(
    cluster: Nodes,
    pending: deque[_Try],
    running: dict[Any, _Try],
    program: Sequence[str],
    tell: Callable[[str, str], None],
) -> Iterator[Outcome]:
    """Start what fits beside what is running; yield what no node could ever run."""
    nodes = cluster.nodes() if pending else []
    for _ in range(len(pending)):
        one = pending.popleft()
        one.need = fitted(one.job.need, nodes)
        try:
            node = place(one.need, nodes, _busy(running), avoid=one.lost)
        except StageError as error:
            yield Outcome(job=one.job, failed="; ".join([*one.lost.values(), str(error)]))
            continue
        if node is None:
            pending.append(one)
            continue
        one.node = node
        tell(one.job.task, f"running on node {node.name}")
        running[cluster.start(node, one.need, program, one.job.request)] = one


def _busy(running: Mapping[Any, _Try]) -> Mapping[str, Sequence[Resources]]:
    busy: defaultdict[str, list[Resources]] = defaultdict(list)
    for one in running.values():
        if one.node is not None:
            busy[one.node.id].append(one.need)
    return busy


def _again(one: _Try, lost: Lost, tell: Callable[[str, str], None]) -> _Try | None:
    """Return the second and last attempt; None where this was it."""
    if one.lost or one.node is None:
        return None
    reason = _reason(one.node, lost)
    tell(one.job.task, f"{reason}; once more on another node")
    return _Try(one.job, lost={one.node.id: reason})


def _both(one: _Try, lost: Lost) -> str:
    here = [_reason(one.node, lost)] if one.node is not None else []
    return "; ".join([*one.lost.values(), *here])


def _reason(node: Node, lost: Lost) -> str:
    return f"the worker on node {node.name} was lost ({lost.reason})"
