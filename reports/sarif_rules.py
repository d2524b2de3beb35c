"""Decides what SARIF says of a rule: what is wrong, why it matters, an example of each kind, and how to excuse it."""

from __future__ import annotations

import functools
from importlib import metadata
from typing import TYPE_CHECKING, Any

from reports.escape import fence, paragraphs, prose
from reports.sarif_text import message
from verifier.api import Bad, Good, Severity

if TYPE_CHECKING:
    from verifier.api import Example, RuleInfo

LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
TAGS = 10  # code scanning takes 20 of a rule and shows 10
_KINDS = {"error": "error", "warning": "warning", "note": "recommendation"}
_FAMILIES = {
    "AMP": ("mixed-precision", "correctness"),
    "API": ("api",),
    "IMP": ("imports", "correctness"),
    "LNT": ("lint", "maintainability"),
    "MOD": ("module-soundness", "correctness"),
    "PRF": ("performance",),
    "RUN": ("execution", "correctness"),
    "SCP": ("names", "correctness"),
    "SEC": ("security",),
    "SYN": ("syntax", "correctness"),
    "VER": ("verifier",),
}
# What code scanning makes "critical", "high", "medium" and "low" of; only for rules about security.
_SECURITY = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.5", Severity.LOW: "2.0"}
_LINES = 30


def descriptor(code: str, name: str, rule: RuleInfo | None) -> dict[str, Any]:
    """Return what the report knows of a rule; of one that no plugin describes its code and name."""
    if rule is None:
        return {"id": code, "name": message(name), "shortDescription": {"text": message(name)}}
    level = LEVELS[rule.severity]
    family = code[:3]
    properties: dict[str, Any] = {
        "tags": [*_FAMILIES.get(family, ()), family][:TAGS],
        "precision": "high" if rule.severity >= Severity.MEDIUM else "medium",
        "problem.severity": _KINDS[level],
    }
    if family == "SEC" and rule.severity in _SECURITY:
        properties["security-severity"] = _SECURITY[rule.severity]
    page = help_page(code)
    return {
        "id": code,
        "name": rule.name,
        "shortDescription": {"text": message(rule.summary)},
        "fullDescription": {"text": message(f"{rule.summary} {rule.why}")},
        "help": {"text": f"{rule.summary}\n\n{rule.why}\n\n{_command(code)}", "markdown": _markdown(rule)},
        **({"helpUri": page} if page else {}),
        "defaultConfiguration": {"level": level},
        "properties": properties,
    }


@functools.cache
def _documentation() -> str:
    """Return the address of the documentation, where the installed package names one."""
    try:
        urls = metadata.metadata("verify-amp").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    named: dict[str, str] = {}
    for url in urls:
        label, _, address = str(url).partition(", ")
        named[label] = address
    return named.get("Documentation", "").rstrip("/")


def help_page(code: str) -> str | None:
    """Return the address of a rule's page; None where the package names no documentation."""
    return f"{_documentation()}/rules/{code}" if _documentation() else None


def _markdown(rule: RuleInfo) -> str:
    parts = [str(prose(rule.summary)), str(paragraphs(rule.why).lstrip())]
    for kind, title in ((Bad, "Bad"), (Good, "Good")):
        example = next((one for one in rule.examples if isinstance(one, kind)), None)
        if example is not None:
            parts += [f"**{title}**", *_code(example)]
    excuse = f"# verify: allow[{rule.code}] why it may stay"
    parts += [f"To let one stand, write on its line: `{excuse}`", f"`{_command(rule.code)}`"]
    return "\n\n".join(parts)


def _code(example: Example) -> list[str]:
    return [str(fence(text, "python", limit=_LINES)) for text in list(example.shown.values())[:2]]


def _command(code: str) -> str:
    return f"verify explain {code}"
