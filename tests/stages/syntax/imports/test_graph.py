"""The graph: edges with line and kind, and the algorithms on it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from stages.syntax.imports.graph import components, shortest_path
from tests.stages.syntax.imports.projects import imports_of, judge, judge_imports, request, write

EDGES = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")), max_size=30)


def as_adjacency(edges: list[tuple[str, str]]) -> dict[str, list[str]]:
    return {source: sorted({b for a, b in edges if a == source}) for source, _ in edges}


@given(EDGES)
def test_components_are_those_of_networkx(edges: list[tuple[str, str]]) -> None:
    graph = nx.DiGraph(edges)
    expected = [
        tuple(sorted(found))
        for found in nx.strongly_connected_components(graph)
        if len(found) > 1 or graph.has_edge(*(list(found) * 2))
    ]
    assert components(as_adjacency(edges)) == sorted(expected)


@given(EDGES)
def test_a_shortest_path_is_as_short_as_that_of_networkx(edges: list[tuple[str, str]]) -> None:
    graph = nx.DiGraph([("a", "b"), *edges])
    path = shortest_path(as_adjacency([("a", "b"), *edges]), "a", "h")
    if graph.has_node("h") and nx.has_path(graph, "a", "h"):
        assert len(path) == nx.shortest_path_length(graph, "a", "h") + 1
        assert all(graph.has_edge(*step) for step in pairwise(path))
    else:
        assert path == []


def test_edges_carry_line_and_kind(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/a.py": "",
        "main.py": """\
            from typing import TYPE_CHECKING
            import pkg.a
            if TYPE_CHECKING:
                from pkg import a
            def f():
                from pkg import a
            try:
                from pkg import a
            except ImportError:
                a = None
            """,
    }
    graph = judge(tmp_path, files).facts["import_graph"]
    assert isinstance(graph, dict)
    assert graph["edges"] == [
        {"from": "main", "to": "pkg.a", "line": 2, "kind": "eager"},
        {"from": "main", "to": "pkg.a", "line": 4, "kind": "type-only"},
        {"from": "main", "to": "pkg.a", "line": 6, "kind": "lazy"},
        {"from": "main", "to": "pkg.a", "line": 8, "kind": "guarded"},
    ]


def test_an_import_runs_the_packages_above_its_target_too(tmp_path: Path) -> None:
    files = {"one/__init__.py": "", "one/two/__init__.py": "", "one/two/a.py": "", "main.py": "import one.two.a\n"}
    edges = imports_of(tmp_path, files).project().edges
    assert {(edge.target, edge.implied) for edge in edges} == {
        ("one/two/a.py", False), ("one/two/__init__.py", True), ("one/__init__.py", True),
    }  # fmt: skip


def test_a_submodule_is_the_target_not_its_package(tmp_path: Path) -> None:
    files = {"pkg/__init__.py": "from . import a\n", "pkg/a.py": "", "pkg/b.py": "from pkg import a\n"}
    edges = imports_of(tmp_path, files).project().edges
    assert {(edge.source, edge.target) for edge in edges} == {("pkg/__init__.py", "pkg/a.py"), ("pkg/b.py", "pkg/a.py")}


def test_the_table_says_for_each_import_where_it_leads(tmp_path: Path) -> None:
    files = {"pkg/__init__.py": "", "pkg/a.py": "import os.path\nfrom . import b as c\nimport torch\n", "pkg/b.py": ""}
    table = judge(tmp_path, files).facts["imports"]
    assert isinstance(table, dict)
    rows = [(row["group"], row["file"], row["bound"], row["resolved"]) for row in table["files"]["pkg/a.py"]]
    assert rows == [
        ("standard library", None, ["os"], True),
        ("project", "pkg/__init__.py", ["c"], True),
        ("third-party", None, ["torch"], True),
    ]


def test_a_large_tree_keeps_counts_only(tmp_path: Path) -> None:
    root = write(tmp_path, {"a.py": "import b\n", "b.py": ""})
    facts = judge_imports(request(root, want_full_facts=False)).facts
    assert facts["imports"] == {"counts": {"imports": 1, "standard library": 0, "third-party": 0, "project": 1}}
    assert facts["import_graph"] == {"modules": 2, "edge_count": 1}
