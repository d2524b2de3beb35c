"""What code of a project may put in place of a module that no file holds."""

from __future__ import annotations

import pytest

from stages._source.testfiles import is_test_file
from stages.syntax.imports.registered import Registered

FINDER = b'import sys\nNAMES = ("pkg", "pkg.projects")\nsys.meta_path.insert(0, Finder(NAMES))\n'


@pytest.mark.parametrize(
    ("module", "may"),
    [("pkg.projects.deeplab", True), ("pkg.projects", True), ("pkg.deleted", False), ("other.thing", False)],
)
def test_a_finder_serves_what_is_in_the_package_it_names_but_not_all_of_the_project(module: str, may: bool) -> None:
    assert Registered({"pkg/__init__.py": FINDER}, is_test_file).may_hold(module) is may


def test_what_only_a_test_registers_is_missing_all_the_same() -> None:
    text = b'import sys\nsys.modules["pkg.fake"] = object()\n'
    assert Registered({"pkg/a.py": text}, is_test_file).may_hold("pkg.fake")
    assert not Registered({"tests/test_a.py": text}, is_test_file).may_hold("pkg.fake")
