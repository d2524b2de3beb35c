"""Decides which machine of a cluster takes which task: one that has what its stages need, and is busy least."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verifier.errors import StageError

if TYPE_CHECKING:
    from verifier.model.stage import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine, and all that it has. `name` is for people."""

    id: str
    name: str
    has: Resources

    def holds(self, needs: Sequence[Resources]) -> bool:
        """Say whether tasks with these needs run there side by side."""
        return (
            sum(need.cpus for need in needs) <= self.has.cpus
            and sum(need.memory_bytes for need in needs) <= self.has.memory_bytes
            and sum(need.gpus for need in needs) <= self.has.gpus
        )


def fitted(need: Resources, nodes: Sequence[Node]) -> Resources:
    """Return a need as far as any machine of the cluster can meet it.

    Locally a stage also makes do with fewer cores, and without a GPU it defers what only a GPU decides. Memory is not
    bargained over.
    """
    gpus = need.gpus if any(node.has.gpus >= need.gpus for node in nodes) else 0
    fit = [node for node in nodes if node.has.gpus >= gpus]
    return dataclasses.replace(need, gpus=gpus, cpus=min(need.cpus, max((node.has.cpus for node in fit), default=0)))


def place(
    need: Resources, nodes: Sequence[Node], running: Mapping[str, Sequence[Resources]], avoid: Collection[str] = ()
) -> Node | None:
    """Return the machine for a task; None: it has to wait until another task is done.

    Machines with a GPU are left to tasks that use one, as long as there are others.

    Args:
        nodes: those that are alive.
        running: by the id of a node, what the tasks need that are running there.
        avoid: ids of nodes on which the task was lost before.

    Raises:
        StageError: no machine could ever take it.
    """
    able = [node for node in nodes if node.id not in avoid and node.holds([need])]
    if not able:
        raise StageError(_why(need, nodes, avoid))
    plain = [node for node in able if not node.has.gpus]
    able = plain if plain and not need.gpus else able
    free = [node for node in able if node.holds([*running.get(node.id, ()), need])]
    return min(free, key=lambda node: (_load(node, running), node.id), default=None)


def _load(node: Node, running: Mapping[str, Sequence[Resources]]) -> float:
    return sum(need.cpus for need in running.get(node.id, ())) / node.has.cpus


def _why(need: Resources, nodes: Sequence[Node], avoid: Collection[str]) -> str:
    others = [node for node in nodes if node.id not in avoid]
    if not others:
        return "the cluster has no other node" if avoid else "the cluster has no node"
    gpus = f", {need.gpus:g} GPU" if need.gpus else ""
    return (
        f"no{' other' if avoid else ''} node of the cluster has {need.cpus:g} CPU{gpus} and "
        f"{need.memory_bytes / (1 << 30):.1f} GiB of memory"
    )
