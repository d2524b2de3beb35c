"""Requirements that nothing in a project names, and every way of naming them."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages._source.declarations import declarations_in
from stages._source.distributions import Distributions
from stages.syntax.dependencies.unused import unused
from tests.stages.syntax.dependencies.test_misplaced import install
from tests.stages.syntax.imports.projects import write

DECLARED = "[project]\nname = 'pkg'\nversion = '1'\ndependencies = ['visdom', 'scikit-image']\n"


def names(root: Path, files: dict[str, str], imported: frozenset[str] = frozenset()) -> list[str]:
    project = write(root / "project", files)
    (root / "site").mkdir(exist_ok=True)
    found = unused(project, "", declarations_in(project), imported, Distributions([str(root / "site")]))
    return sorted(item.distribution for item in found)


def test_what_nothing_names_is_unused(tmp_path: Path) -> None:
    assert names(tmp_path, {"pyproject.toml": DECLARED, "a.py": "import os\n"}) == ["scikit-image", "visdom"]


def test_an_import_by_another_name_is_a_use(tmp_path: Path) -> None:
    assert names(tmp_path, {"pyproject.toml": DECLARED}, frozenset({"skimage", "os"})) == ["visdom"]


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": "backend = 'visdom'\n"},
        {"tools/not_selected.py": "import visdom\n"},
        {"Makefile": "show:\n\tpython -m visdom.server\n"},
        {".github/workflows/ci.yml": "- run: visdom &\n"},
        {"conf/logger.yaml": "_target_: visdom.Visdom\n"},
        {"explore.ipynb": '{"cells": [{"source": ["import visdom"]}]}'},
        {"README.md": "# Start\n    $ visdom --port 8097\n"},
        {"README.md": "python -m visdom.server\n"},
        {"pyproject.toml": DECLARED + "[tool.visdom]\nport = 1\n"},
        {"pyproject.toml": DECLARED + "[tool.poe.tasks]\nshow = 'visdom --port 1'\n"},
        {"stub.pyi": "import visdom\n"},
    ],
)
def test_every_way_to_name_it_is_a_use(tmp_path: Path, files: dict[str, str]) -> None:
    assert names(tmp_path, {"pyproject.toml": DECLARED} | files) == ["scikit-image"]


@pytest.mark.parametrize(
    "files",
    [
        {"README.md": "Install torch and visdom, then run it. See [visdom](https://x).\n"},
        {"requirements.txt": "visdom\n"},
        {"poetry.lock": "name = 'visdom'\n"},
        {"a.py": "my_visdom_plot = envisdom\n"},
    ],
)
def test_prose_lists_and_longer_words_are_no_use(tmp_path: Path, files: dict[str, str]) -> None:
    assert "visdom" in names(tmp_path, {"pyproject.toml": DECLARED} | files)


@pytest.mark.parametrize(
    "requirement",
    [
        "a-distribution-nobody-knows", "pytest-cov", "types-requests", "pandas-stubs", "sentencepiece", "pkg",
        "visdom; python_version < '3.9'", "visdom<1", "black",
    ],
)  # fmt: skip
def test_what_may_serve_without_an_import_is_not_doubted(tmp_path: Path, requirement: str) -> None:
    declared = f"[project]\nname = 'pkg'\ndependencies = [\"{requirement}\", 'torch']\n"
    assert names(tmp_path, {"pyproject.toml": declared, "a.py": "import torch\n"}, frozenset({"torch"})) == []


def test_installed_metadata_says_what_is_imported_and_who_else_makes_use_of_it(tmp_path: Path) -> None:
    declared = "[project]\nname = 'pkg'\ndependencies = ['odd-name>=1', 'served>=1', 'host', 'plugged']\n"
    site = tmp_path / "site"
    install(site, "odd_name")
    install(site, "served")
    install(site, "host", ("served; extra == 'fast'",))
    install(site, "plugged")
    (site / "plugged-1.dist-info" / "entry_points.txt").write_text("[host.plugins]\nx = plugged:x\n", "utf-8")
    assert names(tmp_path, {"pyproject.toml": declared}, frozenset({"host"})) == ["odd-name"]


def test_a_record_of_what_was_installed_is_no_choice(tmp_path: Path) -> None:
    frozen = "visdom==0.2\naddict==2.4\nloguru\n"
    conda = "visdom=0.2=pypi_0\naddict=2.4=pypi_0\n"
    for text, expected in ((frozen, []), (conda, []), ("visdom\naddict\n", ["addict", "visdom"])):
        assert names(tmp_path, {"requirements.txt": text}) == expected


def test_lists_do_not_count_beside_metadata(tmp_path: Path) -> None:
    assert names(tmp_path, {"pyproject.toml": DECLARED, "requirements.txt": "loguru\n"}) == ["scikit-image", "visdom"]
