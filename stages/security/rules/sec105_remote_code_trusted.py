"""SEC105: code from a model repository is run without asking, and no revision says which."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.scopes import Function, parameters
from stages._source.wanted import Wanted
from stages.security.problem import Problem
from stages.security.view import argument, is_constant, shown, text_value
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.security.view import View

RULE = RuleInfo(
    code="SEC105",
    name="remote-code-trusted",
    severity=Severity.MEDIUM,
    summary="Code from a model repository is run without asking, and no revision says which.",
    why=(
        "`trust_remote_code=True` downloads Python files of the repository and imports them. Without a commit in"
        " `revision`, it is whatever stands there on the day of the run. INFO where a commit, a local path or a folder"
        " that the same file saves a model to is named."
    ),
    examples=(
        Bad("""
            from datasets import load_dataset
            from transformers import AutoModelForCausalLM


            def build(name):
                data = load_dataset("someone/data", trust_remote_code=True)  # expect: SEC105
                return AutoModelForCausalLM.from_pretrained(name, trust_remote_code=True), data  # expect: SEC105
        """),
        Good("""
            from transformers import AutoModel


            def build(name, trusted):
                AutoModel.from_pretrained(name, trust_remote_code=False)
                if trusted:
                    options = dict(trust_remote_code=True)
                return AutoModel.from_pretrained(name, trust_remote_code=trusted)


            def tools(server):
                return ToolCollection.from_mcp(server, trust_remote_code=True)  # a server's tools, no repository
        """),
    ),
)
WANTED = Wanted(torch=False, every=(b"trust_remote_code",))
_COMMIT = late(r"[0-9a-f]{40}\Z")
_LOCAL = ("./", "../", "/", "~")
_OTHERS = ("from_mcp",)  # takes the same keyword for something else


def look(view: View) -> Iterator[Problem]:
    """Report calls that are told so by a literal; a flag that users set is theirs."""
    for call, _ in view.calls():
        if is_constant(argument(call, "trust_remote_code"), True) and not _is_decided_elsewhere(view, call):
            first = call.args[0] if call.args else next((item.value for item in call.keywords), None)
            own = _is_pinned(call) or _is_local(first) or _is_saved_here(view, call, first)
            what = shown(first) if first is not None and call.args else ""
            yield Problem(
                node=call,
                severity=Severity.INFO if own else Severity.MEDIUM,
                message=f"`{shown(call.func)}` runs code of the repository that {f'`{what}`' if what else 'it'} names",
                remedy="Pass the commit that you read as `revision`, or leave the decision to whoever starts the run: "
                "an option that is off by default.",
                cause=f"{view.label(call)} {what}",
            )


def _is_decided_elsewhere(view: View, call: ast.Call) -> bool:
    """Say whether a dict of arguments is made, no repository is meant, or a parameter of the same name tells."""
    if isinstance(call.func, ast.Name) and call.func.id == "dict":
        return True
    if isinstance(call.func, ast.Attribute) and call.func.attr in _OTHERS:
        return True
    function = view.function_around(call)
    return isinstance(function, Function) and any(item.arg == "trust_remote_code" for item, _ in parameters(function))


def _is_pinned(call: ast.Call) -> bool:
    """Say whether a commit is named, or the revision is left to whoever starts the run."""
    given = [value for name in ("code_revision", "revision") if (value := argument(call, name)) is not None]
    return any(
        not isinstance(value, ast.Constant) or _COMMIT.match(text_value(value) or "") is not None for value in given
    )


def _is_local(first: ast.expr | None) -> bool:
    text = text_value(first)
    return text is not None and (text.startswith(_LOCAL) or text.endswith(".py"))


def _is_saved_here(view: View, call: ast.Call, first: ast.expr | None) -> bool:
    """Say whether the file saves a model under that literal, or the function under that name: then it is a folder."""
    if first is None:
        return False
    wanted, function = ast.dump(first), view.function_around(call)
    return any(
        isinstance(other.func, ast.Attribute)
        and other.func.attr.startswith("save_pretrained")
        and any(ast.dump(item) == wanted for item in other.args[:1])
        and (isinstance(first, ast.Constant) or view.function_around(other) is function)
        for other, _ in view.calls()
    )
