"""The target's environment, as files show it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stages._source.environment import Environment, environment, interpreter
from verifier.api import VerifierError


def with_path(folder: Path) -> Environment:
    import dataclasses

    return Environment(dataclasses.replace(interpreter(), path=(str(folder),)))


def test_the_running_interpreter_describes_itself() -> None:
    facts = interpreter()
    assert facts.version == sys.version_info[:3]
    assert {"sys", "builtins"} <= facts.builtin
    assert {"json", "typing"} <= facts.standard
    assert "print" in facts.builtins
    assert "" not in facts.path


def test_another_interpreter_is_asked_in_a_process() -> None:
    asked, own = interpreter(Path(sys.executable)), interpreter()
    assert asked.version == own.version
    assert asked.standard == own.standard
    # setuptools and Ray, where something has imported them, put what they vendor on the path of this process alone
    assert asked.path == tuple(entry for entry in own.path if not entry.endswith(("_vendor", "thirdparty_files")))


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("#!/bin/sh\nexit 3\n", "failed with exit code 3"),
        ("#!/bin/sh\necho hello\n", "did not answer as a Python would"),
        ("#!/bin/sh\necho '{}'\n", "no description of a Python"),
        ("not executable", "cannot be started"),
    ],
)
def test_what_is_no_python_is_refused_in_one_sentence(tmp_path: Path, script: str, complaint: str) -> None:
    fake = tmp_path / "python"
    fake.write_text(script, "utf-8")
    if script.startswith("#!"):
        fake.chmod(0o755)
    with pytest.raises(VerifierError, match=complaint):
        interpreter(fake)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("sys", True), ("os.path", True), ("json.decoder", True), ("json.nosuch", False), ("nosuch", False),
        ("nosuch.deeper", False), ("torch", True), ("torch.nn.functional", True), ("torch.nn.nosuch", False),
        ("networkx.algorithms", True), ("stages", False), ("reports", False), ("__main__", True), ("winreg", True),
    ],
)  # fmt: skip
def test_modules_exist_or_not(name: str, known: bool) -> None:
    found = environment().has_module(name)
    assert (found is not False) is known


def test_every_kind_of_module_file_counts(tmp_path: Path) -> None:
    for path in (
        "plain.py",
        "pkg/__init__.py",
        "pkg/part.py",
        "fast.cpython-311-x86_64-linux-gnu.so",
        "space/inner.py",
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("", "utf-8")
    env = with_path(tmp_path)
    assert [env.has_module(name) for name in ("plain", "pkg.part", "fast", "space", "space.inner")] == [True] * 5
    assert [env.has_module(name) for name in ("pkg.gone", "plain.gone", "space.gone")] == [False] * 3
    assert env.has_module("fast.inner") is None


def test_a_package_that_registers_modules_itself_is_unknown_below(tmp_path: Path) -> None:
    (tmp_path / "magic.py").write_text("import sys\nsys.modules[__name__ + '.moves'] = object()\n", "utf-8")
    assert with_path(tmp_path).has_module("magic.moves") is None


def test_editable_finders_and_path_files_are_followed(tmp_path: Path) -> None:
    project = tmp_path / "work" / "src" / "mine"
    project.mkdir(parents=True)
    (project / "__init__.py").write_text("", "utf-8")
    site = tmp_path / "site"
    site.mkdir()
    (site / "__editable___mine_1_finder.py").write_text(
        f"MAPPING: dict[str, str] = {{'mine': {str(project)!r}}}\n", "utf-8"
    )
    env = with_path(site)
    assert env.has_module("mine") is True
    assert env.has_module("mine.gone") is False
    assert env.source_of("mine") == project / "__init__.py"


def test_importing_nothing_of_what_is_looked_up(tmp_path: Path) -> None:
    (tmp_path / "bomb.py").write_text("raise SystemExit('imported')\n", "utf-8")
    assert with_path(tmp_path).has_module("bomb") is True
    assert "bomb" not in sys.modules
