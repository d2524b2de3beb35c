"""Import cycles: what fails, from where, and what only looks like it."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stages.syntax.imports.projects import codes, fails_from, findings, judge, judge_imports, request, write
from tests.stages.syntax.imports.random_packages import random_package

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.stages.syntax.imports.oracle import Oracle


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_fails_from_agrees_with_cpython(tmp_path_factory: pytest.TempPathFactory, oracle: Oracle, seed: int) -> None:
    files = random_package(Random(seed))
    root = write(tmp_path_factory.mktemp("package"), files)
    assert fails_from(judge_imports(request(root, want_full_facts=False))) == set(raised(oracle, root, files))


def raised(oracle: Oracle, root: Path, files: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what importing each module first raises in CPython; modules that load are left out."""
    names = [path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in files]
    return {name: error for name, error in oracle.ask(root, names).items() if error is not None}


def test_the_evidence_names_the_cycle_and_every_victim(tmp_path: Path) -> None:
    outcome = judge(
        tmp_path,
        {
            "pkg/__init__.py": "",
            "pkg/a.py": "from pkg.b import helper\ndef train(): ...\n",
            "pkg/b.py": "from pkg.a import train\ndef helper(): ...\n",
            "pkg/cli.py": "import sys\nimport pkg.a\n",
            "pkg/free.py": "import sys\n",
            "run.py": "def main():\n    import pkg.a\n",
        },
    )
    (finding,) = findings(outcome, "IMP003")
    assert finding.evidence[0].data == {"cycle": ["pkg.a", "pkg.b"], "fails_from": ["pkg.a", "pkg.b", "pkg.cli"]}
    assert {(place.location.path, place.location.line) for place in finding.related} == {
        ("pkg/a.py", 1),
        ("pkg/b.py", 1),
    }


def test_the_headline_is_short_and_each_error_is_told_with_its_entries(tmp_path: Path) -> None:
    files = {"a.py": "import b\nx = b.y\n", "b.py": "from a import x\ny = 1\n", "far.py": "import a\n"}
    (finding,) = findings(judge(tmp_path, files), "IMP003")
    assert finding.message == "importing a, b or far first fails: import cycle a -> b -> a"
    told = [place.message for place in finding.related if "raises" in place.message]
    assert told == [
        "importing a, far first raises ImportError at `from a import x`: cannot import name 'x' from partially "
        "initialized module 'a' (most likely due to a circular import)",
        "importing b first raises AttributeError at `b.y`: partially initialized module 'b' has no attribute 'y' "
        "(most likely due to a circular import)",
    ]
    assert finding.impact == "Neither a nor b can be imported first, and 1 more module fails with them."


def test_many_victims_do_not_make_the_headline_long(tmp_path: Path) -> None:
    files = {"z.py": "from y import a\nb = 1\n", "y.py": "from z import b\na = 1\n"}
    files |= {f"entry{number}.py": "import z\n" for number in range(9)}
    (finding,) = findings(judge(tmp_path, files), "IMP003")
    assert finding.message.startswith("importing y or any of 10 other modules first fails: ")


def test_victims_outside_the_selection_are_named(tmp_path: Path) -> None:
    files = {
        "a.py": "from b import x\ny = 1\n",
        "b.py": "from a import y\nx = 1\n",
        "far.py": "import near\n",
        "near.py": "import a\n",
    }
    outcome = judge(tmp_path, files, only=["a.py"])
    assert fails_from(outcome) == {"a", "b", "far", "near"}


def test_only_the_entry_that_fails_is_named(tmp_path: Path) -> None:
    outcome = judge(tmp_path, {"a.py": "import b\nx = 1\n", "b.py": "from a import x\n"})
    assert fails_from(outcome) == {"a"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("import b\nx = 1\n", "import a\n"),
        ("import b\ndef x(): return b.y\n", "import a\ny = 1\ndef f(): return a.x\n"),
        ("x = 1\nimport b\n", "from a import x\n"),
        ("import b\nx = 1\n", "try:\n    from a import x\nexcept ImportError:\n    x = None\n"),
        ("import b\nx = 1\n", "import a\ndef f(p: 'a.X'): ...\n"),
        ("import b\nclass X: ...\n", "from __future__ import annotations\nimport a\ndef f(p: a.X): ...\n"),
        ("import b\nx = 1\ndef __getattr__(name): return 1\n", "import a\nhasattr(a, 'x')\n"),
        ("import b\nx = 1\n", "import a\nflag = len('a') > 1 and a.x\n"),
    ],
)  # fmt: skip
def test_an_eager_cycle_that_works_is_fragile(tmp_path: Path, first: str, second: str) -> None:
    assert codes(judge(tmp_path, {"a.py": first, "b.py": second})) == [("IMP004", "MEDIUM")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("import b\nx = 1\n", "def f():\n    from a import x\n"),
        ("import b\nclass X: ...\n", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a import X\n"),
        ("import b\nclass X: ...\n", "import typing as t\nif t.TYPE_CHECKING:\n    from a import X\n"),
    ],
)  # fmt: skip
def test_a_cycle_that_does_not_load_is_lazy(tmp_path: Path, first: str, second: str) -> None:
    outcome = judge(tmp_path, {"a.py": first, "b.py": second})
    assert codes(outcome) == [("IMP005", "INFO")]
    assert outcome.findings[0].location.path == "b.py"


@pytest.mark.parametrize(
    "second",
    [
        "from a import x\n",
        "from a import x as y, z\n",
        "import a\na.x\n",
        "import a\nclass C(a.x): ...\n",
        "import a\n@a.x\ndef f(): ...\n",
        "import a\ndef f(p=a.x): ...\n",
        "import a\ndef f(p: a.x): ...\n",
        "class C:\n    from a import x\n",
        "from a import *\ny = x\n",
        "def f():\n    from a import x\nf()\n",
        "import a\na.call()\n",
        "try:\n    from a import x\nexcept ImportError:\n    raise\n",
        "try:\n    from a import x\nexcept ImportError:\n    pass\ny = x\n",
        "if True:\n    from a import x\n",
        "import sys\nif sys.version_info >= (3,):\n    from a import x\n",
    ],
)
def test_every_way_to_need_a_name_too_early_fails(tmp_path: Path, second: str) -> None:
    first = "import b\ndef call(): return x\nx = object\nz = 1\n"
    assert "a" in fails_from(judge(tmp_path, {"a.py": first, "b.py": second}))


def test_a_package_that_imports_its_parts_is_no_cycle(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "from .a import x\nfrom . import b\nimport pkg.c\n",
        "pkg/a.py": "x = 1\n",
        "pkg/b.py": "from . import a\nfrom .a import x\n",
        "pkg/c.py": "import pkg.a\nfrom pkg import b\n",
    }
    assert judge(tmp_path, files).findings == ()


def test_a_cycle_through_the_init_of_another_package_is_found(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "from pkg.core import x\n",
        "pkg/core.py": "from tool import y\nx = 1\n",
        "pkg/leaf.py": "z = 1\n",
        "tool.py": "from pkg.leaf import z\ny = 1\n",
    }
    outcome = judge(tmp_path, files)
    assert fails_from(outcome) == {"tool"}
    assert findings(outcome, "IMP003")[0].evidence[0].data["cycle"] == ["pkg", "pkg.core", "tool"]


def test_a_function_of_a_module_that_never_loaded_still_lacks_what_it_reads(tmp_path: Path, oracle: Oracle) -> None:
    files = {
        "a.py": "try:\n    import b\nexcept NameError:\n    pass\nfrom c import use\nuse()\n",
        "b.py": "def use():\n    return v\nimport c\nc.use()\nv = 1\n",
        "c.py": "from b import *\n",
    }
    assert fails_from(judge(tmp_path, files)) == {"a", "b", "c"} == set(raised(oracle, tmp_path, files))


def test_a_module_getattr_that_does_not_answer_is_named_as_what_raises(tmp_path: Path, oracle: Oracle) -> None:
    files = {
        "pkg/__init__.py": (
            "def __getattr__(name):\n    if name == 'a':\n        return 1\n    raise AttributeError('own words')\n"
            "from pkg import sub\n"
        ),
        "pkg/sub.py": "import pkg.other\n",
        "pkg/other.py": "import pkg\nx = pkg.sub\n",
    }
    outcome = judge(tmp_path, files)
    assert fails_from(outcome) == {name for name, failed in raised(oracle, tmp_path, files).items() if failed}
    (finding,) = findings(outcome, "IMP003")
    told = [related.message for related in finding.related if "raises" in related.message]
    assert told
    assert all("the __getattr__ of module 'pkg' does not answer for 'sub'" in message for message in told)


def test_an_unknown_branch_proves_no_failure(tmp_path: Path) -> None:
    files = {"a.py": "import b\nx = 1\n", "b.py": "import os\nif os.environ.get('X'):\n    from a import x\n"}
    assert [code for code, _ in codes(judge(tmp_path, files))] == ["IMP004"]


def test_two_separate_cycles_are_two_findings(tmp_path: Path) -> None:
    loop = "from {other} import x\ny = 1\n"
    files = {name: loop.format(other=other).replace("x", "y") for name, other in
             (("a.py", "b"), ("b.py", "a"), ("c.py", "d"), ("d.py", "c"))}  # fmt: skip
    assert [code for code, _ in codes(judge(tmp_path, files))] == ["IMP003", "IMP003"]


def test_a_long_chain_of_imports_needs_no_long_stack(tmp_path: Path) -> None:
    count = 400
    files = {f"m{number}.py": f"import m{(number + 1) % count}\nx = 1\n" for number in range(count)}
    files["m0.py"] = "from m1 import x\nx = 1\n"
    files[f"m{count - 1}.py"] = "from m0 import x\n"
    assert "m0" in fails_from(judge(tmp_path, files))


def test_a_file_that_cannot_be_parsed_stops_nothing(tmp_path: Path) -> None:
    files = {"a.py": "from b import x\ny = 1\n", "b.py": "from a import y\nfrom c import z\nx = 1\n", "c.py": "def (\n"}
    assert fails_from(judge(tmp_path, files)) == {"a", "b"}
