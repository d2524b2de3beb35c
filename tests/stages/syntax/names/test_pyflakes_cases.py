"""The snippets of pyflakes' own tests as facts: every undefined name it expects is found here."""

from __future__ import annotations

import ast
import importlib.util
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stages.syntax.names.sources import findings

EXPECTED = {"UndefinedName", "UndefinedLocal", "UndefinedExport"}
# The compiler drops the branch, or the names are global and bound again by another call: nothing fails.
RUNS_FINE = {"test_ifexp", "test_undefinedExceptionNameObscuringGlobalVariable2"}


def cases() -> Iterator[tuple[str, str, bool]]:
    spec = importlib.util.find_spec("pyflakes")
    assert spec is not None
    assert spec.origin is not None
    for path in sorted((Path(spec.origin).parent / "test").glob("test_*.py")):
        if path.name == "test_doctests.py":  # names inside docstrings are not code of the module
            continue
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef):
                yield from ((function.name, *snippet) for snippet in _snippets(function))


def _snippets(function: ast.FunctionDef) -> Iterator[tuple[str, bool]]:
    for call in ast.walk(function):
        plain = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "flakes"
        if not plain or not call.args or not isinstance(call.args[0], ast.Constant) or call.keywords:
            continue
        wanted = {a.attr for a in call.args[1:] if isinstance(a, ast.Attribute)}
        source = textwrap.dedent(str(call.args[0].value))
        if wanted & EXPECTED and _compiles(source):
            yield source, True
        elif not wanted and _runs(source):
            yield source, False


def _compiles(source: str) -> bool:
    try:
        compile(source, "<case>", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def _runs(source: str) -> bool:
    """Return whether a snippet without imports of its own does nothing but bind and read names, and succeeds."""
    if "import" in source or "while" in source or not _compiles(source):
        return False
    try:
        exec(compile(source, "<case>", "exec", dont_inherit=True), {"__name__": "case", "__file__": "case.py"})
    except Exception:
        return False
    return True


CASES = list(cases())


def test_there_are_enough_cases() -> None:
    assert sum(expected for _name, _source, expected in CASES) > 60
    assert len(CASES) > 250


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_every_expected_name_is_found() -> None:
    missed = [
        (name, source)
        for name, source, expected in CASES
        if expected and name not in RUNS_FINE and not findings(source)
    ]
    assert missed == []


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_nothing_certain_is_said_of_what_runs() -> None:
    wrong = []
    for name, source, expected in CASES:
        if not expected:
            wrong += [(name, f.message) for f in findings(source) if f.severity.name == "CRITICAL"]
    assert wrong == []
