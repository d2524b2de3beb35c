"""Under which names files of a project import each other."""

from __future__ import annotations

import ast

from stages._source.program.project import Project, read_project


def test_root_that_is_a_package_itself_ends() -> None:
    project = Project(["__init__.py", "a/__init__.py", "a/b.py"], lambda _: None)
    assert project.module("a/b.py") is None


def test_an_import_of_a_name_that_several_folders_have_leads_into_the_own_folder() -> None:
    files = {
        "infer/utils.py": "def load(): ...",
        "train/utils.py": "def save(): ...",
        "train/main.py": "from utils import save\nimport utils\n",
    }
    project = read_project((path, ast.parse(text), text.splitlines()) for path, text in files.items())
    main = project.module("train/main.py")
    assert main is not None
    assert [item.origin for item in main.scopes.root.bindings["save"]] == ["train.utils.save"]
    assert [item.origin for item in main.scopes.root.bindings["utils"]] == ["train.utils"]


def test_a_file_at_the_root_keeps_its_name_from_those_in_folders() -> None:
    files = {"a/utils.py": "", "utils.py": "", "a/main.py": "import utils\n"}
    project = read_project((path, ast.parse(text), text.splitlines()) for path, text in files.items())
    found = project.named("utils")
    assert found is not None
    assert found.path == "utils.py"
