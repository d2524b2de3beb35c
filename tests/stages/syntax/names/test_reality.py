"""Generated programs run on every path: what is reported as certain happens, what always happens is reported."""

from __future__ import annotations

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from stages._source import parsing
from stages.syntax.names.imports import sites
from stages.syntax.scan import scan_file, scan_tree
from tests.stages.syntax.names.programs import NAMES, Reality, functions, modules, run_every_path
from tests.stages.syntax.names.sources import source_file
from verifier.api import Finding, Severity

PROGRAMS = functions() | modules()
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def judged(source: str) -> tuple[list[Finding], Reality]:
    assume(_compiles(source))
    reality = run_every_path(source)
    assume(reality.complete)
    return [f for f in scan_file(source_file(source)).findings if f.symbol in NAMES], reality


def _compiles(source: str) -> bool:
    try:
        compile(source, "<program>", "exec")
    except SyntaxError:  # `return` outside a function, a name bound twice by one pattern
        return False
    return True


@quick
@given(PROGRAMS)
def test_what_is_certain_fails_every_time_it_is_reached(source: str) -> None:
    findings, reality = judged(source)
    for finding in findings:
        if finding.severity is Severity.CRITICAL:
            place = (finding.location.line, finding.symbol or "")
            assert reality.failed[place] == reality.reached[finding.location.line]


@quick
@given(PROGRAMS)
def test_what_fails_every_time_is_reported(source: str) -> None:
    findings, reality = judged(source)
    failing = {name for _line, name in reality.failed}
    assume(len(failing) == 1 and "managed" not in source)  # a second failure, or a swallowed one, hides paths
    always = {name for (line, name), times in reality.failed.items() if times == reality.reached[line]}
    assert always <= {finding.symbol for finding in findings}


@quick
@given(PROGRAMS)
def test_the_fast_pass_lets_nothing_go_that_the_tree_would_report(source: str) -> None:
    assume(_compiles(source))
    file = source_file(source)
    assert scan_file(file) == scan_tree(file)


@quick
@given(st.lists(PROGRAMS, min_size=1, max_size=3))
def test_bytecode_and_tree_agree_on_imports(sources: list[str]) -> None:
    for source in filter(_compiles, sources):
        file = source_file(source)
        tree = parsing.parse(file)
        assert tree is not None
        assert scan_file(file).imports == sites(tree)
