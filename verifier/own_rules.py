"""The verifier's own findings: about suppression comments and about stages that could not do their work."""

from __future__ import annotations

from verifier.model.finding import Severity
from verifier.model.rule import RuleInfo

BAD_SUPPRESSION = RuleInfo(
    code="VER001",
    name="bad-suppression",
    severity=Severity.MEDIUM,
    summary="A suppression comment gives no reason, or names no rule.",
    why=(
        "A suppression is a decision, and a decision without a reason cannot be reviewed. Such a comment silences "
        "nothing: the finding it stands beside is reported as if it were not there."
    ),
    essential=True,
)
UNUSED_SUPPRESSION = RuleInfo(
    code="VER002",
    name="unused-suppression",
    severity=Severity.LOW,
    summary="A suppression comment silences nothing.",
    why="What it excused is gone; left in place, it would silence the next, unrelated finding on that line.",
    essential=True,
)
STAGE_CRASHED = RuleInfo(
    code="VER003",
    name="stage-crashed",
    severity=Severity.CRITICAL,
    summary="A stage raised, ran no check, or reported what it may not report.",
    why="What a stage did not establish is not known to be right, so the task cannot pass.",
    essential=True,
)
STAGE_UNABLE = RuleInfo(
    code="VER004",
    name="stage-unable",
    severity=Severity.CRITICAL,
    summary="A stage could not do its work here, for a reason outside itself.",
    why="What a stage did not establish is not known to be right, so the task cannot pass.",
    essential=True,
)
RULES = (BAD_SUPPRESSION, UNUSED_SUPPRESSION, STAGE_CRASHED, STAGE_UNABLE)
