"""Whatever stands in a file, stage 1 ends with a finding or without one, and the other files keep their results."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pysource_codegen import generate

from stages._source import workers
from stages.syntax import scan
from stages.syntax.run import run_syntax
from tests.builders import stage_context

if TYPE_CHECKING:
    from stages._source.records import FileScan
    from verifier.api import Finding, SourceFile, StageOutcome

BESIDE = "print(nowhere)\n"
SNIPPETS = r"""
def f(a, *b, c=1, **d): ¦ class C(B): ¦ async def g(): ¦ lambda x: x ¦ for i in r: ¦ while x: ¦ else: ¦ if x: ¦ elif y:
try: ¦ except* E as e: ¦ except: ¦ finally: ¦ with a as b, c: ¦ match m: ¦ case [a, *b]: ¦ case {'k': v, **r}: ¦ pass
case C(x=1) | None: ¦ import a.b.c ¦ from . import * ¦ from ...x import (y as z) ¦ return ¦ global q ¦ nonlocal n
del x ¦ yield ¦ await ¦ raise E from e ¦ x: 'int' = 1 ¦ x = y = z ¦ [i for i in (j := k)] ¦ f'{x!r:>{w}}' ¦ b'\xff'
'\ud800' ¦ 0x ¦ 1_0 ¦ __all__ = ['a', *b] ¦ @d ¦ := ¦ -> ¦ ** ¦ ... ¦ \ ¦ é ¦ ( ¦ ) ¦ [ ¦ ] ¦ '''
# verify: allow[SCP001] because ¦ # coding: rot13 ¦ # coding: latin-1"""
BLANKS = ("\t", "  ", "    ", "\n", "\r", "\x0c", "\0", "\ufeff")
WORDS = st.sampled_from([*re.split(r" ¦ |\n", SNIPPETS.strip()), *BLANKS])
TEXTS = st.lists(WORDS | st.sampled_from("\n \n\n    "), max_size=40).map(lambda words: " ".join(words).encode())
FILES = st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode("utf-8", "replace")) | TEXTS

NESTED: dict[str, Callable[[int], str]] = {
    "a sum": lambda n: "x = " + "+".join(["1"] * n),
    "attributes": lambda n: "import os\nx = os" + ".path" * n,
    "calls": lambda n: "x = print" + "()" * n,
    "minus signs": lambda n: f"x = {'-' * n}1",
    "lambdas": lambda n: f"x = {'lambda: ' * n}1",
    "conditions": lambda n: "x = " + "1 if __doc__ else " * n + "2",
    "elif": lambda n: "x = 1\nif x == 0:\n    pass\n" + "".join(f"elif x == {k}:\n    pass\n" for k in range(n)),
    "parentheses": lambda n: f"x = {'(' * n}1{')' * n}",
    "an annotation": lambda n: f"x: '{'int | ' * n}None' = 1",
    "a type as text": lambda n: f"x: '{'-' * n}1' = 1",
    "a module name": lambda n: f"import os{'.path' * n}",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


def judge(root: Path, text: bytes | str) -> tuple[StageOutcome, list[Finding]]:
    """Judge a file with an undefined name in the file beside it; return what was said of the file itself."""
    (root / "a.py").write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    (root / "beside.py").write_text(BESIDE)
    outcome = run_syntax(stage_context(root, ["a.py", "beside.py"]))
    beside = [item.symbol for item in outcome.findings if item.location.path == "beside.py"]
    assert beside == ["nowhere"]
    return outcome, [item for item in outcome.findings if item.location.path == "a.py"]


def refused(text: bytes) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(text, "a.py", "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return True
    return False


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(text=FILES)
def test_any_bytes_end_in_a_finding_exactly_where_cpython_refuses_them(folder: Path, text: bytes) -> None:
    _, found = judge(folder, text)
    assert ("SYN001" in [item.rule for item in found]) == refused(text)


@pytest.mark.parametrize("seed", range(30))
def test_a_generated_program_that_compiles_is_judged(folder: Path, seed: int) -> None:
    text = generate(seed, node_limit=600, depth_limit=7)
    _, found = judge(folder, text)
    assert "SYN001" not in [item.rule for item in found]


@pytest.mark.parametrize("size", [900, 10_000])
@pytest.mark.parametrize("name", NESTED)
def test_nesting_is_read_or_refused_and_costs_no_other_file_its_result(folder: Path, name: str, size: int) -> None:
    text = NESTED[name](size)
    _, found = judge(folder, text)
    assert {item.rule for item in found} <= {"SYN001", "IMP002", "SYN002", "LNT001"}
    for item in found:
        if item.rule == "SYN001":
            assert item.message.startswith(("Too complex to compile", "Syntax error: too many nested parentheses"))


def test_an_elif_chain_of_thousands_is_read_whole(folder: Path) -> None:
    text = NESTED["elif"](2_400) + "print(undefined)\n"
    _, found = judge(folder, text)
    assert [(item.rule, item.symbol) for item in found] == [("SCP001", "undefined")]


@pytest.fixture
def _deadly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every file that says so kill its reader, or keep it for ever; all files are read by workers."""
    real = scan.scan_file

    def scan_file(file: SourceFile) -> FileScan:
        if file.data == b"KILL":
            os.kill(os.getpid(), signal.SIGKILL)
        while file.data == b"STUCK":
            time.sleep(0.05)
        if file.data == b"DEEP":
            raise RecursionError
        return real(file)

    monkeypatch.setattr(scan, "scan_file", scan_file)
    monkeypatch.setattr(scan, "_TAME", 3)
    monkeypatch.setattr(scan, "map_forked", partial(workers.map_forked, patience_s=1.0))


@pytest.mark.usefixtures("_deadly")
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"KILL", "the process that read it was ended: signal SIGKILL"),
        (b"STUCK", "the process that read it was ended: it was not done after 1 s"),
        (b"DEEP", "the code compiles, but is nested too deeply to be read whole"),
    ],
)
def test_a_file_that_ends_its_reader_is_named_and_not_read_again(tmp_path: Path, text: bytes, problem: str) -> None:
    outcome, found = judge(tmp_path, text)
    assert [item.message for item in found] == [f"Too complex to analyse: {problem}"]
    compilation: Any = outcome.facts["compilation"]
    assert [row["status"] for row in compilation] == ["FAIL", "PASS"]


def test_files_that_vanish_after_they_were_read_are_judged_from_what_was_read(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").write_text("from pkg.a import *\n")
    (tmp_path / "pkg/a.py").write_text(BESIDE)
    context = stage_context(tmp_path, ["pkg/__init__.py", "pkg/a.py"])
    shutil.rmtree(tmp_path / "pkg")
    found = run_syntax(context).findings
    assert ("SCP001", "pkg/a.py", "nowhere") in [(item.rule, item.location.path, item.symbol) for item in found]
