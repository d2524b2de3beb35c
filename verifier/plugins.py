"""Loads every plugin through the entry-point group `verifier.plugins`, or refuses with its name."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import TypeVar

import pluggy

from verifier import hookspecs
from verifier.errors import PluginError
from verifier.model.fix import Fix
from verifier.model.mutation import MutationOperator
from verifier.model.report import Renderer
from verifier.model.rule import Rule, RuleInfo
from verifier.model.stage import Stage
from verifier.own_rules import RULES as OWN_RULES

OURS = "verify-amp"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plugins:
    """What the loaded plugins add, checked: no name, number or code twice."""

    stages: tuple[Stage, ...]  # by number
    rules: dict[str, RuleInfo]  # by code
    rule_stage: dict[str, str]  # code -> name of the stage that reports it; "" for the core's own
    added_rules: tuple[Rule, ...]  # by plugins, to stages of others
    renderers: dict[str, Renderer]
    third_party: tuple[str, ...]  # "name version" of distributions other than ours
    manager: pluggy.PluginManager
    rule_origin: dict[str, str] = field(default_factory=dict)  # code -> "name version" of a distribution not ours
    stage_origin: dict[str, str] = field(default_factory=dict)  # name of the stage -> the same
    fixes: dict[str, Fix] = field(default_factory=dict)  # by the code of their rule
    mutations: tuple[MutationOperator, ...] = ()

    def rules_of(self, code: str) -> tuple[str, ...]:
        """Return the codes that a code or family stands for."""
        return tuple(known for known in self.rules if known.startswith(code))

    def stage(self, name: str) -> Stage | None:
        return next((stage for stage in self.stages if name in (stage.name, str(stage.number))), None)

    def seen(self, rule: RuleInfo) -> str:
        """Say where a rule looks: in source text, at run time, and which stage does the latter for another."""
        own = self.stage(self.rule_stage[rule.code])
        hears = next((stage for stage in self.stages if rule.code in stage.also_reports), None)
        return rule.seen(
            runs_code=own is not None and own.runs_code, heard_by=f"{hears.number} {hears.name}" if hears else ""
        )


def load_plugins(entry_points: Iterable[metadata.EntryPoint] | None = None) -> Plugins:
    """Load and check all plugins.

    Raises:
        PluginError: one fails to load, misspells a hook, or repeats a name, number or code of another.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    found = metadata.entry_points(group=hookspecs.ENTRY_POINTS) if entry_points is None else entry_points
    third_party: dict[str, str] = {}  # name of the entry point -> "name version" of its distribution
    for entry_point in sorted(found, key=lambda item: (item.name, item.value)):
        _register(manager, entry_point)
        brought_by = distribution_of(entry_point)
        if brought_by is not None and brought_by[0] != OURS:
            third_party[entry_point.name] = " ".join(brought_by)
    _check_hooks(manager)
    return _collect(manager, third_party)


def distribution_of(entry_point: metadata.EntryPoint) -> tuple[str, str] | None:
    """Return name and version of the distribution that brings an entry point, where that is known."""
    return None if entry_point.dist is None else _known_as(entry_point.dist)


@functools.lru_cache(maxsize=64)
def _known_as(distribution: metadata.Distribution) -> tuple[str, str]:
    """Return name and version. All entry points of one share it, and it parses its metadata at each question."""
    return distribution.metadata["Name"], distribution.metadata["Version"]


def _register(manager: pluggy.PluginManager, entry_point: metadata.EntryPoint) -> None:
    brought_by = distribution_of(entry_point)
    owner = f" of {' '.join(brought_by)}" if brought_by is not None else ""
    try:
        plugin = entry_point.load()
    except Exception as error:
        raise PluginError(
            f'plugin "{entry_point.name}"{owner} failed to load ({entry_point.value}): '
            f"{type(error).__name__}: {error}; reinstall the package that brings it, or uninstall it"
        ) from error
    try:
        manager.register(plugin, name=entry_point.name)
    except (ValueError, pluggy.PluginValidationError) as error:
        raise PluginError(f'plugin "{entry_point.name}"{owner} cannot be registered: {error}') from error


def _check_hooks(manager: pluggy.PluginManager) -> None:
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"a plugin implements a hook that does not exist: {error}") from error


def _collect(manager: pluggy.PluginManager, third_party: dict[str, str]) -> Plugins:
    brought = _results(manager, "verifier_stages", Stage)
    stages = sorted((stage for stage, _ in brought), key=lambda stage: stage.number)
    renderers = [renderer for renderer, _ in _results(manager, "verifier_renderers", Renderer)]
    if not stages or not renderers:
        raise PluginError(
            "no stages or report formats are installed; reinstall verify-amp so that its plugins are found"
        )
    _unique("stage", (stage.name for stage in stages))
    _unique("stage number", (str(stage.number) for stage in stages))
    _unique("report format", (renderer.name for renderer in renderers))
    mutations = [operator for operator, _ in _results(manager, "verifier_mutations", MutationOperator)]
    _unique("mutation operator", (operator.name for operator in mutations))
    owned = [(rule, stage.name) for stage in stages for rule in stage.rules]
    extra_rules = _results(manager, "verifier_rules", Rule)
    added = [rule for rule, _ in extra_rules]
    owners = [(info, plugin) for stage, plugin in brought for info in stage.rules]
    owners += [(rule.info, plugin) for rule, plugin in extra_rules]
    for rule in added:
        if rule.stage not in {stage.name for stage in stages}:
            raise PluginError(f'rule {rule.info.code} wants to join the stage "{rule.stage}", which no plugin brings')
    extra = [(rule.info, rule.stage) for rule in added]
    pairs = sorted([*owned, *extra, *((rule, "") for rule in OWN_RULES)], key=lambda pair: pair[0].code)
    _unique("rule code", (rule.code for rule, _ in pairs))
    _unique("rule name", (rule.name for rule, _ in pairs))
    fixes = [fix for fix, _ in _results(manager, "verifier_fixes", Fix)]
    _unique("fix of", (fix.rule for fix in fixes))
    for fix in fixes:
        if fix.rule not in {rule.code for rule, _ in pairs}:
            raise PluginError(f"there is a fix of {fix.rule}, a rule that no plugin brings")
    for stage in stages:
        _check_borrowed(stage, {rule.code: rule for rule, owner in pairs if owner != stage.name})
    return Plugins(
        stages=tuple(stages),
        rules={rule.code: rule for rule, _ in pairs},
        rule_stage={rule.code: stage for rule, stage in pairs},
        added_rules=tuple(added),
        renderers={renderer.name: renderer for renderer in sorted(renderers, key=lambda item: item.name)},
        third_party=tuple(sorted(set(third_party.values()))),
        manager=manager,
        rule_origin={info.code: third_party[plugin] for info, plugin in owners if plugin in third_party},
        mutations=tuple(mutations),
        stage_origin={stage.name: third_party[plugin] for stage, plugin in brought if plugin in third_party},
        fixes={fix.rule: fix for fix in sorted(fixes, key=lambda fix: fix.rule)},
    )


def _results(manager: pluggy.PluginManager, hook: str, kind: type[T]) -> list[tuple[T, str]]:
    """Return what the hook gives, each item with the name of the plugin that brought it."""
    items = []
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        for item in implementation.function():
            if not isinstance(item, kind):
                raise PluginError(
                    f'plugin "{implementation.plugin_name}" returned {type(item).__name__} from {hook}, '
                    f"which takes only {kind.__name__}"
                )
            items.append((item, implementation.plugin_name))
    return items


def _check_borrowed(stage: Stage, others: Mapping[str, RuleInfo]) -> None:
    for code in stage.also_reports:
        if code not in others:
            raise PluginError(f'stage "{stage.name}" reports {code}, which no other stage brings')
        if others[code].mode == "static":
            raise PluginError(f'stage "{stage.name}" reports {code}, a rule that is seen in source text only')


def _unique(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise PluginError(f'two plugins bring the {what} "{name}"; uninstall one of them')
        seen.add(name)
