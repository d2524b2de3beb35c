"""Which node takes a task: one that has what it needs, GPUs for those that use them, and never one that lost it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.errors import StageError
from verifier.executors.placing import Node, fitted, place
from verifier.model.stage import Resources

GIB = 1 << 30


def _node(name: str, cpus: float = 4, gib: int = 8, gpus: float = 0) -> Node:
    return Node(id=name, name=name, has=Resources(cpus=cpus, memory_bytes=gib * GIB, gpus=gpus))


def _need(cpus: float = 1, gib: int = 1, gpus: float = 0) -> Resources:
    return Resources(cpus=cpus, memory_bytes=gib * GIB, gpus=gpus)


def test_gpu_tasks_go_to_gpu_nodes_and_leave_them_free_of_others() -> None:
    nodes = [_node("a", gpus=1), _node("b"), _node("c")]
    chosen = place(_need(gpus=1), nodes, {})
    assert chosen is nodes[0]
    assert place(_need(), nodes, {"b": [_need(3)]}) is nodes[2]
    assert place(_need(), nodes, {"b": [_need(4)], "c": [_need(4)]}) is None
    assert place(_need(), nodes[:1], {}) is nodes[0]


def test_what_no_node_has_is_said() -> None:
    with pytest.raises(StageError, match=r"no node of the cluster has 1 CPU, 2 GPU and 9\.0 GiB of memory"):
        place(_need(gib=9, gpus=2), [_node("a", gpus=2)], {})
    with pytest.raises(StageError, match="the cluster has no other node"):
        place(_need(), [_node("a")], {}, avoid={"a"})
    with pytest.raises(StageError, match="the cluster has no node"):
        place(_need(), [], {})


def test_a_stage_makes_do_with_fewer_cores_and_without_a_gpu_but_not_with_less_memory() -> None:
    assert fitted(_need(8, 9, 1), [_node("a", cpus=2)]) == _need(2, 9, 0)
    assert fitted(_need(8, 9, 1), [_node("a", cpus=16), _node("b", cpus=4, gpus=1)]) == _need(4, 9, 1)


_SIZES = st.integers(1, 4)
_NODES = st.lists(st.tuples(_SIZES, _SIZES, st.integers(0, 2)), min_size=1, max_size=4)


@given(_NODES, st.lists(st.tuples(_SIZES, _SIZES, st.integers(0, 2)), max_size=12))
def test_no_node_is_ever_given_more_than_it_has(
    rows: list[tuple[int, int, int]], asked: list[tuple[int, int, int]]
) -> None:
    nodes = [_node(str(number), *row) for number, row in enumerate(rows)]
    running: dict[str, list[Resources]] = {}
    for row in asked:
        need = fitted(_need(*row), nodes)
        try:
            node = place(need, nodes, running)
        except StageError:
            assert not any(node.holds([need]) for node in nodes)
            continue
        if node is not None:
            running.setdefault(node.id, []).append(need)
    assert all(node.holds(running.get(node.id, [])) for node in nodes)
