"""Decides where the value of an expression comes from: the network, the command line, this very code.

Only ways that lead from name to name within a file are followed; what is lost on the way is unknown, never safe and
never dangerous.
"""

from __future__ import annotations

import ast
import enum
from typing import TYPE_CHECKING

from stages._source.program.scopes import own_nodes

if TYPE_CHECKING:
    from stages._source.program.scopes import Binding, Scope
    from stages.security.view import View

_DEPTH = 12


class Source(enum.StrEnum):
    """Where a value comes from."""

    NETWORK = "the network"
    COMMAND_LINE = "the command line"
    ENVIRONMENT = "the environment"
    PARAMETER = "a caller"
    FIXED = "the code"
    UNKNOWN = "somewhere else"


_Sources = frozenset[Source]
_FIXED: _Sources = frozenset([Source.FIXED])
_UNKNOWN: _Sources = frozenset([Source.UNKNOWN])

FETCHES = frozenset(
    [
        *(f"requests.{verb}" for verb in ("get", "post", "put", "request", "api.get")),
        *(f"httpx.{verb}" for verb in ("get", "post", "put", "request", "stream")),
        *("urllib.request.urlopen", "urllib.request.urlretrieve", "urllib.urlopen", "urllib.urlretrieve"),
        *("six.moves.urllib.request.urlopen", "six.moves.urllib.request.urlretrieve"),
        *("huggingface_hub.hf_hub_download", "huggingface_hub.snapshot_download", "huggingface_hub.cached_download"),
        *("wget.download", "gdown.download", "torch.hub.load_state_dict_from_url", "urllib3.request"),
        *("requests.Session.get", "requests.Session.post"),
    ]
)
# (call, position and name of the destination)
_FETCHES_TO = {
    "urllib.request.urlretrieve": (1, "filename"),
    "urllib.urlretrieve": (1, "filename"),
    "torch.hub.download_url_to_file": (1, "dst"),
    "wget.download": (1, "out"),
    "gdown.download": (1, "output"),
}
_MADE = frozenset(["requests.Session", "requests.session", "httpx.Client", "socket.socket"])
_RECEIVES = frozenset(["get", "post", "put", "request", "recv", "recvfrom", "stream"])
_PARSES = frozenset(["parse_args", "parse_known_args", "parse_intermixed_args", "parse_args_into_dataclasses"])
_PASSES_ON = frozenset(
    [
        *("open", "io.open", "io.BytesIO", "io.StringIO", "BytesIO", "gzip.open", "bz2.open", "lzma.open", "str"),
        *("bytes", "bytearray", "memoryview", "pathlib.Path", "os.path.join", "os.path.expanduser", "os.fspath"),
        *("os.path.abspath", "os.path.realpath", "os.path.normpath", "list", "tuple", "sorted", "iter", "next"),
        *("base64.b64decode", "zlib.decompress", "gzip.decompress", "vars", "dict", "compile", "shutil.copyfileobj"),
        *("subprocess.list2cmdline", "torch.hub.get_dir", "tarfile.open", "zipfile.ZipFile"),
    ]
)
_HARMLESS = frozenset(["int", "float", "bool", "len", "shlex.quote", "shlex.join", "pipes.quote", "id", "hash", "repr"])


def sources(view: View, node: ast.expr | None, scope: Scope, depth: int = 0) -> frozenset[Source]:
    """Return every place from which the value of an expression, or part of it, may come."""
    if node is None or depth > _DEPTH:
        return _UNKNOWN
    match node:
        case ast.Constant():
            return _FIXED
        case ast.Name(id=name):
            return _of_name(view, node, name, scope, depth)
        case ast.Attribute(value=value):
            return _of_attribute(view, node, value, scope, depth)
        case ast.Call():
            return _of_call(view, node, scope, depth)
        case ast.Subscript(value=value) | ast.Starred(value=value) | ast.Await(value=value):
            return sources(view, value, scope, depth + 1)
        case ast.FormattedValue(value=value) | ast.NamedExpr(value=value):
            return sources(view, value, scope, depth + 1)
        case ast.IfExp(body=body, orelse=orelse):
            return _union(view, [body, orelse], scope, depth)
        case ast.JoinedStr(values=values) | ast.BoolOp(values=values):
            return _union(view, values, scope, depth)
        case ast.BinOp(left=left, right=right):
            return _union(view, [left, right], scope, depth)
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return _union(view, elements, scope, depth)
        case ast.Lambda() | ast.Compare():
            return _FIXED
    return _UNKNOWN


def is_downloaded(view: View, node: ast.expr, scope: Scope) -> bool:
    """Say whether an expression is what was fetched, or the file to which the same function fetched it."""
    if Source.NETWORK in sources(view, node, scope):
        return True
    return any(_same(target, node) for target, _ in _saved(view, scope, node))


def fetched_from(view: View, node: ast.expr, scope: Scope, depth: int = 0) -> list[tuple[ast.expr, Scope]]:
    """Return the addresses or repositories that something was fetched from, each with the scope to read it in."""
    found = [(call.args[0], scope) for target, call in _saved(view, scope, node) if _same(target, node) and call.args]
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and view.names(part.func, scope) & FETCHES:
            found += [(address, scope) for address in _address(part)]
        elif isinstance(part, ast.Name) and depth < _DEPTH and not found:
            for binding in view.bindings(part, scope):
                if binding.value is not None and binding.how in ("value", "context", "element"):
                    found += fetched_from(view, binding.value, binding.scope, depth + 1)
    return found


def _address(call: ast.Call) -> list[ast.expr]:
    named = [item.value for item in call.keywords if item.arg in ("url", "repo_id")]
    return named or call.args[:1]


def _same(one: ast.expr, other: ast.expr) -> bool:
    return not isinstance(one, ast.Constant) and ast.dump(one) == ast.dump(other)


def _saved(view: View, scope: Scope, before: ast.expr) -> list[tuple[ast.expr, ast.Call]]:
    """Return where the same scope saves what it fetches, on lines before a node, and by which call."""
    body = getattr(scope.node, "body", None)
    found: list[tuple[ast.expr, ast.Call]] = []
    for node in own_nodes(body) if isinstance(body, list) else ():
        if isinstance(node, ast.Call) and node.lineno <= before.lineno:
            for name in view.names(node.func, scope) & _FETCHES_TO.keys():
                position, keyword = _FETCHES_TO[name]
                given = [item.value for item in node.keywords if item.arg == keyword]
                found += [(target, node) for target in given or node.args[position : position + 1]]
    return found


def _union(view: View, nodes: list[ast.expr], scope: Scope, depth: int) -> frozenset[Source]:
    return _FIXED.union(*(sources(view, node, scope, depth + 1) for node in nodes))


def _of_name(view: View, node: ast.Name, name: str, scope: Scope, depth: int) -> frozenset[Source]:
    if name in ("__file__", "__name__", "True", "False", "None"):
        return _FIXED
    if "sys.argv" in view.names(node, scope):
        return frozenset([Source.COMMAND_LINE])
    found = [_of_binding(view, binding, depth) for binding in view.bindings(node, scope)]
    return frozenset().union(*found) if found else _UNKNOWN


def _of_binding(view: View, binding: Binding, depth: int) -> frozenset[Source]:
    if binding.how == "parameter":
        return frozenset([Source.PARAMETER])
    if binding.how in ("function", "class"):
        return _FIXED
    if binding.how in ("value", "element", "context") and binding.value is not None:
        return sources(view, binding.value, binding.scope, depth + 1)
    return _UNKNOWN


def _of_attribute(view: View, node: ast.Attribute, value: ast.expr, scope: Scope, depth: int) -> frozenset[Source]:
    names = view.names(node, scope)
    if "sys.argv" in names:
        return frozenset([Source.COMMAND_LINE])
    if "os.environ" in names:
        return frozenset([Source.ENVIRONMENT])
    if names and all(name.startswith(("sys.executable", "os.sep", "os.linesep", "os.pathsep")) for name in names):
        return _FIXED
    bound = view.bindings(node, scope)
    if bound:
        return frozenset().union(*(_of_binding(view, binding, depth) for binding in bound))
    return sources(view, value, scope, depth + 1)


def _of_call(view: View, call: ast.Call, scope: Scope, depth: int) -> frozenset[Source]:
    names = view.names(call.func, scope)
    if names & FETCHES:
        return frozenset([Source.NETWORK])
    if names & {"input", "raw_input"}:
        return frozenset([Source.COMMAND_LINE])
    if names & {"os.getenv", "os.environ.get"}:
        return frozenset([Source.ENVIRONMENT])
    if names & _HARMLESS:
        return _FIXED
    given = [*call.args, *(item.value for item in call.keywords)]
    if names & _PASSES_ON:
        return _union(view, given, scope, depth)
    if isinstance(call.func, ast.Attribute):
        return _of_method(view, call, call.func, given, scope, depth)
    return _UNKNOWN


def _of_method(
    view: View, call: ast.Call, func: ast.Attribute, given: list[ast.expr], scope: Scope, depth: int
) -> frozenset[Source]:
    if func.attr in _PARSES:
        return frozenset([Source.COMMAND_LINE])
    if func.attr in _RECEIVES and view.made_by(func.value, scope) & _MADE:
        return frozenset([Source.NETWORK])
    if isinstance(func.value, ast.Constant):  # "…".format(…), "…".join(…)
        return _union(view, given, scope, depth)
    if _is_module(view, func.value, scope):
        return _UNKNOWN
    return sources(view, func.value, scope, depth + 1)


def _is_module(view: View, node: ast.expr, scope: Scope) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and any(
        binding.how == "import" for binding in view.bindings(node, scope)
    )
