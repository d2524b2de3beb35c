"""What is read of a module: handlers, loops, reach, coverage, and who imports it by whatever spelling."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from stages.syntax.modules.facts import module_facts
from tests.builders import stage_context


def facts_of(root: Path, files: dict[str, str]) -> dict[str, Any]:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(textwrap.dedent(text))
    return module_facts(stage_context(root, files), {})


def of(root: Path, text: str) -> Any:
    return facts_of(root, {"a.py": text})["a.py"]


@pytest.mark.parametrize(
    ("body", "does"),
    [
        ("pass", "swallows it"),
        ("continue", "swallows it"),
        ("raise", "raises"),
        ("print(1)\n        raise ValueError", "raises"),
        ("log.warning(1)", "logs"),
        ("return 1", "returns"),
        ("log.error(1)\n        return 1", "returns and logs"),
        ("x = 1", "goes on"),
    ],
)
def test_what_becomes_of_an_exception(body: str, does: str, tmp_path: Path) -> None:
    text = f"def f(log):\n  for i in range(3):\n    try:\n        g()\n    except Exception:\n        {body}\n"
    (handler,) = of(tmp_path, text)["robustness"]["handlers"]
    assert (handler["line"], handler["catches"], handler["broad"], handler["does"]) == (5, ["Exception"], True, does)


def test_a_turn_of_a_loop_is_charged_for_its_own_calls_only(tmp_path: Path) -> None:
    text = """
        import torch

        def f(model, loader, names):
            for batch in loader:
                total = torch.zeros(3)
                for name in names:
                    print(model(batch).item(), name.item(1))
            return total.item()
    """
    outer, inner = of(tmp_path, text)["performance"]["loops"]
    assert (outer["over"], outer["depth"], outer["syncs"]) == ("loader", 1, [])
    assert outer["allocations"] == [{"line": 6, "what": "torch.zeros"}]
    assert (inner["depth"], inner["syncs"]) == (2, [{"line": 8, "what": "model(batch).item"}])


def test_where_a_module_reaches_outside(tmp_path: Path) -> None:
    text = """
        import pickle
        import subprocess as sp
        import torch

        def f(path, text):
            eval(text)
            pickle.load(path)
            torch.load(path, weights_only=False)
            torch.load(path)
            sp.run([path])
            open(path)
            open(path, "w")
            compile_model(text)
    """
    found = of(tmp_path, text)["security"]
    assert {kind: [row["line"] for row in rows] for kind, rows in found.items() if rows} == {
        "runs code it is given": [7],
        "unpickles": [8, 9],
        "runs commands": [11],
        "reads files": [10, 12],
        "writes files": [13],
    }


def test_importers_are_found_by_every_spelling(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/core.py": "x = 1\n",
        "pkg/near.py": "from . import core\n",
        "pkg/name.py": "def f():\n    from .core import x\n",
        "far.py": "import pkg.core as c\n",
        "other.py": "core = 1\nfrom elsewhere import core\n",
    }
    users = facts_of(tmp_path, files)["pkg/core.py"]["purpose"]["imported_by"]
    assert [(row["path"], row["line"]) for row in users] == [("far.py", 1), ("pkg/name.py", 2), ("pkg/near.py", 1)]


def test_coverage_counts_parameters_and_results(tmp_path: Path) -> None:
    text = '''
        class A:
            """One."""

            def __init__(self, x: int, y) -> None:
                self.x = x

            def g(self):
                return 1 if self.x else 2

        def h(a: int) -> int:
            """Two."""
            return a
    '''
    size = of(tmp_path, text)["maintainability"]
    assert (size["annotated"], size["annotatable"]) == (4, 6)
    assert (size["documented"], size["documentable"]) == (2, 3)
    assert size["complexity"][0] == {"name": "A.g", "line": 8, "complexity": 2}
