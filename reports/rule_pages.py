"""Decides what the page of a rule in `docs/rules` says: what the rule itself says, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from reports.environment import environment
from reports.table import table
from verifier.api import Bad, Good, load_plugins

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reports.table import Table
    from verifier.api import Example, Plugins, RuleInfo

INDEX = "README.md"
CATALOGUE = "AMP.md"
_LANGUAGES = {".py": "python", ".pyi": "python", ".toml": "toml", ".json": "json", ".yaml": "yaml", ".yml": "yaml"}
_OWN = "The verifier itself"


def pages(plugins: Plugins) -> dict[str, str]:
    """Return every page of our own rules and their index, by file name; strangers document their own."""
    rules = {code: rule for code, rule in plugins.rules.items() if code not in plugins.rule_origin}
    written = {f"{code}.md": rule_page(plugins, rule) for code, rule in rules.items()}
    return written | {
        INDEX: _document("rules.md.j2", groups=tuple(_groups(plugins, rules))),
        CATALOGUE: _document("catalogue.md.j2", rows=_halves(plugins, rules)),
    }


def rule_page(plugins: Plugins, rule: RuleInfo) -> str:
    stage = _stage(plugins, rule)
    examples = [
        ("Bad", [_files(example) for example in rule.examples if isinstance(example, Bad)]),
        ("Good", [_files(example) for example in rule.examples if isinstance(example, Good)]),
    ]
    return _document(
        "rule.md.j2",
        rule=rule,
        stage=stage,
        own=stage == _OWN,
        seen=plugins.seen(rule),
        fix=plugins.fixes.get(rule.code),
        groups=[(title, shown) for title, shown in examples if shown],
        excuse=f"...  # verify: allow[{rule.code}] why it may stay",
    )


def write(folder: Path, plugins: Plugins) -> None:
    """Write every page into `folder` and remove the pages of rules that are no more."""
    written = pages(plugins)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in written.items():
        (folder / name).write_text(text, "utf-8")
    for path in folder.glob("*.md"):
        if path.name not in written:
            path.unlink()


def _files(example: Example) -> list[tuple[str, str, str]]:
    """Return path, text and language of every file of an example."""
    return [(path, text, _LANGUAGES.get(Path(path).suffix, "text")) for path, text in example.shown.items()]


def _groups(plugins: Plugins, rules: Mapping[str, RuleInfo]) -> Iterator[tuple[str, Table]]:
    titles = [*(f"{stage.number} {stage.name}" for stage in plugins.stages), _OWN]
    for title in titles:
        rows = [
            (Markup(f"[{code}]({code}.md)"), rule.name, rule.severity.name, rule.summary)
            for code, rule in rules.items()
            if _stage(plugins, rule) == title
        ]
        if rows:
            yield title, table("Code|Name|Severity|What is wrong", rows, limit=len(rows))


def _halves(plugins: Plugins, rules: Mapping[str, RuleInfo]) -> Table:
    """Return the whole AMP catalogue: which half of each rule is active, and why not the other one."""
    heard = {code for stage in plugins.stages for code in stage.also_reports}
    rows = [
        (
            Markup(f"[{code}]({code}.md)"),
            rule.name,
            "yes" if rule.mode != "runtime" else "no",
            "yes" if code in heard else "no",
            rule.unseen,
        )
        for code, rule in rules.items()
        if code.startswith("AMP")
    ]
    return table("Code|Name|In source text|In a run|Why not both", rows, limit=len(rows))


def _stage(plugins: Plugins, rule: RuleInfo) -> str:
    stage = plugins.stage(plugins.rule_stage[rule.code])
    return f"{stage.number} {stage.name}" if stage else _OWN


def _document(template: str, **values: object) -> str:
    return environment().get_template(template).render(**values).strip() + "\n"


if __name__ == "__main__":
    write(Path(sys.argv[1]), load_plugins())
