"""Which rules a run reports: what `--select` and `--ignore` name, less what may never be left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verifier.errors import UsageError
from verifier.nearest import suggestion

if TYPE_CHECKING:
    from verifier.model.finding import Finding, Json, Severity
    from verifier.model.rule import RuleInfo
    from verifier.model.stage import Stage
    from verifier.plugins import Plugins


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRules:
    """What the command line asked for, in codes and families, and the codes that this leaves out."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    left_out: frozenset[str] = frozenset()


EVERY_RULE = ChosenRules()


def choose_rules(
    plugins: Plugins, stages: Iterable[Stage], select: Sequence[str] = (), ignore: Sequence[str] = ()
) -> ChosenRules:
    """Return the choice that the option values make; `--ignore` wins over `--select`.

    Essential rules stay: what they report is that something could not be looked at, and a run that hides that
    would pass what nobody judged. The verifier's own rules are all essential.

    Raises:
        UsageError: a name is unknown, is essential, or nothing is left that the stages of this run could report.
    """
    rules = plugins.rules
    selected, ignored = _codes("--select", select, rules), _codes("--ignore", ignore, rules)
    for code in ignored:
        if all(rules[one].essential for one in plugins.rules_of(code)):
            raise UsageError(f"--ignore {code}: it says what could not be judged, so it is always reported")
    left_out = frozenset(
        code
        for code, rule in rules.items()
        if not rule.essential and ((selected and not code.startswith(selected)) or code.startswith(ignored))
    )
    wanted = {code for code in rules if not selected or code.startswith(selected)} - left_out
    if (selected or ignored) and not wanted & _reported_by(plugins, stages):
        raise UsageError(f"{_asked(selected, ignored)} leaves no rule that the stages of this run could report")
    return ChosenRules(select=selected, ignore=ignored, left_out=left_out)


def _codes(option: str, values: Sequence[str], rules: Mapping[str, RuleInfo]) -> tuple[str, ...]:
    """Return codes and families for codes, families and names in any case, each once."""
    by_name = {rule.name: code for code, rule in rules.items()}
    families = {code[:3] for code in rules}
    codes = []
    for written in (part.strip() for value in values for part in value.split(",") if part.strip()):
        code = by_name.get(written.lower(), written.upper())
        if code not in rules and code not in families:
            near = suggestion(written, [*families, *rules, *by_name])
            raise UsageError(f'{option}: "{written}" is no rule, rule name or family of this version{near}')
        codes.append(code)
    return tuple(dict.fromkeys(codes))


def _reported_by(plugins: Plugins, stages: Iterable[Stage]) -> set[str]:
    running = tuple(stages)
    names = {stage.name for stage in running}
    own = {code for code, stage in plugins.rule_stage.items() if stage in names}
    return own.union(*(stage.also_reports for stage in running))


def _asked(select: Sequence[str], ignore: Sequence[str]) -> str:
    parts = [("--select", select), ("--ignore", ignore)]
    return " ".join(f"{option} {','.join(codes)}" for option, codes in parts if codes)


def as_facts(chosen: ChosenRules, dropped: Sequence[Finding], codes: Iterable[str], block_at: Severity) -> Json:
    """Return what a report says of the choice: what was asked, the rules left out, and what they would have said.

    Args:
        dropped: the findings of rules that were left out.
        codes: those of every known rule; a family that is left out whole is named as one.
    """
    return {
        "select": list(chosen.select),
        "ignore": list(chosen.ignore),
        "left_out": list(_folded(chosen.left_out, set(codes))),
        "rules": len(chosen.left_out),
        "findings": len(dropped),
        "blocking": sum(finding.severity >= block_at for finding in dropped),
    }


def _folded(codes: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    families: dict[str, set[str]] = {}
    for code in known:
        families.setdefault(code[:3], set()).add(code)
    left = set(codes)
    whole = {family for family, members in families.items() if members <= left}
    return tuple(sorted({code[:3] if code[:3] in whole else code for code in left}))
