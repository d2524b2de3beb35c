"""The code runs in a copy: the user's tree is never written, and places are named as the user knows them."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from amp_runtime.probes import landlock
from tests.stages.integration.projects import WORKLOAD, at, integrate, only, write

HOSTILE = """
import os, pathlib, shutil

HERE = pathlib.Path(__file__).parent

def test_it_writes_beside_itself():
    (HERE / "new.txt").write_text("x")
    (HERE / "test_other.py").write_text("def test_b(): pass")
    (HERE.parent / "a.py").unlink()
    shutil.rmtree(HERE.parent / "kept")
    pathlib.Path("in_the_working_folder").write_text("x")
"""


def state(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(root.rglob("*"))
    }


def test_a_suite_that_writes_beside_itself_leaves_the_users_tree_untouched(tmp_path: Path) -> None:
    files = {"a.py": "x = 1\n", "kept/b.txt": "b\n", "tests/test_it.py": HOSTILE, "tests/test_other.py": "\n"}
    write(tmp_path, files | {"pytest.ini": "[pytest]\naddopts = --disable-plugin-autoload\n"})
    before = state(tmp_path)
    outcome = integrate(tmp_path, files, tests=("tests/test_it.py",))
    assert state(tmp_path) == before
    assert {at(finding)[:2] for finding in outcome.findings} == {("RUN022", "a.py"), ("RUN022", "tests/test_other.py")}


@pytest.mark.skipif(landlock.why_not() is not None, reason="this kernel has no Landlock to test")
def test_not_even_by_its_absolute_name_can_the_users_tree_be_written(tmp_path: Path) -> None:
    text = f"import pathlib\npathlib.Path({str(tmp_path)!r}, 'a.py').write_text('')\n"
    finding = only(integrate(tmp_path, {"a.py": text}))
    assert at(finding) == ("RUN001", "a.py", 2)
    assert "copy of the project" in finding.remediation
    assert (tmp_path / "a.py").read_text("utf-8") == text


@pytest.mark.skipif(landlock.why_not() is not None, reason="this kernel has no Landlock to test")
def test_linked_data_is_read_and_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages._probe.workcopy.LARGE_FOLDER", 1)
    text = """
        from pathlib import Path
        assert Path("data/1.txt").read_text() == "one"
        for path in ("data/1.txt", "data/new.txt"):
            try:
                Path(path).write_text("x")
            except PermissionError:
                continue
            raise AssertionError(path)
    """
    outcome = integrate(tmp_path, {"a.py": text, "data/1.txt": "one", "data/2.txt": "two"})
    assert outcome.findings == ()
    assert outcome.facts["isolation"]["working-copy"]["linked"] == ["data"]


def test_paths_in_messages_and_stacks_are_those_of_the_users_tree(tmp_path: Path) -> None:
    files = {"pkg/__init__.py": "", "pkg/a.py": "import os\nraise ValueError(os.getcwd())\n"}
    finding = only(integrate(tmp_path, files))
    assert at(finding) == ("RUN001", "pkg/a.py", 2)
    assert f"ValueError: {tmp_path}." in finding.message
    assert "verify-probe" not in str(finding)


def test_generated_modules_that_git_ignores_are_there(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "_version.py\n", "pkg/_version.py": "version = '1'\n"})
    subprocess.run(["git", "-C", str(tmp_path), "init", "-q"], check=True)
    files = {"pkg/__init__.py": "from pkg._version import version\n"}
    assert integrate(tmp_path, files).findings == ()


@pytest.mark.skipif(landlock.why_not() is not None, reason="this kernel has no Landlock to test")
def test_a_program_that_asks_git_finds_the_repository_and_cannot_change_it(tmp_path: Path) -> None:
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x", "--allow-empty"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    text = """
        import subprocess
        def git(*words):
            return subprocess.run(["git", "-c", "safe.directory=*", *words], capture_output=True, text=True)
        assert len(git("rev-parse", "HEAD").stdout.strip()) == 40
        assert git("tag", "mine").returncode != 0
    """
    assert integrate(tmp_path, {"a.py": text}).findings == ()
    assert subprocess.run(["git", "-C", str(tmp_path), "tag"], capture_output=True, check=True).stdout == b""


def test_a_module_that_puts_the_users_tree_on_the_path_is_found_out(tmp_path: Path) -> None:
    text = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport b\n"
    finding = only(integrate(tmp_path, {"a.py": text, "b.py": ""}))
    assert (finding.rule, finding.symbol) == ("RUN012", "a")
    assert "loaded b from the project's folder" in finding.message


def test_a_module_that_rewrites_another_cannot_make_it_pass(tmp_path: Path) -> None:
    files = {
        "a.py": "import pathlib\npathlib.Path(__file__).with_name('b.py').write_text('x = 1')\n",
        "b.py": "raise ValueError('broken')\n",
    }
    outcome = integrate(tmp_path, files)
    assert [at(finding)[:2] for finding in outcome.findings] == [("RUN022", "b.py")]
    assert (tmp_path / "b.py").read_text("utf-8").startswith("raise")


def test_every_probe_starts_from_a_fresh_copy(tmp_path: Path) -> None:
    files = {
        "work.py": f"import os\nassert not os.path.exists('mark')\nopen('mark', 'w').close()\n{WORKLOAD}",
        "tests/test_it.py": "import os\ndef test_a(): assert not os.path.exists('mark')\n",
    }
    outcome = integrate(tmp_path, files, tests=("tests",))
    assert outcome.findings == ()
