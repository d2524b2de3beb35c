"""SEC502: a file is downloaded over a connection that others can change, and nothing checks what came."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import own_nodes
from stages._source.wanted import Wanted
from stages.security.problem import Problem
from stages.security.view import argument, is_constant, shown, text_value
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.security.view import View

RULE = RuleInfo(
    code="SEC502",
    name="download-not-verified",
    severity=Severity.LOW,
    summary="A file is downloaded and nothing checks what came.",
    why=(
        "Over http anybody on the way can put another file there; over https only the host can. Weights that are"
        " unpickled and archives that are unpacked then do what that file says. MEDIUM for weights over http, LOW for"
        " other files over http, INFO for https without a checksum."
    ),
    examples=(
        Bad("""
            from urllib.request import urlretrieve

            import torch

            urlretrieve("http://example.org/data.tar.gz", "data.tar.gz")  # expect: SEC502
            weights = torch.hub.load_state_dict_from_url("http://example.org/model.pth")  # expect: SEC502
            more = torch.hub.load_state_dict_from_url("https://example.org/model.pth")  # expect: SEC502
        """),
        Good("""
            import hashlib
            from urllib.request import urlretrieve

            import requests
            import torch

            weights = torch.hub.load_state_dict_from_url("https://example.org/model-0a1b2c3d.pth", check_hash=True)
            torch.hub.download_url_to_file("https://example.org/a.pth", "a.pth", hash_prefix="0a1b2c3d")
            status = requests.get("http://localhost:8000/status")


            def fetch(digest):
                urlretrieve("https://example.org/data.bin", "data.bin")
                assert hashlib.sha256(open("data.bin", "rb").read()).hexdigest() == digest
        """),
    ),
)
_WEIGHTS = frozenset(["torch.hub.load_state_dict_from_url", "torch.utils.model_zoo.load_url"])
_FILES = frozenset(
    ["urllib.request.urlretrieve", "urllib.urlretrieve", "torch.hub.download_url_to_file", "wget.download"]
)
_DATA = frozenset(f"torchvision.datasets.utils.{name}" for name in ("download_url", "download_and_extract_archive"))
WANTED = Wanted(
    torch=False,
    some=(
        *(b"load_state_dict_from_url", b"load_url", b"urlretrieve", b"wget", b"download_url"),
        b"download_and_extract_archive",
    ),
)
_CHECKS = ("hashlib", "md5", "sha256", "checksum", "check_integrity", "sha1")


def look(view: View) -> Iterator[Problem]:
    """Report downloads whose address the code names, and that neither a hash nor code beside them checks."""
    for call, scope, name in view.calls_of(_WEIGHTS | _FILES | _DATA):
        if _is_checked(view, call, scope, name):
            continue
        address = _address(view, call, scope)
        plain = address is not None and address.startswith(("http://", "ftp://")) and "localhost" not in address
        over_http = Severity.MEDIUM if name in _WEIGHTS else Severity.LOW
        severity = over_http if plain else Severity.INFO
        over = "over http, which anybody on the way can change, and " if plain else ""
        yield Problem(
            node=call,
            severity=severity,
            message=f"`{shown(call.func)}` downloads {over}without a checksum",
            remedy="Use https and pass the hash that you computed once"
            + (" (`check_hash=True` with the hash in the file's name)." if name in _WEIGHTS else "."),
            cause=f"{severity} {name}",
        )


def _is_checked(view: View, call: ast.Call, scope: Scope, name: str) -> bool:
    given = {
        **dict.fromkeys(_WEIGHTS, ("check_hash", 4)),
        **dict.fromkeys(_DATA, ("md5", 3 if name.endswith("download_url") else 4)),
        "torch.hub.download_url_to_file": ("hash_prefix", 2),
    }.get(name)
    value = argument(call, *given) if given is not None else None
    if value is not None and not is_constant(value, False) and not is_constant(value, None):
        return True
    body = getattr(scope.node, "body", None)
    words = {
        part.id if isinstance(part, ast.Name) else part.attr
        for part in (own_nodes(body) if isinstance(body, list) and scope.parent is not None else ())
        if isinstance(part, ast.Name | ast.Attribute)
    }
    return any(check in word.lower() for word in words for check in _CHECKS)


def _address(view: View, call: ast.Call, scope: Scope) -> str | None:
    """Return the literal that the address begins with."""
    node = argument(call, "url", 0)
    if isinstance(node, ast.Name):
        bound = [item.value for item in view.bindings(node, scope) if item.how == "value"]
        node = bound[0] if len(bound) == 1 else None
    if isinstance(node, ast.BinOp):
        node = node.left
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return text_value(node)
