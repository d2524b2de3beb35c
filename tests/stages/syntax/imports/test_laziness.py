"""Proposals to make imports lazy: the smallest set, only statements that can move, and CPython agrees."""

from __future__ import annotations

import ast
from itertools import combinations
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.syntax.imports.judge import judge_imports
from stages.syntax.imports.movable import LazyImport
from tests.stages.syntax.imports.projects import fails_from, findings, judge, request, write
from tests.stages.syntax.imports.random_packages import random_package

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stages.syntax.imports.cycles import Cycle
    from stages.syntax.imports.judge import ImportsOutcome
    from tests.stages.syntax.imports.oracle import Oracle

NEEDS_A = {"b.py": "from a import x\ny = x\n"}  # b cannot do without a while it loads


def proposals(outcome: ImportsOutcome) -> list[tuple[Cycle, tuple[LazyImport, ...]]]:
    return [(cycle, cycle.proposal.make_lazy) for cycle in outcome.cycles if cycle.proposal is not None]


def places(outcome: ImportsOutcome) -> list[tuple[str, int]]:
    ((_, moved),) = proposals(outcome)
    return [(item.path, item.line) for item in moved]


def test_the_import_that_only_a_function_uses_is_proposed_with_its_proof(tmp_path: Path) -> None:
    files = {"a.py": "from b import y\nx = 1\ndef f():\n    return y\n", **NEEDS_A}
    (finding,) = findings(judge(tmp_path, files), "IMP003")
    assert "`from b import y` (a.py:1): move it into f()" in finding.remediation
    proof = finding.evidence[1]
    assert proof.kind == "simulation"
    assert proof.data == {
        "make_lazy": [
            {"path": "a.py", "line": 1, "statement": "from b import y", "functions": ["f"], "annotated": False}
        ],
        "then_fails_from": [],
    }
    assert set(finding.evidence[0].data) == {"cycle", "fails_from"}


def test_a_fragile_cycle_is_gone_with_what_is_proposed(tmp_path: Path) -> None:
    files = {"a.py": "x = 1\nimport b\ndef f():\n    return b.y\n", **NEEDS_A}
    (finding,) = findings(judge(tmp_path, files), "IMP004")
    assert finding.evidence[1].data["make_lazy"] == [
        {"path": "a.py", "line": 2, "statement": "import b", "functions": ["f"], "annotated": False}
    ]
    files["a.py"] = "x = 1\ndef f():\n    import b\n    return b.y\n"
    assert [found.rule for found in judge(tmp_path, files).findings] == ["IMP005"]


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ("from b import y\nx = y\n", "`y` is needed while its module loads, on line 2"),
        ("from b import y\nx = 1\ndef f(p=y): ...\n", "`y` is needed while its module loads, on line 3"),
        ("from b import y\nx = 1\ndef f(p: y): ...\n", "`y` is needed while its module loads, on line 3"),
        ("from b import y\nx = 1\n@y\ndef f(): ...\n", "`y` is needed while its module loads, on line 3"),
        ("from b import y\nx = 1\nclass C(y): ...\n", "`y` is needed while its module loads, on line 3"),
        ("from b import y\nx = 1\nclass C:\n    z = y\n", "`y` is needed while its module loads, on line 4"),
        ("from b import y\nx = 1\nf = lambda: y\n", "a lambda on line 3 uses `y`"),
        ("from b import y\nx = 1\ndef f():\n    return y\nf()\n", "may be called while modules load"),
        ("from b import y\nx = 1\ndef f():\n    return y\nmap(f, ())\n", "may be called while modules load"),
        ("from b import y\nx = 1\n__all__ = ['x', 'y']\n", "names `y` in a string"),
        ("from b import y\nx = 1\ny = 2\n", "`y` is bound in another place"),
        ("from b import *\nx = 1\n", "a star import"),
        ("if True:\n    from b import y\nx = 1\n", "does not stand at the top level"),
        ("def f():\n    import b\nf()\nx = 1\n", "does not stand at the top level"),
        ("class C:\n    from b import y\n    z = y\nx = 1\n", "the body of class C uses it"),
    ],
)  # fmt: skip
def test_an_import_that_cannot_move_is_not_proposed_and_the_reason_is_told(
    tmp_path: Path, first: str, reason: str
) -> None:
    (finding,) = findings(judge(tmp_path, {"a.py": first, **NEEDS_A}), "IMP003")
    assert len(finding.evidence) == 1
    assert "No import of the cycle can be made lazy" in finding.remediation
    assert reason in finding.remediation
    assert "third module" in finding.remediation


@pytest.mark.parametrize("taker", ["from a import y\n", "from a import *\n", "import a\na.y\n"])
def test_a_name_that_another_module_takes_stays(tmp_path: Path, taker: str) -> None:
    files = {"a.py": "from b import y\nx = 1\n", **NEEDS_A, "c.py": taker}
    (finding,) = findings(judge(tmp_path, files), "IMP003")
    assert "(a.py:1), because c.py:" in finding.remediation


@pytest.mark.parametrize(
    ("first", "where"),
    [
        ("from __future__ import annotations\nfrom b import y\nx = 1\ndef f(p: y): ...\n", "below `if TYPE_CHECKING:`"),
        ("from b import y\nx = 1\ndef f(p: 'y'): ...\n", "below `if TYPE_CHECKING:`"),
        ("from b import y\nx = 1\nclass C:\n    def f(self):\n        return y\n", "into C.f()"),
        ("from b import y\nx = 1\ndef f():\n    return y\ndef g():\n    return y\n", "into f() and g()"),
        ("from b import y\nx = 1\n", "nothing in its module uses"),
    ],
)
def test_it_is_told_where_the_import_belongs(tmp_path: Path, first: str, where: str) -> None:
    (finding,) = findings(judge(tmp_path, {"a.py": first, **NEEDS_A}), "IMP003")
    assert where in finding.remediation


def test_what_an_init_offers_stays(tmp_path: Path) -> None:
    files = {"pkg/__init__.py": "from pkg.part import y\nx = 1\n", "pkg/part.py": "from pkg import x\ny = x\n"}
    (finding,) = findings(judge(tmp_path, files), "IMP003")
    assert "it is what the package offers" in finding.remediation


def test_a_parameter_of_the_same_name_is_no_use(tmp_path: Path) -> None:
    files = {"a.py": "from b import y\nx = 1\ndef f(y):\n    return y\ndef g():\n    return y\n", **NEEDS_A}
    assert "move it into g()" in findings(judge(tmp_path, files), "IMP003")[0].remediation


def test_two_imports_are_proposed_where_one_is_not_enough(tmp_path: Path) -> None:
    use = "def f():\n    return b, c\n"
    files = {"a.py": f"import b\nimport c\nx = 1\n{use}", **NEEDS_A, "c.py": "import b\n"}
    assert places(judge(tmp_path, files)) == [("a.py", 1), ("a.py", 2)]


def test_an_import_that_removes_the_cycle_is_preferred(tmp_path: Path) -> None:
    files = {
        "a.py": "from b import y\nx = 1\nfrom b import z\nw = z\ndef f():\n    return y\n",  # line 1 would do as well
        "b.py": "from a import x\ny = z = 1\ndef g():\n    return x\n",
    }
    assert places(judge(tmp_path, files)) == [("b.py", 1)]


def test_nothing_is_tried_where_too_many_modules_are_tied_together(tmp_path: Path) -> None:
    count = 60
    files = {f"m{number}.py": f"import m{(number + 1) % count}\nx = 1\n" for number in range(count)}
    (finding,) = findings(judge(tmp_path, files), "IMP004")
    assert len(finding.evidence) == 1
    assert "too many modules" in finding.remediation


def applied(files: Mapping[str, str], moved: tuple[LazyImport, ...]) -> dict[str, str]:
    """Return the files with imports really moved: into a function at the end that is never called."""
    texts = dict(files)
    for item in sorted(moved, key=lambda item: -item.line):
        lines = texts[item.path].splitlines()
        indent = lines[item.line - 1].partition(item.statement.partition(" ")[0])[0]
        lines[item.line - 1] = f"{indent}pass"
        texts[item.path] = "\n".join([*lines, "def never_called():", f"    {item.statement}", ""])
        ast.parse(texts[item.path])
    return texts


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_what_is_proposed_works_in_cpython(tmp_path_factory: pytest.TempPathFactory, oracle: Oracle, seed: int) -> None:
    files = random_package(Random(seed))
    outcome = judge_imports(request(write(tmp_path_factory.mktemp("package"), files), want_full_facts=False))
    for cycle, moved in proposals(outcome):
        if moved:
            root = write(tmp_path_factory.mktemp("moved"), applied(files, moved))
            assert what_is_left(root, outcome, cycle, oracle) == set()


def movable_package(random: Random) -> dict[str, str]:
    """Return modules that mostly need each other inside functions only."""
    names = ["a", "b", "c", "d"][: random.randint(2, 4)]
    files = {}
    for name in names:
        blocks = [["v = 1"], ["def own():", "    return v"]]
        for number, other in enumerate(
            random.choices([item for item in names if item != name], k=random.randint(1, 3))
        ):
            alias = f"x{number}"
            wanted = [
                f"from {other} import v as {alias}",
                f"from {other} import own as {alias}",
                f"import {other} as {alias}",
            ]
            blocks.insert(random.randint(0, 1), [random.choice(wanted)])
            if random.random() < 0.7:
                blocks.append([f"def use{number}():", f"    return {alias}"])
            elif random.random() < 0.4:
                blocks.append([f"need{number} = {alias}"])
        files[f"{name}.py"] = "\n".join(line for block in blocks for line in block) + "\n"
    return files


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_no_smaller_set_works_in_cpython(tmp_path_factory: pytest.TempPathFactory, oracle: Oracle, seed: int) -> None:
    files = movable_package(Random(seed))
    outcome = judge_imports(request(write(tmp_path_factory.mktemp("package"), files), want_full_facts=False))
    for cycle, moved in proposals(outcome):
        if moved and cycle.kind == "failing":
            smaller = [found for size in range(1, len(moved)) for found in combinations(movable(files), size)]
            for tried in [moved, *smaller]:
                root = write(tmp_path_factory.mktemp("moved"), applied(files, tried))
                assert bool(what_is_left(root, outcome, cycle, oracle)) == (tried is not moved)


def movable(files: Mapping[str, str]) -> list[LazyImport]:
    """Return every import of the files that nothing at module level uses."""
    found = []
    for path, text in files.items():
        for line, statement in enumerate(text.splitlines(), start=1):
            name = statement.rpartition(" ")[2]
            if "import " in statement and f"= {name}\n" not in text:
                found.append(LazyImport(path=path, line=line, statement=statement, functions=(), annotated=False))
    return found


def what_is_left(root: Path, outcome: ImportsOutcome, cycle: Cycle, oracle: Oracle) -> set[str]:
    """Return the modules that CPython cannot import first; without what another reported cycle breaks."""
    paths = (path.relative_to(root).as_posix() for path in root.rglob("*.py"))
    entries = sorted(path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in paths)
    failing = {name for name, error in oracle.ask(root, entries).items() if error is not None}
    known = {frozenset(other.members) for other in outcome.cycles if other.kind == "failing"} - {
        frozenset(cycle.members)
    }
    if not failing or not known:
        return failing
    again = judge_imports(request(root, want_full_facts=False))
    others = [other for other in again.cycles if other.kind == "failing" and frozenset(other.members) in known]
    assert failing <= fails_from(again)
    return failing - {name for other in others for name in other.fails_from}
