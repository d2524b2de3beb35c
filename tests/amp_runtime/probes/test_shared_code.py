"""Code that was compiled once is what an import runs, as long as the file holds what was compiled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
START = """
import importlib, importlib.machinery, os, sys
from amp_runtime.probes import shared_code
folder = sys.argv[1]
sys.dont_write_bytecode = True
sys.path.insert(0, folder)
compiled = []
def looking(event, args):
    if event == "compile" and str(args[1]).startswith(folder):
        compiled.append(os.path.basename(args[1]))
sys.addaudithook(looking)
shared_code.share([f"{folder}/pkg/__init__.py", f"{folder}/pkg/part.py", f"{folder}/wrong.py", f"{folder}/gone.py"])
at_first = list(compiled)
compiled.clear()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "part.py").write_text("said = 'first'\ndef where(): return where.__code__.co_filename\n")
    (tmp_path / "pkg" / "other.py").write_text("said = 'never compiled before'\n")
    (tmp_path / "wrong.py").write_text("x = (\n")
    return tmp_path


def run(folder: Path, code: str, *options: str) -> list[str]:
    command = [sys.executable, *options, "-c", START + code, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_file_is_compiled_once_for_all_processes_that_are_forked_later(folder: Path) -> None:
    code = """
print(at_first)
for _ in range(2):
    sys.stdout.flush()
    if os.fork() == 0:
        from pkg import other, part
        print(part.said, part.where() == f"{folder}/pkg/part.py", part.__spec__.loader_state, compiled)
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""
    first, *others = run(folder, code)
    assert first == "['__init__.py', 'part.py', 'wrong.py']"
    assert others == ["first True None ['other.py']"] * 2


def test_a_file_that_was_changed_since_is_compiled_again(folder: Path) -> None:
    code = """
with open(f"{folder}/pkg/part.py", "a") as file:
    file.write("said = 'later'\\n")
from pkg import part
print(part.said, compiled)
"""
    assert run(folder, code) == ["later ['part.py']"]


def test_what_does_not_compile_or_warns_says_so_when_it_is_imported(folder: Path) -> None:
    (folder / "pkg" / "part.py").write_text("said = 1 is 1\n")
    code = """
import warnings
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    from pkg import part
print([warning.category.__name__ for warning in seen])
try:
    import wrong
except SyntaxError as error:
    print(error.filename == f"{folder}/wrong.py", error.lineno)
"""
    assert run(folder, code) == ["['SyntaxWarning']", "True 1"]


def test_a_project_that_compiles_in_a_way_of_its_own_does_so(folder: Path) -> None:
    code = """
class Loader(importlib.machinery.SourceFileLoader):
    def source_to_code(self, data, path, **options):
        return compile(data.replace(b"first", b"rewritten"), path, "exec")
path = f"{folder}/pkg/part.py"
spec = importlib.util.spec_from_file_location("part", path, loader=Loader("part", path))
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(module.said)
usual = importlib.machinery.SourceFileLoader.source_to_code
def patched(self, data, path, **options):
    return usual(self, data.replace(b"first", b"patched"), path, **options)
importlib.machinery.SourceFileLoader.source_to_code = patched
from pkg import part
print(part.said)
"""
    assert run(folder, code.replace("class Loader", "import importlib.util\nclass Loader")) == ["rewritten", "patched"]
