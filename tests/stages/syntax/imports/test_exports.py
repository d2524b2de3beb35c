"""Star imports: what they bring, through project modules and installed source, and when that cannot be known."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stages.syntax.imports.projects import imports_of


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.py": "x = 1\n_y = 2\nimport os\n"}, {"x", "os"}),
        ({"a.py": "__all__ = ['x', '_y']\nx = _y = z = 1\n"}, {"x", "_y"}),
        ({"a.py": "__all__ = ['x']\n__all__ += ['y']\n__all__.append('z')\n"}, {"x", "y", "z"}),
        ({"a.py": "__all__ = ['x']\n__all__.extend(['w'])\n"}, {"x", "w"}),
        ({"a.py": "from b import *\nx = 1\n", "b.py": "y = 1\n"}, {"x", "y"}),
        ({"a.py": "from b import *\nx = 1\n", "b.py": "from a import *\ny = 1\n"}, {"x", "y"}),
        ({"a/__init__.py": "from .b import y\n", "a/b.py": "y = 1\n"}, {"y", "b"}),
        ({"a/__init__.py": "from . import b\n__all__ = b.__all__ + ['x']", "a/b.py": "__all__ = ['y']"}, {"x", "y"}),
        ({"a.py": "__all__ = [*[], 'x']\n"}, {"x"}),
        ({"a.py": "from b import *\nfrom b import __all__\n", "b.py": "__all__ = ['_y']\n_y = z = 1\n"}, {"_y"}),
        ({"a.py": "x = 1\ndef __getattr__(name): return 1\n"}, {"x"}),
        ({"a.py": "from keyword import *\n"}, {"iskeyword", "issoftkeyword", "kwlist", "softkwlist"}),
    ],
)  # fmt: skip
def test_names_that_a_star_import_brings(tmp_path: Path, files: dict[str, str], expected: set[str]) -> None:
    assert imports_of(tmp_path, files | {"main.py": "from a import *\n"}).star_names("main.py") == expected


@pytest.mark.parametrize(
    "text",
    [
        "globals()['x'] = 1\n",
        "from math import *\n",
        "__all__ = [name for name in dir() if name]\n",
        "import sys\nsys.modules[__name__] = object()\n",
        "exec('x = 1')\n",
        "def (\n",
        "from nosuchthing import *\n",
        "from nosuchthing import __all__\n",
        "for __all__ in [['x']]: pass\n",
    ],
)
def test_names_that_cannot_be_known(tmp_path: Path, text: str) -> None:
    assert imports_of(tmp_path, {"a.py": text, "main.py": "from a import *\n"}).star_names("main.py") is None


def test_all_star_imports_of_a_file_count_together(tmp_path: Path) -> None:
    files = {"a.py": "x = 1\n", "b.py": "y = 1\n", "main.py": "from a import *\nfrom b import *\n"}
    assert imports_of(tmp_path, files).star_names("main.py") == {"x", "y"}


def test_a_file_without_star_imports_gets_nothing(tmp_path: Path) -> None:
    assert imports_of(tmp_path, {"main.py": "import os\n"}).star_names("main.py") == frozenset()


@pytest.mark.parametrize("text", ["from pkg.gone import *\n", "from pkg.a import *\nfrom pkg.gone import *\n"])
def test_a_star_import_of_a_missing_module_brings_what_nobody_knows(tmp_path: Path, text: str) -> None:
    files = {"pkg/__init__.py": "x = 1\n", "pkg/a.py": "y = 1\n", "main.py": text}
    assert imports_of(tmp_path, files).star_names("main.py") is None
