"""Decides what a report says of fixes: which findings have one, how safe it is, and what it would change."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from verifier.cache.offers import Offer, kept_offers
from verifier.cache.seen import may_differ_next_time
from verifier.fixing.diffs import unified
from verifier.fixing.proposals import propose
from verifier.model.fix import FixContext

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifier.edits import SourceText
    from verifier.fixing.proposals import Proposal
    from verifier.model.fix import Fix, Safety
    from verifier.model.rule import RuleInfo
    from verifier.model.stage import Reported, StageResult
    from verifier.model.task import Config
    from verifier.sources import SourceTree

_MOST = 200  # findings; a report of more is read by nobody line by line
_log = logging.getLogger(__name__)


def with_fixes(
    stages: Sequence[StageResult],
    config: Config,
    sources: SourceTree,
    fixes: Mapping[str, Fix],
    rules: Mapping[str, RuleInfo],
) -> tuple[StageResult, ...]:
    """Return the stages, each finding with the fix that is known for it. Costs nothing where no finding has one."""
    wanted = [
        item
        for stage in stages
        for item in stage.findings
        if (fix := fixes.get(item.finding.rule)) is not None and fix.shown
    ]
    if not wanted:
        return tuple(stages)
    looked_at = wanted[:_MOST]

    def work_out() -> list[Offer]:
        context = FixContext(config, sources)
        return [_offer(item, fixes, rules, context) for item in looked_at]

    used = [fixes[item.finding.rule] for item in looked_at]
    offers = kept_offers(looked_at, used, config, sources, work_out)
    offered = {id(item): _with(item, *offer) for item, offer in zip(looked_at, offers, strict=True)}
    return tuple(
        dataclasses.replace(stage, findings=tuple(offered.get(id(item), item) for item in stage.findings))
        for stage in stages
    )


def _with(item: Reported, safety: Safety | None, diff: str) -> Reported:
    if safety is None:
        return item
    return dataclasses.replace(item, finding=dataclasses.replace(item.finding, fix=safety), diff=diff)


def _offer(item: Reported, fixes: Mapping[str, Fix], rules: Mapping[str, RuleInfo], context: FixContext) -> Offer:
    try:
        proposal = propose(item, fixes, rules, context)
        diff = _diff(proposal, context) if proposal is not None else ""
    except Exception:  # a verdict must not fail for want of what only helps
        _log.exception("the fix of %s at %s failed", item.finding.rule, item.finding.location)
        may_differ_next_time("a fix failed")
        return [None, ""]
    return [None, ""] if proposal is None else [proposal.safety, diff]


def _diff(proposal: Proposal, context: FixContext) -> str:
    parts = []
    for path, edits in sorted(proposal.repair.edits.items()):
        text = context.text(path)
        file = context.file(path)
        assert file is not None
        parts.append(_text(unified(path, file.data or b"", text.edited(edits)), text))
    return "".join(parts)


def _text(diff: bytes, source: SourceText) -> str:
    return diff.decode(source.encoding, "replace")
