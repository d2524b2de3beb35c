"""How rules are shown in the terminal: one rule's page, and the list of all of them as text, Markdown or JSON."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

from verifier.errors import UsageError
from verifier.nearest import suggestion

if TYPE_CHECKING:
    from verifier.model.rule import Example, RuleInfo
    from verifier.plugins import Plugins

PAGES = "docs/rules"
_WIDTH = 100


def find_rule(plugins: Plugins, name: str) -> RuleInfo:
    """Return the rule of that code or name, in any case.

    Raises:
        UsageError: there is none.
    """
    by_name = {rule.name: rule for rule in plugins.rules.values()}
    rule = plugins.rules.get(name.upper()) or by_name.get(name.lower())
    if rule is None:
        near = suggestion(name, [*plugins.rules, *by_name])
        raise UsageError(f'there is no rule "{name}" in this version{near}')
    return rule


def explain(plugins: Plugins, rule: RuleInfo) -> str:
    """Return the page of one rule, for a terminal."""
    stage = plugins.stage(plugins.rule_stage[rule.code])
    origin = plugins.rule_origin.get(rule.code)
    where = f"stage {stage.number} {stage.name}, {plugins.seen(rule)}" if stage else "the verifier itself"
    lines = [f"{rule.code}  {rule.name}", "", *_wrapped(rule.summary), ""]
    lines += [f"severity  {rule.severity.name}, unless a finding says otherwise", f"seen by   {where}"]
    lines.append(f"from      {origin}" if origin else f"page      {PAGES}/{rule.code}.md")
    lines += ["", "Why", *_wrapped(rule.why, "  ")]
    for example in rule.examples:
        lines += ["", type(example).__name__, *_code(example)]
    if fix := plugins.fixes.get(rule.code):
        lines += ["", f"Automatic fix ({fix.safety}): `verify fix`", *_wrapped(fix.summary, "  ")]
        lines += _wrapped(f"Not where {fix.declines}.", "  ") if fix.declines else []
    return "\n".join([*lines, "", *_silencing(rule, own=stage is None)])


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _code(example: Example) -> list[str]:
    lines = []
    for path, text in example.shown.items():
        heading = [f"# {path}"] if len(example.files) > 1 else []
        lines += [f"    {line}".rstrip() for line in (*heading, *text.splitlines())]
    return lines


def _silencing(rule: RuleInfo, *, own: bool) -> list[str]:
    if own:
        return ["It can be neither excused by a comment nor ignored."]
    excuse = [
        "To let one stand, write on its line, or alone on the line above:",
        f"    # verify: allow[{rule.code}] why it may stay",
    ]
    if rule.essential:
        excuse.append("It cannot be ignored otherwise: it says that something could not be judged.")
    return excuse


def list_of_rules(plugins: Plugins, form: str) -> str:
    """Return every rule as `text`, `md` or `json`."""
    return {"text": _as_text, "md": _as_markdown, "json": _as_json}[form](plugins)


def _as_text(plugins: Plugins) -> str:
    return "\n".join(
        f"{code}  {rule.severity.name:8s}  {rule.name:32s}  {plugins.rule_stage[code] or 'core':12s}  {rule.mode}"
        + (f"  from {plugins.rule_origin[code]}" if code in plugins.rule_origin else "")
        for code, rule in plugins.rules.items()
    )


def _as_markdown(plugins: Plugins) -> str:
    lines = ["| Code | Name | Severity | Stage | What is wrong |", "|---|---|---|---|---|"]
    for code, rule in plugins.rules.items():
        summary = rule.summary.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
        stage = plugins.rule_stage[code] or "core"
        lines.append(f"| {code} | {rule.name} | {rule.severity.name} | {stage} | {summary} |")
    return "\n".join(lines)


def _as_json(plugins: Plugins) -> str:
    rules = [
        {
            "code": code,
            "name": rule.name,
            "severity": rule.severity.name,
            "stage": plugins.rule_stage[code] or None,
            "mode": rule.mode,
            "essential": rule.essential,
            "fix": plugins.fixes[code].safety if code in plugins.fixes else None,
            "plugin": plugins.rule_origin.get(code) or None,
            "summary": rule.summary,
            "why": rule.why,
            "examples": [{"kind": type(example).__name__.lower(), "files": example.shown} for example in rule.examples],
        }
        for code, rule in plugins.rules.items()
    ]
    return json.dumps(rules, indent=2, ensure_ascii=False)
