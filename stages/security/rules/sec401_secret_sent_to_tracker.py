"""SEC401: a tracker is sent the environment, a token, or arguments that hold one."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages.security.flows import Source, sources
from stages.security.inventory import WANTED as TRACKED
from stages.security.inventory import sent
from stages.security.problem import Problem
from stages.security.view import shown, text_value
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.security.inventory import Sent
    from stages.security.view import View

RULE = RuleInfo(
    code="SEC401",
    name="secret-sent-to-tracker",
    severity=Severity.HIGH,
    summary="A tracker is sent the environment, a token, or arguments that hold one.",
    why=(
        "What a tracker stores is read by everybody who may see the run, is copied into exports, and stays when the"
        " code is mended. The environment of a training job holds the tracker's own key. HIGH where the environment or"
        " a variable of it that is called like a secret is sent; MEDIUM for a key called like a secret, and for all"
        " command-line arguments where one of them is."
    ),
    examples=(
        Bad("""
            import os

            import mlflow
            import wandb

            run = wandb.init(project="p", config=dict(os.environ))  # expect: SEC401
            run.config.update({"lr": 0.1, "token": os.environ["HF_TOKEN"]})  # expect: SEC401
            mlflow.log_params({**os.environ})  # expect: SEC401
        """),
        Bad("""
            import argparse

            from accelerate import Accelerator


            def parse():
                parser = argparse.ArgumentParser()
                parser.add_argument("--lr", type=float)
                parser.add_argument("--hub_token", default=None)
                return parser.parse_args()


            def main(args):
                accelerator = Accelerator(log_with="wandb")
                accelerator.init_trackers("p", config=vars(args))  # expect: SEC401
        """),
        Good("""
            import os

            import wandb


            def start(args, tokens):
                run = wandb.init(config={"lr": args.lr, "world": os.environ["WORLD_SIZE"], "user": os.getenv("USER")})
                run.log({"tokens": tokens, "loss_per_token": 0.5, "token_count": 3})
        """),
        Good("""
            import argparse

            from accelerate import Accelerator


            def parse():
                parser = argparse.ArgumentParser()
                parser.add_argument("--hub_token", default=None)
                return parser.parse_args()


            def main(args):
                if args.report_to == "wandb" and args.hub_token is not None:
                    raise ValueError("a token would be logged: log in with the hub's own command instead")
                accelerator = Accelerator(log_with=args.report_to)
                accelerator.init_trackers("p", config=vars(args))
        """),
    ),
)
WANTED = TRACKED
_VARIABLE = late(r"(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_?KEY|PRIVATE_KEY|CREDENTIALS?)\Z")
_KEY = late(
    r"(?:\A|[_./-])(?:api_?key|password|passwd|secret|secret_key|access_token|auth_token|hf_token|hub_token"
    r"|wandb_key|private_key|use_auth_token)\Z",
    re.IGNORECASE,
)


def look(view: View) -> Iterator[Problem]:
    """Report what is sent, once for each call and reason."""
    options = _secret_options(view)
    for item in sent(view):
        if item.value is None or isinstance(item.value, ast.Constant):
            continue
        yield from _problems(view, item, item.value, options)


def _problems(view: View, item: Sent, value: ast.expr, options: list[str]) -> Iterator[Problem]:
    remedy = "Send the settings of the run by name, and nothing else of the process."
    cause = f"{item.call.lineno}"
    variable = _variable(view, item, value)
    if variable is not None:
        what = f"`{variable}` of the environment" if variable else "the whole environment"
        yield Problem(node=item.call, message=f"{item.tracker} is sent {what}", remedy=remedy, cause=cause)
    elif _KEY.search(item.key) and not isinstance(value, ast.Compare):
        yield Problem(
            node=item.call,
            severity=Severity.MEDIUM,
            message=f"{item.tracker} is sent `{item.key}`: `{shown(value)}`",
            remedy=remedy,
            cause=cause,
        )
    elif options and item.key == "*" and _is_arguments(view, item, value):
        yield Problem(
            node=item.call,
            severity=Severity.MEDIUM,
            message=f"{item.tracker} is sent all arguments, `--{options[0]}` among them",
            remedy=f"Leave `{options[0]}` out of what is sent, or read it from the environment.",
            cause=cause,
        )


def _variable(view: View, item: Sent, value: ast.expr) -> str | None:
    """Return the secret variable of the environment that is sent, "" for all of it, None for neither."""
    for part in ast.walk(value):
        if isinstance(part, ast.Call) and part.args and view.names(part.func, item.scope) & _READS:
            name = text_value(part.args[0])
            if name is not None and _VARIABLE.search(name):
                return name
        if isinstance(part, ast.Attribute | ast.Name) and "os.environ" in view.names(part, item.scope):
            around = view.parent(part)
            if isinstance(around, ast.Subscript):
                name = text_value(around.slice)
                if name is not None and _VARIABLE.search(name):
                    return name
            elif _is_whole(view, part, around):
                return ""
    return None


_READS = frozenset(["os.getenv", "os.environ.get"])


def _is_whole(view: View, part: ast.AST, around: ast.AST | None) -> bool:
    """Say whether all of `os.environ` goes on: not one variable, not a question whether there is one."""
    if isinstance(around, ast.Attribute):
        return around.attr in ("copy", "items", "values")
    # what a filter leaves is not known
    return not isinstance(around, ast.comprehension | ast.DictComp | ast.Compare)


def _is_arguments(view: View, item: Sent, value: ast.expr) -> bool:
    """Say whether an expression is a namespace of arguments, or the dict of one."""
    match value:
        case ast.Call(func=ast.Name(id="vars" | "asdict" | "dict"), args=[inner]):
            return _is_arguments(view, item, inner)
        case ast.Attribute(value=inner, attr="__dict__"):
            return _is_arguments(view, item, inner)
        case ast.Name():
            found = sources(view, value, item.scope)
            return Source.COMMAND_LINE in found or (value.id in ("args", "opt", "opts") and Source.PARAMETER in found)
    return False


def _secret_options(view: View) -> list[str]:
    """Return the options called like a secret that the file's parsers take and that it does not guard or drop."""
    text = "\n".join(view.module.lines)
    found = []
    for call, _ in view.calls():
        if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument":
            for name in (text_value(item) for item in call.args):
                plain = (name or "").lstrip("-").replace("-", "_")
                if name is not None and name.startswith("--") and _KEY.search(plain) and not _is_handled(text, plain):
                    found.append(plain)
    return found


def _is_handled(text: str, option: str) -> bool:
    """Say whether the file raises because of the option, or takes it out of a dict, or is only switched by it."""
    dropped = re.search(rf"""(?:pop|del|exclude|ignore|!=|not in)\W[^\n]*["']?{option}\b""", text)
    guarded = re.search(rf"if [^\n]*\b{option}\b[^\n]*:\s*\n\s+raise\b", text)
    flag = re.search(rf"""["']--{option}["'][^)]*store_true""", text)
    return any((dropped, guarded, flag))
