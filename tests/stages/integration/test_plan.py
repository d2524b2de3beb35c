"""Files become modules under the names that an import statement would use; programs and tests are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.integration.plan import is_script, plan
from tests.builders import stage_context
from tests.stages.integration.projects import write
from verifier.api import Config, SourceFile


def names(root: Path, *paths: str, roots: tuple[str, ...] = (".",), tests: tuple[str, ...] = ()) -> dict[str, str]:
    write(root, dict.fromkeys(paths, ""))
    config = Config(root=root, source_roots=roots)
    return {unit.file: unit.name for unit in plan(stage_context(root, paths, config=config, tests=tests)).modules}


def test_a_package_is_named_from_the_folder_above_its_top(tmp_path: Path) -> None:
    found = names(tmp_path, "pkg/__init__.py", "pkg/sub/__init__.py", "pkg/sub/a.py")
    assert found == {"pkg/__init__.py": "pkg", "pkg/sub/__init__.py": "pkg.sub", "pkg/sub/a.py": "pkg.sub.a"}


def test_src_and_source_roots_are_where_names_begin(tmp_path: Path) -> None:
    found = names(tmp_path, "src/pkg/__init__.py", "src/pkg/a.py", "lib/flat.py", "src/one.py", roots=("lib",))
    assert found == {
        "src/pkg/__init__.py": "pkg",
        "src/pkg/a.py": "pkg.a",
        "lib/flat.py": "flat",
        "src/one.py": "one",
    }


def test_a_package_outside_every_root_brings_its_own_folder(tmp_path: Path) -> None:
    write(tmp_path, {"deep/er/pkg/__init__.py": "", "deep/er/pkg/a.py": ""})
    context = stage_context(tmp_path, ["deep/er/pkg/__init__.py", "deep/er/pkg/a.py"])
    unit = plan(context).modules[1]
    assert (unit.name, unit.paths) == ("pkg.a", (str(tmp_path / "deep/er"),))


def test_a_package_whose_init_file_the_task_does_not_list_is_still_one(tmp_path: Path) -> None:
    write(tmp_path, {"src/pkg/__init__.py": ""})
    assert names(tmp_path, "src/pkg/a.py") == {"src/pkg/a.py": "pkg.a"}


def test_tests_main_files_and_unspeakable_names_are_not_imported(tmp_path: Path) -> None:
    paths = ("pkg/__init__.py", "pkg/__main__.py", "my-tool.py", "checks/a.py", "test_x.py")
    write(tmp_path, dict.fromkeys(paths, ""))
    todo = plan(stage_context(tmp_path, paths, tests=("checks",)))
    assert [unit.name for unit in todo.modules] == ["pkg"]
    assert any("my-tool.py" in said for said in todo.not_imported)
    assert any("pkg/__main__.py" in said for said in todo.not_imported)


@pytest.mark.parametrize(
    "text",
    [
        "import argparse\nargs = argparse.ArgumentParser().parse_args()\n",
        "for batch in data:\n    loss = model(batch)\n    loss.backward()\n",
        "def main(): ...\nmain()\n",
        "import sys\npath = sys.argv[1]\n",
    ],
)
def test_a_program_without_a_guard_is_a_script(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.py").write_text(text, encoding="utf-8")
    assert is_script(SourceFile("a.py", tmp_path / "a.py"))


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos._exit(0)\n",
        "while True: pass\n",
        "for name in 'ab':\n    globals()[name] = 1\n",
        "import logging\nlogging.basicConfig()\n",
        "def main():\n    args = parser.parse_args()\n    loss.backward()\n",
        "def main(): ...\nif __name__ == '__main__':\n    main()\n",
        "def register(): ...\nregister()\n",
        "x = (\n",
    ],
)
def test_whatever_is_in_doubt_is_imported(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.py").write_text(text, encoding="utf-8")
    assert not is_script(SourceFile("a.py", tmp_path / "a.py"))


@pytest.mark.parametrize(
    ("text", "uses"), [("import torch\n", True), ("  from torch import nn\n", True), ("torch = 1\n", False)]
)
def test_torch_is_wanted_where_it_is_imported(tmp_path: Path, text: str, uses: bool) -> None:
    (tmp_path / "a.py").write_text(text, encoding="utf-8")
    assert plan(stage_context(tmp_path, ["a.py"])).uses_torch is uses
