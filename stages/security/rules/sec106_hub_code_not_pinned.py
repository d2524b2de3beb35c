"""SEC106: `torch.hub.load` runs the code of a branch or tag, which others can move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.wanted import Wanted
from stages.security.flows import Source, sources
from stages.security.problem import Problem
from stages.security.view import argument, is_constant, shown, text_value
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.security.view import View

RULE = RuleInfo(
    code="SEC106",
    name="hub-code-not-pinned",
    severity=Severity.LOW,
    summary="`torch.hub.load` runs the code of a branch or tag, which others can move.",
    why=(
        "The repository is downloaded and its `hubconf.py` imported. Without a commit after the colon, it is what"
        " stands on the branch on the day of the run; `trust_repo=True` also leaves out the question whether to run it."
        " INFO for a tag, which is moved seldom, and MEDIUM where the repository itself is named on the command line"
        " and trusted without asking."
    ),
    examples=(
        Bad("""
            import torch

            model = torch.hub.load("facebookresearch/dinov2", "dinov2_vits14")  # expect: SEC106
            old = torch.hub.load("pytorch/vision:v0.10.0", "resnet18", trust_repo=True)  # expect: SEC106
        """),
        Good("""
            import torch

            COMMIT = "facebookresearch/dinov2:e1277af2ba9496fbadf7aec6eba56e8d882d1e35"
            model = torch.hub.load("facebookresearch/dinov2:e1277af2ba9496fbadf7aec6eba56e8d882d1e35", "dinov2_vits14")
            same = torch.hub.load(COMMIT, "dinov2_vits14")
            own = torch.hub.load("checkout", "model", source="local")
        """),
    ),
)
WANTED = Wanted(torch=True, some=(b"hub.load(", b"torch.hub import", b"import torch.hub as"))
_COMMIT = late(r"[0-9a-f]{40}\Z")
_TAG = late(r"v?\d+(\.\d+)+")


def look(view: View) -> Iterator[Problem]:
    """Report loads of a repository without a commit."""
    for call, scope, _ in view.calls_of(frozenset(["torch.hub.load"])):
        source = argument(call, "source")
        if source is not None and text_value(source) != "github":
            continue
        repository = argument(call, "repo_or_dir", 0)
        text = text_value(repository)
        if repository is None or (text is None and sources(view, repository, scope) == {Source.FIXED}):
            continue
        _, _, revision = (text or "").partition(":")
        if _COMMIT.match(revision) or (text is not None and text.startswith((".", "/", "~"))):
            continue
        trusted = is_constant(argument(call, "trust_repo"), True)
        severity = Severity.INFO if text is None or _TAG.fullmatch(revision) else Severity.LOW
        if text is None and trusted and Source.COMMAND_LINE in sources(view, repository, scope):
            severity = Severity.MEDIUM
        what = f"the {f'tag or branch `{revision}`' if revision else 'default branch'} of " if text else ""
        yield Problem(
            node=call,
            severity=severity,
            message=f"`torch.hub.load` runs the code of {what}{shown(repository)}"
            + (", without asking" if trusted else ""),
            remedy='Name a commit: `torch.hub.load("owner/name:<commit>", …)`, or keep a copy and load it with '
            '`source="local"`.',
        )
