"""What a half-loaded module decides: tests, defaults and imports by name take the branch that CPython takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.stages.syntax.imports.projects import codes, fails_from, judge
from tests.stages.syntax.imports.test_cycles import raised

if TYPE_CHECKING:
    from tests.stages.syntax.imports.oracle import Oracle

FIRST = "import b\nx = 1\n"  # b meets it without x
_TRIED = "try:\n    from a import x\n    there = True\nexcept ImportError:\n    there = False\n"
_MAKES = "def __getattr__(name):\n    if name == 'made':\n        from a import x\n        return x\n"
FAILS = [
    "import importlib\nx = importlib.import_module('a').x\n",
    "from importlib import import_module as bring\nm = bring('a')\nm.x\n",
    "__import__('a').x\n",
    "import a\nif not hasattr(a, 'x'):\n    a.x\n",
    "import a\ny = getattr(a, 'x')\n",
    "import a\ny = getattr(a, 'x', None)\nif y is None:\n    raise ImportError('no x')\n",
    "try:\n    from a import x\nexcept ImportError:\n    x = None\nif not x:\n    from a import x\n",
    f"{_TRIED}if not there:\n    from a import x\n",
    "try:\n    from a import x\nexcept ImportError:\n    x = None\nif x is not None:\n    y = 1\nz = y\n",
    "import a\ny = [a.x for _ in range(2)]\n",
    "import a\ny = sum(a.x for _ in (1,))\n",
    "import a\ny = a and a.x\n",
    "import a\ny = a.x if a else None\n",
    "import a\n(y := a.x)\n",
    "y = 1\ndel y\nimport a\nfor y in (a.x,): ...\n",
    "import a\n__all__ = ['y']\n__all__ += a.__all__\ny = 1\n",
    "import contextlib\nwith contextlib.suppress(NameError):\n    from a import x\n",
    f"{_MAKES}    raise AttributeError(name)\nimport c\n",
]  # fmt: skip
WORKS = [
    "import a\nif hasattr(a, 'x'):\n    y = a.x\n",
    "import a\ny = getattr(a, 'x', None)\nif y is not None:\n    from a import x\n",
    "import a\na.x = 0\nfrom a import x\n",
    "import a\ny = [a.x for _ in ()]\n",
    "import a\ny = (a.x for _ in (1,))\n",
    "import a\ny = a is None and a.x\n",
    "try:\n    from a import x\nexcept ImportError:\n    x = None\nif x:\n    from a import x\n",
    "x = None\ntry:\n    from a import x\nexcept ImportError:\n    pass\nif x is not None:\n    from a import x\n",
    "import contextlib\nwith contextlib.suppress(ImportError, NameError):\n    from a import x\n",
    "def f():\n    import importlib\n    importlib.import_module('a').x\n",
]
OTHERS = {"c.py": "import b\nb.made\n"}


@pytest.mark.parametrize("second", FAILS)
def test_what_fails_in_cpython_is_found(tmp_path: Path, oracle: Oracle, second: str) -> None:
    files = {"a.py": "import b\nx = 1\n__all__ = ['x']\n", "b.py": second} | (OTHERS if "made" in second else {})
    assert fails_from(judge(tmp_path, files)) == set(raised(oracle, tmp_path, files))
    assert "a" in fails_from(judge(tmp_path, files))


@pytest.mark.parametrize("second", WORKS)
def test_what_works_in_cpython_is_no_failure(tmp_path: Path, oracle: Oracle, second: str) -> None:
    files = {"a.py": FIRST, "b.py": second}
    assert {code for code, _ in codes(judge(tmp_path, files))} <= {"IMP004", "IMP005"}
    assert raised(oracle, tmp_path, files) == {}


@pytest.mark.parametrize(
    "second",
    [
        "import os\nif os.environ.get('X'):\n    from a import x\n",
        _TRIED.replace("from a import x", "import torch") + "if there:\n    from a import x\n",
        "there = False\ndef f():\n    global there\n    there = True\nif not there:\n    from a import x\n",
        "there = False\nglobals()['there'] = True\nif not there:\n    from a import x\n",
        "there = False\nfor there in (): ...\nif not there:\n    from a import x\n",
        "from torch import *\ny = made_by_torch\nfrom a import *\n",
    ],
)
def test_what_is_not_known_proves_no_failure(tmp_path: Path, second: str) -> None:
    assert "IMP003" not in {code for code, _ in codes(judge(tmp_path, {"a.py": FIRST, "b.py": second}))}
