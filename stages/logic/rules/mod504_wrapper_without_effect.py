"""MOD504: a decorator's wrapper returns what the function returns, and drops what it builds around the call."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function, own_nodes, parameters
from stages._source.wanted import Wanted, lines_of
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD504",
    name="wrapper-without-effect",
    severity=Severity.MEDIUM,
    summary="A decorator builds something around the function and drops it: the function runs as if undecorated.",
    why=(
        "Whoever decorates a function so believes that it is compiled, validated or guarded. Nothing of it happens,"
        " and nothing says so. Also reported: `torch.compile(model)`, a parallel wrapper, or a context such as"
        " `torch.no_grad()` that stands as a statement, whose result nobody takes."
    ),
    examples=(
        Bad("""
            from functools import wraps

            class Validator:
                def compile_model(self, model):
                    return model

            def compiled(config):
                def decorator(factory):
                    @wraps(factory)
                    def wrapper(*args, **kwargs):  # expect: MOD504
                        model = factory(*args, **kwargs)
                        validator = Validator(config)
                        return model
                    return wrapper
                return decorator
        """),
        Bad("""
            import torch

            def prepare(model):
                torch.compile(model)  # expect: MOD504
                torch.no_grad()  # expect: MOD504
                return model
        """),
        Good("""
            from functools import wraps

            import torch

            def compiled(factory):
                @wraps(factory)
                def wrapper(*args, **kwargs):
                    model = factory(*args, **kwargs)
                    return torch.compile(model)
                return wrapper

            def logged(function, log):
                @wraps(function)
                def wrapper(*args, **kwargs):
                    log.info("called")
                    return function(*args, **kwargs)
                return wrapper

            def kept(function):
                @wraps(function)
                def wrapper(*args, **kwargs):
                    return function(*args, **kwargs)
                wrapper.is_kept = True
                return wrapper

            def prepare(model):
                with torch.no_grad():
                    return torch.compile(model)
        """),
    ),
)
_DROPPED = {
    "torch.compile": "the compiled model",
    "torch.nn.DataParallel": "the parallel model",
    "torch.nn.parallel.DistributedDataParallel": "the parallel model",
    **dict.fromkeys(("torch.no_grad", "torch.inference_mode", "torch.enable_grad"), "the context"),
}
_WORDS = (b"torch.compile(", b"DataParallel(", b"no_grad()\n", b"inference_mode()\n")
_BUILDS = late(rb"wraps\([\s\S]{0,400}?\w = (?:\w+\.)*[A-Z]\w*\(")
_STATEMENT = late(rb"\s+(?:torch\.|nn\.|parallel\.|Distributed)*\Z")


def _may_drop(data: bytes) -> bool:
    """Say whether the text has a decorator that builds something, or such a call as a statement of its own."""
    if b"wraps(" in data and _BUILDS.search(data):
        return True
    return any(_STATEMENT.match(line[: -len(word)]) for word in _WORDS for line in lines_of(data, word))


WANTED = Wanted(torch=False, test=_may_drop)


def look(view: View) -> Iterator[Problem]:
    """Report wrappers that add nothing to the call, and results that are dropped where they stand."""
    for node in view.module.scopes.scopes:
        if isinstance(node, Function):
            inner = _wrapped(node)
            built = inner and _built_and_dropped(inner[0], inner[1])
            if inner and built:
                name = view.module.scopes.scopes[node].qualname.split(".")[0]
                yield Problem(
                    place=view.place(inner[0]),
                    symbol=name,
                    message=f"`{name}` does nothing: its wrapper drops `{built}` and only calls the function",
                    remedy="Use what is built, on the result or around the call, or take the decorator away.",
                )
    for seen in view.calls():
        if isinstance(view.parent(seen.node), ast.Expr) and isinstance(seen.node, ast.Call):
            what = next((_DROPPED[name] for name in view.origins(seen.node.func, seen.scope) if name in _DROPPED), None)
            if what:
                yield Problem(
                    place=view.place(seen.node),
                    message=f"`{ast.unparse(seen.node)}` is a statement of its own: {what} is dropped, nothing changes",
                    remedy="Bind the result, or enter the context with `with`.",
                )


def _wrapped(function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[ast.FunctionDef, str] | None:
    """Return the wrapper that a decorator defines and returns, with the name of the function that it wraps."""
    given = [argument.arg for argument, _ in parameters(function)]
    defined = [item for item in function.body if isinstance(item, ast.FunctionDef)]
    match function.body[-1:]:
        case [ast.Return(value=ast.Name(id=name))] if len(defined) == 1 and defined[0].name == name and given:
            return (defined[0], given[0]) if _wraps(defined[0], given[0]) else None
    return None


def _wraps(wrapper: ast.FunctionDef, name: str) -> bool:
    return any(
        isinstance(item, ast.Call) and last_name(item.func) == "wraps" and name in map(last_name, item.args)
        for item in wrapper.decorator_list
    )


def _built_and_dropped(wrapper: ast.FunctionDef, name: str) -> str | None:
    """Return what a wrapper builds and drops beside a plain call of the function; None where it does more."""
    returned = result = None
    built: dict[str, ast.Call] = {}
    for item in wrapper.body:
        match item:
            case ast.Expr(value=ast.Constant()):
                pass
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.Call(func=ast.Name(id=called)) as call):
                if called == name and result is None and _passes_all(wrapper, call):
                    result = target
                elif called != name and called[:1].isupper():
                    built[target] = call
                else:
                    return None
            case ast.Return(value=ast.Name(id=target)):
                returned = target
            case ast.Return(value=ast.Call(func=ast.Name(id=called)) as call) if called == name:
                returned = result = "" if _passes_all(wrapper, call) else None
            case _:
                return None
    used = {
        node.id for node in own_nodes(wrapper.body) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    if result is None or returned != result or not built or used & set(built):
        return None
    return ast.unparse(next(iter(built.values())))


def _passes_all(wrapper: ast.FunctionDef, call: ast.Call) -> bool:
    taken, keywords = wrapper.args.vararg, wrapper.args.kwarg
    positional = taken is None or any(isinstance(item, ast.Starred) for item in call.args)
    return positional and (keywords is None or any(keyword.arg is None for keyword in call.keywords))
