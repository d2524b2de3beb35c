"""Stub files: what a build makes, what type checkers alone read, and what neither excuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stages._source.environment import Environment, environment
from stages.syntax.imports.judge import judge_imports
from tests.stages.syntax.imports.projects import codes, findings, judge, request, write

EXTENSION = "from setuptools import Extension, setup\nsetup(ext_modules=[Extension('pkg._C', ['pkg/c.c'])])\n"


@pytest.mark.parametrize(
    "files",
    [
        {"pkg/_C.pyi": "def fast() -> int: ..."},
        {"pkg/_C/__init__.pyi": "def fast() -> int: ..."},
        {"pkg/_C.pyx": "def fast(): return 1"},
        {"setup.py": EXTENSION},
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "from pkg import _C\nfrom pkg._C import fast\n",
        "import pkg._C\nx = pkg._C.fast\n",
        "from . import _C\n_C.fast\n",
    ],
)
def test_what_a_build_makes_can_be_imported_by_its_own_package(
    tmp_path: Path, files: dict[str, str], text: str
) -> None:
    assert codes(judge(tmp_path, files | {"pkg/__init__.py": text, "main.py": "from pkg._C import fast\n"})) == []


def test_a_name_that_nothing_makes_still_fails(tmp_path: Path) -> None:
    assert [code for code, _ in codes(judge(tmp_path, {"pkg/__init__.py": "from pkg import _C\n"}))] == ["IMP003"]


TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {}\n"


def test_a_name_of_the_stub_beside_a_module_is_there_for_types_only(tmp_path: Path) -> None:
    files = {"pkg/__init__.py": "", "pkg/m.py": "x = 1", "pkg/m.pyi": "x: int\ny: int"}
    files |= {"good.py": TYPES.format("from pkg.m import x, y"), "bad.py": "from pkg.m import y"}
    files |= {"worse.py": TYPES.format("from pkg.m import z")}
    found = findings(judge(tmp_path, files), "IMP001")
    assert {(item.location.path, item.severity.name) for item in found} == {
        ("bad.py", "CRITICAL"), ("worse.py", "LOW"),
    }  # fmt: skip


def test_a_stub_package_answers_for_types_only(tmp_path: Path) -> None:
    (tmp_path / "site" / "nothing_here-stubs").mkdir(parents=True)
    (tmp_path / "site" / "nothing_here-stubs" / "__init__.pyi").write_text("")
    project = write(
        tmp_path / "project",
        {
            "types.py": TYPES.format("import nothing_here"), "run.py": "import nothing_here",
            "shed.py": TYPES.format("from _typeshed import SupportsRead"),
        },
    )  # fmt: skip
    facts = environment().facts
    known = Environment(replace(facts, path=(*facts.path, (tmp_path / "site").as_posix())))
    outcome = judge_imports(replace(request(project), environment=known))
    places = [item.location.path for found in findings(outcome, "IMP002") for item in (found, *found.related)]
    assert places == ["run.py"]
