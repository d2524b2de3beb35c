"""Decides how one text is put into every place of a report that verified code can fill."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from tests.builders import file_records, finding, reported, run_report, stage_result
from verifier.api import (
    Acceptance,
    Deferred,
    Evidence,
    Gate,
    GateStatus,
    NotRun,
    Proof,
    RunReport,
    Source,
    StageStatus,
    Suppressed,
)


def hostile_report(*texts: str) -> RunReport:
    """Build a report that says `texts` in turn, place by place; other texts change nothing but what it says."""
    return _report(itertools.cycle(texts))


def places() -> int:
    """Return how many texts a report says that may differ from each other."""
    taken = itertools.count()
    _report(f"x{number}" for number in taken)
    return next(taken)


def _report(each: Iterator[str]) -> RunReport:
    shown = next(each)
    syntax = stage_result(
        _reported(shown),
        _reported(next(each), "LOW", blocking=False),
        title=next(each),
        facts=_by_place(_syntax_facts, each),
        gates=_gates(each),
    )
    integration = stage_result(
        number=3,
        name="integration",
        title=next(each),
        status=StageStatus.ERRORED,
        reason=next(each),
        facts=_by_place(_integration_facts, each),
    )
    performance = stage_result(
        number=4, name="performance", title=next(each), facts=_by_place(_performance_facts, each), gates=_gates(each)
    )
    skipped = stage_result(number=5, name="security", title=next(each), status=StageStatus.SKIPPED, reason=next(each))
    return run_report(
        syntax,
        integration,
        performance,
        skipped,
        task=next(each),
        title=next(each),
        source=Source(commit=next(each), dirty=True, files=file_records({f"a/{shown}": 3, "b": 4})),
        tool={"version": next(each), "plugins": [next(each)], "command": f"verify {next(each)}".replace("\n", " ")},
        environment={"python": next(each), "torch": None, "device": next(each)},
        acceptance=(
            Acceptance(text=next(each), status=Proof.NOT_PROVEN, proven_by=(next(each),), evidence=next(each)),
        ),
        suppressed=(Suppressed(stage="syntax", finding=_reported(next(each)), reason=next(each), line=1),),
        not_run=(NotRun(number=2, name=next(each), reason=next(each)),),
        deferred=(Deferred(stage=next(each), gate=next(each), reason=next(each)),),
        snippets={(f"a/{shown}", line): shown.replace("\n", " ") for line in (2, 3, 4, 5)},
    )


def _by_place(build: Callable[[str], dict[str, Any]], each: Iterator[str]) -> dict[str, Any]:
    return {name: build(next(each))[name] for name in build("")}


def _gates(each: Iterator[str]) -> tuple[Gate, ...]:
    return tuple(
        Gate(name=next(each), requirement=next(each), status=status, evidence=next(each)) for status in GateStatus
    )


def _reported(text: str, severity: str = "CRITICAL", **options: Any) -> Any:
    return reported(_finding(text, severity), text, **options)


def _finding(text: str, severity: str = "CRITICAL") -> Any:
    path = f"a/{text}"
    return finding(
        "SCP001",
        f"{path}:3:2",
        severity,
        text,
        symbol=text,
        related=[(f"{path}:4:1", text)],
        evidence=(Evidence(kind="command", summary=text, data={text: text, "list": [text], "trace": f"a\n{text}"}),),
        why=text,
        impact=text,
        remediation=text,
        fix="safe",
    )


def _syntax_facts(text: str) -> dict[str, Any]:
    place = {"path": f"a/{text}", "line": 3}
    graph = [text, f"{text}2", f"{text}3"]
    return {
        "compilation": [place | {"status": text, "errors": 1, "warnings": 0, "lines": 3}],
        "imports": [place | {"statement": text, "module": text, "group": text, "kind": text, "resolved": None}],
        "dependencies": [
            {"module": text, "imported_by": [text], "group": text, "resolved": resolved} for resolved in (True, False)
        ],
        "dependency_problems": [
            {"problem": text, "distribution": text, "declared_in": text, "group": text, "package": text}
            | {"modules": [text], "imported_by": [text]},
            {"problem": "unused", "distribution": text, "declared_in": text, "modules": [text]},
        ],
        "import_graph": {"modules": graph, "edges": [{"from": a, "to": b, "kind": text} for a in graph for b in graph]},
        "cycles": [{"modules": graph[:2], "kind": text, "fails_from": [text], "risk": text, "text": text}],
        "amp_points": [place | {"function": text, "what": text, "code": text}],
        "amp_switch": [
            place
            | {"function": text, "parameter": text, "default": text}
            | {"uses": [{"line": 1, "how": text}], "passed_to": [{"line": 2, "function": text}]}
        ],
        "signatures": [place | {"name": text, "signature": text, "returns": text, "returned_keys": [text]}],
        "tests": [
            place | {"class": text, "name": text, "parameters": 2, "skip": text, "fixtures": [text], "mocks": [text]}
        ],
        "lint": {
            "tool": text,
            "rules": {text: [text]},
            "by_rule": [{"code": text, "name": text, "errors": 1, "files": 1}],
            "unread": [{"path": text, "reason": text}],
        },
        "conventions": [place | {"functions": 2, "indent": text, "naming": [{"name": text, "line": 3}]}],
        "config_files": [place | {"format": text, "status": text, "error": text}],
        "misnamed_tests": [place | {"name": text, "note": text}],
        "limitations": [text],
    }


def _integration_facts(text: str) -> dict[str, Any]:
    run = {"precision": text, "losses": [2.0, "NaN", 1.0], "duration_s": 0.1, "metrics": {text: text}}
    return {
        "imports": [{"module": text, "status": "failed", "duration_s": 0.1, "error": text}],
        "tests": {
            **{"collected": 3, "passed": 1, "failed": 1, "skipped": 1, "errors": 0, "duration_s": 1.0},
            "slowest": [{"id": text, "duration_s": 0.5}],
            "failures": [{"id": text, "message": text}],
            "skips": [{"id": text, "reason": text}],
        },
        "limitations": [text],
        "isolation": {text: text},
        "workloads": [
            {"name": text, "device": text, "steps": 3, "fp32": run, "amp": run}
            | {"agreement": {"measure": text, "value": 0.1, "tolerance": 0.2, "samples": 3}}
        ],
    }


def _performance_facts(text: str) -> dict[str, Any]:
    figure = {"value": 1.5, "low": text, "high": "NaN", "confidence": 0.9, "samples": 3, "unit": text, "method": text}
    timed = {"first": text, "second": text, "samples": 3, "noise": {"spread": text}, "warnings": [text]}
    pairs = {"first": "fp32", "second": "amp", "first_s": [0.1, "NaN", 0.2], "second_s": [0.1, text, 0.3]}
    mode = {"step_s": 0.1, "first_step_s": text, "memory": {"weights": 3, "activations": text}, "flops": 9, "bytes": 3}
    roof = {"peak_gflops": 1.0, "bandwidth_gbps": 2.0, "profile": text, "attainable_s": text, "bound_by": text}
    saved = {"name": text, "mode": text, "ratio": text, "outcome": text, "runs": 3}
    point = {"saved_at": text, "step": 3.0, "low": 2.0, "high": "Infinity", "level": 1}
    return {
        "measurements": [
            {"name": text, "device": text, "device_name": text, "precision": text, "native": False, "threads": 2}
            | {"native_reason": text, "torch": text, "fp32_matmul": text, "roofline": roof, "missing": {text: text}}
            | {"modes": {"fp32": mode, "amp": mode, "amp-compiled": mode}, "comparisons": [timed, pairs]}
            | {"figures": {text: figure, "speedup": figure | {"low": 1.0, "high": 2.0, "dtype": text, "device": text}}}
        ],
        "requirements": [{"name": "speedup", "text": text}],
        "baselines": [
            {"path": text, "key": {"machine": text, "torch": text, "threads": 2}, "runs": 2, "note": text}
            | {"comparisons": [saved], "history": [{"name": text, "mode": text, "points": [point]}], "now": [point]}
        ],
    }
