"""Decides what the accepted reports show: one task that blocks and one that passes, as the stages would state them."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.builders import finding, reported, run_report, stage_result
from tests.reports import measurements
from verifier.api import (
    Acceptance,
    Deferred,
    Evidence,
    Gate,
    GateStatus,
    NotRun,
    Proof,
    RunReport,
    StageStatus,
    Suppressed,
)

TIER3 = "utils/tier3_training_utilities.py"
BENCH = "utils/training/amp_benchmark.py"
TESTS = "tests/test_amp_utils.py"

_SOURCE = {
    (TIER3, 20): "import torch.nn.functional as F",
    (TIER3, 21): "from utils.training.amp_benchmark import test_amp_speedup_benchmark",
    (TIER3, 22): "",
    (TIER3, 129): "",
    (TIER3, 130): "    if use_amp:",
    (TIER3, 131): "        with autocast():",
    (TIER3, 132): "            logits = _safe_get_model_output(model, batch)",
    (TIER3, 133): "            loss = F.cross_entropy(logits.view(-1, logits.size(-1)), batch.view(-1))",
    (TIER3, 161): "        with autocast():",
    (TIER3, 224): "    from torch.cuda.amp import autocast, GradScaler",
    (BENCH, 44): "import torch",
    (BENCH, 45): "",
    (BENCH, 46): "from utils.tier3_training_utilities import test_fine_tuning",
    (BENCH, 47): "",
    (TESTS, 16): "from utils.training.amp_utils import compute_effective_precision, AmpWandbCallback",
}


def gate(name: str, requirement: str, evidence: str, status: str = "PASS") -> Gate:
    return Gate(name=name, requirement=requirement, status=GateStatus[status], evidence=evidence)


@cache
def blocked() -> RunReport:
    scope = finding(
        "SCP002",
        f"{TIER3}:131:14",
        "CRITICAL",
        "`autocast` is not in scope in `_training_step()`: it is bound only inside test_fine_tuning()",
        symbol="autocast",
        why="An import inside a function binds a local name of that function. _training_step() is another function "
        "at module level, so Python looks for autocast among its own locals, the module and the builtins, "
        "and finds it in none of them.",
        impact="NameError: name 'autocast' is not defined, on the first step with `use_amp=True`.",
        remediation="Import the name at module level, and drop the import in test_fine_tuning():\n\n"
        "    from torch.amp import GradScaler, autocast",
        related=[
            (f"{TIER3}:161", "used here too"),
            (f"{TIER3}:224", "imported here, inside test_fine_tuning()"),
        ],
        evidence=(Evidence(kind="source", summary="no binding of autocast at module level in 856 lines", data={}),),
        fix="safe",
    )
    cycle = finding(
        "IMP003",
        f"{TIER3}:21",
        "HIGH",
        "importing `utils.tier3_training_utilities` first raises ImportError: the modules import each other",
        why="While utils.tier3_training_utilities waits at line 21, utils.training.amp_benchmark asks it for "
        "test_fine_tuning, which is defined further down and not bound yet.",
        impact="Whether the package loads depends on which module is imported first.",
        remediation="Move the import on line 46 of utils/training/amp_benchmark.py into test_amp_speedup_benchmark().",
        related=[(f"{BENCH}:46", "imports back from here")],
        evidence=(
            Evidence(
                kind="simulation",
                summary="module initialisation was followed from every module of the project",
                data={
                    "cycle": ["utils.tier3_training_utilities", "utils.training.amp_benchmark"],
                    "fails_from": ["utils.tier3_training_utilities", "utils.training.amp_benchmark"],
                },
            ),
        ),
    )
    missing = finding(
        "IMP001",
        f"{TESTS}:16",
        "MEDIUM",
        "there is no module `utils.training.amp_utils` in this project",
        symbol="utils.training.amp_utils",
        impact="pytest cannot collect this file.",
        remediation="Create utils/training/amp_utils.py with the two names, or drop the import and the tests of it.",
    )
    syntax = stage_result(
        reported(scope, "name-bound-in-other-scope"),
        reported(cycle, "import-cycle-fails"),
        reported(missing, "unresolved-project-import"),
        title="Syntax & Build",
        checks_run=118,
        duration_s=0.31,
        gates=(
            gate("compilation", "every file compiles", "3 of 3 files compile, no warnings"),
            gate("imports", "every import resolves", "1 of 14 imports does not resolve", "WARN"),
            gate("scope", "every name is in scope", "1 name in 2 places is not", "FAIL"),
            gate("cycles", "no import cycle makes an import fail", "1 cycle fails from 2 modules", "FAIL"),
        ),
        facts=_block_facts(),
    )
    integration = stage_result(
        number=3,
        name="integration",
        title="Integration",
        status=StageStatus.SKIPPED,
        score=0,
        checks_run=0,
        duration_s=0.0,
        reason="it needs a `syntax` that did not fail",
    )
    return run_report(
        syntax,
        integration,
        score=42,
        files={TIER3: 856, BENCH: 198, TESTS: 354},
        snippets=_SOURCE,
        acceptance=(
            Acceptance(
                text="AMP is optional via configuration",
                status=Proof.NOT_PROVEN,
                proven_by=("syntax:scope", "integration:fp32-path"),
                evidence="syntax:scope FAIL; integration was skipped",
            ),
        ),
    )


def _block_facts() -> dict[str, Any]:
    tier3, bench = "utils.tier3_training_utilities", "utils.training.amp_benchmark"
    return {
        "compilation": [
            {"path": path, "status": "ok", "errors": 0, "warnings": 0, "lines": lines}
            for path, lines in ((TIER3, 856), (BENCH, 198), (TESTS, 354))
        ],
        "imports": [
            _import(TIER3, 10, "import torch", "torch", "third-party"),
            _import(TIER3, 21, _SOURCE[TIER3, 21], bench, "project"),
            _import(TIER3, 224, _SOURCE[TIER3, 224].strip(), "torch.cuda.amp", "third-party", "lazy"),
            _import(BENCH, 46, _SOURCE[BENCH, 46], tier3, "project"),
            _import(TESTS, 16, _SOURCE[TESTS, 16], "utils.training.amp_utils", "project") | {"resolved": False},
        ],
        "dependencies": [
            {"module": "torch", "imported_by": [TIER3, BENCH, TESTS], "group": "third-party", "resolved": True}
            | {"declared": True},
            {"module": "utils.training.amp_utils", "imported_by": [TESTS], "group": "project", "resolved": False}
            | {"declared": False},
        ],
        "import_graph": {
            "modules": ["tests.test_amp_utils", tier3, bench],
            "edges": [
                {"from": tier3, "to": bench, "line": 21, "kind": "eager"},
                {"from": bench, "to": tier3, "line": 46, "kind": "eager"},
            ],
        },
        "cycles": [
            {
                "modules": [tier3, bench],
                "kind": "fails",
                "fails_from": [tier3, bench],
                "risk": "Both imports run when the modules load, so one of them asks for a name before it is bound.",
                "text": f"{tier3}\n  line 21 -> {bench}\n  line 46 -> {tier3}",
                "mermaid": "graph LR",
            }
        ],
        "amp_points": [
            _point(131, "_training_step", "autocast", "with autocast():"),
            _point(139, "_training_step", "scale", "scaler.scale(loss).backward()"),
            _point(139, "_training_step", "backward", "scaler.scale(loss).backward()"),
            _point(142, "_training_step", "unscale", "scaler.unscale_(optimizer)"),
            _point(143, "_training_step", "clip", "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)"),
            _point(146, "_training_step", "step", "scaler.step(optimizer)"),
            _point(147, "_training_step", "update", "scaler.update()"),
            _point(161, "_training_step", "autocast", "with autocast():"),
            _point(230, "test_fine_tuning", "scaler", "scaler = GradScaler() if use_amp else None"),
        ],
        "amp_switch": [
            {
                "path": TIER3,
                "line": 177,
                "function": "test_fine_tuning",
                "parameter": "use_amp",
                "default": "False",
                "public": True,
                "uses": [{"line": 230, "how": "decides the scaler"}],
                "passed_to": [{"line": 262, "function": "_training_step"}],
            }
        ],
        "signatures": [
            {
                "path": TIER3,
                "line": 177,
                "name": "test_fine_tuning",
                "signature": "(model, config, train_data=None, n_epochs=3, use_amp: bool = False)",
                "returns": "Dict[str, Any]",
                "returned_keys": ["loss_history", "metrics_summary", "amp_enabled", "final_loss_scale"],
            }
        ],
        "tests": [
            {"path": TESTS, "line": 19 + index, "class": cls, "name": f"test_{index}", "parameters": many, "skip": skip}
            | {"fixtures": ["tmp_path"], "mocks": ["MockModel"]}
            for index, (cls, many, skip) in enumerate(
                [("TestComputeEffectivePrecision", 16, None), ("TestAMPIntegration", None, "needs CUDA")]
            )
        ],
        "lint": {
            "tool": "ruff 0.17.5",
            "target": "py310",
            "rules": {"code that raises when it runs": ["F50", "B016"], "code without effect": ["F401"]},
            "files": 3,
            "errors": 2,
            "by_rule": [{"code": "F401", "name": "unused-import", "errors": 2, "files": 1}],
            "unread": [],
        },
        "conventions": [
            _habits(TIER3, 9, 7, "4 spaces", [{"kind": "function", "name": "computeLoss", "line": 40}]),
            _habits(BENCH, 2, 2, "4 spaces in 11 blocks, tab in 1 block", []),
            _habits(TESTS, 12, 0, "4 spaces", []) | {"test": True},
        ],
        "config_files": [
            {"path": "pyproject.toml", "format": "TOML", "status": "ok", "error": None},
            {"path": "config/train.yaml", "format": "YAML", "status": "FAIL", "error": "line 4: expected ','"},
        ],
        "misnamed_tests": [
            {
                "path": TIER3,
                "line": 177,
                "name": "test_fine_tuning",
                "note": "pytest collects it as a test in every test module that imports it by name",
            }
        ],
        "counts": {"files": 3, "lines": 1408, "compiled": 3, "cycles": 1},
    }


def _habits(path: str, functions: int, annotated: int, indent: str, naming: list[Any]) -> dict[str, Any]:
    return {
        "path": path,
        "test": False,
        "functions": functions,
        "classes": 1,
        "docstrings": functions,
        "annotated": annotated,
        "module_docstring": True,
        "indent": indent,
        "naming": naming,
    }


def _import(path: str, line: int, statement: str, module: str, group: str, kind: str = "eager") -> dict[str, Any]:
    known = {"module": module, "group": group, "kind": kind, "resolved": True}
    return {"path": path, "line": line, "statement": statement} | known


def _point(line: int, function: str, what: str, code: str) -> dict[str, Any]:
    return {"path": TIER3, "line": line, "function": function, "what": what, "code": code}


@cache
def passed() -> RunReport:
    lazy = finding(
        "IMP005",
        "amp_runtime/loop.py:14",
        "INFO",
        "import cycle `amp_runtime.loop`, `amp_runtime.step`, broken by an import inside a function",
        related=[("amp_runtime/step.py:41", "imported here, inside run_step()")],
    )
    syntax = stage_result(
        reported(lazy, "import-cycle-lazy", blocking=False),
        title="Syntax & Build",
        checks_run=204,
        duration_s=0.12,
        gates=(
            gate("compilation", "every file compiles", "3 of 3 files compile, no warnings"),
            gate("imports", "every import resolves", "9 of 9 imports resolve"),
            gate("scope", "every name is in scope", "312 names checked"),
            gate("cycles", "no import cycle makes an import fail", "1 cycle, broken by a lazy import"),
        ),
        facts={
            "compilation": [
                {"path": "amp_runtime/loop.py", "status": "ok", "errors": 0, "warnings": 0, "lines": 120},
            ],
        },
    )
    integration = stage_result(
        number=3,
        name="integration",
        title="Integration",
        checks_run=41,
        duration_s=38.4,
        gates=(
            gate("imports", "every module of the task imports", "3 of 3 modules import"),
            gate("tests", "the task's tests pass", "39 passed, 1 skipped"),
            gate("training", "losses are finite and fall", "char_lm: 3.21 to 2.04 in 60 steps"),
            gate("agreement", "AMP trains like FP32", "char_lm: largest difference 0.008, tolerance 0.05"),
            gate("cuda-path", "AMP trains on CUDA", "needs a CUDA device", "DEFERRED"),
        ),
        facts=_integration_facts(),
    )
    silenced = finding("IMP002", "amp_runtime/extras.py:7", "LOW", "`wandb` is not installed")
    return run_report(
        syntax,
        integration,
        files={"amp_runtime/loop.py": 120, "amp_runtime/step.py": 64, "amp_runtime/extras.py": 31},
        acceptance=(
            Acceptance(
                text="AMP trains like FP32",
                status=Proof.PROVEN,
                proven_by=("integration:agreement",),
                evidence="integration:agreement PASS",
            ),
        ),
        suppressed=(
            Suppressed(
                stage="syntax",
                finding=reported(silenced, "unresolved-external-import", blocking=False),
                reason="optional, imported on request",
                line=7,
            ),
        ),
        not_run=(NotRun(number=2, name="logic", reason="left out by `--stage`"),),
        deferred=(Deferred(stage="integration", gate="cuda-path", reason="needs a CUDA device"),),
    )


@cache
def measured() -> RunReport:
    stage = stage_result(
        number=4,
        name="performance",
        title="Performance",
        status=StageStatus.FAILED,
        score=100,
        checks_run=3,
        duration_s=61.0,
        gates=(
            gate("measured", "every workload was measured", "3 of 3 were"),
            gate("speedup", "a step in FP32 takes so many times as long as under AMP: >=1.0 on cpu", "3 of 3 decide"),
            gate("roofline-share", "an AMP step takes this share at least: >=60%", "char_lm: 31 %", "FAIL"),
            gate("loss-difference", "AMP's loss differs by no more: <0.05", "the interval does not decide", "WARN"),
            gate("regression", "no slower than the saved runs: <=5%", "no baseline of this machine", "DEFERRED"),
        ),
        facts=measurements.facts(),
    )
    return run_report(stage, deferred=(Deferred(stage="performance", gate="regression", reason="no baseline"),))


def _integration_facts() -> dict[str, Any]:
    fp32 = [3.21 * 0.9925**step for step in range(60)]
    amp = [loss + 0.008 * ((-1) ** step) for step, loss in enumerate(fp32)]
    return {
        "imports": [
            {"module": f"amp_runtime.{name}", "status": "ok", "duration_s": 0.4, "error": None}
            for name in ("extras", "loop", "step")
        ],
        "tests": {
            "collected": 40,
            "passed": 39,
            "failed": 0,
            "skipped": 1,
            "errors": 0,
            "duration_s": 6.2,
            "slowest": [{"id": "tests/test_loop.py::test_loop_learns", "duration_s": 2.5}],
            "failures": [],
            "skips": [{"id": "tests/test_loop.py::test_cuda", "reason": "needs CUDA"}],
        },
        "limitations": ["1 of 40 tests were skipped; what they check was not checked here"],
        "isolation": {"own-session": True, "memory-limit": "4.0 GiB", "time-limit-s": 600},
        "workloads": [
            {
                "name": "amp_runtime.workloads:char_lm",
                "device": "cpu",
                "steps": 60,
                "fp32": {"precision": "float32", "losses": fp32, "duration_s": 3.2},
                "amp": {"precision": "bfloat16", "losses": amp, "duration_s": 3.9, "metrics": {"perplexity": 7.8}},
                "agreement": {"measure": "largest difference", "value": 0.008, "tolerance": 0.05, "samples": 60},
            }
        ],
    }
