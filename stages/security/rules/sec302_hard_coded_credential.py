"""SEC302: a key or token is passed to a tracker, a hub or the environment as a literal."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.walking import walk
from stages._source.wanted import Wanted
from stages.security.credentials import looks_live
from stages.security.problem import Problem
from stages.security.view import argument, text_value
from verifier.api import Bad, Good, RuleInfo, Severity, masked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.security.view import View

RULE = RuleInfo(
    code="SEC302",
    name="hard-coded-credential",
    severity=Severity.CRITICAL,
    summary="A key or token is passed to a tracker, a hub or the environment as a literal.",
    why=(
        "The place says that it is a credential, whatever its form: keys of W&B are forty hexadecimal digits, as"
        " commits are. Whoever can read the repository can use it."
    ),
    examples=(
        Bad("""
            import os

            import wandb
            from huggingface_hub import login

            KEY = "3f8a1c9d7e5b2046af81cd93e7b65d0124fa8c3e"
            wandb.login(key="3f8a1c9d7e5b2046af81cd93e7b65d0124fa8c3e")  # expect: SEC302
            wandb.login(key=KEY, relogin=True)
            os.environ["WANDB_API_KEY"] = "9c1e7a3f8d5b2046af81cd93e7b65d0124fa8c40"  # expect: SEC302
        """),
        Good("""
            import os

            import wandb
            from huggingface_hub import login

            wandb.login(key=os.environ["WANDB_API_KEY"])
            wandb.login(key="your_wandb_key_goes_here_1")
            login(token="<token>")
            os.environ["WANDB_API_KEY"] = ""
            os.environ["TOKENIZERS_PARALLELISM"] = "false"
        """),
    ),
)
_LOGINS = {
    "wandb.login": ("key", 1),
    "huggingface_hub.login": ("token", 0),
    "huggingface_hub.HfApi": ("token", None),
    "comet_ml.Experiment": ("api_key", 0),
    "comet_ml.login": ("api_key", None),
    "comet_ml.init": ("api_key", None),
    "neptune.init_run": ("api_token", None),
    "neptune.init": ("api_token", None),
    "openai.OpenAI": ("api_key", None),
    "anthropic.Anthropic": ("api_key", None),
    "clearml.Task.set_credentials": ("secret", None),
    "swanlab.login": ("api_key", 0),
    "boto3.client": ("aws_secret_access_key", None),
    "boto3.Session": ("aws_secret_access_key", None),
}
_KEYWORDS = ("use_auth_token", "hf_token", "api_key", "api_token")
_VARIABLE = late(r"(?:API_?KEY|TOKEN|SECRET|ACCESS_KEY|PASSWORD)\Z")
_TAILS = tuple(f"{word}{quote}]".encode() for word in ("KEY", "TOKEN", "SECRET", "PASSWORD") for quote in ("'", '"'))
_PASSED = (b"login(", b"api_key", b"api_token", b"auth_token", b"hf_token", b"aws_secret", b"secret=")


def _may_hold_one(data: bytes) -> bool:
    return any(word in data for word in _PASSED) or (b"environ" in data and any(tail in data for tail in _TAILS))


WANTED = Wanted(torch=False, test=_may_hold_one)


def look(view: View) -> Iterator[Problem]:
    """Report literals at such places that could be real."""
    for call, scope in view.calls():
        for value in _passed(view, call, scope):
            yield from _problem(view, call, value, scope)
    for node in walk(view.module.tree):
        match node:
            case ast.Assign(targets=[ast.Subscript(value=mapping, slice=key)], value=value):
                name = text_value(key)
                if name is not None and _VARIABLE.search(name):
                    scope = view.module.scopes.root
                    if "os.environ" in view.names(mapping, scope):
                        yield from _problem(view, node, value, scope)


def _passed(view: View, call: ast.Call, scope: Scope) -> Iterator[ast.expr]:
    for name in view.names(call.func, scope) & _LOGINS.keys():
        named, position = _LOGINS[name]
        value = argument(call, named, position)
        if value is not None:
            yield value
            return
    for keyword in call.keywords:
        if keyword.arg in _KEYWORDS:
            yield keyword.value


def _problem(view: View, node: ast.AST, value: ast.expr, scope: Scope) -> Iterator[Problem]:
    text = text_value(value)
    if text is None and isinstance(value, ast.Name):
        bound = [text_value(item.value) for item in view.bindings(value, scope) if item.how == "value"]
        text = bound[0] if len(bound) == 1 else None
    if text is not None and looks_live(text):
        yield Problem(
            node=node,
            message=f"a credential is written into the code: {masked(text)}",
            remedy="Revoke it, then read it from the environment or from the tool's own login.",
            cause=text,
            secret=text,
        )
