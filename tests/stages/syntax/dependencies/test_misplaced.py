"""What only an extra, a development group or the build declares, and every import of the package needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stages._source.environment import Environment, environment
from stages.syntax.dependencies.judge import dependency_problems
from stages.syntax.imports.judge import Imports
from tests.stages.syntax.imports.projects import request, write

HEAD = "[project]\nname = 'pkg'\nversion = '1'\ndependencies = ['base']\n"
EXTRA = HEAD + "[project.optional-dependencies]\nmore = ['nowhere_lib']\n"
PACKAGE = {"pkg/__init__.py": "from pkg import core\n", "pkg/core.py": "import nowhere_lib\n"}


def install(site: Path, name: str, needs: tuple[str, ...] = ()) -> None:
    info = site / f"{name}-1.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1", *(f"Requires-Dist: {need}" for need in needs)]
    (info / "METADATA").write_text("\n".join(lines) + "\n", "utf-8")
    (info / "RECORD").write_text(f"{name}/__init__.py,,\n{name}-1.dist-info/METADATA,,\n", "utf-8")


def judge(root: Path, files: dict[str, str], needs: tuple[str, ...] | None = ()) -> list[dict[str, Any]]:
    """Return the rows for a project whose one plain dependency is installed and needs what is said; None: it is not."""
    site = root / "site"
    site.mkdir()
    if needs is not None:
        install(site, "base", needs)
    asked = request(write(root / "project", files))
    facts = environment().facts
    known = Environment(replace(facts, path=(*facts.path, site.as_posix())))
    rows: list[Any] = dependency_problems(Imports(replace(asked, environment=known)))
    return [row for row in rows if row["problem"] == "misplaced"]


@pytest.mark.parametrize(
    ("declared", "group"),
    [
        (EXTRA, "the extra more"),
        (EXTRA + "all = ['pkg[more]']\n", "the extra more"),
        (HEAD + "[dependency-groups]\ntest = ['nowhere-lib']\n", "the group test"),
        (HEAD + "[build-system]\nrequires = ['nowhere-lib']\n", "the build"),
        ("[tool.poetry]\nname = 'pkg'\n[tool.poetry.dependencies]\nbase = '1'\n"
         "nowhere-lib = {version = '1', optional = true}\n", "an extra"),
    ],
)  # fmt: skip
def test_an_import_that_a_plain_installation_cannot_satisfy_is_named(tmp_path: Path, declared: str, group: str) -> None:
    (row,) = judge(tmp_path, PACKAGE | {"pyproject.toml": declared})
    assert (row["distribution"], row["group"], row["package"]) == ("nowhere-lib", group, "pkg")
    assert (row["declared_in"], row["imported_by"]) == ("pyproject.toml", ["pkg/core.py:1"])


def test_a_package_below_src_is_installed_too(tmp_path: Path) -> None:
    files = {f"src/{path}": text for path, text in PACKAGE.items()}
    assert [row["imported_by"] for row in judge(tmp_path, files | {"pyproject.toml": EXTRA})] == [["src/pkg/core.py:1"]]


@pytest.mark.parametrize(
    "core",
    [
        "try:\n    import nowhere_lib\nexcept ImportError:\n    nowhere_lib = None\n",
        "def f():\n    import nowhere_lib\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nowhere_lib\n",
        "if HAS_LIB_AVAILABLE:\n    import nowhere_lib\n",
        "import sys\nif sys.platform == 'nowhere':\n    import nowhere_lib\n",
        "import sys\nsys.path.append('vendored')\nimport nowhere_lib\n",
    ],
)
def test_an_import_that_may_be_left_out_is_in_its_place(tmp_path: Path, core: str) -> None:
    assert judge(tmp_path, PACKAGE | {"pkg/core.py": core, "pyproject.toml": EXTRA}) == []


@pytest.mark.parametrize(
    "start",
    [
        "",
        "try:\n    from pkg import core\nexcept ImportError:\n    core = None\n",
        "def __getattr__(name):\n    from pkg import core\n    return core\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pkg import core\n",
    ],
)
def test_a_module_that_the_package_does_not_load_may_need_its_extra(tmp_path: Path, start: str) -> None:
    assert judge(tmp_path, PACKAGE | {"pkg/__init__.py": start, "pyproject.toml": EXTRA}) == []


@pytest.mark.parametrize(
    "declared",
    [
        HEAD.replace("'base'", "'base', 'nowhere-lib'") + "[dependency-groups]\ntest = ['nowhere-lib']\n",
        EXTRA.replace("'base'", "'base', 'pkg[more]'"),
        EXTRA.replace("dependencies = ['base']", "dynamic = ['dependencies']"),
        EXTRA.replace("'pkg'", "'another'"),
    ],
)
def test_what_an_installation_may_bring_is_in_its_place(tmp_path: Path, declared: str) -> None:
    assert judge(tmp_path, PACKAGE | {"pyproject.toml": declared}) == []


def test_what_another_dependency_brings_is_in_its_place(tmp_path: Path) -> None:
    assert judge(tmp_path, PACKAGE | {"pyproject.toml": EXTRA}, needs=("nowhere_lib>=1",)) == []


def test_what_others_bring_is_not_guessed(tmp_path: Path) -> None:
    assert judge(tmp_path, PACKAGE | {"pyproject.toml": EXTRA}, needs=None) == []


def test_an_extra_of_a_dependency_does_not_come_by_itself(tmp_path: Path) -> None:
    assert judge(tmp_path, PACKAGE | {"pyproject.toml": EXTRA}, needs=("nowhere_lib; extra == 'more'",))


def test_tests_may_import_what_they_declare(tmp_path: Path) -> None:
    files = {"pkg/__init__.py": "", "tests/test_core.py": "import nowhere_lib\n", "pyproject.toml": EXTRA}
    assert judge(tmp_path, files | {"pkg/tests/__init__.py": "import nowhere_lib\n"}) == []
