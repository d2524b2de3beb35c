"""Where a value comes from is followed through names, attributes and calls of a file, and no further."""

from __future__ import annotations

import ast

import pytest

from stages._source.program.project import read_project
from stages._source.versions import Versions
from stages.security.flows import Source, fetched_from, is_downloaded, sources
from stages.security.view import View

HEAD = """
import argparse, io, os, pickle, shlex, sys
import urllib.request as web
from urllib.request import urlretrieve
import requests
from requests import get as fetch

args = argparse.ArgumentParser().parse_args()
FIXED = "a" + str(3)
session = requests.Session()

class Job:
    def __init__(self, path):
        self.url = sys.argv[1]
        self.path = path

    def read(self):
        return mark(self.url), mark(self.path)

def f(given):
    local = given
    answer = fetch("https://example.org")
    with open(args.file) as file:
        text = file.read()
    for line in text.splitlines():
        part = line.strip()
"""


def marked(expression: str) -> tuple[View, ast.expr, object]:
    text = f"{HEAD}\n    mark({expression})\n"
    project = read_project([("a.py", ast.parse(text), text.splitlines())])
    module = project.module("a.py")
    assert module is not None
    view = View(project, module, Versions())
    call, scope = [(call, scope) for call, scope in view.calls() if ast.unparse(call.func) == "mark"][-1]
    return view, call.args[0], scope


@pytest.mark.parametrize(
    ("expression", "source"),
    [
        ("args.name", Source.COMMAND_LINE),
        ("f'{args.name}.pt'", Source.COMMAND_LINE),
        ("text", Source.COMMAND_LINE),
        ("part", Source.COMMAND_LINE),
        ("input()", Source.COMMAND_LINE),
        ("Job('x').url", Source.COMMAND_LINE),
        ("os.environ['X']", Source.ENVIRONMENT),
        ("os.getenv('X')", Source.ENVIRONMENT),
        ("given", Source.PARAMETER),
        ("local + '/x'", Source.PARAMETER),
        ("answer.content", Source.NETWORK),
        ("io.BytesIO(answer.content)", Source.NETWORK),
        ("web.urlopen('https://example.org').read()", Source.NETWORK),
        ("session.get(given).text", Source.NETWORK),
        ("FIXED", Source.FIXED),
        ("'a'.format(FIXED)", Source.FIXED),
        ("int(given)", Source.FIXED),
        ("shlex.quote(given)", Source.FIXED),
        ("__file__", Source.FIXED),
        ("unknown()", Source.UNKNOWN),
    ],
)
def test_the_source_of_an_expression(expression: str, source: Source) -> None:
    view, node, scope = marked(expression)
    found = sources(view, node, scope)  # type: ignore[arg-type]
    assert source in found
    assert found <= {source, Source.FIXED}


def test_a_file_that_the_same_function_fetched_is_downloaded() -> None:
    view, node, scope = marked("urlretrieve('https://example.org/x', local), local")
    target = node.elts[1] if isinstance(node, ast.Tuple) else node
    assert is_downloaded(view, target, scope)  # type: ignore[arg-type]
    addresses = fetched_from(view, target, scope)  # type: ignore[arg-type]
    assert [ast.unparse(address) for address, _ in addresses] == ["'https://example.org/x'"]


def test_names_that_are_built_from_themselves_end() -> None:
    view, node, scope = marked("loop")
    assert sources(view, node, scope) == {Source.UNKNOWN}  # type: ignore[arg-type]
    text = "x = y\ny = x\nmark(x)\n"
    project = read_project([("a.py", ast.parse(text), text.splitlines())])
    module = project.module("a.py")
    assert module is not None
    view = View(project, module, Versions())
    (call, where) = next(iter(view.calls()))
    assert Source.UNKNOWN in sources(view, call.args[0], where)
