"""The stage `house`: says which files do not name their licence. It reads only, and leaves the verdict to the core."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verifier.api import (
    Bad,
    Evidence,
    Finding,
    Gate,
    GateStatus,
    Good,
    Location,
    RuleInfo,
    Severity,
    Stage,
    StageOutcome,
)

if TYPE_CHECKING:
    from verifier.api import SourceFile, StageContext

_HEADER = re.compile(rb"^# SPDX-License-Identifier: \S", re.MULTILINE)
_HEAD_LINES = 5  # a shebang, an encoding and a title may come first

INFO = RuleInfo(
    code="HSE001",
    name="no-licence-named",
    severity=Severity.LOW,
    summary="The first lines of a file do not name its licence.",
    why="A file travels without its repository. Whoever finds it alone has to know whether it may be used.",
    examples=(
        Bad("""
            x = 1  # expect: HSE001
        """),
        Good("""
            # SPDX-License-Identifier: Apache-2.0
            x = 1
        """),
    ),
)
GATES = {"licences": "every file names its licence"}


def run(context: StageContext) -> StageOutcome:
    """Look at the head of every Python file that could be read and is not empty."""
    files = [file for file in context.sources.python() if file.data and file.data.strip()]
    findings = tuple(_finding(file) for file in files if not _names_licence(file))
    gate = Gate(
        name="licences",
        requirement=GATES["licences"],
        status=GateStatus.PASS,
        evidence=f"{len(files) - len(findings)} of {len(files)} files name it",
        sums_up=("HSE001",),  # the core settles the status, once suppressed findings are out
    )
    return StageOutcome(checks_run=len(context.sources), findings=findings, gates=(gate,))


def _names_licence(file: SourceFile) -> bool:
    head = b"\n".join((file.data or b"").splitlines()[:_HEAD_LINES])
    return _HEADER.search(head) is not None


def _finding(file: SourceFile) -> Finding:
    return Finding(
        rule=INFO.code,
        severity=INFO.severity,
        message=f"none of the first {_HEAD_LINES} lines names a licence",
        location=Location(path=file.path, line=1),
        evidence=(Evidence(kind="source", summary="no line begins with `# SPDX-License-Identifier:`"),),
        remediation="Begin the file with `# SPDX-License-Identifier: Apache-2.0`.",
    )


STAGE = Stage(
    number=20,
    name="house",
    title="House rules",
    summary="Do the files keep the rules of the house?",
    runs_code=False,
    rules=(INFO,),
    gates=GATES,
    run=run,
)
