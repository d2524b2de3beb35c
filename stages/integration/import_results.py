"""Judge the imports: every module of the task loads, first in a fresh process, and from the file under verification."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from amp_runtime.wire import Imported
from stages.integration.causes import Cause, Subject, origin_of, place, raised_text, traceback_evidence
from stages.integration.endings import cause_of_probe, causes_of_ending
from stages.integration.gates import GATES, IMPORTS
from stages.integration.judged import Judged
from stages.integration.remedies import missing_module, remedy_for
from stages.integration.rules import run001_import_fails, run005_early_exit, run012_import_shadowed
from verifier.api import Gate, GateStatus, Location, StageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amp_runtime.wire import Failure, Frame, ModuleUnit
    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport, UnitReport
    from verifier.api import Json

_PARTIAL = re.compile(r"partially initialized module '(?P<name>[^']+)'")


def judge_imports(modules: Sequence[ModuleUnit], report: ProbeReport, limits: Limits, root: Path) -> Judged:
    """Judge every module.

    Raises:
        StageError: torch is needed and not installed, so that nothing here says anything about the project.
    """
    causes: list[Cause] = []
    facts: list[Json] = []
    done = 0
    for module in modules:
        unit = report.units.get(module.name)
        found = [] if unit is None else _judge(module, unit, report, limits, root)
        causes += found
        done += unit is not None
        facts.append(_fact(module, unit, found))
    if done < len(modules) and not causes:
        subject = Subject(name=IMPORTS, doing="importing the task's modules", location=_start(modules[done]))
        causes += filter(None, [cause_of_probe(report, subject, limits)])
    failed = {cause.subject.name for cause in causes}
    good = done - len(failed)
    evidence = f"{good} of {len(modules)} modules imported, each first in a fresh process"
    if failed:
        evidence += f"; not: {', '.join(sorted(failed)[:5])}" + (" and more" if len(failed) > 5 else "")
    status = GateStatus.PASS if good == len(modules) and not causes else GateStatus.FAIL
    gate = Gate(name=IMPORTS, requirement=GATES[IMPORTS], status=status, evidence=evidence)
    return Judged(checks_run=done, causes=tuple(_one_cycle_each(causes)), gates=(gate,), facts={"imports": facts})


def _judge(module: ModuleUnit, unit: UnitReport, report: ProbeReport, limits: Limits, root: Path) -> list[Cause]:
    subject = Subject(name=module.name, doing=f"importing {module.name}", location=_start(module))
    causes = causes_of_ending(unit.result, subject, report, limits)
    if unit.result.failure is not None:
        causes.append(_raised(unit.result.failure, subject, module, report))
    elif unit.result.status == "ok":
        causes += _shadowed(module, unit, subject, root)
    return causes


def _raised(failure: Failure, subject: Subject, module: ModuleUnit, report: ProbeReport) -> Cause:
    if missing_module(failure) == "torch":
        raise StageError(NO_TORCH.format(what=f"{module.file} imports it"))
    location = place(failure.frames, subject.location)
    rule = run001_import_fails.RULE
    message = f"Importing {module.name} raises {raised_text(failure)}."
    if failure.type == "SystemExit":
        rule = run005_early_exit.RULE
        message = f"Importing {module.name} ends the program: it calls sys.exit({failure.message})."
    cycle = _cycle(failure)
    if cycle:
        message += f" The cycle: {' -> '.join(f'{frame.path}:{frame.line}' for frame in cycle)}."
    otherwise = f'Correct the line shown; `python -c "import {module.name}"` from the root shows the same.'
    return Cause(
        rule=rule,
        subject=subject,
        key=("cycle", frozenset(frame.path for frame in cycle)) if cycle else (failure.type, failure.message, location),
        message=message,
        location=location,
        remediation=remedy_for(failure, otherwise),
        impact=f"`import {module.name}` fails, and with it every program that needs it.",
        evidence=(traceback_evidence(failure),),
        origin=origin_of(failure),
    )


def _cycle(failure: Failure) -> tuple[Frame, ...]:
    """Return the imports that form a cycle: those on the stack from the module that is imported a second time."""
    named = _PARTIAL.search(failure.message)
    if not named:
        return ()
    paths = [frame.path for frame in failure.frames]
    first = re.compile(rf"(^|/){re.escape(named['name'].replace('.', '/'))}(/__init__)?\.py$")
    start = next((number for number, path in enumerate(paths) if first.search(path)), 0)
    return failure.frames[start:]


def _one_cycle_each(causes: Sequence[Cause]) -> list[Cause]:
    """Give cycles that share two files or more one key: they are one knot, entered from different modules."""
    knots: list[frozenset[str]] = []
    for files in [_files(cause) for cause in causes]:
        if files:
            joined = [knot for knot in knots if len(knot & files) > 1]
            knots = [knot for knot in knots if knot not in joined] + [files.union(*joined)]
    return [
        replace(cause, key=("cycle", *sorted(next(knot for knot in knots if files <= knot)))) if files else cause
        for cause, files in [(cause, _files(cause)) for cause in causes]
    ]


def _files(cause: Cause) -> frozenset[str]:
    found = cause.key[1] if cause.key[:1] == ("cycle",) else None
    return found if isinstance(found, frozenset) else frozenset()


NO_TORCH = (
    "torch is not installed in the interpreter that runs the project, and {what}; install it there "
    "(pip install torch) or name another interpreter with --python"
)


def _shadowed(module: ModuleUnit, unit: UnitReport, subject: Subject, root: Path) -> list[Cause]:
    origin = next((item.origin for item in unit.items if isinstance(item, Imported)), None)
    wanted = (root / module.file).resolve()
    if origin is None or Path(origin) == wanted:
        return []
    return [
        Cause(
            rule=run012_import_shadowed.RULE,
            subject=subject,
            key=(str(Path(origin).parent),),
            message=f"Importing {module.name} loads {origin} and not {module.file}.",
            location=subject.location,
            remediation="Rename the file so that it does not carry the name of another module, or add the missing "
            "__init__.py, or remove the other copy from the environment.",
            impact="Whoever imports this name gets other code than the code under review.",
        )
    ]


def _start(module: ModuleUnit) -> Location:
    return Location(path=module.file)


def _fact(module: ModuleUnit, unit: UnitReport | None, found: Sequence[Cause]) -> Json:
    if unit is None:
        return {"module": module.name, "status": "not-run", "duration_s": 0.0, "error": "the run ended before it"}
    status: str = unit.result.status
    if status == "ok" and found:
        status = found[0].rule.name
    return {
        "module": module.name,
        "status": status,
        "duration_s": round(unit.result.duration_s, 3),
        "error": found[0].message if found else None,
    }
