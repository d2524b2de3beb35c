from __future__ import annotations

from reports.syntax_view import syntax_view


def test_a_large_tree_is_told_by_its_counts():
    broken = {"path": "a.py", "status": "FAIL", "errors": 1, "warnings": 0, "lines": 3}
    counts = {"files": 2860, "lines": 900000, "compiled": 2859, "imports of project": 5000}
    view = syntax_view({"counts": counts, "compilation": [broken]})
    assert view.compilation == "2,859 of 2,860 files compiled, 900,000 lines."
    assert view.counts == "Imports of project: 5,000."
    assert len(view.compile_problems.rows) == 1


def test_a_small_tree_is_told_by_its_files():
    files = [{"path": name, "errors": 0, "warnings": warnings, "lines": 10} for name, warnings in (("a", 0), ("b", 1))]
    assert syntax_view({"compilation": files}).compilation == "2 of 2 files compiled, 20 lines; 1 warning."


def test_facts_that_are_absent_make_no_section():
    view = syntax_view({})
    assert not any(getattr(view, name) for name in view.__slots__ if name != "more_cycles")


def test_steps_stand_in_protocol_order_and_unknown_ones_last():
    points = [
        {"path": "a", "line": line, "function": "f", "what": what} for line, what in enumerate(["zz", "step", "scale"])
    ]
    view = syntax_view({"amp_points": points})
    assert view.amp_matrix.head == ("Function", "scale", "step", "zz")
    assert view.amp_matrix.rows[0][1:] == ("2", "1", "0")


def test_a_cycle_is_drawn_with_the_imports_that_are_known_and_no_others():
    imports = [
        {"from": "a", "to": "b", "line": 3, "kind": "eager"},
        {"from": "b", "to": "a", "line": 4, "kind": "lazy"},
    ]
    row = {"modules": ["a", "b", "c"], "kind": "lazy"}
    (own,) = syntax_view({"cycles": [row | {"imports": imports}]}).cycles
    (from_graph,) = syntax_view({"cycles": [row], "import_graph": {"edges": imports}}).cycles
    (unknown,) = syntax_view({"cycles": [row]}).cycles
    assert own.edges == from_graph.edges == (("a", "b", "eager", 3), ("b", "a", "lazy", 4))
    assert own.modules == ("a", "b")
    assert (unknown.modules, unknown.edges) == ((), ())


def test_unresolved_modules_stand_apart():
    names = {"torch": True, "nope": False, "odd": None}
    entries = [{"module": name, "group": "third-party", "resolved": value} for name, value in names.items()]
    view = syntax_view({"dependencies": entries})
    assert (len(view.unresolved.rows), len(view.resolved.rows)) == (2, 1)
    assert view.dependencies == "Modules resolved: 1 third-party; 2 not resolved."


def test_parameters_multiply_cases():
    tests = [{"path": "t", "class": None, "name": name, "parameters": many} for name, many in (("a", 16), ("b", None))]
    view = syntax_view({"tests": tests})
    assert view.tests_note == "2 tests, 16 cases by parameters, and 1 test whose cases are not written out."


def test_requirements_that_do_not_fit_are_told_apart():
    lacking = {"problem": "misplaced", "distribution": "numpy", "declared_in": "pyproject.toml", "group": "the extra x"}
    lacking |= {"package": "pkg", "modules": ["numpy"], "imported_by": ["pkg/a.py:3"]}
    idle = {"problem": "unused", "distribution": "pillow", "declared_in": "setup.py", "modules": ["PIL"]}
    view = syntax_view({"dependency_problems": [lacking, idle]})
    assert [[str(cell) for cell in row] for row in view.dependency_problems.rows] == [
        [
            "`numpy`",
            "`pyproject.toml`, the extra x",
            "importing pkg fails where only its plain dependencies are installed: `pkg/a.py:3`",
        ],
        ["`pillow`", "`setup.py`", "every installation gets it, and nothing here names it or PIL"],
    ]
