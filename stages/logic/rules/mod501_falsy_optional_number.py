"""MOD501: a number that may be None is tested by its truth, so that a measured or given zero counts as none."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function, own_nodes, parameters, self_class
from stages._source.wanted import Wanted, lines_of
from stages.logic.optional_numbers import optional_number
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.optional_numbers import Number
    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD501",
    name="falsy-optional-number",
    severity=Severity.LOW,
    summary="A number that may be None is tested by its truth, so that a zero counts as none.",
    why=(
        "0 and 0.0 are false. A measurement of zero is then shown, compared or stored as if nothing had been measured,"
        " and a seed of 0 seeds nothing: the run is not reproducible although it was asked to be. Only numbers whose"
        " zero is a value like any other are reported: seeds, and what is measured or printed."
    ),
    examples=(
        Bad("""
            from dataclasses import dataclass
            from typing import Optional

            @dataclass
            class Result:
                speedup: Optional[float] = None
                note: str = ""

                def __str__(self) -> str:
                    text = self.note
                    if self.speedup:  # expect: MOD501
                        text += f" ({self.speedup:.2f}x)"
                    return text
        """),
        Bad("""
            import torch

            def set_up(seed: int | None = None):
                if seed:  # expect: MOD501
                    torch.manual_seed(seed)

            def best(loss: float, best_loss: float | None = None) -> bool:
                return not best_loss or loss < best_loss  # expect: MOD501
        """),
        Bad("""
            import argparse

            import torch

            parser = argparse.ArgumentParser()
            parser.add_argument("--seed", type=int)
            args = parser.parse_args()
            if args.seed:  # expect: MOD501
                torch.manual_seed(args.seed)
        """),
        Good("""
            import torch

            def set_up(seed: int | None = None, dropout: float | None = None, clip: float | None = None):
                if seed is not None:
                    torch.manual_seed(seed)
                if dropout:
                    return torch.nn.Dropout(dropout)
                return clip or seed or 0

            def best(loss: float, best_loss: float | None = None) -> bool:
                best_loss = best_loss if best_loss is not None else float("inf")
                return bool(best_loss) and loss < best_loss

            def shown(loss: float | None, count: int) -> str:
                return f"{loss:.3f}" if loss is not None else str(count or "none")
        """),
    ),
)
_SEED = late(r"(?:\w+_)?seed")
_MEASURED = late(
    r"(?:\w+_)?(?:loss|acc|accuracy|score|metric|speedup|improvement|latency|elapsed|perplexity|f1|auc|psnr|ssim|miou|"
    r"throughput|best_value|difference)(?:_(?:s|ms|percent|ratio|value|gb|mb))?"
)
_CHOSEN = late(r"weight|coef|scale|thresh|target|min_|max_|limit|lambda|alpha|beta|use_|with_|fn$|aux")
_NUMBER_FORMAT = late(r"[,+ ]?\d*(?:\.\d+)?[fegdx%]")

# what is looked for in the text, before anything is parsed
_FLOATS = (b"Optional[float]", b"float | None", b"None | float")
_WHOLES = (b"Optional[int]", b"int | None", b"None | int")
_NAMED = late(rb"(?:.*[(, ])?(\w+) *: *[^:,(]*\Z")
_ASKING = late(rb"(?:\b(?:if|not|or|and|while|assert|return)|[=(,]) *(?:\w+\.)?\Z")
_PARSED = late(rb"[\"']--(?:\w+[-_])?seed[\"']")


def _is_tested(data: bytes) -> bool:
    """Say whether the text annotates a name of interest so, or parses a seed, and tests its truth somewhere."""
    names = {b"seed"} if b"seed" in data and _PARSED.search(data) else set()
    for word in _FLOATS if b"seed" not in data else (*_FLOATS, *_WHOLES):
        for line in lines_of(data, word):
            named = _NAMED.match(line)
            if named is not None and _is_of_interest(data, named[1], whole=b"int" in word):
                names.add(named[1])
    return any(_asks(data, name) for name in names)


def _is_of_interest(data: bytes, name: bytes, *, whole: bool) -> bool:
    text = name.decode().lower()
    if whole:
        return _SEED.fullmatch(text) is not None
    if _MEASURED.fullmatch(text) is not None:
        return True
    return b":." in data and any(mark + name + b":." in data for mark in (b"{", b"."))


def _asks(data: bytes, name: bytes) -> bool:
    for found in re.finditer(name + rb" *(?:\b(?:or|and|else)\b|[:)\n])", data):
        if _ASKING.search(data, max(0, found.start() - 40), found.start()):
            return True
    return False


WANTED = Wanted(torch=False, some=(b"None", b"--"), test=_is_tested)


def look(view: View) -> Iterator[Problem]:
    """Report tests by truth of such parameters and fields, and of a seed from the command line."""
    parsed = _parsed_seeds(view)
    for node, scope in view.module.scopes.scopes.items():
        body = getattr(node, "body", None)
        if isinstance(body, list):
            nodes = list(own_nodes(body))
            if isinstance(node, Function):
                yield from _of_function(view, node, scope, nodes)
            if parsed:
                yield from _of_arguments(view, nodes, parsed)


def _of_function(
    view: View, function: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope, nodes: Iterable[ast.AST]
) -> Iterator[Problem]:
    given = {
        argument.arg: number
        for argument, _ in parameters(function)
        if (number := optional_number(argument.annotation)) and len(scope.bindings[argument.arg]) == 1
    }
    fields = _fields(scope)
    if not given and not fields:
        return
    printed = {text for node in nodes for text in _printed(node)}
    for tested in (tested for node in nodes for tested in _tested(node)):
        number = _number(tested, given, fields, scope)
        if number is None:
            continue
        name = last_name(tested).lower()
        if number == "int" and _SEED.fullmatch(name):
            yield _of_seed(view, tested)
            continue
        measured = _MEASURED.fullmatch(name) is not None or ast.unparse(tested) in printed
        if number == "float" and measured and not _CHOSEN.search(name):
            yield _problem(view, tested, "a value of 0.0 counts as no value", Severity.LOW)


def _of_arguments(view: View, nodes: Iterable[ast.AST], parsed: frozenset[str]) -> Iterator[Problem]:
    for tested in (tested for node in nodes for tested in _tested(node)):
        match tested:
            case ast.Attribute(value=ast.Name(id="args" | "opt" | "opts" | "flags" | "options"), attr=name):
                if name in parsed:
                    yield _of_seed(view, tested)


def _parsed_seeds(view: View) -> frozenset[str]:
    """Return the seeds that the command line may leave out, and that are None then."""
    found: dict[str, list[bool]] = {}
    for seen in view.calls():
        match seen.node:
            case ast.Call(func=ast.Attribute(attr="add_argument"), args=args, keywords=keywords):
                flags = [item.value for item in args if isinstance(item, ast.Constant) and isinstance(item.value, str)]
                given = {keyword.arg: keyword.value for keyword in keywords}
                default, kind = given.get("default"), given.get("type")
                optional = default is None or (isinstance(default, ast.Constant) and default.value is None)
                whole = isinstance(kind, ast.Name) and kind.id == "int" and "dest" not in given
                for flag in flags:
                    name = flag.lstrip("-").replace("-", "_")
                    if flag.startswith("--") and _SEED.fullmatch(name):
                        found.setdefault(name, []).append(optional and whole)
    return frozenset(name for name, told in found.items() if all(told))


def _fields(scope: Scope) -> dict[str, Number]:
    """Return the fields of the class around a method that may hold a number or None."""
    if scope.parent is None or not isinstance(scope.parent.node, ast.ClassDef):
        return {}
    return {
        item.target.id: number
        for item in scope.parent.node.body
        if isinstance(item, ast.AnnAssign)
        and isinstance(item.target, ast.Name)
        and (number := optional_number(item.annotation))
    }


def _number(tested: ast.expr, given: dict[str, Number], fields: dict[str, Number], scope: Scope) -> Number | None:
    match tested:
        case ast.Name(id=name):
            return given.get(name)
        case ast.Attribute(value=ast.Name(id=owner), attr=name) if self_class(scope, owner) is not None:
            return fields.get(name)
    return None


def _tested(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what a node asks the truth of."""
    match node:
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) | ast.Assert(test=test):
            yield test
        case ast.BoolOp(op=ast.Or(), values=[*values, ast.Constant(value=0)]):  # where zero becomes zero
            yield from values[:-1]
        case ast.BoolOp(values=values):
            yield from values[:-1]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand


def _printed(node: ast.AST) -> Iterator[str]:
    """Yield what is written as a number."""
    match node:
        case ast.FormattedValue(value=value, format_spec=ast.JoinedStr(values=[ast.Constant(value=str(spec))])):
            if _NUMBER_FORMAT.fullmatch(spec):
                yield ast.unparse(value)
        case ast.Call(func=ast.Name(id="round"), args=[value, *_]):
            yield ast.unparse(value)


def _of_seed(view: View, tested: ast.expr) -> Problem:
    return _problem(view, tested, "a seed of 0 counts as no seed", Severity.MEDIUM)


def _problem(view: View, tested: ast.expr, what: str, severity: Severity) -> Problem:
    text = ast.unparse(tested)
    return Problem(
        place=view.place(tested),
        symbol=text,
        message=f"`{text}` may be None and is tested by its truth: {what}",
        remedy=f"Ask `{text} is not None`.",
        severity=severity,
    )
