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
        " `yaml.load` without a loader before PyYAML 5.1 (6.0 refuses to be called like that)."
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
                return yaml.safe_load(text)
        """),
    ),
)
WANTED = Wanted(torch=False, every=(b"yaml", b"load"))
_LOADS = frozenset(["yaml.load", "yaml.load_all"])
_UNSAFE_LOADS = frozenset(["yaml.unsafe_load", "yaml.unsafe_load_all"])
_UNSAFE = frozenset(
    [f"yaml.{prefix}{name}" for prefix in ("", "loader.") for name in ("Loader", "UnsafeLoader", "CLoader")]
)


def look(view: View) -> Iterator[Problem]:
    """Report such loads; a loader that nobody can see is none of ours."""
    for call, scope, name in view.calls_of(_LOADS | _UNSAFE_LOADS):
        if name in _UNSAFE_LOADS:
            yield _problem(view, call, scope, "with a loader that makes any Python object")
            continue
        loader = argument(call, "Loader", 1)
        if loader is None and not passes_more(call):
            yield _problem(view, call, scope, "without a loader, which PyYAML before 5.1 takes for an unsafe one")
        elif loader is not None:
            names = {item for item in view.names(loader, scope) if item.startswith("yaml.")}
            if names and names <= _UNSAFE:
                yield _problem(view, call, scope, "with a loader that makes any Python object")


def _problem(view: View, call: ast.Call, scope: Scope, how: str) -> Problem:
    text = argument(call, "stream", 0)
    return Problem(
        node=call,
        severity=how_bad(view, text, scope, unknown=Severity.LOW, command_line=Severity.LOW),
        message=f"`{shown(call)}` reads YAML {how}",
        remedy="Use `yaml.safe_load`.",
        cause=f"{view.label(call)}",
    )
