"""Whatever points to the user's tree, an editable install of any make included, gives the modules of the copy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
START = """
import importlib, importlib.machinery, importlib.util, os, sys
from amp_runtime.probes.relocate import Relocation
origin, copy = {origin!r}, {copy!r}
"""


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """Make a project and its copy, which differ in what their modules say; `only` is in the project alone."""
    for name in ("origin", "copy"):
        package = tmp_path / name / "lib/pkg"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"said = {name!r}\n", encoding="utf-8")
        (package / "sub.py").write_text(f"said = {name!r}\n", encoding="utf-8")
        (tmp_path / name / "lib/space").mkdir()
        (tmp_path / name / "lib/space/part.py").write_text(f"said = {name!r}\n", encoding="utf-8")
    (tmp_path / "origin/lib/only.py").write_text("said = 'origin'\n", encoding="utf-8")
    return tmp_path / "origin", tmp_path / "copy"


def run(trees: tuple[Path, Path], code: str) -> str:
    origin, copy = map(str, trees)
    program = START.format(origin=origin, copy=copy) + code
    environment = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], env=environment, capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_folder_that_an_editable_install_puts_on_the_path_is_that_of_the_copy(trees: tuple[Path, Path]) -> None:
    code = """
sys.path.append(f"{origin}/lib")
relocation = Relocation(origin, copy)
relocation.install()
import pkg.sub, space.part
print(pkg.said, pkg.sub.said, space.part.said, relocation.strays(), os.environ["PYTHONPATH"] == f"{copy}/lib")
"""
    assert run(trees, code) == "copy copy copy {} True"


def test_a_finder_of_an_editable_install_is_redirected(trees: tuple[Path, Path]) -> None:
    code = """
class Editable:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "pkg":
            at, folder = f"{origin}/lib/pkg/__init__.py", f"{origin}/lib/pkg"
            return importlib.util.spec_from_file_location(name, at, submodule_search_locations=[folder])
        return importlib.machinery.PathFinder.find_spec(name, [f"{origin}/lib"]) if name == "space" else None

    @classmethod
    def marker(cls):
        return "kept"

sys.meta_path.append(Editable)
relocation = Relocation(origin, copy)
relocation.install()
import pkg.sub, space.part
print(pkg.said, pkg.sub.said, space.part.said, relocation.strays(), sys.meta_path[-1].marker())
"""
    assert run(trees, code) == "copy copy copy {} kept"


def test_a_module_loaded_when_python_started_is_loaded_again_from_the_copy(trees: tuple[Path, Path]) -> None:
    code = """
sys.path.append(f"{origin}/lib")
import pkg
first = pkg.said
Relocation(origin, copy).install()
import pkg
print(first, pkg.said)
"""
    assert run(trees, code) == "origin copy"


def test_what_only_the_project_has_stays_where_it_is(trees: tuple[Path, Path]) -> None:
    code = """
sys.path[:0] = [f"{copy}/lib", f"{origin}/lib/only.py", f"{origin}/venv"]
relocation = Relocation(origin, copy)
relocation.install()
print(f"{origin}/venv" in sys.path, relocation.moved("/usr/lib") == "/usr/lib", relocation.moved(copy) == copy)
"""
    assert run(trees, code) == "True True True"


def test_a_module_that_comes_from_the_project_all_the_same_is_named(trees: tuple[Path, Path]) -> None:
    code = """
relocation = Relocation(origin, copy)
relocation.install()
sys.path.insert(0, f"{origin}/lib")
import pkg.sub
class Hostile:
    def __getattr__(self, name): raise RuntimeError(name)
sys.modules["hostile"] = Hostile()
print(sorted(relocation.strays()))
"""
    assert run(trees, code) == "['pkg', 'pkg.sub']"
