"""Decides which plugins of ours a check need not load: what they declare is kept while their code stays as it is."""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import verifier
from verifier.cache.identity import tool_identity
from verifier.cache.place import cache_folder
from verifier.cache.store import Store
from verifier.hookspecs import ENTRY_POINTS, hookimpl
from verifier.model.finding import Severity
from verifier.model.fix import Fix
from verifier.model.rule import Bad, Good, RuleInfo
from verifier.model.stage import Need, Resources, Stage
from verifier.plugins import OURS, Plugins, distribution_of, load_plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_NAME = "plugins.json"
_DECLARING = frozenset({"verifier_stages", "verifier_fixes"})
# what other commands ask for, and a check never does
_ELSEWHERE = frozenset(
    {"verifier_mutations", "verifier_machine", "verifier_calibrators", "verifier_module_facts", "verifier_baseline"}
)
_EXAMPLES: dict[str, type[Bad | Good]] = {"bad": Bad, "good": Good}


class _Later:
    """A function that is looked up when it is called, so that its module is loaded only then."""

    def __init__(self, module: str, name: str) -> None:
        self.__module__ = module  # as of a function: says whose code it is
        self._name = name

    def __call__(self, *arguments: Any) -> Any:
        return getattr(importlib.import_module(self.__module__), self._name)(*arguments)


class _RepairOf:
    """The repair of a fix that only its plugin can make."""

    def __init__(self, plugin: str, rule: str) -> None:
        self.__module__ = plugin
        self._rule = rule

    def __call__(self, *arguments: Any) -> Any:
        fixes: Iterable[Fix] = importlib.import_module(self.__module__).verifier_fixes()
        return next(fix for fix in fixes if fix.rule == self._rule).repair(*arguments)


class _StandIn:
    """What a plugin declares, without the plugin."""

    def __init__(self, plugin: str, noted: Any) -> None:
        self._stages = tuple(map(_stage_from, noted["stages"]))
        self._fixes = tuple(_fix_from(plugin, row) for row in noted["fixes"])

    @hookimpl
    def verifier_stages(self) -> Iterable[Stage]:
        return self._stages

    @hookimpl
    def verifier_fixes(self) -> Iterable[Fix]:
        return self._fixes


@dataclasses.dataclass(frozen=True, slots=True)
class _Known:
    """An entry point whose plugin need not be loaded."""

    name: str
    value: str
    dist: metadata.Distribution | None
    plugin: _StandIn

    def load(self) -> _StandIn:
        return self.plugin


def plugins_of_check(root: Path) -> Plugins:
    """Return the plugins, as far as a check of a project needs them; those of others are loaded whatever happens.

    Raises:
        PluginError: one fails to load, misspells a hook, or repeats a name, number or code of another.
    """
    folder = cache_folder(root)
    if folder is None:
        return load_plugins()
    store = Store(folder)
    found = tuple(metadata.entry_points(group=ENTRY_POINTS))
    known = _known(store.read(_NAME), found)
    if known is not None:
        return load_plugins(known)
    plugins = load_plugins(found)
    store.write(_NAME, _noted(plugins, found))
    return plugins


def _known(noted: Any, found: Sequence[metadata.EntryPoint]) -> list[metadata.EntryPoint] | None:
    """Return the entry points, stand-ins among them; None where nothing is known of the code as it is now."""
    try:
        if noted is None or noted["identity"] != _identity(noted["packages"]):
            return None
        declaring = [row for row in noted["plugins"] if row[2] is not None]
        stand_ins = {(name, value): _StandIn(value, declared) for name, value, declared in declaring}
    except (KeyError, TypeError, ValueError, AttributeError, ImportError):  # whole, and yet not of our making
        return None
    return [
        cast("metadata.EntryPoint", _Known(entry.name, entry.value, entry.dist, stand_ins[entry.name, entry.value]))
        if (entry.name, entry.value) in stand_ins and _is_ours(entry)
        else entry
        for entry in found
    ]


def _is_ours(entry: metadata.EntryPoint) -> bool:
    brought_by = distribution_of(entry)
    return brought_by is not None and brought_by[0] == OURS


def _noted(plugins: Plugins, found: Sequence[metadata.EntryPoint]) -> Any:
    packages = _packages()
    return {
        "packages": packages,
        "identity": _identity(packages),
        "plugins": [[entry.name, entry.value, _declared(plugins, entry)] for entry in found if _is_ours(entry)],
    }


def _packages() -> list[str]:
    """Return the packages that are installed where this one is, as far as they are loaded: all that plugins rest on."""
    beside = Path(verifier.__path__[0]).parent
    tops = {name.partition(".")[0] for name in sys.modules}
    places = {name: getattr(sys.modules.get(name), "__path__", None) for name in tops}
    return sorted(name for name, place in places.items() if place and Path(next(iter(place))).parent == beside)


def _identity(packages: Sequence[str]) -> str:
    for package in packages:
        importlib.import_module(package)  # its own file says nothing; it is the folder that is asked for
    return tool_identity(packages, (), ())


def _declared(plugins: Plugins, entry: metadata.EntryPoint) -> Any:
    """Return what a plugin declares as JSON; None where it does more, or says something that is not kept as it is."""
    plugin = plugins.manager.get_plugin(entry.name)
    if plugin is None:
        return None
    hooks = {caller.name for caller in plugins.manager.get_hookcallers(plugin) or ()}
    if not hooks <= _DECLARING | _ELSEWHERE:
        return None
    stages = tuple(plugin.verifier_stages()) if "verifier_stages" in hooks else ()
    fixes = tuple(plugin.verifier_fixes()) if "verifier_fixes" in hooks else ()
    try:
        rows = {"stages": list(map(_stage_row, stages)), "fixes": list(map(_fix_row, fixes))}
        again = _StandIn(entry.value, json.loads(json.dumps(rows)))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    same_stages = [_bare(stage) for stage in again.verifier_stages()] == [_bare(stage) for stage in stages]
    same_fixes = [_bare(fix) for fix in again.verifier_fixes()] == [_bare(fix) for fix in fixes]
    return rows if same_stages and same_fixes else None


def _bare(declared: Stage | Fix | RuleInfo) -> dict[str, Any]:
    """Return the fields without functions, which are never equal, by name."""
    values = {field.name: getattr(declared, field.name) for field in dataclasses.fields(declared)}
    return {name: value for name, value in values.items() if not callable(value)}


def _place(function: Callable[..., Any] | None) -> list[str] | None:
    """Return module and name by which a function is found again.

    Raises:
        ValueError: it is not, as it was made somewhere.
    """
    if function is None:
        return None
    module, name = function.__module__, getattr(function, "__qualname__", "")
    if getattr(sys.modules.get(module), name, None) is not function:
        raise ValueError(f"{module}.{name} cannot be looked up")
    return [module, name]


def _stage_row(stage: Stage) -> Any:
    return {
        **_bare(stage),
        "run": _place(stage.run),
        "depends_on": _place(stage.depends_on),
        "says": _place(stage.says),
        "rules": list(map(_rule_row, stage.rules)),
        "gates": dict(stage.gates),
        "needs": [dataclasses.asdict(need) for need in stage.needs],
        "resources": dataclasses.asdict(stage.resources) if stage.resources is not None else None,
    }


def _stage_from(row: Any) -> Stage:
    return Stage(
        **{
            **row,
            "run": _Later(*row["run"]),
            "depends_on": _Later(*row["depends_on"]) if row["depends_on"] is not None else None,
            "says": _Later(*row["says"]) if row["says"] is not None else None,
            "rules": tuple(map(_rule_from, row["rules"])),
            "also_reports": tuple(row["also_reports"]),
            "needs": tuple(Need(**need) for need in row["needs"]),
            "resources": Resources(**row["resources"]) if row["resources"] is not None else None,
        }
    )


def _rule_row(rule: RuleInfo) -> Any:
    examples = [[type(example).__name__.lower(), example.code] for example in rule.examples]
    return {**_bare(rule), "severity": int(rule.severity), "examples": examples}


def _rule_from(row: Any) -> RuleInfo:
    examples = tuple(_EXAMPLES[kind](code) for kind, code in row["examples"])
    return RuleInfo(**{**row, "severity": Severity(row["severity"]), "examples": examples})


def _fix_row(fix: Fix) -> Any:
    try:
        repair = _place(fix.repair)
    except ValueError:
        repair = None  # made by its plugin, which then is loaded for it
    return {**_bare(fix), "repair": repair}


def _fix_from(plugin: str, row: Any) -> Fix:
    repair = _Later(*row["repair"]) if row["repair"] is not None else _RepairOf(plugin, row["rule"])
    return Fix(**{**row, "repair": repair, "reveals": tuple(row["reveals"])})
