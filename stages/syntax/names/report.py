"""Decides how a name finding is told: what is wrong, why here, and the smallest change that mends it."""

from __future__ import annotations

import difflib
import io
from typing import TYPE_CHECKING

from stages._source.compiling import source_text
from stages.syntax.names.resolve import BUILTINS, Cause
from stages.syntax.names.scopes import How, When
from verifier.api import Evidence, Finding, Location, Related, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stages.syntax.names.resolve import Missing
    from stages.syntax.names.scopes import Binding, Scope, Use

_MOST_RELATED = 8
_UNEVALUATED = "Python does not evaluate this annotation, so nothing fails here; tools that resolve it do"


class Places:
    """Turns the compiler's lines and byte columns into places a reader can go to."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self._lines = io.StringIO(source_text(data).removeprefix("\ufeff")).readlines()

    def at(self, line: int, column: int) -> Location:
        text = self._lines[line - 1] if 0 < line <= len(self._lines) else ""
        if not text.isascii():
            column = len(text.encode()[:column].decode(errors="replace"))
        return Location(path=self.path, line=line, column=column + 1, end_line=line)

    def line(self, number: int) -> str:
        return self._lines[number - 1].strip() if 0 < number <= len(self._lines) else ""


def missing(entry: Missing, places: Places, known: Iterable[str]) -> Finding:
    """Tell that a name is not found."""
    uses = sorted(entry.uses, key=lambda use: (use.when is not When.RUN, use.line, use.column))
    first = uses[0]
    rule = "SCP002" if entry.cause is Cause.ELSEWHERE else "SCP001"
    message, why, remediation = _TELL[entry.cause](entry, first, known)
    certain = first.when is When.RUN
    return Finding(
        rule=rule,
        severity=Severity.CRITICAL if certain else Severity.LOW,
        message=message,
        location=places.at(first.line, first.column),
        symbol=entry.name,
        related=(*_bound_at(entry.bindings, places), *_also_used(uses[1:], places)),
        evidence=(_evidence(entry.name, first, places),),
        why=why,
        impact=_impact(first) if certain else _UNEVALUATED + ".",
        remediation=remediation,
    )


def unbound(name: str, uses: Sequence[Use], bindings: Sequence[Binding], places: Places, *, certain: bool) -> Finding:
    """Tell that a name is read before it is bound."""
    first = uses[0]
    where = place_of(first.scope)
    later = sorted(bindings, key=lambda b: (b.line, b.column))
    if certain:
        message = f"`{name}` is used before it is bound in {where}{_gone(later, first)}"
        why = "No path through the code binds it before this line is reached."
        error = "UnboundLocalError" if first.scope.is_function else "NameError"
        impact = f"Reaching this line raises {error}."
        remediation = _bind_first(name, later, first)
    else:
        message = f"`{name}` may be used before it is bound in {where}: some branch leaves it without a value"
        why = "At least one path through the branches above reaches this line without binding it."
        impact = "On that path the line raises NameError or UnboundLocalError."
        remediation = f"Give `{name}` a value on every branch (an `else`, or a default before the branch)."
    if first.caught:
        impact = "The exception is caught around this line, so the code after it silently takes the other way."
    return Finding(
        rule="SCP003",
        severity=Severity.CRITICAL if certain and not first.caught else Severity.LOW,
        message=message,
        location=places.at(first.line, first.column),
        symbol=name,
        related=(*_bound_at(later, places), *_also_used(uses[1:], places)),
        evidence=(_evidence(name, first, places),),
        why=why,
        impact=impact,
        remediation=remediation,
    )


def place_of(scope: Scope) -> str:
    """Return a scope in words."""
    if scope.kind == "function":
        owner = scope.parent
        while owner is not None and owner.kind == "types":
            owner = owner.parent
        prefix = f"{owner.name}." if owner is not None and owner.kind == "class" else ""
        return f"{prefix}{scope.name}()"
    if scope.kind == "class":
        return f"the body of class {scope.name}"
    if scope.kind == "lambda":
        return f"the lambda on line {scope.line}"
    if scope.kind == "comprehension":
        return f"the comprehension on line {scope.line}"
    return "the module" if scope.kind == "module" else "the type parameters"


def _nowhere(entry: Missing, first: Use, known: Iterable[str]) -> tuple[str, str, str]:
    near = difflib.get_close_matches(entry.name, [name for name in known if name != entry.name], n=1, cutoff=0.75)
    message = f"`{entry.name}` is not defined: nothing in this file binds it and it is no builtin"
    why = f"Python looks `{entry.name}` up in {_looked_in(first)}, and finds it in none of them."
    if near:
        return message, why, f"Did you mean `{near[0]}`? Otherwise import or define `{entry.name}`."
    return message, why, f"Import or define `{entry.name}` at the top of the file, or remove its use."


def _types_only(entry: Missing, first: Use, known: Iterable[str]) -> tuple[str, str, str]:
    meant = [binding for binding in entry.bindings if binding.types_only and binding.how is not How.DECLARED]
    line = (meant or entry.bindings)[0].line  # others of the name may stand in scopes that are not seen here
    if not any(binding.compiled for binding in meant):
        message = f"`{entry.name}` has no value: the code that binds it, on line {line}, never runs"
        return message, "No path leads to that binding.", f"Bind `{entry.name}` before this line, or remove its use."
    message = f"`{entry.name}` is not defined at run time: it is bound only for type checkers, on line {line}"
    why = "Code below `if TYPE_CHECKING` (or a test that is never true) does not run, so the name does not exist here."
    return message, why, f"Move the binding of `{entry.name}` out of that block, or use it only in quoted annotations."


def _declared(entry: Missing, first: Use, known: Iterable[str]) -> tuple[str, str, str]:
    line = entry.bindings[0].line
    message = f"`{entry.name}` has no value: line {line} only declares its type"
    why = "An annotation without `=` binds nothing."
    return message, why, f"Give `{entry.name}` a value where it is declared."


def _elsewhere(entry: Missing, first: Use, known: Iterable[str]) -> tuple[str, str, str]:
    binding = entry.bindings[0]
    relation, why = _relation(binding, first)
    message = (
        f"`{entry.name}` is not visible in {place_of(first.scope)}: it is bound only as {relation},"
        f" by {binding.how.value} on line {binding.line}"
    )
    return message, why, _advice(entry.name, binding, first)


def _relation(binding: Binding, use: Use) -> tuple[str, str]:
    """Return what the binding's scope is to the use, and why the name cannot be seen across."""
    scope, here = binding.scope, use.scope
    where = place_of(scope)
    around = here.ancestors()
    if scope.kind == "class":
        if scope in around:
            return f"a name of {where} around it", "Functions do not see the names of a class body they are defined in."
        return f"a name of {where}", "The names of a class body are attributes of the class, not names of the module."
    gone = "The locals of a function exist only inside its own call."
    if here in scope.ancestors() and here.kind != "module":
        return f"a local of the inner {_word(scope)}{where}", gone
    if here is not scope.module and scope.parent is not None and scope.parent in (here, *around):
        kind = "method" if scope.parent.kind == "class" else "function"
        if scope.kind == "function":
            return f"a local of the sibling {kind} {where}", gone
    if scope.kind in ("comprehension", "lambda"):
        return f"a name of {where}", "The names of a comprehension or lambda exist only inside it."
    return f"a local of the {_word(scope)}{where}", gone


def _word(scope: Scope) -> str:
    return "function " if scope.kind == "function" else ""


def _advice(name: str, binding: Binding, use: Use) -> str:
    if binding.how is How.IMPORT:
        statement = _import_statement(name, binding)
        here = place_of(use.scope)
        return f"Move `{statement}` from line {binding.line} to the top of the file, or repeat it in {here}."
    if binding.scope.kind == "class" and binding.scope in use.scope.ancestors():
        return f"Write `self.{name}` or `{binding.scope.name}.{name}`."
    if binding.scope.kind == "class":
        return f"Write `{binding.scope.name}.{name}`."
    if binding.how in (How.FUNCTION, How.CLASS):
        return f"Move the definition of `{name}` to module level, or define it in {place_of(use.scope)} as well."
    return f"Pass `{name}` as an argument or a return value, or bind it in {place_of(use.scope)}."


def _import_statement(name: str, binding: Binding) -> str:
    module = binding.module
    if module == name or module.startswith(f"{name}."):
        return f"import {module}"
    return f"from {module} import {name}"


def _bind_first(name: str, bindings: Sequence[Binding], use: Use) -> str:
    after = [b for b in bindings if b.line >= use.line and b.how not in (How.DELETED, How.DECLARED)]
    if not after:
        return f"Bind `{name}` before this line, or remove its use."
    if after[0].how in (How.FUNCTION, How.CLASS, How.IMPORT):
        return f"Move {after[0].how.value} on line {after[0].line} above this line."
    return f"Bind `{name}` (line {after[0].line}) before it is used here."


def _gone(bindings: Sequence[Binding], use: Use) -> str:
    before = [b for b in bindings if b.line <= use.line]
    if before and before[-1].how is How.DELETED:
        return f": line {before[-1].line} deletes it"
    if before and all(b.how is How.EXCEPTION for b in before):
        return f": Python deletes it when the except clause of line {before[-1].line} ends"
    after = [b for b in bindings if b.line > use.line]
    if after and not before:
        return f": {after[0].how.value} that binds it comes later, on line {after[0].line}"
    return ""


def _looked_in(use: Use) -> str:
    around = [s for s in (use.scope, *use.scope.ancestors()) if s.kind in ("function", "lambda")]
    parts = [place_of(scope) for scope in around[:2]]
    if use.scope.kind == "class":
        parts.insert(0, place_of(use.scope))
    return ", ".join([*parts, "the module"]) + " and the builtins"


def _impact(use: Use) -> str:
    if use.caught:
        return "The NameError is caught around this line, so the code silently takes the other way every time."
    inside = [s for s in (use.scope, *use.scope.ancestors()) if s.kind in ("function", "lambda")]
    if inside:
        return f"Every call of {place_of(inside[-1])} that reaches this line raises NameError."
    return "Importing this file raises NameError."


def _bound_at(bindings: Sequence[Binding], places: Places) -> tuple[Related, ...]:
    return tuple(
        Related(
            location=places.at(b.line, b.column),
            message=f"{_VERB.get(b.how, 'bound')} here, in {place_of(b.scope)}",
        )
        for b in bindings[:_MOST_RELATED]
    )


def _also_used(uses: Sequence[Use], places: Places) -> tuple[Related, ...]:
    lines: dict[int, Use] = {}
    for use in uses:
        lines.setdefault(use.line, use)
    shown = list(lines.values())
    related = [
        Related(location=places.at(u.line, u.column), message=f"also used here, in {place_of(u.scope)}")
        for u in shown[:_MOST_RELATED]
    ]
    if len(shown) > _MOST_RELATED:
        last = shown[-1]
        text = f"and on {len(shown) - _MOST_RELATED} more lines, the last one here"
        related.append(Related(location=places.at(last.line, last.column), message=text))
    return tuple(related)


def _evidence(name: str, use: Use, places: Places) -> Evidence:
    text = places.line(use.line)
    shown = text if len(text) <= 120 else text[:117] + "..."
    return Evidence(kind="source", summary=f"line {use.line} reads `{name}`: {shown}")


def known_names(module: Iterable[str], scope: Scope) -> list[str]:
    """Return every name a reader of `scope` could have meant."""
    found = {*module, *BUILTINS}
    for around in (scope, *scope.ancestors()):
        found.update(around.bindings)
    return sorted(name for name in found if not name.startswith("__"))


_VERB = {
    How.IMPORT: "imported",
    How.FUNCTION: "defined",
    How.CLASS: "defined",
    How.ASSIGNMENT: "assigned",
    How.PARAMETER: "a parameter",
    How.DECLARED: "declared",
    How.DELETED: "deleted",
}
_TELL = {
    Cause.NOWHERE: _nowhere,
    Cause.TYPES_ONLY: _types_only,
    Cause.DECLARED: _declared,
    Cause.ELSEWHERE: _elsewhere,
}
