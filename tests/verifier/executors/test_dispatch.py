"""Dealing out to nodes: what is lost is tried once more elsewhere, and then given up with both reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from verifier.executors.cluster import Lost
from verifier.executors.dispatch import Job, Outcome, dispatch
from verifier.executors.placing import Node
from verifier.model.stage import Resources

NEED = Resources(cpus=1, memory_bytes=1)


@dataclass
class Fake:
    """Nodes of one core each; `loses`: (node, request) that are lost."""

    alive: list[str]
    loses: set[tuple[str, str]] = field(default_factory=set)
    dies: bool = False  # a node that loses a task is gone
    started: list[tuple[str, str]] = field(default_factory=list)
    most: int = 0
    open: int = 0
    stopped: list[Any] = field(default_factory=list)

    def nodes(self) -> list[Node]:
        return [Node(id=name, name=name, has=Resources(cpus=1, memory_bytes=1)) for name in self.alive]

    def start(self, node: Node, need: Resources, program: Sequence[str], request: str) -> Any:
        self.started.append((node.id, request))
        self.open += 1
        self.most = max(self.most, self.open)
        return len(self.started) - 1

    def finished(self, waiting: Sequence[Any]) -> list[Any]:
        return [max(waiting)]

    def answer(self, handle: Any) -> str | Lost:
        self.open -= 1
        if self.started[handle] not in self.loses:
            return self.started[handle][1].upper()
        if self.dies:
            self.alive.remove(self.started[handle][0])
        return Lost("it died")

    def stop(self, waiting: Sequence[Any]) -> None:
        self.stopped += waiting


def _run(fake: Fake, *tasks: str) -> tuple[list[Outcome], list[str]]:
    told: list[str] = []
    jobs = [Job(task=name, need=NEED, request=name) for name in tasks]
    return list(dispatch(fake, jobs, (), lambda task, line: told.append(f"{task}: {line}"))), told


def test_as_many_run_at_once_as_fit_and_each_once() -> None:
    fake = Fake(["n1", "n2", "n3"])
    outcomes, _ = _run(fake, *"abcdefg")
    assert {outcome.job.task: outcome.answer for outcome in outcomes} == {name: name.upper() for name in "abcdefg"}
    assert fake.most == 3
    assert len(fake.started) == 7


def test_a_task_that_is_lost_is_tried_once_more_on_another_node() -> None:
    fake = Fake(["n1", "n2"], {("n1", "a")})
    (outcome,), told = _run(fake, "a")
    assert (outcome.answer, outcome.failed) == ("A", "")
    assert fake.started == [("n1", "a"), ("n2", "a")]
    assert told[1] == "a: the worker on node n1 was lost (it died); once more on another node"


def test_a_task_that_is_lost_twice_is_given_up_with_both_reasons_and_the_others_go_on() -> None:
    fake = Fake(["n1", "n2", "n3"], {(node, "a") for node in ("n1", "n2", "n3")})
    outcomes, _ = _run(fake, "a", "b")
    failed = {outcome.job.task: outcome.failed for outcome in outcomes}
    assert failed["b"] == ""
    assert failed["a"].count("was lost (it died)") == 2
    assert len([node for node, name in fake.started if name == "a"]) == 2


def test_without_another_node_it_is_given_up_at_once() -> None:
    (outcome,), _ = _run(Fake(["n1"], {("n1", "a")}), "a")
    assert outcome.failed == "the worker on node n1 was lost (it died); the cluster has no other node"


def test_when_every_node_is_gone_every_task_is_given_up() -> None:
    fake = Fake(["n1", "n2"], {(node, name) for node in ("n1", "n2") for name in "abc"}, dies=True)
    outcomes, _ = _run(fake, "a", "b", "c")
    assert sorted(outcome.job.task for outcome in outcomes) == ["a", "b", "c"]
    assert all(outcome.failed for outcome in outcomes)


def test_what_runs_is_stopped_when_nobody_reads_on() -> None:
    fake = Fake(["n1", "n2"])
    running = dispatch(fake, [Job(task=name, need=NEED, request=name) for name in "ab"], (), lambda *_: None)
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert len(fake.stopped) == 1
