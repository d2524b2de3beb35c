"""SEC503: certificates of servers are not checked, so that anybody on the way can be the server."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.walking import walk
from stages._source.wanted import Wanted
from stages.security.problem import Problem
from stages.security.view import argument, is_constant, shown
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.security.view import View

RULE = RuleInfo(
    code="SEC503",
    name="certificate-check-off",
    severity=Severity.MEDIUM,
    summary="Certificates of servers are not checked, so that anybody on the way can be the server.",
    why=(
        "https without a check of the certificate is http. Where the default context of `ssl` is replaced, it holds for"
        " every download of the process, weights of libraries among them."
    ),
    examples=(
        Bad("""
            import ssl

            import requests

            ssl._create_default_https_context = ssl._create_unverified_context  # expect: SEC503
            page = requests.get("https://example.org", verify=False)  # expect: SEC503
        """),
        Good("""
            import ssl

            import requests

            page = requests.get("https://example.org", verify="ca.pem")
            context = ssl.create_default_context()
            tool = run(verify=False)
        """),
    ),
)
WANTED = Wanted(torch=False, some=(b"verify=False", b"_create_unverified_context", b"CERT_NONE"))
_VERBS = ("get", "post", "put", "patch", "delete", "head", "request", "stream")
_CLIENTS = frozenset(["requests.Session", "requests.session", "httpx.Client", "httpx.AsyncClient"])
_REQUESTS = frozenset(f"{module}.{verb}" for module in ("requests", "httpx") for verb in _VERBS) | _CLIENTS


def look(view: View) -> Iterator[Problem]:
    """Report requests that are told not to check, and contexts that do not."""
    for call, scope in view.calls():
        if is_constant(argument(call, "verify"), False):
            on_client = isinstance(call.func, ast.Attribute) and view.made_by(call.func.value, scope) & _CLIENTS
            if on_client or view.names(call.func, scope) & _REQUESTS:
                yield _problem(call, f"`{shown(call)}` does not check the certificate")
        elif "ssl._create_unverified_context" in view.names(call.func, scope):
            yield _problem(call, f"`{shown(call)}` checks no certificate")
    for node in walk(view.module.tree):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Attribute)
            and node.targets[0].attr == "_create_default_https_context"
            and "unverified" in ast.unparse(node.value)
        ):
            yield _problem(node, "the default context of every https connection is replaced by one that checks nothing")


def _problem(node: ast.AST, message: str) -> Problem:
    return Problem(
        node=node,
        message=message,
        remedy="Leave the check on; where a server has a certificate of its own, pass the file of its authority.",
    )
