"""SEC104: YAML is read by a loader that makes any Python object, so that a configuration file can run code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.security.loads import how_bad
from stages.security.problem import Problem
from stages.security.view import argument, passes_more, shown
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.security.view import View

RULE = RuleInfo(
    code="SEC104",
    name="unsafe-yaml-load",
    severity=Severity.LOW,
    summary="YAML is read by a loader that makes any Python object, so that a configuration file can run code.",
    why=(
        "`yaml.Loader`, `yaml.UnsafeLoader` and `yaml.unsafe_load` call any function that the file names, and so does"
        " `yaml.load` without a loader before PyYAML 5.1; since 6.0 it refuses, so that alone is INFO."
    ),
    examples=(
        Bad("""
            import yaml


            def read(path):
                with open(path) as file:
                    return yaml.load(file, Loader=yaml.Loader)  # expect: SEC104


            def read_all(text):
                return list(yaml.unsafe_load_all(text)), yaml.load(text)  # expect: SEC104
        """),
        Good("""
            import yaml
            from ruamel.yaml import YAML

            try:
                from yaml import CSafeLoader as Loader
            except ImportError:
                from yaml import SafeLoader as Loader


            def read(text, loader):
                YAML().load(text)
                yaml.load(text, Loader=Loader)
                yaml.load(text, yaml.FullLoader)
                yaml.load(text, loader)
                yaml.unsafe_load(yaml.dump(text))
                return yaml.safe_load(text)
        """),
    ),
)
WANTED = Wanted(torch=False, every=(b"yaml", b"load"))
_LOADS = frozenset(["yaml.load", "yaml.load_all"])
_UNSAFE_LOADS = frozenset(["yaml.unsafe_load", "yaml.unsafe_load_all"])
_DUMPS = frozenset(["yaml.dump", "yaml.dump_all", "yaml.safe_dump"])
_UNSAFE = frozenset(
    [f"yaml.{prefix}{name}" for prefix in ("", "loader.") for name in ("Loader", "UnsafeLoader", "CLoader")]
)


def look(view: View) -> Iterator[Problem]:
    """Report such loads; a loader that nobody can see is none of ours."""
    for call, scope, name in view.calls_of(_LOADS | _UNSAFE_LOADS):
        text = argument(call, "stream", 0)
        if text is not None and view.made_by(text, scope) & _DUMPS:  # a copy
            continue
        if name in _UNSAFE_LOADS:
            yield _problem(view, call, scope, "with a loader that makes any Python object")
            continue
        loader = argument(call, "Loader", 1)
        if loader is None and not passes_more(call):
            how = "without a loader: PyYAML before 5.1 takes an unsafe one, from 6 on it refuses"
            yield _problem(view, call, scope, how, Severity.INFO)
        elif loader is not None:
            names = {item for item in view.names(loader, scope) if item.startswith("yaml.")}
            if names and names <= _UNSAFE:
                yield _problem(view, call, scope, "with a loader that makes any Python object")


def _problem(view: View, call: ast.Call, scope: Scope, how: str, severity: Severity = Severity.LOW) -> Problem:
    text = argument(call, "stream", 0)
    return Problem(
        node=call,
        severity=how_bad(view, text, scope, unknown=severity, command_line=severity),
        message=f"`{shown(call)}` reads YAML {how}",
        remedy="Use `yaml.safe_load`.",
        cause=f"{view.label(call)}",
    )
