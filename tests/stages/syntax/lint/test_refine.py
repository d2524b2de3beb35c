"""Hits of ruff that the project explains are dropped; their neighbours stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.syntax.stage import STAGE
from tests.builders import run_stage


def lint(root: Path, files: dict[str, str]) -> list[tuple[str, int, str]]:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")
    found = [item for item in run_stage(STAGE, root, list(files)).findings if item.rule == "LNT001"]
    places = [(item.location, item.symbol) for item in found]
    places += [(place.location, item.symbol) for item in found for place in item.related]
    return sorted((place.path, place.line, symbol or "") for place, symbol in places)


@pytest.mark.parametrize("path", ["pkg/__init__.py", "tests/conftest.py", "pkg/api.pyi"])
def test_files_that_offer_names_may_import_them(tmp_path: Path, path: str) -> None:
    assert lint(tmp_path, {path: "from os import sep\n"}) == []


def test_an_import_that_another_file_takes_is_used(tmp_path: Path) -> None:
    compat = "from contextlib import nullcontext\nimport json\nimport math\n\n\ndef f(): ...\n"
    user = "from pkg.compat import nullcontext\nfrom pkg import compat\n\nprint(nullcontext, compat.json)\n"
    assert lint(tmp_path, {"pkg/compat.py": compat, "pkg/user.py": user}) == [("pkg/compat.py", 3, "F401")]


def test_the_rest_of_the_project_counts_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "other.py").write_text("from compat import (\n    nullcontext,\n)\n")
    text = "from contextlib import nullcontext\nimport json\n\n\ndef f(): ...\n"
    assert lint(tmp_path, {"compat.py": text}) == [("compat.py", 2, "F401")]


def test_a_module_that_only_hands_on_is_no_error(tmp_path: Path) -> None:
    assert lint(tmp_path, {"pkg/old.py": '"""Moved."""\nfrom .new import thing\n', "pkg/new.py": "thing = 1\n"}) == []


def test_an_import_that_is_tried_out_is_no_error(tmp_path: Path) -> None:
    text = "try:\n    import apex\n    HAVE = True\nexcept ImportError:\n    HAVE = False\n"
    assert lint(tmp_path, {"a.py": text}) == []
    bare = 'try:\n    print("trying")\n    import apex\nexcept:\n    print("failed")\n'
    assert lint(tmp_path, {"b.py": bare}) == []
    assert lint(tmp_path, {"c.py": "try:\n    import apex\nfinally:\n    print(1)\n"}) == [("c.py", 2, "F401")]


def test_fixtures_are_asked_for_by_name_in_tests_only(tmp_path: Path) -> None:
    text = "from fixtures import model\n\n\ndef test_it(model):\n    assert model\n"
    files = {"fixtures.py": "def model(): ...\n", "test_a.py": text, "train.py": text.replace("test_it", "run")}
    assert {path for path, _, _ in lint(tmp_path, files)} == {"train.py"}


def test_a_dropped_value_counts_and_an_unused_exception_does_not(tmp_path: Path) -> None:
    text = "def f():\n    loss = 1\n    try:\n        f()\n    except ValueError as error:\n        pass\n"
    assert lint(tmp_path, {"a.py": text}) == [("a.py", 2, "F841")]


@pytest.mark.parametrize(
    ("body", "reported"),
    [
        ("seen.append(1)", True),
        ("seen += [1]", True),
        ("seen[0] = 1", True),
        ("return len(seen)", False),
        ("seen = list(seen); seen.append(1)", False),
        ("self.seen = seen", False),
    ],
)
def test_a_mutable_default_counts_where_it_is_changed(tmp_path: Path, body: str, reported: bool) -> None:
    found = lint(tmp_path, {"a.py": f"def f(self, seen=[]):\n    {body}\n"})
    assert found == ([("a.py", 1, "B006")] if reported else [])


def test_a_mutable_default_over_several_lines_is_found_in_the_tree(tmp_path: Path) -> None:
    text = "def f(\n    seen: list[int] = (\n        []\n    ),\n    *,\n    kept: dict={},\n):\n    kept.update(a=1)\n"
    assert lint(tmp_path, {"a.py": text}) == [("a.py", 6, "B006")]


def test_a_comparison_inside_raises_is_no_error(tmp_path: Path) -> None:
    text = "def test_a(x):\n    with x.raises():\n        x == 1\n"
    assert lint(tmp_path, {"test_a.py": text, "a.py": text}) == [("a.py", 3, "B015")]
