"""SEC108: weights or data come from a hub without a revision: what is loaded may change."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.wanted import Wanted, places_of
from stages.security.problem import Problem
from stages.security.view import argument, passes_more, text_value
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.security.view import View

RULE = RuleInfo(
    code="SEC108",
    name="revision-not-pinned",
    severity=Severity.INFO,
    summary="Weights or data come from a hub without a revision: what is loaded may change.",
    why="A repository on a hub can be changed by its owner. A run is repeated only with the commit in `revision`.",
    examples=(
        Bad("""
            from transformers import AutoModel

            model = AutoModel.from_pretrained("openai/clip-vit-base-patch32")  # expect: SEC108
        """),
        Good("""
            from transformers import AutoModel

            COMMIT = "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268"
            model = AutoModel.from_pretrained("openai/clip-vit-base-patch32", revision=COMMIT)
            own = AutoModel.from_pretrained("./out")
        """),
    ),
)
_WORDS = ("from_pretrained", "load_dataset", "hf_hub_download", "snapshot_download")
_NAMES_ONE = late(rb"\(\s*(?:\w+=)?[\"'][\w.-]+/[\w.-]+[\"']")
_LETTER = late(rb"\w")
_EXAMPLE = (b">>>", b"...", b"#")  # how a line begins that runs nothing


def _may_name_one(data: bytes) -> bool:
    """Say whether a call is given a name of a repository on a line that is no example in a docstring."""
    return any(_may_be(data, at, word) for word in map(str.encode, _WORDS) for at in places_of(data, word))


def _may_be(data: bytes, at: int, word: bytes) -> bool:
    if not _NAMES_ONE.match(data, at + len(word)) or (at and _LETTER.match(data, at - 1)):
        return False
    return not data[data.rfind(b"\n", 0, at) + 1 : at].lstrip(b" \t").startswith(_EXAMPLE)


WANTED = Wanted(torch=False, test=_may_name_one)
_NAMED = late(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*\Z")
_CALLS = frozenset(_WORDS)


def look(view: View) -> Iterator[Problem]:
    """Report loads of a repository that the code names, all of a file in one finding."""
    for call, _ in view.calls():
        func = call.func
        name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
        if name not in _CALLS or argument(call, "revision") is not None or passes_more(call):
            continue
        first = call.args[0] if call.args else argument(call, "repo_id") or argument(call, "path")
        text = text_value(first)
        if text is not None and _NAMED.match(text):
            yield Problem(
                node=call,
                message=f"`{name}` loads what stands in `{text}` on the day of the run",
                remedy="Pass the commit as `revision`.",
                cause="revision",
            )
