"""The verifier's own findings: about suppressions, the baseline, and stages that could not do their work."""

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
STALE_BASELINE = RuleInfo(
    code="VER005",
    name="stale-baseline",
    severity=Severity.CRITICAL,
    summary="In CI, the baseline holds findings that are gone.",
    why=(
        "What a baseline no longer needs to excuse, it would excuse again when it comes back. Outside CI the file is "
        "made smaller by itself; a build server would throw that away, so it says so instead."
    ),
    essential=True,
)
EXPIRED_SUPPRESSION = RuleInfo(
    code="VER006",
    name="expired-suppression",
    severity=Severity.MEDIUM,
    summary="The date of a suppression comment has passed.",
    why=(
        "Somebody decided that the finding may stay until that day. The comment silences nothing any more: the finding "
        "that it stands beside is reported as if it were not there."
    ),
    essential=True,
)
RULES = (
    *(BAD_SUPPRESSION, UNUSED_SUPPRESSION, STAGE_CRASHED, STAGE_UNABLE),
    *(STALE_BASELINE, EXPIRED_SUPPRESSION),
)
