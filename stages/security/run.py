"""One run of stage 5: every rule reads, texts are searched for secrets, ruff is asked, the inventory is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.compiling import collector_paused
from stages._source.depth import deep
from stages._source.notebooks import settle
from stages.security.delegated import delegate
from stages.security.dependencies import folders_of, unpinned
from stages.security.gates import security_gates
from stages.security.installed import installed_torch
from stages.security.reading import read_all
from stages.security.scanner.scan import Scanning
from stages.security.secrets import scanned, secret_findings, shaped
from stages.security.texts import searched
from stages.security.watch import known_rules, lookers
from verifier.api import SECRETS, StageOutcome, without_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages.security.delegated import Delegated
    from stages.security.reading import Read
    from stages.security.scanner.scan import Scanned
    from stages.security.secrets import Secret
    from verifier.api import Finding, Json, SourceFile, StageContext

_READABLE_ROWS = 2000  # of the inventory, unless --facts


def run_security(context: StageContext) -> StageOutcome:
    """Judge every file of the task, and the configuration of its project. Executes nothing of it."""
    with deep(), collector_paused():
        return _judge(context)


def _judge(context: StageContext) -> StageOutcome:
    rules = known_rules()
    settle(context.sources.python(), jobs=1, progress=context.progress)
    texts = searched(context)
    context.progress(f"searching {len(texts)} files for secrets")
    with Scanning(context, texts) as scanning:
        read = read_all(context, installed_torch(context.options.python))
        delegated = delegate(context, read.paths, rules["SEC901"])
        found = [*shaped(texts)]
        scan = scanning.result()
    found += scanned(scan.hits, scan.scanner.version if scan.scanner is not None else "")
    secrets = _texts(found, read)
    context.stash.put(SECRETS, secrets)
    findings: list[Finding] = [
        *read.findings,
        *secret_findings(found, read.secrets, rules["SEC301"]),
        *unpinned(context.root, context.sources, rules["SEC501"]),
        *delegated.findings,
    ]
    return StageOutcome(
        checks_run=read.files * len(lookers()) + len(texts) + len(folders_of(context.sources)) + delegated.files,
        findings=without_secrets(tuple(_in_order(findings)), secrets),
        gates=security_gates(read, scan, delegated, len(texts)),
        facts=without_secrets(_facts(context, read, scan, delegated, texts), secrets),
    )


def _texts(found: Sequence[Secret], read: Read) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*(item.text for item in found), *read.secrets]))


def _in_order(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda item: (item.location, item.rule, item.message))


def _facts(
    context: StageContext, read: Read, scan: Scanned, delegated: Delegated, texts: Sequence[SourceFile]
) -> dict[str, Json]:
    rows = read.inventory if context.options.all_facts else read.inventory[:_READABLE_ROWS]
    counts: dict[str, Json] = {
        "files": read.files,
        "files read by rules": read.parsed,
        "files searched for secrets": len(texts),
        "values sent to trackers": len(read.inventory),
    }
    tools: dict[str, Json] = {
        "secret scanner": f"betterleaks {scan.scanner.version}" if scan.scanner is not None else None,
        "security lint": delegated.tool or None,
    }
    return {"counts": counts, "tools": tools, "tracker_inventory": list(rows), "not_read": list(read.unread)}
